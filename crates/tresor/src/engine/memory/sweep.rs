//! The sweep: entries that have expired, tables that were emptied, an index that nobody uses.
//!
//! It looks only at shards that are due and holds one shard's lock for a bounded number of removals.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    keyspace::{Keyspace, SHARDS},
    store::Store,
};
use crate::{engine::Removal, oplog::Refused};

/// Entries removed under one shard's lock before others get it.
const REMOVALS: usize = 64;

/// Gives back all that can be given back at this store time.
pub(super) fn sweep(store: &Store, now_ms: u64, stop: &AtomicBool) {
    let stopped = || stop.load(Ordering::Acquire);
    for (physical, keyspace) in store.all() {
        for number in 0..SHARDS {
            if stopped() {
                return;
            }
            if keyspace.is_due(number, now_ms) && !store.removals.expired_is_kept() {
                sweep_shard(store, (physical, number), keyspace, now_ms);
            }
        }
        keyspace.index.drop_idle(now_ms);
    }
    store.count_indexes();
    // One table at a time, so that the lock is free while entries are dropped.
    loop {
        let table = store.garbage.lock().pop();
        if table.is_none() || stopped() {
            break;
        }
    }
}

/// Removes what has expired in a shard, a bounded number under each hold of its lock.
fn sweep_shard(store: &Store, place: (u8, usize), keyspace: &Keyspace, now_ms: u64) {
    loop {
        let mut shard = keyspace.lock(place.1);
        for _ in 0..REMOVALS {
            let Some(expired) = shard.next_expired(now_ms) else {
                let before = shard.bytes();
                shard.forget_notes_taken();
                store.limit.count(before, shard.bytes());
                keyspace.note_due(place.1, &mut shard);
                return;
            };
            match store.remove(place, &mut shard, (expired, Removal::Expired), now_ms) {
                Ok(()) => store.expired.fetch_add(1, Ordering::Relaxed),
                // The log has no room: the entry stays, absent to readers, until the next sweep.
                Err(Refused::NoRoom { .. } | Refused::Failed(_)) => return,
            };
        }
    }
}
