//! The keys of one keyspace in order, kept only while somebody scans by key.
//!
//! Most stores never scan in order and should not pay for it, so the first ordered scan builds the
//! index in short slices beside the writers, every key that comes or goes from then on is told to it,
//! and when nobody has used it for a while it goes. Its lock is a leaf: taken under a shard's lock,
//! never around one.

use std::{
    cmp::Ordering as Order,
    collections::BTreeSet,
    ops::Bound,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

use super::keyspace::SHARDS;
use crate::engine::{Order as ScanOrder, Position, Scan};

/// An unused index is dropped after this time.
const IDLE_MS: u64 = 60_000;

/// About what a name takes beside its bytes: pointer, length, its part of a tree node.
const NAME_BYTES: usize = 40;

/// A key and a member in one allocation: two bytes of key length, the key, the member.
#[derive(PartialEq, Eq)]
struct Name(Box<[u8]>);

impl Name {
    fn new(key: &[u8], member: &[u8]) -> Self {
        let length = (key.len() as u16).to_le_bytes();
        Self([&length[..], key, member].concat().into_boxed_slice())
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        let (length, rest) = self.0.split_at(2);
        rest.split_at(usize::from(u16::from_le_bytes([length[0], length[1]])))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Order {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

/// A page of names, one behind the other in one allocation.
#[derive(Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    /// Where each key ends, and where its member does.
    ends: Vec<(usize, usize)>,
}

impl Names {
    fn push(&mut self, (key, member): (&[u8], &[u8])) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(member);
        self.ends.push((key_end, self.bytes.len()));
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A key and its member.
    pub(super) fn get(&self, at: usize) -> (&[u8], &[u8]) {
        let start = if at == 0 { 0 } else { self.ends[at - 1].1 };
        let (key_end, end) = self.ends[at];
        (&self.bytes[start..key_end], &self.bytes[key_end..end])
    }
}

/// The names of a keyspace in order, or nothing while nobody asks for them.
#[derive(Default)]
pub(super) struct Index {
    /// Whether writers have to tell it of keys that come and go. Set before the first shard is read,
    /// and looked at under a shard's lock, so no key falls between builder and writers.
    active: AtomicBool,
    built: Mutex<Built>,
}

#[derive(Default)]
struct Built {
    names: BTreeSet<Name>,
    name_bytes: usize,
    /// Shards taken in so far; the index is whole at [`SHARDS`].
    shards: usize,
    used_ms: u64,
}

impl Index {
    #[inline]
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// The next shard to take in, or `None` when the index is whole. Makes it active.
    pub(super) fn next_shard(&self, now_ms: u64) -> Option<usize> {
        let mut built = self.built.lock();
        built.used_ms = built.used_ms.max(now_ms);
        self.active.store(true, Ordering::Release);
        (built.shards < SHARDS).then_some(built.shards)
    }

    /// Says that a shard's keys were inserted. Two builders may both take in the same one.
    pub(super) fn took_in(&self, shard: usize) {
        let mut built = self.built.lock();
        if built.shards == shard {
            built.shards += 1;
        }
    }

    pub(super) fn insert(&self, key: &[u8], member: &[u8]) {
        let mut built = self.built.lock();
        if built.names.insert(Name::new(key, member)) {
            built.name_bytes += key.len() + member.len() + NAME_BYTES;
        }
    }

    pub(super) fn remove(&self, key: &[u8], member: &[u8]) {
        let mut built = self.built.lock();
        if built.names.remove(&Name::new(key, member)) {
            built.name_bytes -= key.len() + member.len() + NAME_BYTES;
        }
    }

    /// Forgets every name: the keyspace was emptied. Under all its shards' locks.
    pub(super) fn clear(&self) {
        let mut built = self.built.lock();
        built.names.clear();
        built.name_bytes = 0;
    }

    /// Drops the index if it was not used lately.
    pub(super) fn drop_idle(&self, now_ms: u64) {
        if !self.is_active() {
            return;
        }
        let dropped = {
            let mut built = self.built.lock();
            if now_ms.saturating_sub(built.used_ms) < IDLE_MS {
                return;
            }
            self.active.store(false, Ordering::Release);
            std::mem::take(&mut *built)
        };
        drop(dropped);
    }

    pub(super) fn bytes(&self) -> usize {
        if self.is_active() { self.built.lock().name_bytes } else { 0 }
    }

    /// Up to `limit` names that a scan wants next, and whether there may be more. `None` while the
    /// index is not whole.
    pub(super) fn names(&self, scan: &Scan<'_>, limit: usize) -> Option<(Names, bool)> {
        let built = self.built.lock();
        if built.shards < SHARDS {
            return None;
        }
        let (lower, upper) = bounds(scan);
        if is_empty(&lower, &upper) {
            return Some((Names::default(), false));
        }
        let mut range = built.names.range((lower, upper));
        let mut next = || match scan.order {
            ScanOrder::Descending => range.next_back(),
            ScanOrder::Any | ScanOrder::Ascending => range.next(),
        };
        let mut names = Names::default();
        while let Some(name) = next() {
            if names.len() == limit {
                return Some((names, true));
            }
            names.push(name.parts());
        }
        Some((names, false))
    }
}

/// The scan's bounds, narrowed by where its last page ended.
fn bounds(scan: &Scan<'_>) -> (Bound<Name>, Bound<Name>) {
    let first = |key: &[u8]| Name::new(key, &[]);
    // A key's members end before the key that follows it: the key with a zero byte appended.
    let behind = |key: &[u8]| Name::new(&[key, &[0]].concat(), &[]);
    let mut lower = match scan.lower {
        Bound::Included(key) => Bound::Included(first(key)),
        Bound::Excluded(key) => Bound::Included(behind(key)),
        Bound::Unbounded => Bound::Unbounded,
    };
    let mut upper = match scan.upper {
        Bound::Included(key) => Bound::Excluded(behind(key)),
        Bound::Excluded(key) => Bound::Excluded(first(key)),
        Bound::Unbounded => Bound::Unbounded,
    };
    if let Position::Behind { key, member } = &scan.position {
        let name = Bound::Excluded(Name::new(key, member));
        match scan.order {
            ScanOrder::Descending => upper = name,
            ScanOrder::Any | ScanOrder::Ascending => lower = name,
        }
    }
    (lower, upper)
}

/// Whether nothing can lie between the bounds; `BTreeSet::range` panics on some such.
fn is_empty(lower: &Bound<Name>, upper: &Bound<Name>) -> bool {
    match (lower, upper) {
        (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
        (
            Bound::Included(lower) | Bound::Excluded(lower),
            Bound::Excluded(upper) | Bound::Included(upper),
        ) => lower >= upper,
        _ => false,
    }
}
