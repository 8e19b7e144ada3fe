//! Writes: guards, steps, numbers, and only then the change itself.
//!
//! The order is what durability rests on: under its shard's lock a change is planned against the entry as
//! it is, appended to the log, and applied; batches of several (`write_many`) do the same under all locks.
//! If the log has no room the locks are left with nothing changed, and everything runs again when there is.

use smallvec::smallvec;

use super::{
    keyspace::Keyspace,
    shard::Shard,
    store::{Address, Store},
    table::Place,
    write_many::try_write_many,
};
use crate::{
    engine::{
        Applied, Batch, Change, Edit, Effect, EntryRef, Eventual, KeyRef, Outcome, Sequence, Version,
        step::{Step, holds, retry},
    },
    error::{Error, Result},
    oplog::Refused,
};

/// Applies a batch; later only when the log has no room at hand.
#[inline]
pub(super) fn write<'a>(store: &'a Store, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
    match try_write(store, batch, now_ms) {
        Ok(outcome) => Eventual::Now(Ok(outcome)),
        Err(Refused::Failed(error)) => Eventual::Now(Err(error)),
        Err(Refused::NoRoom { bytes }) => Eventual::later(retry(
            move |bytes| store.room(bytes),
            bytes,
            move || try_write(store, batch, now_ms),
        )),
    }
}

/// Edits one entry; later only when the log has no room at hand.
pub(super) fn update<'a>(
    store: &'a Store,
    key: KeyRef<'a>,
    now_ms: u64,
    edit: &'a mut Edit<'_>,
) -> Eventual<'a, Outcome> {
    match try_update(store, key, now_ms, edit) {
        Ok(outcome) => Eventual::Now(Ok(outcome)),
        Err(Refused::Failed(error)) => Eventual::Now(Err(error)),
        Err(Refused::NoRoom { bytes }) => Eventual::later(retry(
            move |bytes| store.room(bytes),
            bytes,
            move || try_update(store, key, now_ms, edit),
        )),
    }
}

#[inline]
pub(super) fn try_write(store: &Store, batch: Batch<'_>, now_ms: u64) -> Result<Outcome, Refused> {
    match batch.changes {
        [change] if change.key().is_some() => {
            if matches!(change, Change::Put { .. } | Change::Patch { .. }) {
                store.make_room(now_ms)?;
            }
            try_write_one(store, change, now_ms)
        }
        _ => try_write_many(store, batch, now_ms),
    }
}

/// The place of an entry; one that has expired goes first, where that is told of.
#[inline]
fn find(store: &Store, (shard, address): (&mut Shard, &Address<'_>), now_ms: u64) -> Option<Place> {
    let place = shard.find(&address.name);
    if store.bury(address, shard, place, now_ms) { None } else { place }
}

/// What is at a place: the entry if it is not expired, and the number that its reader observes.
#[inline]
pub(super) fn current<'s>(
    shard: &'s Shard,
    place: Option<Place>,
    now_ms: u64,
) -> (Option<EntryRef<'s>>, Sequence) {
    match place.and_then(|place| shard.entry(place)) {
        Some(entry) if entry.is_expired(now_ms) => (None, entry.version()),
        Some(entry) => (Some(entry.read()), entry.version()),
        None => (None, shard.removed),
    }
}

#[inline]
fn try_write_one(store: &Store, change: &Change<'_>, now_ms: u64) -> Result<Outcome, Refused> {
    let Some(key) = change.key() else {
        return Err(Refused::Failed(Error::invalid("a change of one entry needs its key")));
    };
    let mut address = store.address(key);
    let (keyspace, mut shard) = store.lock(&mut address, key.database);
    write_locked(store, (keyspace, &mut shard, &address), change, now_ms)
}

/// The same with the shard already locked.
#[inline]
pub(super) fn write_locked(
    store: &Store,
    (keyspace, shard, address): (&Keyspace, &mut Shard, &Address<'_>),
    change: &Change<'_>,
    now_ms: u64,
) -> Result<Outcome, Refused> {
    let place = find(store, (shard, address), now_ms);
    let (entry, observed) = current(shard, place, now_ms);
    if !holds(change.guard(), entry.as_ref()) {
        return Ok(refused(0, entry.map(|entry| entry.version), observed));
    }
    let existed = entry.is_some();
    let step = Step::of_change(change, entry.as_ref()).map_err(Refused::Failed)?;
    let version = entry.map_or(0, |entry| entry.version);
    finish_one(store, Locked { keyspace, shard, address, place }, now_ms, step.as_ref()).map(|number| {
        match number {
            Some(number) => whole(number, Effect { existed, version: number }),
            None => whole(observed, Effect { existed, version }),
        }
    })
}

fn try_update(store: &Store, key: KeyRef<'_>, now_ms: u64, edit: &mut Edit<'_>) -> Result<Outcome, Refused> {
    store.check_open().map_err(Refused::Failed)?;
    let mut address = store.address(key);
    let (keyspace, mut shard) = store.lock(&mut address, key.database);
    let place = find(store, (&mut shard, &address), now_ms);
    let (entry, observed) = current(&shard, place, now_ms);
    let existed = entry.is_some();
    let version = entry.map_or(0, |entry| entry.version);
    let edited = edit(entry).map_err(Refused::Failed)?;
    let step = Step::of_edit(edited, entry.as_ref()).map_err(Refused::Failed)?;
    if step.as_ref().is_some_and(Step::grows) && store.limit.is_set() && store.limit.is_exceeded() {
        // Evicting takes other shards' locks: give this one up first, and look again.
        drop(shard);
        store.make_room(now_ms)?;
        return try_update(store, key, now_ms, edit);
    }
    finish_one(store, Locked { keyspace, shard: &mut shard, address: &address, place }, now_ms, step.as_ref())
        .map(|number| match number {
            Some(number) => whole(number, Effect { existed, version: number }),
            None => whole(observed, Effect { existed, version }),
        })
}

/// A locked shard and the place in it that a step is for.
struct Locked<'s, 'a> {
    keyspace: &'s Keyspace,
    shard: &'s mut Shard,
    address: &'s Address<'a>,
    place: Option<Place>,
}

/// Logs and applies one step; `None` when there is nothing to do.
#[inline]
fn finish_one(
    store: &Store,
    locked: Locked<'_, '_>,
    now_ms: u64,
    step: Option<&Step<'_>>,
) -> Result<Option<Version>, Refused> {
    let Some(step) = step else { return Ok(None) };
    let Locked { keyspace, shard, address, place } = locked;
    let number = store.number(shard, now_ms, step.logged(address.physical_key()))?;
    store.apply(keyspace, shard, (address, place), step, (number, now_ms));
    Ok(Some(number))
}

#[inline]
fn whole(sequence: Sequence, effect: Effect) -> Outcome {
    Outcome { sequence, applied: Applied::Whole(smallvec![effect]) }
}

pub(super) fn refused(index: usize, version: Option<Version>, observed: Sequence) -> Outcome {
    Outcome { sequence: observed, applied: Applied::Refused { index, version } }
}
