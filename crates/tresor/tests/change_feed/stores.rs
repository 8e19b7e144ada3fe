//! Stores with a change feed, small enough that a short test fills many segments, and what their readers do.

use std::{path::Path, sync::Arc, time::Duration};

use tresor::{
    ChangeFeed, ChangeKind, Config, Database, FeedChange, FeedOptions, FeedPosition, Gap,
    clock::Clock,
    engine::{
        Engine, Sequence,
        disk::{DiskEngine, DiskOptions},
        memory::{MemoryEngine, MemoryOptions},
    },
    files::Files,
    oplog::{Durability, LogOptions},
};
use tresor_testkit::{
    ManualClock, TemporaryDirectory,
    faulty_files::{FaultyFiles, Survives},
};

/// Where a store is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Nowhere,
    InLog,
    OnDisk,
}

pub(crate) const ALL: [Kept; 3] = [Kept::Nowhere, Kept::InLog, Kept::OnDisk];

/// What a store is made of, to open it again.
pub(crate) struct Place {
    pub(crate) kept: Kept,
    pub(crate) files: FaultyFiles,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keep_bytes: u64,
    pub(crate) memory: MemoryOptions,
    pub(crate) durability: Durability,
    tables: TemporaryDirectory,
}

impl Place {
    pub(crate) fn new(kept: Kept) -> Self {
        Self {
            kept,
            files: FaultyFiles::new(),
            clock: ManualClock::new(),
            keep_bytes: u64::MAX,
            memory: MemoryOptions::default(),
            durability: Durability::Always,
            tables: TemporaryDirectory::new("change-feed"),
        }
    }

    pub(crate) fn open(&self) -> Database {
        self.open_on(Arc::new(self.files.clone()))
    }

    pub(crate) fn open_on(&self, files: Arc<dyn Files>) -> Database {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let log = LogOptions {
            durability: self.durability,
            segment_bytes: 4096,
            buffer_bytes: 64 * 1024,
            keep_bytes: self.keep_bytes,
        };
        let seams = (files, clock.clone());
        let directory = Path::new("/store");
        let engine: Arc<dyn Engine> = match self.kept {
            Kept::Nowhere => MemoryEngine::volatile_at(&self.memory, clock.clone()).unwrap(),
            Kept::InLog => MemoryEngine::open(&self.memory, seams, directory, log).unwrap().0,
            Kept::OnDisk => {
                let tables_path = Some(self.tables.path().to_path_buf());
                let options = DiskOptions { tables_path, reserve_bytes: 0, ..DiskOptions::default() };
                DiskEngine::open(&options, seams, directory, log).unwrap().0
            }
        };
        Database::with_clock(engine, Config::memory(), clock).unwrap()
    }

    /// The place as the next process finds it after this one was killed.
    pub(crate) fn killed(&mut self) {
        self.files = self.files.reboot(Survives::Everything);
    }
}

/// A reader of everything behind a number.
pub(crate) fn reader(store: &Database, since: Sequence) -> ChangeFeed {
    store.change_feed(&after(since)).unwrap()
}

pub(crate) fn after(since: Sequence) -> FeedOptions {
    FeedOptions::new().since(FeedPosition { store_id: None, sequence: since })
}

/// Everything that there is to read, and the gaps between.
pub(crate) fn read_all(feed: &mut ChangeFeed) -> (Vec<FeedChange>, Vec<Gap>) {
    let (mut changes, mut gaps) = (Vec::new(), Vec::new());
    loop {
        let page = feed.next_page(Duration::ZERO).unwrap();
        gaps.extend(page.gap);
        changes.extend(page.changes);
        if !page.more {
            return (changes, gaps);
        }
    }
}

/// What is compared of a change.
pub(crate) fn plain(change: &FeedChange) -> (Sequence, ChangeKind, String) {
    (change.sequence, change.kind, String::from_utf8_lossy(&change.key).into_owned())
}

pub(crate) fn plain_all(changes: &[FeedChange]) -> Vec<(Sequence, ChangeKind, String)> {
    changes.iter().map(plain).collect()
}
