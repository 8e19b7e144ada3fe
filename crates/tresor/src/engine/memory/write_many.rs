//! Batches of several changes: all shards concerned are locked, everything is planned, numbered and logged,
//! and only then applied.
//!
//! A later change of a batch sees what an earlier one did, guards look at the state before all of them. Each
//! key is hashed once, and what a batch of a few changes needs lives on the stack: MULTI and MSET come
//! through here.

use hashbrown::HashTable;
use parking_lot::MutexGuard;
use smallvec::{SmallVec, smallvec};

use super::{
    keyspace::SHARDS,
    shard::Shard,
    store::{Address, FEW, Store},
    table::Table,
    write::{current, refused},
};
use crate::{
    engine::{
        Applied, Batch, Change, DATABASES, DatabaseTable, Effect, Expires, Guard, Outcome, Sequence, Version,
        step::{Step, holds},
    },
    error::Result,
    oplog::{Logged, Refused},
};

/// What one change of a batch comes to.
enum Planned<'a> {
    /// Nothing to do; the entry, if it is there, is as this earlier change of the batch left it.
    Nothing(Option<usize>),
    /// A step for the entry at an address, whose shard has this place among the guards.
    One((Address<'a>, usize), Step<'a>),
    /// Everything in a physical keyspace goes.
    Clear(u8),
    /// The table from logical to physical changes.
    Mapping(DatabaseTable),
}

/// A shard among those of all physical keyspaces. Shards are locked in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ShardPlace(u32);

impl ShardPlace {
    fn new(physical: u8, shard: usize) -> Self {
        Self(u32::from(physical) * SHARDS as u32 + shard as u32)
    }

    fn of(address: &Address<'_>) -> Self {
        Self::new(address.physical, address.shard)
    }

    fn physical(self) -> u8 {
        (self.0 / SHARDS as u32) as u8
    }

    fn shard(self) -> usize {
        self.0 as usize % SHARDS
    }
}

type Guards<'s> = SmallVec<[(ShardPlace, MutexGuard<'s, Shard>); FEW]>;

/// The way to each change's entry and the place of its shard among the guards, as it was when the shards were
/// locked; none for whole databases.
type Addresses<'a> = SmallVec<[Option<(Address<'a>, usize)>; FEW]>;

pub(super) fn try_write_many(store: &Store, batch: Batch<'_>, now_ms: u64) -> Result<Outcome, Refused> {
    let changes = batch.changes;
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
    let (mut guards, mut addresses) = (Guards::new(), Addresses::new());
    lock_all(store, changes, (&mut guards, &mut addresses));
    fetch(&guards, &addresses);
    if store.removals.are_told() {
        for (address, guard) in addresses.iter().flatten() {
            let shard = &mut *guards[*guard].1;
            store.bury(address, shard, shard.find(&address.name), now_ms);
        }
    }
    if changes.iter().any(|change| change.guard() != Guard::None)
        && let Some(refused) = refusal(&guards, changes, &addresses, now_ms)
    {
        return Ok(refused);
    }
    // Checks alone change nothing: their answer tells what they met, which a plan finds out.
    if batch.blind && growing > 0 && changes.iter().all(is_whole) {
        return put_all(store, &mut guards, (changes, &addresses), now_ms);
    }
    let mut plan = Plan::new(store.mapping(), &guards, now_ms, changes.len());
    let effects = plan.all(changes, &addresses).map_err(Refused::Failed)?;
    let Plan { planned, observed, .. } = &plan;
    let records = planned.iter().filter_map(logged);
    let count = records.clone().count();
    if count == 0 {
        return Ok(Outcome { sequence: *observed, applied: Applied::Whole(effects) });
    }
    let last = store.number_all(now_ms, count, records)?;
    let first = last + 1 - count as u64;
    Ok(apply_all(store, &mut guards, (planned, effects), first, now_ms))
}

