//! The cache layer: the entries that were used last, in memory, in front of an engine that is slower.
//!
//! Promise: whoever reads through the cache sees what a reader of the engine beneath could have seen
//! between call and answer. Invariant: while an entry is in the cache, it is what the engine beneath has
//! under that key. A write takes its keys out *before* the engine beneath hears of it, and voids the
//! tickets of readers on their way; a reader takes its ticket before it asks, and what it was told is
//! kept only if the ticket still holds, looked at under the lock under which it is kept; and while a
//! write of a key is on its way, no ticket for it is given. So what is kept was read after the last write
//! had been answered, and before the next began. From that follows the rest:
//!
//! - A hit is the newest value at the moment of its lock, and no reader goes back behind another.
//! - Hits of several keys under all their locks at once are of one moment: [`Isolation::Together`].
//! - A write's own value may be kept when it was answered, if no other write of the key was on its way.
//! - A reader that is dropped leaves nothing behind; a dropped or unanswered write keeps its keys out of
//!   the cache until it can be on its way no more (`stripe.rs`).
//! - Clear and Swap do for all keys what a write does for one. A failed save may have taken back
//!   what had been visible (`durable`, `save`): then everything is forgotten.
//!
//! It rests on being alone: what others write beneath (other servers on a cluster), and what the engine
//! beneath evicts for want of memory, the cache does not hear of. What is evicted here is the least
//! recently used entry of a shard; a cache of up to 8191 entries, or below 8 MiB, has only one.
//! What was measured: `docs/decisions/0009-cache.md`.

mod read;
mod room;
mod shard;
mod stripe;
mod table;
mod write;

use std::sync::Arc;

use parking_lot::Mutex;
use siphasher::sip::SipHasher13;

use self::{
    room::Room,
    shard::{Place, Shard, Ticket, size_of_entry},
};
use crate::{
    engine::{
        Batch, CacheStatus, Capabilities, Change, ChangeCursor, ChangePage, ChangesWanted, Count, DATABASES,
        Each, Edit, Engine, Eventual, Isolation, KeyRef, Outcome, Page, Removals, Scan, Seen, Sequence,
        Status, Visit, memory::Entry,
    },
    error::{Error, ErrorKind, Result},
};
pub use room::Capacity;
pub use stripe::UNKNOWN_MS;

/// Stripes of all shards together: how many keys apart a write does not keep from being cached.
const STRIPES: usize = 4096;

/// All databases.
const ALL: [u8; DATABASES as usize] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// A cache in front of an engine.
pub struct Cached {
    inner: Arc<dyn Engine>,
    hasher: SipHasher13,
    room: Room,
    shards: Box<[Mutex<Shard>]>,
}

impl Cached {
    /// Puts a cache in front of `inner`, to which all writes must come through it. Fails only where the
    /// system has no random numbers.
    pub fn new(inner: Arc<dyn Engine>, capacity: Capacity) -> Result<Self> {
        let shards = capacity.shards();
        let shard = || Mutex::new(Shard::new(STRIPES / shards));
        Ok(Self {
            inner,
            hasher: SipHasher13::new_with_keys(random_word()?, random_word()?),
            room: Room::new(capacity),
            shards: (0..shards).map(|_| shard()).collect(),
        })
    }

    /// How the cache is doing.
    pub fn cache_status(&self) -> CacheStatus {
        let mut status = self.room.status();
        for shard in &self.shards {
            let figures = shard.lock().figures;
            status.hits += figures.hits;
            status.misses += figures.misses;
            status.evictions += figures.evictions;
        }
        status
    }

    #[inline]
    fn place(&self, key: &KeyRef<'_>) -> Place {
        let mut hash = self.hasher.hash(key.key);
        if !key.member.is_empty() {
            hash ^= self.hasher.hash(key.member).rotate_left(32);
        }
        // An odd number, so that the databases' entries of one key are apart.
        hash ^= u64::from(key.database).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let shards = self.shards.len() as u32;
        let number = (hash >> 52) as u32;
        Place { shard: number % shards, stripe: number / shards, hash: hash as u32 }
    }

