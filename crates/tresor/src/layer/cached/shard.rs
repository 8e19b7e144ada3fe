//! One locked part of the cache: entries, the stripes that say which of them may be kept, counters.
//!
//! Whatever is decided here is decided and done under one lock: a ticket is given with the miss that it
//! is for, and looked at with the insertion.

use super::{
    stripe::Stripe,
    table::{NODE_BYTES, Table},
};
use crate::engine::{EntryRef, KeyRef, memory::Entry};

/// Where an address belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) shard: u32,
    pub(super) stripe: u32,
    pub(super) hash: u32,
}

/// The right to keep what is read from now on, as long as no write begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) place: Place,
    of_stripe: u64,
    of_all: u64,
}

/// What has been going on.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) evictions: u64,
}

/// Entries and bytes that were taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

impl Taken {
    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.bytes += size_of_entry(entry);
    }
}

/// Bytes that an entry costs, with what it takes to find it.
pub(super) fn size_of_entry(entry: &Entry) -> usize {
    entry.view().size() + NODE_BYTES
}

/// One of the cache's shards.
pub(super) struct Shard {
    table: Table,
    pub(super) figures: Figures,
    /// Of writes that concern every key.
    all: Stripe,
    stripes: Box<[Stripe]>,
}

impl Shard {
    pub(super) fn new(stripes: usize) -> Self {
        let stripes = vec![Stripe::default(); stripes].into_boxed_slice();
        Self { table: Table::default(), figures: Figures::default(), all: Stripe::default(), stripes }
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// The number of an entry that is there and has not expired.
    #[inline]
    pub(super) fn find(&self, place: &Place, key: &KeyRef<'_>, now_ms: u64) -> Option<u32> {
        let at = self.table.find(place.hash, key)?;
        self.table.entry(at).filter(|entry| !entry.view().is_expired(now_ms)).map(|_| at)
    }

    /// An entry that was found, which becomes the last used one.
    #[inline]
    pub(super) fn hit(&mut self, at: u32) -> EntryRef<'_> {
        self.figures.hits += 1;
        self.table.touch(at);
        self.table.entry(at).expect("what was found is there until the lock is left").view().read()
    }

    /// The right to keep what is read now; `None` while a write is on its way.
    #[inline]
    pub(super) fn miss(&mut self, place: &Place, now_ms: u64) -> Option<Ticket> {
        self.figures.misses += 1;
        self.ticket(place, now_ms)
    }

    fn ticket(&mut self, place: &Place, now_ms: u64) -> Option<Ticket> {
        let stripe = &mut self.stripes[place.stripe as usize];
        let quiet = self.all.is_quiet(now_ms) && stripe.is_quiet(now_ms);
        quiet.then(|| Ticket { place: *place, of_stripe: stripe.generation(), of_all: self.all.generation() })
    }

    /// Whether no write has begun since the ticket was given.
    pub(super) fn holds(&self, ticket: &Ticket) -> bool {
        self.stripes[ticket.place.stripe as usize].generation() == ticket.of_stripe
            && self.all.generation() == ticket.of_all
    }

    /// Keeps an entry; what it takes the place of is returned.
    pub(super) fn insert(&mut self, place: &Place, key: &KeyRef<'_>, entry: Entry) -> Taken {
        let taken = self.take(place, key);
        self.table.insert(place.hash, key.database, entry);
        taken
    }

    /// Before a write of this key. The ticket is the writer's, to keep what it writes.
    pub(super) fn begin(&mut self, place: &Place, key: &KeyRef<'_>, now_ms: u64) -> (Taken, Option<Ticket>) {
        let quiet = self.ticket(place, now_ms).is_some();
        let stripe = &mut self.stripes[place.stripe as usize];
        stripe.begin();
        let ticket = Ticket { place: *place, of_stripe: stripe.generation(), of_all: self.all.generation() };
        (self.take(place, key), quiet.then_some(ticket))
    }

    /// After it.
    pub(super) fn end(&mut self, place: &Place, known: bool) {
        self.stripes[place.stripe as usize].end(known);
    }

    /// Before a write of whole databases.
    pub(super) fn begin_all(&mut self, databases: &[u8]) -> Taken {
        self.all.begin();
        self.take_databases(databases)
    }

    /// After it.
    pub(super) fn end_all(&mut self, known: bool) {
        self.all.end(known);
    }

    /// Forgets everything, and what is being read.
    pub(super) fn forget(&mut self, databases: &[u8]) -> Taken {
        self.all.void();
        self.take_databases(databases)
    }

    /// Makes room.
    pub(super) fn evict(&mut self) -> Option<Taken> {
        let entry = self.table.remove_oldest()?;
        self.figures.evictions += 1;
        let mut taken = Taken::default();
        taken.add(&entry);
        Some(taken)
    }

    fn take(&mut self, place: &Place, key: &KeyRef<'_>) -> Taken {
        let found = self.table.find(place.hash, key);
        let mut taken = Taken::default();
        if let Some(entry) = found.and_then(|at| self.table.remove(at)) {
            taken.add(&entry);
        }
        taken
    }

    fn take_databases(&mut self, databases: &[u8]) -> Taken {
        let mut taken = Taken::default();
        for at in self.table.places_of(databases) {
            if let Some(entry) = self.table.remove(at) {
                taken.add(&entry);
            }
        }
        taken
    }
}
