//! Moving keys to where a new ring says, a few at a time, while everybody reads and writes.
//!
//! A step takes the next keys in byte order. Writes to those among them that move wait from here on; once
//! nobody is on the way by older routes, every shard's keys in the step are looked at: what lies where it
//! does not belong is left over from a crash and removed, what moves is copied with its version, and the
//! receivers' numbers are lifted above the givers'. When the copies are durable the layout's file passes
//! the step, then the routes do; when nobody looks at the old places any more the keys may be written again,
//! and the old places are emptied. Reads never wait; they go to the giver until the routes change. Writes
//! wait beyond that: who reads several keys by older routes must not find the old one of a key that has
//! moved beside the new one of another.

use std::{collections::BTreeMap, mem::replace, ops::Bound};

use super::{
    core::{Core, start},
    layout::{self, Moved},
    member::Member,
    ring::hash_of_key,
    routes::{Moving, Place, Routes},
    wanted::Address,
};
use crate::{
    engine::{
        Batch, Change, Content, DATABASES, EntryRef, Guard, Isolation, KeyRef, Order, PAGE_BYTES, Page, Scan,
        Sequence, block_on,
    },
    error::Result,
};

/// Keys of a shard and database that a step takes at most.
const STEP_KEYS: usize = 256;

/// Entries read, and removed, at once.
const TOGETHER: usize = 64;

/// At the beginning of time nothing has expired: what has since is moved, or removed, with the rest.
const EVER: u64 = 0;

/// What a step did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stepped {
    /// Entries that it moved.
    pub(super) keys: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Nothing is left to move.
    pub(super) last: bool,
}

/// Takes the next step. What fails has changed nothing that anybody sees, and may be tried again.
pub(super) fn step(core: &Core) -> Result<Stepped> {
    let routes = core.routes.load_full();
    let Some(moving) = &routes.moving else { return Ok(Stepped { last: true, ..Stepped::default() }) };
    clean(core, &routes)?;
    if moving.done == Place::End {
        finish(core)?;
        return Ok(Stepped { last: true, ..Stepped::default() });
    }
    let end = end_of_step(core, &routes, &moving.done)?;
    core.telling.begin(routes.clone(), end.clone());
    let step = Step { core, routes: &routes, moving, end };
    let taken = step.take();
    core.telling.end();
    taken.inspect_err(|_| {
        core.set_unclean(true);
        core.change_routes(|routes| {
            if let Some(moving) = &mut routes.moving {
                moving.copying = None;
            }
        });
    })
}

struct Step<'a> {
    core: &'a Core,
    routes: &'a Routes,
    moving: &'a Moving,
    end: Place,
}

/// What the shards have in a step.
#[derive(Default)]
struct Found {
    /// Entries by giver and receiver.
    moves: BTreeMap<(u8, u8), Vec<Address>>,
    /// Entries that lie where they do not belong.
    strays: BTreeMap<u8, Vec<Address>>,
    /// The latest number of each shard.
    latest: BTreeMap<u8, Sequence>,
}