/// Applies changes that are [whole](is_whole), and of which nobody wants to know the effects: they need no plan
/// against what is stored.
fn put_all(
    store: &Store,
    guards: &mut Guards<'_>,
    (changes, addresses): (&[Change<'_>], &Addresses<'_>),
    now_ms: u64,
) -> Result<Outcome, Refused> {
    let mut puts: SmallVec<[(&Address<'_>, usize, Step<'_>); FEW]> = SmallVec::with_capacity(changes.len());
    for (change, address) in changes.iter().zip(addresses) {
        if let (Some(step), Some((address, guard))) =
            (Step::of_change(change, None).map_err(Refused::Failed)?, address)
        {
            puts.push((address, *guard, step));
        }
    }
    let records = puts.iter().map(|(address, _, step)| step.logged(address.physical_key()));
    let last = store.number_all(now_ms, puts.len(), records)?;
    forget_numbers(guards);
    for ((address, guard, step), number) in puts.iter().zip(last + 1 - puts.len() as u64..) {
        apply_one(store, &mut guards[*guard].1, (address, step), (number, now_ms));
    }
    let effects = smallvec![Effect { existed: false, version: last }; changes.len()];
    Ok(Outcome { sequence: last, applied: Applied::Whole(effects) })
}

/// Whether a change leads to the same, whatever is there; its guard was looked at already.
fn is_whole(change: &Change<'_>) -> bool {
    match change {
        Change::Put { expires, .. } => *expires != Expires::Keep,
        Change::Check { .. } => true,
        _ => false,
    }
}

/// Locks every shard that a batch concerns, in ascending order. Fills what it is given, which is large to move.
fn lock_all<'s, 'a>(
    store: &'s Store,
    changes: &[Change<'a>],
    (guards, addresses): (&mut Guards<'s>, &mut Addresses<'a>),
) {
    loop {
        let mapping = store.mapping();
        addresses.extend(changes.iter().map(|change| change.key().map(|key| (store.address(key), 0))));
        // With the change whose key leads there; none for whole databases.
        let mut places: SmallVec<[(ShardPlace, Option<u32>); FEW]> = SmallVec::new();
        for (address, index) in addresses.iter().zip(0..) {
            if let Some((address, _)) = address {
                places.push((ShardPlace::of(address), Some(index)));
            }
        }
        let databases = changes.iter().flat_map(|change| match *change {
            Change::Clear { database } => [Some(database), None],
            Change::Swap { first, second } => [Some(first), Some(second)],
            _ => [None, None],
        });
        for database in databases.flatten() {
            let physical = mapping[usize::from(database)];
            places.extend((0..SHARDS).map(|shard| (ShardPlace::new(physical, shard), None)));
        }
        places.sort_unstable();
        for (place, change) in places {
            if guards.last().is_none_or(|(last, _)| *last != place) {
                guards.push((place, store.keyspace(place.physical()).lock(place.shard())));
            }
            if let Some((_, guard)) = change.and_then(|change| addresses[change as usize].as_mut()) {
                *guard = guards.len() - 1;
            }
        }
        if store.mapping() == mapping {
            return;
        }
        // A swap came in between.
        guards.clear();
        addresses.clear();
    }
}

/// Has what the searches will touch fetched, so that the cache misses are had at once.
fn fetch(guards: &Guards<'_>, addresses: &Addresses<'_>) {
    if addresses.len() > FEW {
        return;
    }
    let tables =
        || addresses.iter().flatten().map(|(address, guard)| (guards[*guard].1.table(), address.name));
    tables().for_each(|(table, name)| table.prefetch_group(name.spot));
    tables().for_each(|(table, name)| table.prefetch_entry(name.spot));
}

fn position(guards: &Guards<'_>, address: &Address<'_>) -> usize {
    guards
        .binary_search_by_key(&ShardPlace::of(address), |(place, _)| *place)
        .expect("the shard of every key of the batch is locked")
}

/// The first guard that does not hold.
fn refusal(
    guards: &Guards<'_>,
    changes: &[Change<'_>],
    addresses: &Addresses<'_>,
    now_ms: u64,
) -> Option<Outcome> {
    for (index, (change, address)) in changes.iter().zip(addresses).enumerate() {
        let Some((address, guard)) = address else { continue };
        let shard = &guards[*guard].1;
        let (entry, seen) = current(shard, shard.find(&address.name), now_ms);
        if !holds(change.guard(), entry.as_ref()) {
            return Some(refused(index, entry.map(|entry| entry.version), seen));
        }
    }
    None
}

/// Finds out what each change of a batch does, a later one seeing what an earlier one did.
struct Plan<'p, 's, 'a> {
    guards: &'p Guards<'s>,
    now_ms: u64,
    planned: SmallVec<[Planned<'a>; FEW]>,
    /// The highest number that was seen.
    observed: Sequence,
    /// Logical to physical, after the swaps so far.
    mapping: DatabaseTable,
    /// The latest step of each entry so far.
    latest: HashTable<usize>,
    /// Where each physical keyspace was last cleared.
    cleared: [Option<usize>; DATABASES as usize],
}

impl<'p, 's, 'a> Plan<'p, 's, 'a> {
    fn new(mapping: DatabaseTable, guards: &'p Guards<'s>, now_ms: u64, changes: usize) -> Self {
        Self {
            guards,
            now_ms,
            planned: SmallVec::with_capacity(changes),
            observed: 0,
            mapping,
            latest: HashTable::new(),
            cleared: [None; DATABASES as usize],
        }
    }

    /// For any changes, each planned against what the ones before it lead to.
    fn all(&mut self, changes: &[Change<'a>], addresses: &Addresses<'a>) -> Result<SmallVec<[Effect; 1]>> {
        self.latest.reserve(changes.len(), |_| 0);
        let mut effects = SmallVec::with_capacity(changes.len());
        for (change, address) in changes.iter().zip(addresses) {
            let effect = match change.key().zip(*address) {
                Some((key, (address, guard))) => {
                    let physical = self.mapping[usize::from(key.database)];
                    match physical == address.physical {
                        true => self.entry(change, (address, guard))?,
                        false => {
                            let address = Address { physical, ..address };
                            self.entry(change, (address, position(self.guards, &address)))?
                        }
                    }
                }
                None => self.database(change),
            };
            effects.push(effect);
        }
        Ok(effects)
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

    fn entry(&mut self, change: &Change<'a>, (address, guard): (Address<'a>, usize)) -> Result<Effect> {
        let cleared = self.cleared[usize::from(address.physical)];
        let before = self.latest_step(&address);
        let earlier = before.filter(|at| cleared.is_none_or(|cleared| *at > cleared));
        let shard = &self.guards[guard].1;
        let stored = match cleared {
            Some(_) => None,
            None => {
                let (entry, seen) = current(shard, shard.find(&address.name), self.now_ms);
                self.observed = self.observed.max(seen);
                entry
            }
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
        self.note_step(&address, before);
        self.planned.push(Planned::One((address, guard), step));
        Ok(effect)
    }

    fn latest_step(&self, address: &Address<'_>) -> Option<usize> {
        let is_same = |at: &usize| match &self.planned[*at] {
            Planned::One((other, _), _) => other.is_same(address),
            _ => false,
        };
        self.latest.find(hash_of(address), is_same).copied()
    }

    /// The next step will be the latest for this address, in place of the one `before`.
    fn note_step(&mut self, address: &Address<'_>, before: Option<usize>) {
        let hash = hash_of(address);
        let next = self.planned.len();
        if let Some(before) = before
            && let Some(latest) = self.latest.find_mut(hash, |at| *at == before)
        {
            *latest = next;
            return;
        }
        let planned = &self.planned;
        let hash_at = |at: &usize| match &planned[*at] {
            Planned::One((address, _), _) => hash_of(address),
            _ => 0,
        };
        self.latest.insert_unique(hash, next, hash_at);
    }
}

/// From what the key was hashed to already; the table looks at the upper bits too.
fn hash_of(address: &Address<'_>) -> u64 {
    let position = u64::from(address.name.spot.position);
    position << 32 | position
}

fn logged<'b>(planned: &'b Planned<'_>) -> Option<Logged<'b>> {
    match planned {
        Planned::Nothing(_) => None,
        Planned::One((address, _), step) => Some(step.logged(address.physical_key())),
        Planned::Clear(physical) => Some(Logged::Clear { database: *physical }),
        Planned::Mapping(mapping) => Some(Logged::Mapping(*mapping)),
    }
}

fn apply_all(
    store: &Store,
    guards: &mut Guards<'_>,
    (planned, mut effects): (&[Planned<'_>], SmallVec<[Effect; 1]>),
    first: Sequence,
    now_ms: u64,
) -> Outcome {
    forget_numbers(guards);
    let mut number = first;
    for (at, planned) in planned.iter().enumerate() {
        match planned {
            Planned::Nothing(earlier) => {
                if let Some(earlier) = earlier {
                    effects[at].version = effects[*earlier].version;
                }
                continue;
            }
            Planned::One((address, guard), step) => {
                apply_one(store, &mut guards[*guard].1, (address, step), (number, now_ms));
            }
            Planned::Clear(physical) => clear(store, guards, *physical, number),
            Planned::Mapping(mapping) => store.set_mapping(*mapping),
        }
        effects[at].version = number;
        number += 1;
    }
    Outcome { sequence: number - 1, applied: Applied::Whole(effects) }
}

/// Numbers that shards have set aside are lower than those of a batch: they must not be used after them.
fn forget_numbers(guards: &mut Guards<'_>) {
    guards.iter_mut().for_each(|(_, shard)| shard.numbers = (0, 0));
}

#[inline]
fn apply_one(
    store: &Store,
    shard: &mut Shard,
    (address, step): (&Address<'_>, &Step<'_>),
    number: (Version, u64),
) {
    let place = shard.find(&address.name);
    store.apply(store.keyspace(address.physical), shard, (address, place), step, number);
}

fn clear(store: &Store, guards: &mut Guards<'_>, physical: u8, number: Version) {
    let keyspace = store.keyspace(physical);
    let mut tables: Vec<Table> = Vec::new();
    for (place, shard) in guards.iter_mut().filter(|(place, _)| place.physical() == physical) {
        let before = shard.bytes();
        tables.push(keyspace.clear(place.shard(), shard, number));
        store.limit.count(before, shard.bytes());
    }
    keyspace.index.clear();
    store.garbage.lock().extend(tables.into_iter().filter(|table| table.len() > 0));
}
