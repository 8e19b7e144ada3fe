//! The disk engine: entries in tables on disk, larger than memory, behind the same log as the memory
//! engine's.
//!
//! The tables are an LSM tree (`fjall`), written without a sync: what they lose in a crash the op log
//! still has. Checkpoints make them durable and let the log go; a start does again what the log has
//! behind the last one. So an acknowledged write costs one group commit, as in memory, and data need not
//! fit there. `docs/decisions/0011-disk.md` tells what was measured.

mod address;
mod adopt;
mod changes;
mod check;
mod chores;
mod failure;
mod read;
mod space;
mod store;
mod stored;
mod tables;
mod write;
mod write_each;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub use self::check::{TablesReport, check};
use self::{
    space::Space,
    store::{Store, Whole},
    tables::Tables,
};
use super::{
    Batch, Capabilities, Change, ChangeCursor, ChangePage, ChangesWanted, Count, DATABASES, Each, Edit,
    Engine, Eventual, Isolation, KeyRef, Outcome, Page, Removals, Scan, Seen, Sequence, Status, UNSWAPPED,
    Visit,
    background::{Background, Chores, Schedule},
    cursors::Cursors,
};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind, Result},
    files::Files,
    oplog::{Log, LogOptions, Recovery, Replayed},
};

/// The directory of the tables inside a store's.
pub const TABLES: &str = "tables";

/// Numbers that a start leaves out: more than a log has changes that it has not written. A killed process
/// may have left one of those in the tables, and its number must not be given to another.
const GAP: Sequence = 1 << 27;

/// What can be chosen about a disk engine.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// Bytes of blocks that are kept in memory for readers.
    pub block_cache_bytes: u64,
    /// Bytes of writes that a table gathers in memory before it writes them out.
    pub write_buffer_bytes: u64,
    /// Free space on the disk below which nothing is added: the tables need some to work with.
    pub reserve_bytes: u64,
    /// Where the tables lie, if not beside the log.
    pub tables_path: Option<PathBuf>,
    /// A checkpoint is taken when the log has grown by this many bytes since the last one...
    pub checkpoint_log_bytes: u64,
    /// ...and at the latest after this time, if anything has changed.
    pub checkpoint_interval: Duration,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self {
            block_cache_bytes: 256 << 20,
            write_buffer_bytes: 32 << 20,
            reserve_bytes: 384 << 20,
            tables_path: None,
            checkpoint_log_bytes: 256 << 20,
            checkpoint_interval: Duration::from_secs(3600),
        }
    }
}

/// Entries in tables on disk.
pub struct DiskEngine {
    store: Arc<Store>,
    cursors: Cursors,
    background: Background,
    closed: AtomicBool,
}

impl DiskEngine {
    /// Opens the store in a directory, as it was left there, or makes an empty one.
    /// [`Unavailable`](ErrorKind::Unavailable) if another process has it,
    /// [`Invalid`](ErrorKind::Invalid) if it is a store of another engine.
    pub fn open(
        options: &DiskOptions,
        (files, clock): (Arc<dyn Files>, Arc<dyn Clock>),
        directory: &Path,
        log_options: LogOptions,
    ) -> Result<(Arc<Self>, Recovery)> {
        let tables_path = options.tables_path.clone().unwrap_or_else(|| directory.join(TABLES));
        let tables = open_tables(&*files, directory, &tables_path, options)?;
        let mapping = UNSWAPPED;
        let mut whole = Whole { tables, mapping };
        let (log, recovery) =
            Log::open(files.clone(), clock.clone(), directory, log_options, &mut |replayed| {
                replay(&mut whole, directory, replayed)
            })?;
        // What the log did not promise may be in the tables: from here on it is promised.
        whole.tables.sync()?;
        let space = Space::new(files, tables_path, options.reserve_bytes);
        let store = Arc::new(Store::new(whole, log, (recovery.store_id, clock.now_ms()), space)?);
        let lift = || store.log.lift(recovery.latest_time_ms, recovery.latest + GAP);
        write::eventually(&store, lift).wait()?;
        let schedule = Schedule {
            time_floor_ms: recovery.latest_time_ms,
            log_bytes: options.checkpoint_log_bytes,
            interval: options.checkpoint_interval,
        };
        let (sweeping, saving) = (store.clone(), store.clone());
        let chores = Chores {
            removals: store.removals.clone(),
            sweep: Box::new(move |time, stop| chores::sweep(&sweeping, time, stop)),
            save: Some((
                store.log.clone(),
                Box::new(move |stop: &AtomicBool| chores::checkpoint(&saving, stop)),
            )),
        };
        let background = Background::start(chores, clock, schedule)?;
        Ok((
            Arc::new(Self { store, cursors: Cursors::default(), background, closed: AtomicBool::new(false) }),
            recovery,
        ))
    }

