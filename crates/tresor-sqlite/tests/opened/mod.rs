//! Stores to test, opened in the ways that tests need, and one-line questions to them.

#![allow(dead_code, clippy::unwrap_used)] // Each test takes what it needs.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tresor::{
    Error, Result,
    clock::Clock,
    config::Durability,
    engine::{Batch, Change, Engine, EntryRef, Expires, Guard, Isolation, KeyRef, Kind, Sequence, Version},
    files::{File, Files, Open, SystemFiles},
};
use tresor_sqlite::{Options, Report, SqliteEngine};
use tresor_testkit::{ManualClock, START_MS};

/// A store on a clock of a test's own.
pub(crate) fn with(options: Options, clock: &Arc<ManualClock>) -> Arc<SqliteEngine> {
    SqliteEngine::open(options, (Arc::new(SystemFiles), clock.clone() as Arc<dyn Clock>)).unwrap()
}

/// A store at a durability level.
pub(crate) fn open_at(path: &Path, durability: Durability, clock: &Arc<ManualClock>) -> Arc<SqliteEngine> {
    with(Options::at(path).durability(durability), clock)
}

/// A store that keeps every acknowledged write.
pub(crate) fn open(path: &Path) -> Arc<SqliteEngine> {
    open_at(path, Durability::Always, &ManualClock::new())
}

/// A store on a disk of a test's own.
pub(crate) fn on(files: Arc<dyn Files>, options: Options) -> Arc<SqliteEngine> {
    SqliteEngine::open(options, (files, ManualClock::new() as Arc<dyn Clock>)).unwrap()
}

/// Why a store is not opened.
pub(crate) fn refused(path: &Path) -> Error {
    match tresor_sqlite::open(path) {
        Ok(_) => panic!("{} was taken", path.display()),
        Err(error) => error,
    }
}

/// What `tresor check` finds.
pub(crate) fn check(path: &Path, accept: bool) -> Result<Report> {
    tresor_sqlite::check(Arc::new(SystemFiles), path, accept)
}

pub(crate) fn key(key: &[u8]) -> KeyRef<'_> {
    KeyRef::new(0, key)
}

/// A put of raw bytes into database 0.
pub(crate) fn change<'a>(name: &'a [u8], value: &'a [u8]) -> Change<'a> {
    let (guard, kind, expires) = (Guard::None, Kind::Raw, Expires::Never);
    Change::Put { key: key(name), guard, value, kind, expires }
}

/// Puts one entry and waits until it is durable; its number.
pub(crate) fn try_put(engine: &dyn Engine, name: &[u8], value: &[u8]) -> Result<Sequence> {
    let outcome = engine.write(Batch::of(&[change(name, value)]), START_MS).wait()?;
    engine.durable(outcome.sequence).wait().map(|()| outcome.sequence)
}

/// The same where nothing goes wrong.
pub(crate) fn put(engine: &dyn Engine, name: &[u8], value: &[u8]) -> Sequence {
    try_put(engine, name, value).unwrap()
}

/// A value of database 0.
pub(crate) fn try_get(engine: &dyn Engine, name: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut found = None;
    let mut visit =
        |_: usize, entry: Option<EntryRef<'_>>| found = entry.map(|entry| entry.value.bytes().to_vec());
    engine.read(&[key(name)], Isolation::Each, START_MS, &mut visit).wait()?;
    Ok(found)
}

/// The same where nothing goes wrong.
pub(crate) fn get(engine: &dyn Engine, name: &[u8]) -> Option<Vec<u8>> {
    try_get(engine, name).unwrap()
}

/// The version of an entry that is there.
pub(crate) fn version(engine: &dyn Engine, name: &[u8]) -> Version {
    let mut found = None;
    let mut visit = |_: usize, entry: Option<EntryRef<'_>>| found = entry.map(|entry| entry.version);
    engine.read(&[key(name)], Isolation::Each, START_MS, &mut visit).wait().unwrap();
    found.unwrap()
}

/// The machine's disk, with its syncs counted, how much of the log each covered, and failing on demand.
#[derive(Clone, Default)]
pub(crate) struct CountedSyncs(Arc<Counts>);

#[derive(Default)]
struct Counts {
    syncs: AtomicU64,
    log_synced_bytes: AtomicU64,
    failing: std::sync::atomic::AtomicBool,
}

impl CountedSyncs {
    pub(crate) fn syncs(&self) -> u64 {
        self.0.syncs.load(Ordering::SeqCst)
    }

    /// How many bytes the log had when it was last synced by the engine.
    pub(crate) fn log_synced_bytes(&self) -> u64 {
        self.0.log_synced_bytes.load(Ordering::SeqCst)
    }

    /// Lets every sync fail from now on.
    pub(crate) fn fail(&self) {
        self.0.failing.store(true, Ordering::SeqCst);
    }
}

impl Files for CountedSyncs {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>> {
        let file = SystemFiles.open(path, open)?;
        Ok(Arc::new(CountedFile { file, counts: self.0.clone() }))
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        SystemFiles.create_directory(path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        SystemFiles.list(directory)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemFiles.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemFiles.remove(path)
    }
    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        SystemFiles.sync_directory(directory)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        SystemFiles.free_bytes(path)
    }
}

struct CountedFile {
    file: Arc<dyn File>,
    counts: Arc<Counts>,
}

impl File for CountedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
    fn set_size(&self, size: u64) -> io::Result<()> {
        self.file.set_size(size)
    }
    fn allocate(&self, size: u64) -> io::Result<()> {
        self.file.allocate(size)
    }
    fn sync(&self) -> io::Result<()> {
        if self.counts.failing.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        let size = self.file.size()?;
        self.file.sync()?;
        self.counts.log_synced_bytes.store(size, Ordering::SeqCst);
        self.counts.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
}
