//! The cache misses of a few keys, had at once instead of one after another.
//!
//! A lookup is mostly waiting for main memory. Where several keys are known beforehand their shards are
//! locked together, without ever waiting for a lock, and all that a search will touch is fetched.

use parking_lot::MutexGuard;
use smallvec::SmallVec;

use super::{
    shard::Shard,
    store::{Address, Store},
};
use crate::engine::KeyRef;

/// Keys whose cache misses are had at once. Beyond the processor's few outstanding ones there is
/// nothing to gain, and their shards are locked for as long as the chunk takes.
pub(super) const AHEAD: usize = 8;

pub(super) type Ahead<'s, 'a> = SmallVec<[(Address<'a>, Option<MutexGuard<'s, Shard>>); AHEAD]>;

/// Locks the shards of a few keys without waiting, and has what a search will touch fetched: first
/// the shards, then the groups, then the entries, each step for all keys before the next. Empty when
/// it cannot have all the locks at once: then each key is to be looked for by itself.
#[inline]
pub(super) fn lock_ahead<'s, 'a>(store: &'s Store, keys: &[KeyRef<'a>]) -> Ahead<'s, 'a> {
    let mut ahead: Ahead<'s, 'a> = keys.iter().map(|key| (store.address(*key), None)).collect();
    for (address, _) in &ahead {
        if let Some(keyspace) = store.existing(address.physical) {
            keyspace.prefetch_shard(address.shard);
        }
    }
    for ((address, shard), key) in ahead.iter_mut().zip(keys) {
        *shard = store.existing(address.physical).and_then(|keyspace| keyspace.try_lock(address.shard));
        if store.physical(key.database) != address.physical {
            *shard = None;
        }
        if let Some(shard) = shard {
            shard.table().prefetch_group(address.name.spot);
        }
    }
    for (address, shard) in &ahead {
        if let Some(shard) = shard {
            shard.table().prefetch_entry(address.name.spot);
        }
    }
    if ahead.iter().any(|(_, shard)| shard.is_none()) {
        // One of the locks is held, perhaps by this very call for a key in the same shard.
        ahead.clear();
    }
    ahead
}

/// Has what searches for these keys will touch fetched.
#[inline]
pub(super) fn expect(store: &Store, keys: &[KeyRef<'_>]) {
    for chunk in keys.chunks(AHEAD) {
        drop(lock_ahead(store, chunk));
    }
}
