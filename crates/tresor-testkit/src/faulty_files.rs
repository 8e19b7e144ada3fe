//! A disk in memory that fails, fills up, forgets and tears on demand.
//!
//! It keeps apart what a running process sees and what would be there after a power cut: contents
//! survive only from a file's sync on, names only from their directory's. A failed sync loses what it
//! was to save for good, as kernels do. [`FaultyFiles::reboot`] gives the disk as the next process
//! finds it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tresor::files::{File, Files, Open};

use crate::random::Random;

/// What is left of unsynced changes after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    /// Everything: the process crashed and the page cache lives on. Still unsynced.
    Everything,
    /// Nothing: the power was cut before anything else reached the disk.
    Synced,
    /// By chance: of the writes some whole, some torn at a byte, some in scattered sectors; of the
    /// names a run of the first changes.
    Chance {
        /// The seed of the choice.
        seed: u64,
    },
}

/// How long a planned failure lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// For one call.
    Once,
    /// From that call on: nothing reaches the disk any more.
    Forever,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct FaultyFiles {
    disk: Arc<Mutex<Disk>>,
}

/// Lets `fail_at` try every disk call: it fails the n-th, checks what came of it, and answers whether there
/// was such a call. A script that makes no more than a hundred shows little.
pub fn fail_everywhere(
    kind: io::ErrorKind,
    lasts: Lasts,
    fail_at: impl Fn(u64, io::ErrorKind, Lasts) -> bool,
) {
    let calls = (1..).take_while(|&call| fail_at(call, kind, lasts)).count();
    println!("{kind:?} {lasts:?}: {calls} calls");
    assert!(calls > 100, "the script makes only {calls} calls");
}

#[derive(Clone, Default)]
struct Disk {
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<NameChange>,
    directories: BTreeSet<PathBuf>,
    nodes: Vec<Node>,
    calls: u64,
    plan: Option<(u64, io::ErrorKind, Lasts)>,
    failed: Vec<String>,
    space: Option<u64>,
    handles: u64,
}

#[derive(Clone)]
enum NameChange {
    Set(PathBuf, usize),
    Remove(PathBuf),
}

#[derive(Clone, Default)]
struct Node {
    current: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Effect>,
    locked_by: Option<u64>,
}

#[derive(Clone)]
enum Effect {
    Write(u64, Vec<u8>),
    Size(u64),
}

impl Effect {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Size(size) => resize(to, *size as usize),
            Self::Write(offset, bytes) => {
                let end = *offset as usize + bytes.len();
                resize(to, to.len().max(end));
                to[*offset as usize..end].copy_from_slice(bytes);
            }
        }
    }

    /// What may have reached the disk of an effect that nobody waited for.
    fn apply_by_chance(&self, to: &mut Vec<u8>, random: &mut Random) {
        match (self, random.below(4)) {
            (_, 0) => {}
            (Self::Write(offset, bytes), 1) => {
                let cut = random.below(bytes.len() as u64 + 1) as usize;
                Self::Write(*offset, bytes[..cut].to_vec()).apply(to);
            }
            (Self::Write(offset, bytes), 2) => {
                for (index, sector) in bytes.chunks(64).enumerate() {
                    if random.below(2) == 0 {
                        Self::Write(offset + index as u64 * 64, sector.to_vec()).apply(to);
                    }
                }
            }
            _ => self.apply(to),
        }
    }
}

fn resize(bytes: &mut Vec<u8>, size: usize) {
    bytes.truncate(size);
    // Not `Vec::resize`: unoptimized, it goes byte by byte.
    bytes.extend_from_slice(&vec![0; size - bytes.len()]);
}

impl FaultyFiles {
    /// An empty disk without limits on which everything works.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the `call`-th call from now on fail (1 is the next one).
    pub fn fail_call(&self, call: u64, kind: io::ErrorKind, lasts: Lasts) {
        let mut disk = self.disk.lock();
        disk.plan = Some((disk.calls + call, kind, lasts));
    }

    /// Lets everything work again.
    pub fn heal(&self) {
        self.disk.lock().plan = None;
    }

    /// How many calls there have been.
    pub fn calls(&self) -> u64 {
        self.disk.lock().calls
    }

