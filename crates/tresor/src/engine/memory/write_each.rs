//! Changes that are applied each for itself: a pipeline of SETs.
//!
//! A few keys at a time, with their cache misses had at once. Whatever does not go at once, a log
//! without room or a memory limit to keep, takes the way of a single change.

use std::slice;

use super::{
    ahead::{AHEAD, Ahead, lock_ahead},
    store::Store,
    write::{try_write, write, write_locked},
};
use crate::{
    engine::{Batch, Change, Each, Eventual, KeyRef, Outcome},
    error::Result,
    oplog::Refused,
};
use smallvec::SmallVec;

/// Applies changes of single entries; later only when the log has no room at hand.
#[inline]
pub(super) fn write_each<'a>(store: &'a Store, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
    let mut each = Each::default();
    for (number, chunk) in changes.chunks(AHEAD).enumerate() {
        let mut ahead = locked(store, chunk);
        for (at, change) in chunk.iter().enumerate() {
            let index = number * AHEAD + at;
            match try_one(store, &mut ahead, (at, change), now_ms) {
                Ok(outcome) => each.note(index, Ok(outcome)),
                Err(Refused::Failed(error)) => each.note(index, Err(error)),
                Err(Refused::NoRoom { .. }) => {
                    drop(ahead);
                    return Eventual::later(one_by_one(store, changes, (index, each), now_ms));
                }
            }
        }
    }
    Eventual::Now(Ok(each))
}

/// Nothing where a memory limit is set: to make room takes the locks of other shards.
#[inline]
fn locked<'s, 'a>(store: &'s Store, changes: &[Change<'a>]) -> Ahead<'s, 'a> {
    if changes.len() < 2 || store.limit.is_set() {
        return Ahead::new();
    }
    let keys: SmallVec<[KeyRef<'a>; AHEAD]> = changes.iter().filter_map(Change::key).collect();
    if keys.len() == changes.len() { lock_ahead(store, &keys) } else { Ahead::new() }
}

#[inline]
fn try_one(
    store: &Store,
    ahead: &mut Ahead<'_, '_>,
    (at, change): (usize, &Change<'_>),
    now_ms: u64,
) -> Result<Outcome, Refused> {
    if let Some((address, Some(shard))) = ahead.get_mut(at) {
        let keyspace = store.keyspace(address.physical);
        return write_locked(store, (keyspace, shard, address), change, now_ms);
    }
    try_write(store, Batch::blind(slice::from_ref(change)), now_ms)
}

/// The changes from one on, each as long as it takes.
async fn one_by_one(
    store: &Store,
    changes: &[Change<'_>],
    (from, mut each): (usize, Each),
    now_ms: u64,
) -> Result<Each> {
    for (index, change) in changes.iter().enumerate().skip(from) {
        each.note(index, write(store, Batch::blind(slice::from_ref(change)), now_ms).await);
    }
    Ok(each)
}
