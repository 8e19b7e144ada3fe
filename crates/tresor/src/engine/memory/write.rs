//! Writes: guards, steps, numbers, and only then the change itself.
//!
//! The order is what durability rests on: under the locks of all shards concerned a batch is planned
//! against the entries as they are, appended to the log, and applied. If the log has no room the
//! locks are left with nothing changed, and everything runs again when there is.

use std::collections::HashMap;

use parking_lot::MutexGuard;
use smallvec::{SmallVec, smallvec};

use super::{
    keyspace::{Keyspace, SHARDS},
    shard::Shard,
    store::{Address, Mapping, Store},
    table::{Place, Table},
};
use crate::{
    engine::{
        Applied, Change, DATABASES, Edit, Effect, EntryRef, Eventual, KeyRef, Outcome, Sequence, Version,
        step::{Step, holds, retry},
    },
    error::{Error, Result},
    oplog::{Logged, Refused},
};

/// Applies a batch; later only when the log has no room at hand.
#[inline]
pub(super) fn write<'a>(store: &'a Store, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Outcome> {
    match try_write(store, changes, now_ms) {
        Ok(outcome) => Eventual::Now(Ok(outcome)),
        Err(Refused::Failed(error)) => Eventual::Now(Err(error)),
        Err(Refused::NoRoom { bytes }) => Eventual::later(retry(
            move |bytes| store.room(bytes),
            bytes,
            move || try_write(store, changes, now_ms),
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
pub(super) fn try_write(store: &Store, changes: &[Change<'_>], now_ms: u64) -> Result<Outcome, Refused> {
    match changes {
        [change] if change.key().is_some() => {
            if matches!(change, Change::Put { .. } | Change::Patch { .. }) {
                store.make_room(now_ms)?;
            }
            try_write_one(store, change, now_ms)
        }
        _ => try_write_many(store, changes, now_ms),
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
fn current<'s>(shard: &'s Shard, place: Option<Place>, now_ms: u64) -> (Option<EntryRef<'s>>, Sequence) {
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
    let key = KeyRef { database: address.physical, key: address.name.key, member: address.name.member };
    let number = store.number(shard, now_ms, step.logged(key))?;
    store.apply(keyspace, shard, (address, place), step, number);
    Ok(Some(number))
}

#[inline]
fn whole(sequence: Sequence, effect: Effect) -> Outcome {
    Outcome { sequence, applied: Applied::Whole(smallvec![effect]) }
}

fn refused(index: usize, version: Option<Version>, observed: Sequence) -> Outcome {
    Outcome { sequence: observed, applied: Applied::Refused { index, version } }
}

/// What one change of a batch comes to.
enum Planned<'a> {
    /// Nothing to do; the entry, if it is there, is as this earlier change of the batch left it.
    Nothing(Option<usize>),
    /// A step for the entry at an address.
    One(Address<'a>, Step<'a>),
    /// Everything in a physical keyspace goes.
    Clear(u8),
    /// The table from logical to physical changes.
    Mapping(Mapping),
}

type Guards<'s> = Vec<((u8, usize), MutexGuard<'s, Shard>)>;

fn try_write_many(store: &Store, changes: &[Change<'_>], now_ms: u64) -> Result<Outcome, Refused> {
    let growing = changes.iter().filter(|change| matches!(change, Change::Put { .. } | Change::Patch { .. }));
    let deleting = changes.iter().filter(|change| matches!(change, Change::Delete { .. }));
    let (growing, deleting) = (growing.count(), deleting.count());
    if growing > 0
        && let Err(refused) = store.make_room(now_ms)
        // A batch that moves entries frees what it needs.
        && growing > deleting
    {
        return Err(refused);
    }
    store.check_open().map_err(Refused::Failed)?;
    let mut guards = lock_all(store, changes);
    let mut observed = 0;
    for (index, change) in changes.iter().enumerate() {
        let Some(key) = change.key() else { continue };
        let address = store.address(key);
        let at = position(&guards, &address);
        let shard = &mut *guards[at].1;
        let place = find(store, (shard, &address), now_ms);
        let (entry, seen) = current(shard, place, now_ms);
        observed = observed.max(seen);
        if !holds(change.guard(), entry.as_ref()) {
            return Ok(refused(index, entry.map(|entry| entry.version), seen));
        }
    }
    let (planned, effects) = Plan::new(store, &guards, now_ms).all(changes).map_err(Refused::Failed)?;
    let logged: Vec<Logged<'_>> = planned.iter().filter_map(logged).collect();
    if logged.is_empty() {
        return Ok(Outcome { sequence: observed, applied: Applied::Whole(effects) });
    }
    let last = store.number_all(now_ms, &logged)?;
    let first = last + 1 - logged.len() as u64;
    drop(logged);
    Ok(apply_all(store, &mut guards, &planned, effects, first))
}

/// Locks every shard that a batch concerns, in ascending order.
fn lock_all<'s>(store: &'s Store, changes: &[Change<'_>]) -> Guards<'s> {
    loop {
        let mapping = store.mapping();
        let mut places: Vec<(u8, usize)> = Vec::with_capacity(changes.len());
        for change in changes {
            match change {
                Change::Clear { database } => {
                    let physical = mapping[usize::from(*database)];
                    places.extend((0..SHARDS).map(|shard| (physical, shard)));
                }
                Change::Swap { first, second } => {
                    for database in [first, second] {
                        let physical = mapping[usize::from(*database)];
                        places.extend((0..SHARDS).map(|shard| (physical, shard)));
                    }
                }
                _ => {
                    let address = change.key().map(|key| store.address(key));
                    places.extend(address.map(|address| (address.physical, address.shard)));
                }
            }
        }
        places.sort_unstable();
        places.dedup();
        let guards: Guards<'s> =
            places.into_iter().map(|place| (place, store.keyspace(place.0).lock(place.1))).collect();
        if store.mapping() == mapping {
            return guards;
        }
    }
}

fn position(guards: &Guards<'_>, address: &Address<'_>) -> usize {
    guards
        .binary_search_by_key(&(address.physical, address.shard), |(place, _)| *place)
        .expect("the shard of every key of the batch is locked")
}

/// Finds out what each change of a batch does, a later one seeing what an earlier one did.
struct Plan<'p, 's, 'a> {
    store: &'p Store,
    guards: &'p Guards<'s>,
    now_ms: u64,
    planned: Vec<Planned<'a>>,
    /// Logical to physical, after the swaps so far.
    mapping: Mapping,
    /// The latest step of each entry so far, by its physical address.
    latest: HashMap<KeyRef<'a>, usize>,
    /// Where each physical keyspace was last cleared.
    cleared: [Option<usize>; DATABASES as usize],
}

impl<'p, 's, 'a> Plan<'p, 's, 'a> {
    fn new(store: &'p Store, guards: &'p Guards<'s>, now_ms: u64) -> Self {
        Self {
            store,
            guards,
            now_ms,
            planned: Vec::new(),
            mapping: store.mapping(),
            latest: HashMap::new(),
            cleared: [None; DATABASES as usize],
        }
    }

    fn all(mut self, changes: &[Change<'a>]) -> Result<(Vec<Planned<'a>>, SmallVec<[Effect; 1]>)> {
        let mut effects = SmallVec::with_capacity(changes.len());
        self.planned.reserve(changes.len());
        for change in changes {
            let effect = match change.key() {
                Some(key) => self.entry(change, key)?,
                None => self.database(change),
            };
            effects.push(effect);
        }
        Ok((self.planned, effects))
    }

    fn database(&mut self, change: &Change<'_>) -> Effect {
        match *change {
            Change::Clear { database } => {
                let physical = self.mapping[usize::from(database)];
                self.cleared[usize::from(physical)] = Some(self.planned.len());
                self.planned.push(Planned::Clear(physical));
            }
            Change::Swap { first, second } => {
                self.mapping.swap(usize::from(first), usize::from(second));
                self.planned.push(Planned::Mapping(self.mapping));
            }
            _ => self.planned.push(Planned::Nothing(None)),
        }
        Effect { existed: false, version: 0 }
    }

    fn entry(&mut self, change: &Change<'a>, key: KeyRef<'a>) -> Result<Effect> {
        let physical = self.mapping[usize::from(key.database)];
        let address = Address { physical, ..self.store.address(key) };
        let key = KeyRef { database: physical, ..key };
        let cleared = self.cleared[usize::from(physical)];
        let earlier = self.latest.get(&key).copied().filter(|at| cleared.is_none_or(|cleared| *at > cleared));
        let shard = &self.guards[position(self.guards, &address)].1;
        let stored = match cleared {
            Some(_) => None,
            None => current(shard, shard.find(&address.name), self.now_ms).0,
        };
        // A step on top of a step is planned against the whole entry that the first one leads to.
        let result = earlier.and_then(|at| match &self.planned[at] {
            Planned::One(_, step) => step.result(stored.as_ref()),
            _ => None,
        });
        let entry = match earlier {
            Some(_) => result.as_ref().and_then(|step| step.entry(self.now_ms)),
            None => stored,
        };
        let effect = Effect { existed: entry.is_some(), version: entry.map_or(0, |entry| entry.version) };
        let Some(step) = Step::of_change(change, entry.as_ref())? else {
            self.planned.push(Planned::Nothing(earlier.filter(|_| effect.existed)));
            return Ok(effect);
        };
        // On top of an earlier step of this batch a patch or expiry becomes a whole put, so that each
        // record says all that is needed to apply it.
        let step = match earlier {
            Some(_) => step.result(entry.as_ref()).unwrap_or(step),
            None => step,
        };
        self.latest.insert(key, self.planned.len());
        self.planned.push(Planned::One(address, step));
        Ok(effect)
    }
}

fn logged<'b>(planned: &'b Planned<'_>) -> Option<Logged<'b>> {
    match planned {
        Planned::Nothing(_) => None,
        Planned::One(address, step) => {
            let name = &address.name;
            Some(step.logged(KeyRef { database: address.physical, key: name.key, member: name.member }))
        }
        Planned::Clear(physical) => Some(Logged::Clear { database: *physical }),
        Planned::Mapping(mapping) => Some(Logged::Mapping(*mapping)),
    }
}

fn apply_all(
    store: &Store,
    guards: &mut Guards<'_>,
    planned: &[Planned<'_>],
    mut effects: SmallVec<[Effect; 1]>,
    first: Sequence,
) -> Outcome {
    // Numbers that shards have set aside are lower than these: they must not be used after them.
    for (_, shard) in guards.iter_mut() {
        shard.numbers = (0, 0);
    }
    let mut number = first;
    for (at, planned) in planned.iter().enumerate() {
        match planned {
            Planned::Nothing(earlier) => {
                if let Some(earlier) = earlier {
                    effects[at].version = effects[*earlier].version;
                }
                continue;
            }
            Planned::One(address, step) => {
                let at = position(guards, address);
                let shard = &mut *guards[at].1;
                let place = shard.find(&address.name);
                store.apply(store.keyspace(address.physical), shard, (address, place), step, number);
            }
            Planned::Clear(physical) => clear(store, guards, *physical, number),
            Planned::Mapping(mapping) => store.set_mapping(*mapping),
        }
        effects[at].version = number;
        number += 1;
    }
    Outcome { sequence: number - 1, applied: Applied::Whole(effects) }
}

fn clear(store: &Store, guards: &mut Guards<'_>, physical: u8, number: Version) {
    let keyspace = store.keyspace(physical);
    let mut tables: Vec<Table> = Vec::new();
    for ((_, shard_number), shard) in guards.iter_mut().filter(|((keyspace, _), _)| *keyspace == physical) {
        let before = shard.bytes();
        tables.push(keyspace.clear(*shard_number, shard, number));
        store.limit.count(before, shard.bytes());
    }
    keyspace.index.clear();
    store.garbage.lock().extend(tables.into_iter().filter(|table| table.len() > 0));
}