    /// The calls that were made to fail, for a test's message.
    pub fn failed(&self) -> Vec<String> {
        self.disk.lock().failed.clone()
    }

    /// Limits the sum of all files' sizes; `None` for no limit.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.disk.lock().space = bytes;
    }

    /// The sum of all files' sizes.
    pub fn used_space(&self) -> u64 {
        self.disk.lock().used()
    }

    /// The disk as the next process finds it: another disk, without locks, limits and plans. Handles
    /// of this one go on with this one.
    pub fn reboot(&self, survives: Survives) -> Self {
        let mut disk = self.disk.lock().clone();
        (disk.plan, disk.space) = (None, None);
        disk.failed.clear();
        disk.nodes.iter_mut().for_each(|node| node.locked_by = None);
        if survives != Survives::Everything {
            disk.forget(survives);
        }
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.disk.lock().names.keys().cloned().collect()
    }

    /// A file's bytes.
    pub fn contents(&self, path: &Path) -> Vec<u8> {
        let disk = self.disk.lock();
        disk.names.get(path).map(|&node| disk.nodes[node].current.clone()).unwrap_or_default()
    }

    /// Puts a file there, durably, whatever was there before.
    pub fn place(&self, path: &Path, bytes: &[u8]) {
        let mut disk = self.disk.lock();
        let node = Node { current: bytes.to_vec(), durable: bytes.to_vec(), ..Node::default() };
        disk.nodes.push(node);
        let node = disk.nodes.len() - 1;
        disk.names.insert(path.to_path_buf(), node);
        disk.durable_names.insert(path.to_path_buf(), node);
        disk.directories.extend(path.parent().map(Path::to_path_buf));
    }

    /// Flips one bit of a file, behind everybody's back.
    pub fn flip_bit(&self, path: &Path, bit: u64) {
        let mut bytes = self.contents(path);
        bytes[bit as usize / 8] ^= 1 << (bit % 8);
        self.place(path, &bytes);
    }

    /// Cuts a file to `size` bytes, behind everybody's back.
    pub fn cut(&self, path: &Path, size: u64) {
        let mut bytes = self.contents(path);
        bytes.truncate(size as usize);
        self.place(path, &bytes);
    }
}

impl Disk {
    /// Counts a call, and fails it if that is the plan.
    fn call(&mut self, what: impl FnOnce() -> String) -> io::Result<()> {
        self.calls += 1;
        match self.plan {
            Some((at, kind, lasts)) if self.calls == at || (self.calls > at && lasts == Lasts::Forever) => {
                // What fails forever would fill the list with every retry.
                if self.failed.len() < 16 {
                    self.failed.push(format!("call {}: {}", self.calls, what()));
                }
                Err(io::Error::new(kind, "planned failure"))
            }
            _ => Ok(()),
        }
    }

    fn used(&self) -> u64 {
        let live: BTreeSet<usize> = self.names.values().copied().collect();
        live.into_iter().map(|node| self.nodes[node].current.len() as u64).sum()
    }

