//! The sweep: entries that have expired, tables that were emptied, an index that nobody uses.
//!
//! It looks only at shards that are due and holds one shard's lock for a bounded number of removals.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    keyspace::{Keyspace, SHARDS},
    store::Store,
};
use crate::{clock::StoreTime, engine::Removal, oplog::Refused};

/// Entries removed under one shard's lock before others get it.
const REMOVALS: usize = 64;

/// Gives back all that can be given back.
pub(super) fn sweep(store: &Store, time: &StoreTime, stop: &AtomicBool) {
    let now_ms = time.now_ms();
    let stopped = || stop.load(Ordering::Acquire);
    for (physical, keyspace) in store.all() {
        for number in 0..SHARDS {
            if stopped() {
                return;
            }
            if keyspace.is_due(number, now_ms) && !store.removals.expired_is_kept() {
                sweep_shard(store, (physical, number), keyspace, time);
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

/// Removes what has expired in a shard, a bounded number under each hold of its lock. By the time of each: a sweep
/// that has much to do takes long, and how late an entry goes is counted.
fn sweep_shard(store: &Store, place: (u8, usize), keyspace: &Keyspace, time: &StoreTime) {
    loop {
        let mut shard = keyspace.lock(place.1);
        let now_ms = time.now_ms();
        for _ in 0..REMOVALS {
            let Some(expired) = shard.next_expired(now_ms) else {
                let before = shard.bytes();
                shard.forget_notes_taken();
                store.limit.count(before, shard.bytes());
                keyspace.note_due(place.1, &mut shard);
                return;
            };
            match store.remove(place, &mut shard, (expired, Removal::Expired), now_ms) {
                Ok(()) => {}
                // The log has no room: the entry stays, absent to readers, until the next sweep.
                Err(Refused::NoRoom { .. } | Refused::Failed(_)) => return,
            }
        }
    }
}