    /// Keeps what was read or written with this ticket, if it still holds.
    fn keep(&self, key: &KeyRef<'_>, ticket: Ticket, entry: Entry) {
        let place = ticket.place;
        let bytes = size_of_entry(&entry);
        if !self.room.could_hold(bytes) {
            return;
        }
        self.room.take(1, bytes);
        if self.make_room(place.shard as usize) {
            let mut shard = self.shards[place.shard as usize].lock();
            if shard.holds(&ticket) {
                let taken = shard.insert(&place, key, entry);
                self.room.give(taken);
                return;
            }
        }
        self.room.give(shard::Taken { entries: 1, bytes });
    }

    /// Evicts until everything that has taken room fits: of this shard first. False if it never does,
    /// because others have taken room for what they are about to keep.
    fn make_room(&self, first: usize) -> bool {
        for number in 0..self.shards.len() {
            if self.room.fits() {
                return true;
            }
            let mut shard = self.shards[(first + number) % self.shards.len()].lock();
            while !self.room.fits() {
                match shard.evict() {
                    Some(taken) => self.room.give(taken),
                    None => break,
                }
            }
        }
        self.room.fits()
    }

    /// Forgets everything, as what was visible may have been taken back.
    #[cold]
    fn forget(&self) {
        for shard in &self.shards {
            let taken = shard.lock().forget(&ALL);
            self.room.give(taken);
        }
    }

    /// Forgets everything if an answer that promised something is an error.
    fn forget_if_failed<'a>(&'a self, answer: Eventual<'a, ()>) -> Eventual<'a, ()> {
        match answer {
            Eventual::Now(Ok(())) => Eventual::Now(Ok(())),
            Eventual::Now(Err(error)) => {
                self.forget();
                Eventual::Now(Err(error))
            }
            later => Eventual::later(async move { later.await.inspect_err(|_| self.forget()) }),
        }
    }
}

impl Engine for Cached {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    #[inline]
    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        match keys {
            [key] => read::one(self, keys, key, now_ms, visit),
            _ if isolation == Isolation::Together => read::together(self, keys, now_ms, visit),
            _ => read::each(self, keys, now_ms, visit),
        }
    }

    fn expect(&self, keys: &[KeyRef<'_>]) {
        read::expect(self, keys);
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        self.inner.scan(scan, now_ms)
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        write::write(self, batch, now_ms)
    }

    fn write_each<'a>(&'a self, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
        write::write_each(self, changes, now_ms)
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        write::update(self, key, now_ms, edit)
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, now_ms: u64) -> Eventual<'a, Sequence> {
        write::adopt(self, entries, above, now_ms)
    }

    fn changes<'a>(
        &'a self,
        cursor: &'a mut ChangeCursor,
        wanted: &'a ChangesWanted<'a>,
    ) -> Eventual<'a, ChangePage> {
        self.inner.changes(cursor, wanted)
    }

    #[inline]
    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        self.forget_if_failed(self.inner.durable(upto))
    }

    fn count(&self, database: u8) -> Eventual<'_, Count> {
        self.inner.count(database)
    }

    fn status(&self) -> Eventual<'_, Status> {
        let with_cache = |status: Status| Status { cache: Some(self.cache_status()), ..status };
        match self.inner.status() {
            Eventual::Now(result) => Eventual::Now(result.map(with_cache)),
            later => Eventual::later(async move { Ok(with_cache(later.await?)) }),
        }
    }

    fn tell_removals(&self, removals: &Arc<Removals>) -> bool {
        self.inner.tell_removals(removals)
    }

    fn save(&self) -> Eventual<'_, ()> {
        self.forget_if_failed(self.inner.save())
    }

    fn close(&self) -> Eventual<'_, ()> {
        // A write of everything that never ends: from now on only the engine beneath answers.
        for shard in &self.shards {
            let taken = shard.lock().begin_all(&ALL);
            self.room.give(taken);
        }
        self.inner.close()
    }
}

fn random_word() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Internal, "the system gives no random numbers").caused_by(error)
    })?;
    Ok(u64::from_le_bytes(bytes))
}
