//! Measures the disk engine against bare fjall, in interleaved rounds.
//!
//! `cargo run --release -p tresor --example measure_disk [DIRECTORY] [KEYS] [ROUNDS]` prints, a line each,
//! ours and the bare figure: nanoseconds a get, and a put in batches of 100 and of 1000; then writes a
//! second from 1 and from 16 threads that each wait for the disk. The bare peer is one keyspace with the
//! same cache, the same write buffer and the same bound on its journals; it persists each batch where ours
//! is durable, and none where ours promises nothing.

use std::{path::Path, sync::Arc};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use tresor::{
    Error, Result,
    clock::SystemClock,
    config::Durability,
    engine::disk::{DiskEngine, DiskOptions},
    files::SystemFiles,
    oplog::LogOptions,
};
use tresor_testkit::own_cost::{Bare, Pair, measured_in_a_directory};

struct BareFjall {
    database: Database,
    keyspace: Keyspace,
    persists: bool,
}

impl BareFjall {
    fn open(path: &Path, options: &DiskOptions, durability: Durability) -> fjall::Result<Self> {
        let database = Database::builder(path)
            .cache_size(options.block_cache_bytes)
            .manual_journal_persist(true)
            .max_journaling_size(256 << 20)
            .open()?;
        let create = || KeyspaceCreateOptions::default().max_memtable_size(options.write_buffer_bytes);
        let keyspace = database.keyspace("entries", create)?;
        Ok(Self { database, keyspace, persists: durability == Durability::Always })
    }
}

impl Bare for BareFjall {
    fn put(&self, keys: &[String], value: &[u8]) {
        let mut batch = self.database.batch();
        for key in keys {
            batch.insert(&self.keyspace, key.as_bytes(), value);
        }
        batch.commit().expect("a commit");
        if self.persists {
            self.database.persist(PersistMode::SyncData).expect("a sync");
        }
    }

    fn get(&self, key: &str) -> usize {
        self.keyspace.get(key).expect("a read").map_or(0, |value| value.len())
    }
}

fn measure(directory: &Path, keys: u64, rounds: usize) -> Result<()> {
    let options = DiskOptions::default();
    for (durability, name) in [(Durability::Always, "always"), (Durability::None, "none")] {
        let log = LogOptions { durability, ..LogOptions::default() };
        let seams = (Arc::new(SystemFiles) as _, Arc::new(SystemClock::new()) as _);
        let (ours, _) = DiskEngine::open(&options, seams, &directory.join(format!("ours-{name}")), log)?;
        let bare = BareFjall::open(&directory.join(format!("bare-{name}")), &options, durability)
            .map_err(|error| Error::invalid("the bare tables").caused_by(error))?;
        Pair::fill(ours, bare, keys)?.report_all(name, rounds)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    measured_in_a_directory("measure-disk", 200_000, measure)
}
