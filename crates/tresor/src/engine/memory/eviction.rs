//! What gives way when the memory limit is reached.
//!
//! Eight bits of each slot tell how an entry was used: for the LRU policies the tick of its last use,
//! where a tick is 1/64 of the limit written, so that ages compare while an entry is among the last
//! four limits' worth; for the LFU policies a logarithmic count, as Redis keeps it
//! (<https://redis.io/docs/latest/develop/reference/eviction/>), which falls when eviction looks at the
//! entry and spares it. A victim is the worst of a few sampled groups; nothing is kept in order.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use super::{
    entry::EntryView,
    shard::Shard,
    table::{Hasher, Place},
};

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
        ("noeviction", Self::None),
        ("allkeys-lru", Self::AllKeysLru),
        ("allkeys-lfu", Self::AllKeysLfu),
        ("allkeys-random", Self::AllKeysRandom),
        ("volatile-lru", Self::VolatileLru),
        ("volatile-lfu", Self::VolatileLfu),
        ("volatile-random", Self::VolatileRandom),
        ("volatile-ttl", Self::VolatileTtl),
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

/// Groups looked at for one victim.
const SAMPLED_GROUPS: u32 = 3;

/// The memory limit, shared by whoever sets it, whoever fills buffers, and the engine that keeps it.
#[derive(Debug)]
pub struct MemoryLimit {
    max_bytes: AtomicU64,
    policy: AtomicUsize,
    /// Bytes that clients' buffers hold, counted by whoever has them, against the same limit.
    pub buffer_bytes: AtomicU64,
}

impl MemoryLimit {
    /// A limit on data and buffers together; `None` for none.
    pub fn new(max_bytes: Option<u64>, policy: Eviction) -> Self {
        let limit = Self {
            max_bytes: AtomicU64::new(0),
            policy: AtomicUsize::new(0),
            buffer_bytes: AtomicU64::new(0),
        };
        limit.set(max_bytes, policy);
        limit
    }

    /// Changes limit and policy; the next write keeps it.
    pub fn set(&self, max_bytes: Option<u64>, policy: Eviction) {
        let place = Eviction::NAMES.iter().position(|(_, known)| *known == policy).unwrap_or(0);
        self.policy.store(place, Ordering::Relaxed);
        self.max_bytes.store(max_bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What gives way.
    pub fn policy(&self) -> Eviction {
        Eviction::NAMES[self.policy.load(Ordering::Relaxed)].1
    }

    /// The limit in bytes; `None` for none.
    pub fn max_bytes(&self) -> Option<u64> {
        Some(self.max_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes != u64::MAX)
    }
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::new(None, Eviction::None)
    }
}

/// Bytes held, the limit on them, and what the policies need to choose.
pub(super) struct Limit {
    shared: Arc<MemoryLimit>,
    used_bytes: AtomicU64,
    /// Bytes ever written, the clock of the LRU policies.
    written_bytes: AtomicU64,
    random: AtomicU64,
    hasher: Hasher,
}

impl Limit {
    pub(super) fn new(shared: Arc<MemoryLimit>, hasher: Hasher) -> Self {
        Self {
            shared,
            used_bytes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            random: AtomicU64::new(0),
            hasher,
        }
    }

    fn max_bytes(&self) -> u64 {
        self.shared.max_bytes.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.max_bytes() != u64::MAX
    }

    /// Whether data and buffers are over the limit.
    #[inline]
    pub(super) fn is_exceeded(&self) -> bool {
        let buffers = self.shared.buffer_bytes.load(Ordering::Relaxed);
        self.used_bytes.load(Ordering::Relaxed).saturating_add(buffers) > self.max_bytes()
    }

    /// Counts what a change of a shard added or freed.
    #[inline]
    pub(super) fn count(&self, before: usize, after: usize) {
        if after >= before {
            let grown = (after - before) as u64;
            self.used_bytes.fetch_add(grown, Ordering::Relaxed);
            self.written_bytes.fetch_add(grown, Ordering::Relaxed);
        } else {
            self.used_bytes.fetch_sub((before - after) as u64, Ordering::Relaxed);
        }
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
        let step = (self.max_bytes() / 64).max(1);
        (self.written_bytes.load(Ordering::Relaxed) / step) as u8
    }

    pub(super) fn random(&self) -> u64 {
        self.hasher.key(&self.random.fetch_add(1, Ordering::Relaxed).to_le_bytes())
    }

    /// The entry of a shard that should go first, if the policy lets any go.
    pub(super) fn victim(&self, shard: &mut Shard) -> Option<Place> {
        let policy = self.shared.policy();
        let mut sampled: Vec<Place> = Vec::new();
        for _ in 0..SAMPLED_GROUPS {
            sampled.extend(shard.table().places_sampled(self.random() as u32));
        }
        if policy.only_volatile() {
            sampled.retain(|place| shard.entry(*place).is_some_and(|entry| entry.expires_at_ms().is_some()));
        }
        let now = self.tick();
        let victim = sampled.iter().copied().max_by_key(|place| match policy {
            Eviction::AllKeysLru | Eviction::VolatileLru => u64::from(now.wrapping_sub(shard.access(*place))),
            Eviction::AllKeysLfu | Eviction::VolatileLfu => u64::from(u8::MAX - shard.access(*place)),
            Eviction::VolatileTtl => {
                u64::MAX - shard.entry(*place).and_then(EntryView::expires_at_ms).unwrap_or(u64::MAX)
            }
            Eviction::None | Eviction::AllKeysRandom | Eviction::VolatileRandom => self.random(),
        })?;
        if policy.is_lfu() {
            for spared in sampled.iter().filter(|place| **place != victim) {
                let count = shard.access(*spared);
                shard.set_access(*spared, count.saturating_sub(1));
            }
        }
        (policy != Eviction::None).then_some(victim)
    }
}
