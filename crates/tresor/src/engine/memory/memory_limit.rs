//! The memory limit: who sets it, who fills memory, and who has to make room meet here.
//!
//! Data is counted by the engine, buffers by the front doors through [`BufferShare`]; both stand against
//! one limit. Invariant: every figure is given back by whoever counted it, at the latest when that is
//! dropped. The figures have cache lines of their own, because every write looks at the limit.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use super::Eviction;

/// A figure that many threads change, away from what many threads read.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Figure(AtomicU64);

impl Figure {
    /// Adds what is `after` instead of `before`; the sum of all is never below 0.
    #[inline]
    fn replace(&self, before: u64, after: u64) {
        self.0.fetch_add(after.wrapping_sub(before), Relaxed);
    }
}

/// The memory limit, shared by whoever sets it, whoever fills buffers, and the engine that keeps it.
#[derive(Debug)]
pub struct MemoryLimit {
    max_bytes: AtomicU64,
    policy: AtomicUsize,
    data_bytes: Figure,
    buffer_bytes: Figure,
    spares: OnceLock<Spares>,
}

/// Tells which keys must not give way now, whatever database they are in.
struct Spares(Box<IsSpared>);

type IsSpared = dyn Fn(&[u8]) -> bool + Send + Sync;

impl fmt::Debug for Spares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spares")
    }
}

impl MemoryLimit {
    /// A limit on data and buffers together; `None` for none.
    pub fn new(max_bytes: Option<u64>, policy: Eviction) -> Self {
        let limit = Self {
            max_bytes: AtomicU64::new(0),
            policy: AtomicUsize::new(0),
            data_bytes: Figure::default(),
            buffer_bytes: Figure::default(),
            spares: OnceLock::new(),
        };
        limit.set(max_bytes, policy);
        limit
    }

    /// Changes limit and policy; the next write keeps it.
    pub fn set(&self, max_bytes: Option<u64>, policy: Eviction) {
        let place = Eviction::NAMES.iter().position(|(_, known)| *known == policy).unwrap_or(0);
        self.policy.store(place, Relaxed);
        self.max_bytes.store(max_bytes.unwrap_or(u64::MAX), Relaxed);
    }

    /// Lets eviction ask which keys must not give way, as those that a transaction has read; once.
    pub(crate) fn spare(&self, spares: impl Fn(&[u8]) -> bool + Send + Sync + 'static) {
        let _ = self.spares.set(Spares(Box::new(spares)));
    }

    /// Whether a key must not give way now.
    pub(crate) fn is_spared(&self, key: &[u8]) -> bool {
        self.spares.get().is_some_and(|spares| (spares.0)(key))
    }

    /// What gives way.
    pub fn policy(&self) -> Eviction {
        Eviction::NAMES[self.policy.load(Relaxed)].1
    }

    /// The limit in bytes; `None` for none.
    #[inline]
    pub fn max_bytes(&self) -> Option<u64> {
        Some(self.max_bytes.load(Relaxed)).filter(|bytes| *bytes != u64::MAX)
    }

    /// Bytes of entries, tables and indexes, as counted against the limit.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes.0.load(Relaxed)
    }

    /// Bytes of clients' buffers, as counted against the limit.
    pub fn buffer_bytes(&self) -> u64 {
        self.buffer_bytes.0.load(Relaxed)
    }

    /// Whether data and buffers are over the limit.
    #[inline]
    pub fn is_exceeded(&self) -> bool {
        let Some(max_bytes) = self.max_bytes() else { return false };
        self.data_bytes().saturating_add(self.buffer_bytes()) > max_bytes
    }

    /// Whether whoever needs memory is to be refused: the limit is exceeded and nothing gives way.
    #[inline]
    pub(crate) fn refuses(&self) -> bool {
        self.is_exceeded() && self.policy() == Eviction::None
    }

    #[inline]
    pub(super) fn count_data(&self, before: usize, after: usize) {
        self.data_bytes.replace(before as u64, after as u64);
    }
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::new(None, Eviction::None)
    }
}

/// The buffers of one holder, as counted against the limit; given back when dropped.
#[derive(Debug)]
pub struct BufferShare {
    limit: Arc<MemoryLimit>,
    bytes: AtomicU64,
}

impl BufferShare {
    /// A share of nothing yet.
    pub fn new(limit: Arc<MemoryLimit>) -> Self {
        Self { limit, bytes: AtomicU64::new(0) }
    }

    /// Says how many bytes the holder has now. Costs something only when that is another number.
    #[inline]
    pub fn set(&self, bytes: usize) {
        let bytes = bytes as u64;
        if self.bytes() != bytes {
            let before = self.bytes.swap(bytes, Relaxed);
            self.limit.buffer_bytes.replace(before, bytes);
        }
    }

    /// How many bytes the holder has.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

impl Drop for BufferShare {
    fn drop(&mut self) {
        self.set(0);
    }
}