    fn close_now(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let poison = self.store.check_open();
        self.store.stop();
        self.background.stop();
        let status = self.store.log.status();
        // The log has everything already: without a checkpoint the next start takes longer, no more.
        if status.latest > status.last_snapshot
            && status.poison.is_none()
            && poison.is_ok()
            && let Err(error) = chores::checkpoint(&self.store, &AtomicBool::new(false))
        {
            tracing::warn!(%error, "no checkpoint was taken at the end; the log has every change");
        }
        self.store.release();
        poison.and(self.store.log.close())
    }
}

fn open_tables(
    files: &dyn Files,
    directory: &Path,
    tables_path: &Path,
    options: &DiskOptions,
) -> Result<Tables> {
    let names = files.list(directory).unwrap_or_default();
    let of_memory = names.iter().any(|name| name == "store") && files.list(tables_path).is_err();
    if of_memory && options.tables_path.is_none() {
        return Err(tables::missing(directory));
    }
    let make = |path: &Path| {
        files.create_directory(path).map_err(|error| failure::failed("make", path, fjall::Error::Io(error)))
    };
    make(directory)?;
    make(tables_path)?;
    Tables::open(tables_path, options)
}

fn replay(whole: &mut Whole, directory: &Path, replayed: Replayed<'_>) -> Result<()> {
    match replayed {
        Replayed::Snapshot { mapping, .. } => {
            whole.mapping = mapping;
            Ok(())
        }
        Replayed::Entries(_) => Err(tables::missing(directory)),
        Replayed::Change { version, change, .. } => write::replay(whole, version, &change),
    }
}

impl Engine for DiskEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "disk",
            atomic_batches: true,
            guards: true,
            ordered: true,
            swap: true,
            durable: true,
            shared: false,
            takes_back: false,
            waits: true,
            max_value_bytes: usize::MAX,
        }
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'_>,
    ) -> Eventual<'a, Seen> {
        Eventual::Now(read::read(&self.store, keys, isolation, now_ms, visit))
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        Eventual::Now(read::scan(&self.store, &self.cursors, scan, now_ms))
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        write::write(&self.store, batch, now_ms)
    }

    fn write_each<'a>(&'a self, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
        write_each::write_each(&self.store, changes, now_ms)
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        write::update(&self.store, key, now_ms, edit)
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, now_ms: u64) -> Eventual<'a, Sequence> {
        adopt::adopt(&self.store, entries, above, now_ms)
    }

    fn changes<'a>(
        &'a self,
        cursor: &'a mut ChangeCursor,
        wanted: &'a ChangesWanted<'a>,
    ) -> Eventual<'a, ChangePage> {
        changes::changes(&self.store, cursor, wanted)
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        self.store.log.durable(upto)
    }

    fn count(&self, database: u8) -> Eventual<'_, Count> {
        Eventual::later(read::count(&self.store, database))
    }

    fn status(&self) -> Eventual<'_, Status> {
        if let Err(error) = self.store.check_open() {
            return Eventual::Now(Err(error));
        }
        let store = &self.store;
        let mut status = Status {
            sequence: store.log.latest(),
            expired: store.expired.figures(),
            log: Some(store.log.status()),
            store_id: store.store_id,
            packed: store.packed.load(Ordering::Relaxed),
            ..Status::default()
        };
        let whole = match store.read() {
            Ok(whole) => whole,
            Err(error) => return Eventual::Now(Err(error)),
        };
        status.data_bytes = whole.tables.disk_bytes();
        for database in 0..DATABASES {
            let at = usize::from(database);
            (status.keys[at], status.expiring[at]) = read::about(store, &whole, whole.physical(database));
        }
        Eventual::Now(Ok(status))
    }

    fn tell_removals(&self, removals: &Arc<Removals>) -> bool {
        self.store.removals.tell(removals)
    }

    fn save(&self) -> Eventual<'_, ()> {
        match self.store.check_open() {
            Ok(()) => Eventual::later(self.background.save()),
            Err(error) => Eventual::Now(Err(error)),
        }
    }

    fn close(&self) -> Eventual<'_, ()> {
        Eventual::Now(self.close_now())
    }
}

impl Drop for DiskEngine {
    fn drop(&mut self) {
        if let Err(error) = self.close_now() {
            tracing::error!(%error, "closing the disk engine failed");
        }
    }
}

/// Refuses a directory whose entries are in tables, for an engine that would not see them.
pub(crate) fn refuse_tables(files: &dyn Files, directory: &Path) -> Result<()> {
    if !files.list(directory).unwrap_or_default().iter().any(|name| name == TABLES) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        format!("{} holds a store of the disk engine: start with --engine disk", directory.display()),
    ))
}