    fn reserve(&self, node: usize, size: u64) -> io::Result<()> {
        let grows = size.saturating_sub(self.nodes[node].current.len() as u64);
        match self.space {
            Some(space) if grows > 0 && self.used() + grows > space => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn name(&mut self, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.unsynced_names.push(change);
    }

    fn forget(&mut self, survives: Survives) {
        let mut random = match survives {
            Survives::Chance { seed } => Some(Random::new(seed)),
            _ => None,
        };
        if let Some(random) = &mut random {
            let kept = random.below(self.unsynced_names.len() as u64 + 1) as usize;
            for change in &self.unsynced_names[..kept] {
                apply_name(&mut self.durable_names, change);
            }
        }
        self.unsynced_names.clear();
        self.names.clone_from(&self.durable_names);
        for node in &mut self.nodes {
            if let Some(random) = &mut random {
                for effect in &node.unsynced {
                    effect.apply_by_chance(&mut node.durable, random);
                }
            }
            node.unsynced.clear();
            node.current.clone_from(&node.durable);
        }
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, usize>, change: &NameChange) {
    match change {
        NameChange::Set(path, node) => {
            // A rename is one step: the old name goes with the new one's coming.
            names.retain(|_, known| known != node);
            names.insert(path.clone(), *node);
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
    }
}

impl Files for FaultyFiles {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk.lock();
        disk.call(|| format!("open {open:?} {}", path.display()))?;
        let node = match (open, disk.names.get(path).copied()) {
            (Open::Create, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Open::Read | Open::Write, None) => return Err(io::ErrorKind::NotFound.into()),
            (_, Some(node)) => node,
            (Open::Create, None) => {
                disk.nodes.push(Node::default());
                let node = disk.nodes.len() - 1;
                disk.name(NameChange::Set(path.to_path_buf(), node));
                node
            }
        };
        disk.handles += 1;
        let path = path.to_path_buf();
        Ok(Arc::new(Handle { disk: Arc::clone(&self.disk), node, handle: disk.handles, path }))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call(|| format!("create directory {}", path.display()))?;
        disk.directories.insert(path.to_path_buf());
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut disk = self.disk.lock();
        disk.call(|| format!("list {}", directory.display()))?;
        if !disk.directories.contains(directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = disk.names.keys().filter(|path| path.parent() == Some(directory));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call(|| format!("rename {} to {}", from.display(), to.display()))?;
        let node = *disk.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        disk.name(NameChange::Set(to.to_path_buf(), node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call(|| format!("remove {}", path.display()))?;
        disk.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        disk.name(NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call(|| format!("sync directory {}", directory.display()))?;
        let disk = &mut *disk;
        let inside = |change: &NameChange| match change {
            NameChange::Set(path, _) | NameChange::Remove(path) => path.parent() == Some(directory),
        };
        disk.unsynced_names.iter().filter(|change| inside(change)).for_each(|change| {
            apply_name(&mut disk.durable_names, change);
        });
        disk.unsynced_names.retain(|change| !inside(change));
        Ok(())
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let disk = self.disk.lock();
        Ok(disk.space.map_or(u64::MAX, |space| space.saturating_sub(disk.used())))
    }
}

struct Handle {
    disk: Arc<Mutex<Disk>>,
    node: usize,
    handle: u64,
    path: PathBuf,
}

impl Handle {
    fn effect(disk: &mut Disk, node: usize, effect: Effect) {
        let node = &mut disk.nodes[node];
        effect.apply(&mut node.current);
        node.unsynced.push(effect);
    }
}

impl File for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        disk.call(|| format!("read {} at {offset}", self.path.display()))?;
        let current = &disk.nodes[self.node].current;
        let rest = current.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let planned =
            disk.call(|| format!("write {} bytes to {} at {offset}", bytes.len(), self.path.display()));
        disk.reserve(self.node, offset + bytes.len() as u64)?;
        // A failed write may have written a part.
        let written = if planned.is_ok() { bytes.len() } else { bytes.len() / 2 };
        Self::effect(&mut disk, self.node, Effect::Write(offset, bytes[..written].to_vec()));
        planned
    }

    fn size(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        disk.call(|| format!("measure {}", self.path.display()))?;
        Ok(disk.nodes[self.node].current.len() as u64)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call(|| format!("cut {} to {size}", self.path.display()))?;
        disk.reserve(self.node, size)?;
        Self::effect(&mut disk, self.node, Effect::Size(size));
        Ok(())
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call(|| format!("allocate {size} for {}", self.path.display()))?;
        disk.reserve(self.node, size)?;
        let size = size.max(disk.nodes[self.node].current.len() as u64);
        Self::effect(&mut disk, self.node, Effect::Size(size));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let planned = disk.call(|| format!("sync {}", self.path.display()));
        let node = &mut disk.nodes[self.node];
        let effects = std::mem::take(&mut node.unsynced);
        if planned.is_ok() {
            effects.iter().for_each(|effect| effect.apply(&mut node.durable));
        }
        planned
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut disk = self.disk.lock();
        disk.call(|| format!("lock {}", self.path.display()))?;
        let owner = disk.nodes[self.node].locked_by.get_or_insert(self.handle);
        Ok(*owner == self.handle)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let locked_by = &mut self.disk.lock().nodes[self.node].locked_by;
        if *locked_by == Some(self.handle) {
            *locked_by = None;
        }
    }
}
