//! Reads: hits under the shard's lock, and one question to the engine beneath for all that is missing.
//!
//! Hits answer at once. A miss is a future that is polled as soon as it is made, so that the question
//! is asked by the call; where the engine beneath answers at once, so does the cache.

use std::{
    future::Future,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::MutexGuard;
use smallvec::SmallVec;

use super::{
    Cached,
    shard::{Place, Shard, Ticket},
};
use crate::{
    engine::{
        EntryRef, Eventual, Isolation, KeyRef, Kind, SHARED_VALUE_BYTES, Seen, Sequence, ValueRef, Version,
        Visit, memory::Entry,
    },
    error::Result,
};

/// Keys whose cache misses in the processor are had at once.
const AHEAD: usize = 8;

/// The longest key or member that is kept: as long as its length fits 16 bits.
const MAX_NAME_BYTES: usize = u16::MAX as usize;

/// The right to keep each answer, where there is one.
type Tickets = SmallVec<[Option<Ticket>; 1]>;

/// Reads one key.
#[inline]
pub(super) fn one<'a>(
    cached: &'a Cached,
    keys: &'a [KeyRef<'a>],
    key: &KeyRef<'_>,
    now_ms: u64,
    visit: &'a mut Visit<'a>,
) -> Eventual<'a, Seen> {
    let place = cached.place(key);
    let ticket = {
        let mut shard = cached.shards[place.shard as usize].lock();
        if let Some(sequence) = show(&mut shard, &place, key, now_ms, |entry| visit(0, entry)) {
            return Eventual::Now(Ok(Seen { sequence }));
        }
        shard.miss(&place, now_ms)
    };
    let isolation = Isolation::Each;
    started(load(cached, keys, isolation, now_ms, (SmallVec::from_buf([ticket]), visit)))
}

/// Reads several keys as of one moment: all from the cache, or none.
pub(super) fn together<'a>(
    cached: &'a Cached,
    keys: &'a [KeyRef<'a>],
    now_ms: u64,
    visit: &'a mut Visit<'a>,
) -> Eventual<'a, Seen> {
    let places: SmallVec<[Place; 16]> = keys.iter().map(|key| cached.place(key)).collect();
    let mut numbers: SmallVec<[u32; 16]> = places.iter().map(|place| place.shard).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let tickets = {
        // In ascending order, as whoever needs several locks takes them.
        let mut shards: SmallVec<[MutexGuard<'_, Shard>; 16]> =
            numbers.iter().map(|number| cached.shards[*number as usize].lock()).collect();
        let at = |place: &Place| numbers.binary_search(&place.shard).expect("every key's shard is locked");
        let found: Option<SmallVec<[u32; 16]>> =
            places.iter().zip(keys).map(|(place, key)| shards[at(place)].find(place, key, now_ms)).collect();
        if let Some(found) = found {
            let mut sequence = 0;
            for (index, (node, place)) in found.into_iter().zip(&places).enumerate() {
                let entry = shards[at(place)].hit(node);
                sequence = sequence.max(entry.version);
                visit(index, Some(entry));
            }
            return Eventual::Now(Ok(Seen { sequence }));
        }
        places.iter().map(|place| shards[at(place)].miss(place, now_ms)).collect()
    };
    started(load(cached, keys, Isolation::Together, now_ms, (tickets, visit)))
}

/// Reads several keys, each on its own.
pub(super) fn each<'a>(
    cached: &'a Cached,
    keys: &'a [KeyRef<'a>],
    now_ms: u64,
    visit: &'a mut Visit<'a>,
) -> Eventual<'a, Seen> {
    let mut sequence = 0;
    for (number, chunk) in keys.chunks(AHEAD).enumerate() {
        let (places, mut locked) = lock_ahead(cached, chunk);
        for (at, (key, place)) in chunk.iter().zip(&places).enumerate() {
            let index = number * AHEAD + at;
            let shown = match locked.iter_mut().find(|(shard, _)| *shard == place.shard) {
                Some((_, shard)) => show(shard, place, key, now_ms, |entry| visit(index, entry)),
                None => {
                    let mut shard = cached.shards[place.shard as usize].lock();
                    show(&mut shard, place, key, now_ms, |entry| visit(index, entry))
                }
            };
            let Some(version) = shown else {
                // What comes next locks shards again.
                drop(locked);
                return started(some_missing(cached, keys, index, now_ms, (sequence, visit)));
            };
            sequence = sequence.max(version);
        }
    }
    Eventual::Now(Ok(Seen { sequence }))
}

