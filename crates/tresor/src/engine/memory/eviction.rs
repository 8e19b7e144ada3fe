//! What gives way when the memory limit is reached.
//!
//! Eight bits of each slot tell how an entry was used: for the LRU policies the tick of its last use,
//! where a tick is 1/64 of the limit written, so that ages compare while an entry is among the last
//! four limits' worth; for the LFU policies a logarithmic count, as Redis keeps it
//! (<https://redis.io/docs/latest/develop/reference/eviction/>), which falls when eviction looks at the
//! entry and spares it. A victim is the worst of a sample; nothing is kept in order.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{
    entry::EntryView,
    memory_limit::MemoryLimit,
    shard::Shard,
    table::{Hasher, Place},
};
use crate::error::{Error, ErrorKind};

/// What gives way when the memory limit is reached. Names are Redis's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// Nothing: writes that need memory are refused.
    #[default]
    None,
    /// The least recently used key of all.
    AllKeysLru,
    /// The least frequently used key of all.
    AllKeysLfu,
    /// Any key.
    AllKeysRandom,
    /// The least recently used key that has an expiry.
    VolatileLru,
    /// The least frequently used key that has an expiry.
    VolatileLfu,
    /// Any key that has an expiry.
    VolatileRandom,
    /// The key that expires first.
    VolatileTtl,
}

impl Eviction {
    /// The policies by the names that Redis gives them.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("volatile-lru", Self::VolatileLru),
        ("volatile-lfu", Self::VolatileLfu),
        ("volatile-random", Self::VolatileRandom),
        ("volatile-ttl", Self::VolatileTtl),
        ("allkeys-lru", Self::AllKeysLru),
        ("allkeys-lfu", Self::AllKeysLfu),
        ("allkeys-random", Self::AllKeysRandom),
        ("noeviction", Self::None),
    ];

    /// The policy of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, policy)| *policy)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, policy)| *policy == self).map_or("noeviction", |(name, _)| name)
    }

    fn only_volatile(self) -> bool {
        matches!(self, Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl)
    }

    fn is_lru(self) -> bool {
        matches!(self, Self::AllKeysLru | Self::VolatileLru)
    }

    fn is_lfu(self) -> bool {
        matches!(self, Self::AllKeysLfu | Self::VolatileLfu)
    }
}

/// A new entry's count under LFU: not 0, so that it has time to be used again.
const LFU_START: u8 = 5;

/// How much harder each step of an LFU count is than the one before.
const LFU_FACTOR: u64 = 10;

/// Bytes of a table's group: a cache line.
const GROUP_BYTES: usize = 64;

/// Groups of a shard looked at for one victim.
const SAMPLED_GROUPS: usize = 3;

/// Entries that make a sample: small shards are looked at together until there are so many.
const SAMPLED_ENTRIES: usize = 16;

/// Bytes held, the limit on them, and what the policies need to choose.
pub(super) struct Limit {
    shared: Arc<MemoryLimit>,
    /// Bytes of the indexes when they were last looked at; counted in the shared figure.
    index_bytes: AtomicU64,
    /// Bytes written under a limit, the clock of the LRU policies.
    written_bytes: AtomicU64,
    random: AtomicU64,
    hasher: Hasher,
}

impl Limit {
    pub(super) fn new(shared: Arc<MemoryLimit>, hasher: Hasher) -> Self {
        Self {
            shared,
            index_bytes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            random: AtomicU64::new(0),
            hasher,
        }
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.shared.max_bytes().is_some()
    }

    /// Whether data and buffers are over the limit.
    #[inline]
    pub(super) fn is_exceeded(&self) -> bool {
        self.shared.is_exceeded()
    }

    /// Whether anything may give way.
    pub(super) fn evicts(&self) -> bool {
        self.shared.policy() != Eviction::None
    }

    /// Counts what a change of a shard added or freed.
    #[inline]
    pub(super) fn count(&self, before: usize, after: usize) {
        if before == after {
            return;
        }
        self.shared.count_data(before, after);
        if after > before && self.is_set() {
            self.written_bytes.fetch_add((after - before) as u64, Ordering::Relaxed);
        }
    }

    /// Counts what the indexes hold now.
    pub(super) fn count_indexes(&self, bytes: usize) {
        let before = self.index_bytes.swap(bytes as u64, Ordering::Relaxed);
        self.shared.count_data(before as usize, bytes);
    }

    /// The mark of an entry that is new.
    #[inline]
    pub(super) fn first_access(&self) -> u8 {
        if !self.is_set() {
            return 0;
        }
        let policy = self.shared.policy();
        if policy.is_lru() {
            self.tick()
        } else if policy.is_lfu() {
            LFU_START
        } else {
            0
        }
    }

