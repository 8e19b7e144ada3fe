//! One physical database in memory: its shards, when each is due, and its index by key.
//!
//! Lock order: a shard, then the index or the log, never the other way; several shards in ascending
//! order. `due_ms` mirrors each shard's soonest deadline so that the sweep looks only at those.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::{
    entry::prefetch,
    index::Index,
    shard::{Content, Name, Patch, Shard},
    table::{Hasher, Place, Table},
};
use crate::engine::{Version, step::Step};

/// Shards of a keyspace: so many that one never takes long to grow, be scanned or be swept.
pub(super) const SHARDS: usize = 4096;

/// The shard of a key, from its hash.
#[inline]
pub(super) fn shard_of(key_hash: u64) -> usize {
    (key_hash >> 52) as usize
}

/// The shards of one physical database.
pub(super) struct Keyspace {
    shards: Box<[Mutex<Shard>]>,
    due_ms: Box<[AtomicU64]>,
    pub(super) index: Index,
}

impl Keyspace {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            due_ms: (0..SHARDS).map(|_| AtomicU64::new(u64::MAX)).collect(),
            index: Index::default(),
        }
    }

    #[inline]
    pub(super) fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.shards[shard].lock()
    }

    /// Locks a shard if nobody has it.
    #[inline]
    pub(super) fn try_lock(&self, shard: usize) -> Option<MutexGuard<'_, Shard>> {
        self.shards[shard].try_lock()
    }

    /// Asks the processor for a shard's first cache lines.
    #[inline]
    pub(super) fn prefetch_shard(&self, shard: usize) {
        prefetch(&raw const self.shards[shard]);
    }

    /// What it holds, added up shard by shard.
    pub(super) fn figures(&self) -> Figures {
        let mut figures = Figures { bytes: self.index.bytes() as u64, ..Figures::default() };
        for shard in &self.shards {
            let shard = shard.lock();
            figures.keys += shard.len() as u64;
            figures.expiring += shard.expiring() as u64;
            figures.expiry_sum_ms += u128::from(shard.expiry_sum_ms());
            figures.bytes += shard.bytes() as u64;
        }
        figures
    }

    /// Whether a shard may hold expired entries.
    pub(super) fn is_due(&self, shard: usize, now_ms: u64) -> bool {
        self.due_ms[shard].load(Ordering::Relaxed) <= now_ms
    }

    /// Mirrors the shard's soonest deadline. Under its lock, whenever an expiry came or went.
    #[inline]
    pub(super) fn note_due(&self, number: usize, shard: &mut Shard) {
        if let Some(due_ms) = shard.due_changed() {
            self.due_ms[number].store(due_ms, Ordering::Relaxed);
        }
    }

    /// Does what was decided, under the shard's lock. `place` is where the entry is now, if it is.
    #[inline]
    pub(super) fn apply(&self, target: Target<'_>, shard: &mut Shard, step: &Step<'_>, version: Version) {
        let Target { number, name, place, access, hasher } = target;
        match (step, place) {
            (Step::Put { value, kind, expires_at_ms }, _) => {
                let content = Content { value, kind: *kind, version, expires_at_ms: *expires_at_ms };
                if shard.put(&name, place, &content, access, hasher) && self.index.is_active() {
                    self.index.insert(name.key, name.member);
                }
            }
            (Step::Patch { offset, bytes }, Some(place)) => {
                shard.patch(&name, place, &Patch { offset: *offset, bytes, version }, hasher);
            }
            (Step::Expire(expires_at_ms), Some(place)) => {
                shard.expire(&name, place, *expires_at_ms, version, hasher);
            }
            (Step::Delete, Some(place)) => {
                shard.remove(place, version, hasher);
                if self.index.is_active() {
                    self.index.remove(name.key, name.member);
                }
            }
            // Nothing is there to change: the step was planned for an entry that the same batch removed.
            (Step::Patch { .. } | Step::Expire(_) | Step::Delete, None) => {}
        }
        self.note_due(number, shard);
    }

    /// Empties a locked shard.
    pub(super) fn clear(&self, number: usize, shard: &mut Shard, version: Version) -> Table {
        let table = shard.clear(version);
        self.note_due(number, shard);
        table
    }
}

/// Where a step is applied.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) number: usize,
    pub(super) name: Name<'a>,
    pub(super) place: Option<Place>,
    pub(super) access: u8,
    pub(super) hasher: &'a Hasher,
}

/// What a keyspace holds.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) keys: u64,
    pub(super) expiring: u64,
    /// Of these, the moments at which they expire, added up.
    expiry_sum_ms: u128,
    pub(super) bytes: u64,
}

impl Figures {
    /// When what expires does so on average; 0 where nothing does.
    pub(super) fn mean_expiry_ms(&self) -> u64 {
        (self.expiry_sum_ms / u128::from(self.expiring.max(1))) as u64
    }
}