/// Shows an entry if it is there; its version.
#[inline]
fn show(
    shard: &mut Shard,
    place: &Place,
    key: &KeyRef<'_>,
    now_ms: u64,
    visit: impl FnOnce(Option<EntryRef<'_>>),
) -> Option<Version> {
    let at = shard.find(place, key, now_ms)?;
    let entry = shard.hit(at);
    let version = entry.version;
    visit(Some(entry));
    Some(version)
}

/// Fetches what is in the cache closer, and tells the engine beneath of the rest.
pub(super) fn expect(cached: &Cached, keys: &[KeyRef<'_>]) {
    let mut missing: SmallVec<[KeyRef<'_>; 16]> = SmallVec::new();
    for chunk in keys.chunks(AHEAD) {
        let (places, locked) = lock_ahead(cached, chunk);
        let is_there = |(key, place): &(&KeyRef<'_>, &Place)| {
            let shard = locked.iter().find(|(shard, _)| *shard == place.shard);
            shard.is_some_and(|(_, shard)| shard.table().find(place.hash, key).is_some())
        };
        missing.extend(chunk.iter().zip(&places).filter(|pair| !is_there(pair)).map(|(key, _)| *key));
    }
    if !missing.is_empty() {
        cached.inner.expect(&missing);
    }
}

/// The shards of a few keys, each once.
type Locked<'c> = SmallVec<[(u32, MutexGuard<'c, Shard>); AHEAD]>;

/// Locks the shards of a few keys without waiting, and has what a search will touch fetched: each step
/// for all keys before the next. None is locked when one of the locks is held: whoever has some of them
/// must not wait for others.
#[inline]
fn lock_ahead<'c>(cached: &'c Cached, keys: &[KeyRef<'_>]) -> (SmallVec<[Place; AHEAD]>, Locked<'c>) {
    let places: SmallVec<[Place; AHEAD]> = keys.iter().map(|key| cached.place(key)).collect();
    let mut locked = Locked::new();
    let mut shards: SmallVec<[usize; AHEAD]> = SmallVec::new();
    for place in &places {
        let known = locked.iter().position(|(shard, _)| *shard == place.shard);
        shards.push(known.unwrap_or(locked.len()));
        if known.is_none() {
            let Some(shard) = cached.shards[place.shard as usize].try_lock() else {
                locked.clear();
                return (places, locked);
            };
            locked.push((place.shard, shard));
        }
    }
    let table = |at: &usize| locked[*at].1.table();
    shards.iter().zip(&places).for_each(|(at, place)| table(at).prefetch_bucket(place.hash));
    shards.iter().zip(&places).for_each(|(at, place)| table(at).prefetch_node(place.hash));
    shards.iter().zip(&places).for_each(|(at, place)| table(at).prefetch_entry(place.hash));
    (places, locked)
}

/// Asks now: what this comes to is there at once, or later.
fn started<'a>(answer: impl Future<Output = Result<Seen>> + Send + 'a) -> Eventual<'a, Seen> {
    let mut answer = Box::pin(answer);
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Eventual::Now(result),
        Poll::Pending => Eventual::Later(answer),
    }
}

/// Reads from the engine beneath, and keeps what may be kept.
async fn load(
    cached: &Cached,
    keys: &[KeyRef<'_>],
    isolation: Isolation,
    now_ms: u64,
    (tickets, visit): (Tickets, &mut Visit<'_>),
) -> Result<Seen> {
    let mut loaded: SmallVec<[(usize, Ticket, Entry); 1]> = SmallVec::new();
    let mut keep_and_show = |index: usize, entry: Option<EntryRef<'_>>| {
        if let (Some(entry), Some(ticket)) = (&entry, tickets[index])
            && can_be_kept(&keys[index])
        {
            loaded.push((index, ticket, Entry::copy(keys[index].key, keys[index].member, entry)));
        }
        visit(index, entry);
    };
    let seen = cached.inner.read(keys, isolation, now_ms, &mut keep_and_show).await?;
    for (index, ticket, entry) in loaded {
        cached.keep(&keys[index], ticket, entry);
    }
    Ok(seen)
}

/// Whether an entry can have this key.
pub(super) fn can_be_kept(key: &KeyRef<'_>) -> bool {
    key.key.len() <= MAX_NAME_BYTES && key.member.len() <= MAX_NAME_BYTES
}

/// A hit that has to wait for its turn behind a miss.
struct Held {
    index: usize,
    value: Bytes,
    kind: Kind,
    version: Version,
    expires_at_ms: Option<u64>,
}

impl Held {
    fn new(index: usize, entry: &EntryRef<'_>) -> Self {
        let EntryRef { value, kind, version, expires_at_ms } = *entry;
        Self { index, value: value.to_bytes(), kind, version, expires_at_ms }
    }

    fn show(&self, visit: &mut Visit<'_>) {
        let value = match self.value.len() > SHARED_VALUE_BYTES {
            true => ValueRef::Shared(&self.value),
            false => ValueRef::Inline(&self.value),
        };
        let (kind, version, expires_at_ms) = (self.kind, self.version, self.expires_at_ms);
        visit(self.index, Some(EntryRef { value, kind, version, expires_at_ms }));
    }
}

/// Reads the keys from `first` on, of which the first at least is missing.
async fn some_missing(
    cached: &Cached,
    keys: &[KeyRef<'_>],
    first: usize,
    now_ms: u64,
    (mut sequence, visit): (Sequence, &mut Visit<'_>),
) -> Result<Seen> {
    let mut held: SmallVec<[Held; 4]> = SmallVec::new();
    let mut missing: SmallVec<[KeyRef<'_>; 8]> = SmallVec::new();
    let mut indexes: SmallVec<[usize; 8]> = SmallVec::new();
    let mut tickets: Tickets = SmallVec::new();
    for (index, key) in keys.iter().enumerate().skip(first) {
        let place = cached.place(key);
        let mut shard = cached.shards[place.shard as usize].lock();
        if let Some(at) = shard.find(&place, key, now_ms) {
            let entry = shard.hit(at);
            sequence = sequence.max(entry.version);
            held.push(Held::new(index, &entry));
            continue;
        }
        tickets.push(shard.miss(&place, now_ms));
        missing.push(*key);
        indexes.push(index);
    }
    let mut held = held.into_iter().peekable();
    let mut show_in_turn = |number: usize, entry: Option<EntryRef<'_>>| {
        let index = indexes[number];
        while let Some(before) = held.next_if(|held| held.index < index) {
            before.show(visit);
        }
        visit(index, entry);
    };
    let seen = load(cached, &missing, Isolation::Each, now_ms, (tickets, &mut show_in_turn)).await?;
    held.for_each(|rest| rest.show(visit));
    Ok(Seen { sequence: sequence.max(seen.sequence) })
}
