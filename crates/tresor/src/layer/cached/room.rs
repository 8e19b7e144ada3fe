//! How much a cache may hold, and what it holds: counted for all shards together.
//!
//! Room is taken before an entry is put in, and whoever took it evicts until everything fits, so that
//! the entries in the cache never exceed the capacity. One count for all shards, because equal shares
//! would begin to evict in one shard while another has room.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::shard::Taken;
use crate::engine::CacheStatus;

/// How much a cache may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// So many entries.
    Entries(usize),
    /// So many bytes of keys, values and what it takes to find them.
    Bytes(usize),
}

/// Entries of a shard, at least: below twice as many the order of use is that of the whole cache.
const SHARD_ENTRIES: usize = 4096;

/// The same in bytes.
const SHARD_BYTES: usize = 4 * 1024 * 1024;

/// Shards, at most.
const MAX_SHARDS: usize = 256;

impl Capacity {
    /// How many shards this makes: a power of two.
    pub(super) fn shards(self) -> usize {
        let shards = match self {
            Self::Entries(entries) => entries / SHARD_ENTRIES,
            Self::Bytes(bytes) => bytes / SHARD_BYTES,
        };
        let shards = shards.clamp(1, MAX_SHARDS);
        1 << shards.ilog2()
    }
}

/// The room that is taken.
pub(super) struct Room {
    capacity: Capacity,
    entries: AtomicUsize,
    bytes: AtomicUsize,
}

impl Room {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self { capacity, entries: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// Whether an entry of this size fits when there is nothing else.
    pub(super) fn could_hold(&self, bytes: usize) -> bool {
        match self.capacity {
            Capacity::Entries(entries) => entries > 0,
            Capacity::Bytes(most) => bytes <= most,
        }
    }

    /// Whether everything that has taken room fits.
    pub(super) fn fits(&self) -> bool {
        match self.capacity {
            Capacity::Entries(entries) => self.entries.load(Relaxed) <= entries,
            Capacity::Bytes(bytes) => self.bytes.load(Relaxed) <= bytes,
        }
    }

    pub(super) fn take(&self, entries: usize, bytes: usize) {
        self.entries.fetch_add(entries, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    #[inline]
    pub(super) fn give(&self, taken: Taken) {
        if taken != Taken::default() {
            self.entries.fetch_sub(taken.entries, Relaxed);
            self.bytes.fetch_sub(taken.bytes, Relaxed);
        }
    }

    /// What is held, and the limits.
    pub(super) fn status(&self) -> CacheStatus {
        let (max_entries, max_bytes) = match self.capacity {
            Capacity::Entries(entries) => (Some(entries as u64), None),
            Capacity::Bytes(bytes) => (None, Some(bytes as u64)),
        };
        CacheStatus {
            entries: self.entries.load(Relaxed) as u64,
            bytes: self.bytes.load(Relaxed) as u64,
            max_entries,
            max_bytes,
            ..CacheStatus::default()
        }
    }
}