    /// Marks an entry as used.
    #[inline]
    pub(super) fn touch(&self, shard: &mut Shard, place: Place) {
        if !self.is_set() {
            return;
        }
        let policy = self.shared.policy();
        if policy.is_lru() {
            shard.set_access(place, self.tick());
        } else if policy.is_lfu() {
            let count = shard.access(place);
            let hardness = u64::from(count.saturating_sub(LFU_START)) * LFU_FACTOR + 1;
            if count < u8::MAX && self.random().is_multiple_of(hardness) {
                shard.set_access(place, count + 1);
            }
        }
    }

    fn tick(&self) -> u8 {
        let step = (self.shared.max_bytes().unwrap_or(u64::MAX) / 64).max(1);
        (self.written_bytes.load(Ordering::Relaxed) / step) as u8
    }

    pub(super) fn random(&self) -> u64 {
        self.hasher.key(&self.random.fetch_add(1, Ordering::Relaxed).to_le_bytes())
    }

    /// Looks at some of a shard's entries, chosen by `seed`: which should go first, if any may go. The
    /// same seed finds the same one again while the shard stays as it is.
    pub(super) fn worst(&self, shard: &Shard, seed: u64) -> Sample {
        let policy = self.shared.policy();
        let places = self.sampled(shard, seed);
        let now = self.tick();
        let badness = |place: Place| match policy {
            Eviction::AllKeysLru | Eviction::VolatileLru => u64::from(now.wrapping_sub(shard.access(place))),
            Eviction::AllKeysLfu | Eviction::VolatileLfu => u64::from(u8::MAX - shard.access(place)),
            Eviction::VolatileTtl => {
                u64::MAX - shard.entry(place).and_then(EntryView::expires_at_ms).unwrap_or(u64::MAX)
            }
            Eviction::None | Eviction::AllKeysRandom | Eviction::VolatileRandom => self.random(),
        };
        let worst = places.iter().map(|place| (badness(*place), *place)).max_by_key(|(badness, _)| *badness);
        Sample { seen: places.len(), worst }
    }

    /// Whether a sample of so many entries is large enough to take the worst of it.
    pub(super) fn is_enough(&self, seen: usize) -> bool {
        let any = matches!(self.shared.policy(), Eviction::AllKeysRandom | Eviction::VolatileRandom);
        seen >= if any { 1 } else { SAMPLED_ENTRIES }
    }

    /// Lets the counts of those fall that were looked at and spared.
    pub(super) fn spare(&self, shard: &mut Shard, seed: u64, victim: Place) {
        if !self.shared.policy().is_lfu() {
            return;
        }
        for spared in self.sampled(shard, seed).into_iter().filter(|place| *place != victim) {
            let count = shard.access(spared);
            shard.set_access(spared, count.saturating_sub(1));
        }
    }

    /// The places of a few groups; of all, if those have none that may go while the shard has.
    fn sampled(&self, shard: &Shard, seed: u64) -> Vec<Place> {
        let volatile = self.shared.policy().only_volatile();
        if shard.len() == 0 || (volatile && shard.expiring() == 0) {
            return Vec::new();
        }
        let may_go = |place: &Place| {
            shard.entry(*place).is_some_and(|entry| {
                (!volatile || entry.expires_at_ms().is_some()) && !self.shared.is_spared(entry.name().0)
            })
        };
        let groups = shard.table().table_bytes() / GROUP_BYTES;
        let few: [usize; SAMPLED_GROUPS] = std::array::from_fn(|nth| {
            (seed as usize % groups + nth * (groups / SAMPLED_GROUPS).max(1)) % groups
        });
        let in_group = |group: usize| {
            let position = ((group as u64) << 32).div_ceil(groups as u64) as u32;
            shard.table().places_sampled(position).filter(may_go)
        };
        let sampled: Vec<_> = few.into_iter().take(groups).flat_map(in_group).collect();
        if sampled.is_empty() { (0..groups).flat_map(in_group).collect() } else { sampled }
    }
}

/// What was found in one shard.
pub(super) struct Sample {
    /// Entries looked at that may go.
    pub(super) seen: usize,
    /// The one that should go first, and how much so, to be compared across shards.
    pub(super) worst: Option<(u64, Place)>,
}

/// The error for what needs memory when nothing gives way.
pub(crate) fn out_of_memory() -> Error {
    Error::new(ErrorKind::OutOfMemory, "command not allowed when used memory > 'maxmemory'.")
}