impl Step<'_> {
    fn take(&self) -> Result<Stepped> {
        let Self { core, end, .. } = self;
        let copying = Some(end.clone());
        core.change_routes(|routes| {
            if let Some(moving) = &mut routes.moving {
                moving.copying = copying;
            }
        });
        block_on(core.stripes.pass());
        // Counts would take what is on two shards for two.
        let _counts = block_on(core.counts.all());
        let found = self.look()?;
        for (number, strays) in &found.strays {
            remove(core.member(*number), strays)?;
        }
        let stepped = self.copy(&found)?;
        for (receiver, told) in core.telling.hand_over() {
            remove(core.member(receiver), &told)?;
        }
        self.pass()?;
        for ((giver, _), moved) in &found.moves {
            // What stays is removed with the next step: the file says from where on.
            remove(core.member(*giver), moved)?;
        }
        cleaned(core, end);
        Ok(stepped)
    }

    fn look(&self) -> Result<Found> {
        let mut found = Found::default();
        for (number, member) in self.core.asked(self.routes) {
            for database in 0..DATABASES {
                let (addresses, latest) = keys_between(member, database, (&self.moving.done, &self.end))?;
                let highest = found.latest.entry(number).or_default();
                *highest = latest.max(*highest);
                for address in addresses {
                    let hash = hash_of_key(&address.key);
                    let (owner, next) = (self.routes.ring.owner(hash), self.moving.next.owner(hash));
                    if owner != number {
                        found.strays.entry(number).or_default().push(address);
                    } else if next != owner {
                        found.moves.entry((owner, next)).or_default().push(address);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Copies what moves, and lifts every shard's numbers above those that its new keys have had.
    fn copy(&self, found: &Found) -> Result<Stepped> {
        let mut stepped = Stepped::default();
        for (receiver, member) in self.core.asked(self.routes) {
            let others = found.latest.iter().filter(|(number, _)| **number != receiver);
            let above = others.map(|(_, latest)| *latest).max().unwrap_or(0);
            let mut adopt = |page: &Page| {
                stepped.keys += page.len() as u64;
                stepped.bytes += page.bytes() as u64;
                let adopted = block_on(member.engine.adopt(page, above, EVER));
                adopted.map_err(|error| member.named(error))
            };
            let mut sequence = adopt(&Page::default())?;
            for ((giver, _), moved) in found.moves.iter().filter(|((_, to), _)| *to == receiver) {
                for addresses in runs(moved) {
                    let mut left = addresses;
                    while !left.is_empty() {
                        let (page, taken) = read(self.core.member(*giver), left)?;
                        sequence = sequence.max(adopt(&page)?);
                        left = &left[taken..];
                    }
                }
            }
            block_on(member.engine.durable(sequence)).map_err(|error| member.named(error))?;
        }
        Ok(stepped)
    }

    /// Has file and routes say that the step is done, and waits until nobody goes by the older ones.
    fn pass(&self) -> Result<()> {
        let Self { core, moving, end, .. } = self;
        layout::change(core, &core.laid, |laid| {
            laid.layout.moved = Some(Moved { before: moving.done.clone(), done: end.clone() });
            Ok(())
        })?;
        core.change_routes(|routes| {
            if let Some(moving) = &mut routes.moving {
                moving.settling = Some(replace(&mut moving.done, end.clone()));
                moving.copying = None;
            }
        });
        block_on(core.stripes.pass());
        // Nobody reads by the older routes any more.
        core.change_routes(|routes| {
            if let Some(moving) = &mut routes.moving {
                moving.settling = None;
            }
        });
        drop(block_on(core.scans.all()));
        Ok(())
    }
}

/// Notes that nothing is left over up to a place.
fn cleaned(core: &Core, end: &Place) {
    if let Some(moved) = &mut core.laid.lock().layout.moved {
        // In memory is enough: looking again after a crash finds nothing.
        moved.before = end.clone();
    }
}

/// Removes what a crash, or a failure, left over behind the last step.
fn clean(core: &Core, routes: &Routes) -> Result<()> {
    let Some(Moved { before, done }) = core.laid.lock().layout.moved.clone() else { return Ok(()) };
    if before == done {
        return Ok(());
    }
    let _counts = block_on(core.counts.all());
    for (number, member) in core.asked(routes) {
        for database in 0..DATABASES {
            let (addresses, _) = keys_between(member, database, (&before, &done))?;
            let strays: Vec<Address> =
                addresses.into_iter().filter(|address| routes.owner(&address.key) != number).collect();
            remove(member, &strays)?;
        }
    }
    cleaned(core, &done);
    Ok(())
}

/// The new ring is the ring.
fn finish(core: &Core) -> Result<()> {
    layout::change(core, &core.laid, |laid| {
        laid.layout.moved = None;
        laid.remove(|seat| seat.weight > 0 && seat.next == 0);
        laid.layout.seats.iter_mut().for_each(|seat| seat.weight = seat.next);
        Ok(())
    })?;
    let members = core.laid.lock().members();
    core.change_routes(|routes| {
        if let Some(moving) = routes.moving.take() {
            routes.ring = moving.next;
        }
        routes.members = members;
    });
    block_on(core.stripes.pass());
    drop(block_on(core.scans.all()));
    core.set_unclean(false);
    Ok(())
}

/// Where a step ends that begins here: behind so many keys of the shard that has most.
fn end_of_step(core: &Core, routes: &Routes, done: &Place) -> Result<Place> {
    let mut end = Place::End;
    // The time is that of now, so that a memory engine does not take its index by key for long unused.
    let now_ms = core.clock.now_ms();
    for (_, member) in core.asked(routes) {
        for database in 0..DATABASES {
            let page = keys((member, database), (done, &Place::End), STEP_KEYS, now_ms)?;
            if page.next.is_some()
                && let Some((last, _)) = page.iter().next_back()
            {
                end = end.min(Place::Behind(last.key.to_vec()));
            }
        }
    }
    Ok(end)
}

/// A page of a shard's keys between two places.
fn keys(
    (member, database): (&Member, u8),
    between: (&Place, &Place),
    limit: usize,
    now_ms: u64,
) -> Result<Page> {
    let lower = match between.0 {
        Place::Start => Bound::Unbounded,
        Place::Behind(key) => Bound::Excluded(key.as_slice()),
        Place::End => return Ok(Page::new(database)),
    };
    let upper = match between.1 {
        Place::Start => return Ok(Page::new(database)),
        Place::Behind(key) => Bound::Included(key.as_slice()),
        Place::End => Bound::Unbounded,
    };
    let scan = Scan { lower, upper, ..Scan::all(database, Order::Ascending, Content::Keys, limit) };
    block_on(start(member.engine.scan(&scan, now_ms))).map_err(|error| member.named(error))
}

/// All of a shard's keys between two places, and its latest number.
fn keys_between(
    member: &Member,
    database: u8,
    (from, to): (&Place, &Place),
) -> Result<(Vec<Address>, Sequence)> {
    let mut addresses: Vec<Address> = Vec::new();
    let (mut from, mut latest) = (from.clone(), 0);
    loop {
        let page = keys((member, database), (&from, to), STEP_KEYS, EVER)?;
        latest = latest.max(page.sequence);
        addresses.extend(page.iter().map(|(key, _)| Address::of(key)));
        let Some(last) = addresses.last().filter(|_| page.next.is_some()) else {
            return Ok((addresses, latest));
        };
        // A key may have more members than a page: go on with the whole key.
        let key = last.key.clone();
        let (members, number) = members_of(member, database, &key)?;
        latest = latest.max(number);
        addresses.retain(|address| address.key != key);
        addresses.extend(members);
        from = Place::Behind(key);
    }
}

/// All members of a key.
fn members_of(member: &Member, database: u8, key: &[u8]) -> Result<(Vec<Address>, Sequence)> {
    let bound = Bound::Included(key);
    let mut scan = Scan {
        lower: bound,
        upper: bound,
        ..Scan::all(database, Order::Ascending, Content::Keys, STEP_KEYS)
    };
    let mut addresses = Vec::new();
    loop {
        let page = block_on(start(member.engine.scan(&scan, EVER))).map_err(|error| member.named(error))?;
        addresses.extend(page.iter().map(|(key, _)| Address::of(key)));
        match page.next {
            Some(next) => scan.position = next,
            None => return Ok((addresses, page.sequence)),
        }
    }
}

/// Entries of one database each: a page is of one.
fn runs(addresses: &[Address]) -> impl Iterator<Item = &[Address]> {
    addresses.chunk_by(|one, other| one.database == other.database)
}

/// A page of these entries as a shard has them, and how many of them it covers.
fn read(member: &Member, addresses: &[Address]) -> Result<(Page, usize)> {
    let mut page = Page::new(addresses[0].database);
    let mut taken = 0;
    for addresses in addresses.chunks(TOGETHER) {
        let keys: Vec<KeyRef<'_>> = addresses.iter().map(Address::as_key).collect();
        let mut visit = |at: usize, entry: Option<EntryRef<'_>>| {
            if let Some(entry) = entry {
                page.push(keys[at].key, keys[at].member, &entry, Content::Entries);
            }
        };
        block_on(member.engine.read(&keys, Isolation::Each, EVER, &mut visit))
            .map_err(|error| member.named(error))?;
        taken += addresses.len();
        if page.bytes() >= PAGE_BYTES {
            break;
        }
    }
    Ok((page, taken))
}

/// Removes entries, durably: no file may forget where they were before.
fn remove(member: &Member, addresses: &[Address]) -> Result<()> {
    let mut sequence = 0;
    for addresses in addresses.chunks(TOGETHER) {
        let delete = |address| Change::Delete { key: Address::as_key(address), guard: Guard::None };
        let changes: Vec<Change<'_>> = addresses.iter().map(delete).collect();
        let outcome = block_on(member.engine.write(Batch::blind(&changes), EVER));
        sequence = outcome.map_err(|error| member.named(error))?.sequence;
    }
    match addresses.is_empty() {
        true => Ok(()),
        false => block_on(member.engine.durable(sequence)).map_err(|error| member.named(error)),
    }
}
