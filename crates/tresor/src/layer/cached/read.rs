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
        if let Some(at) = shard.find(&place, key, now_ms) {
            let entry = shard.hit(at);
            let sequence = entry.version;
            visit(0, Some(entry));
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
        let places = places_ahead(cached, chunk);
        for (at, (key, place)) in chunk.iter().zip(&places).enumerate() {
            let index = number * AHEAD + at;
            let mut shard = cached.shards[place.shard as usize].lock();
            let Some(found) = shard.find(place, key, now_ms) else {
                drop(shard);
                return started(some_missing(cached, keys, index, now_ms, (sequence, visit)));
            };
            let entry = shard.hit(found);
            sequence = sequence.max(entry.version);
            visit(index, Some(entry));
        }
    }
    Eventual::Now(Ok(Seen { sequence }))
}

/// Fetches what is in the cache closer, and tells the engine beneath of the rest.
pub(super) fn expect(cached: &Cached, keys: &[KeyRef<'_>]) {
    let mut missing: SmallVec<[KeyRef<'_>; 16]> = SmallVec::new();
    for chunk in keys.chunks(AHEAD) {
        let places = places_ahead(cached, chunk);
        let absent = |(key, place): &(&KeyRef<'_>, &Place)| {
            cached.shards[place.shard as usize].lock().table().find(place.hash, key).is_none()
        };
        missing.extend(chunk.iter().zip(&places).filter(absent).map(|(key, _)| *key));
    }
    if !missing.is_empty() {
        cached.inner.expect(&missing);
    }
}

/// The places of a few keys, and has what a search for them will touch fetched, if their locks are
/// free: each step for all keys before the next.
#[inline]
fn places_ahead(cached: &Cached, keys: &[KeyRef<'_>]) -> SmallVec<[Place; AHEAD]> {
    let places: SmallVec<[Place; AHEAD]> = keys.iter().map(|key| cached.place(key)).collect();
    let mut shards: SmallVec<[Option<MutexGuard<'_, Shard>>; AHEAD]> = SmallVec::new();
    for place in &places {
        let shard = cached.shards[place.shard as usize].try_lock();
        if let Some(shard) = &shard {
            shard.table().prefetch_bucket(place.hash);
        }
        shards.push(shard);
    }
    for (shard, place) in shards.iter().zip(&places) {
        if let Some(shard) = shard {
            shard.table().prefetch_node(place.hash);
        }
    }
    for (shard, place) in shards.iter().zip(&places) {
        if let Some(shard) = shard {
            shard.table().prefetch_entry(place.hash);
        }
    }
    places
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
    let mut show = |index: usize, entry: Option<EntryRef<'_>>| {
        if let (Some(entry), Some(ticket)) = (&entry, tickets[index])
            && can_be_kept(&keys[index])
        {
            loaded.push((index, ticket, Entry::copy(keys[index].key, keys[index].member, entry)));
        }
        visit(index, entry);
    };
    let seen = cached.inner.read(keys, isolation, now_ms, &mut show).await?;
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
    let mut show = |number: usize, entry: Option<EntryRef<'_>>| {
        let index = indexes[number];
        while let Some(before) = held.next_if(|held| held.index < index) {
            before.show(visit);
        }
        visit(index, entry);
    };
    let seen = load(cached, &missing, Isolation::Each, now_ms, (tickets, &mut show)).await?;
    held.for_each(|rest| rest.show(visit));
    Ok(Seen { sequence: sequence.max(seen.sequence) })
}
