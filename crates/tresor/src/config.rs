//! Everything that can be chosen about a database, and every limit.
//!
//! A limit that is not here does not exist: queues, buffers and sizes all take theirs from this file.

use std::{path::PathBuf, time::Duration};

use crate::engine::{MAX_KEY_BYTES, memory::Eviction};
pub use crate::oplog::Durability;

/// What a [`Database`](crate::Database) is made of. Start from [`Config::memory`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Where log and snapshots go; `None` for a volatile store.
    pub store_path: Option<PathBuf>,
    /// What an acknowledged write survives. Without a path nothing can be promised.
    pub durability: Durability,
    /// Bytes that data and buffers may hold together; `None` for no limit.
    pub max_memory_bytes: Option<u64>,
    /// What gives way when that is reached.
    pub eviction: Eviction,
    /// The largest value, in bytes.
    pub max_value_bytes: usize,
    /// A snapshot is taken when the log has grown by this many bytes since the last one...
    pub snapshot_log_bytes: u64,
    /// ...and at the latest after this time, if anything has changed.
    pub snapshot_interval: Duration,
    /// Gates, and stripes of the counters: the number of server workers, or of busy threads.
    pub workers: usize,
}

impl Config {
    /// A volatile store in memory.
    pub fn memory() -> Self {
        Self {
            store_path: None,
            durability: Durability::None,
            max_memory_bytes: None,
            eviction: Eviction::None,
            max_value_bytes: 64 * 1024 * 1024,
            snapshot_log_bytes: 256 * 1024 * 1024,
            snapshot_interval: Duration::from_secs(3600),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// A store in memory whose log and snapshots are kept in a directory: it comes back after a restart,
    /// and no acknowledged write is lost, not even by a power cut.
    pub fn at(store_path: impl Into<PathBuf>) -> Self {
        Self { store_path: Some(store_path.into()), durability: Durability::Always, ..Self::memory() }
    }

    /// The same with another durability level.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// The longest key that is accepted, in bytes.
    pub const fn max_key_bytes() -> usize {
        MAX_KEY_BYTES
    }
}
