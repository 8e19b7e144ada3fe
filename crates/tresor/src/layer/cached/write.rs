//! Writes: the keys leave the cache before the engine beneath hears of it, and may come back after.
//!
//! A [`Hold`] stands from before the call until its answer, or until the answer is dropped: then nobody
//! knows when the change is applied. A single put whose version is told is kept, because what was just
//! written is often read next; all else that is written has to be read first.

use smallvec::SmallVec;

use super::{
    Cached,
    read::can_be_kept,
    shard::{Place, Ticket},
};
use crate::{
    engine::{
        Applied, Batch, Change, Each, Edit, EntryRef, Eventual, Expires, KeyRef, Outcome, Page, Sequence,
        ValueRef, memory::Entry,
    },
    error::{ErrorKind, Result},
};

/// Keys, and perhaps all of them, that are kept out of the cache while a write is on its way.
struct Hold<'a> {
    cached: &'a Cached,
    places: SmallVec<[Place; 2]>,
    /// The only key's right to be kept afterwards.
    ticket: Option<Ticket>,
    all: bool,
    /// Whether the outcome is known.
    known: bool,
}

impl<'a> Hold<'a> {
    fn new(cached: &'a Cached) -> Self {
        Self { cached, places: SmallVec::new(), ticket: None, all: false, known: false }
    }

    fn of_changes(cached: &'a Cached, changes: &[Change<'_>], now_ms: u64) -> Self {
        let mut hold = Self::new(cached);
        let mut databases: SmallVec<[u8; 4]> = SmallVec::new();
        for change in changes {
            match change {
                Change::Clear { database } => databases.push(*database),
                Change::Swap { first, second } => databases.extend([*first, *second]),
                Change::Check { .. } => {}
                Change::Put { key, .. }
                | Change::Patch { key, .. }
                | Change::Expire { key, .. }
                | Change::Delete { key, .. } => hold.add(key, now_ms),
            }
        }
        if !databases.is_empty() {
            hold.add_all(&databases);
        }
        hold
    }

    fn add(&mut self, key: &KeyRef<'_>, now_ms: u64) {
        let place = self.cached.place(key);
        let (taken, ticket) = self.cached.shards[place.shard as usize].lock().begin(&place, key, now_ms);
        self.cached.room.give(taken);
        self.places.push(place);
        self.ticket = ticket;
    }

    fn add_all(&mut self, databases: &[u8]) {
        self.all = true;
        for shard in &self.cached.shards {
            let taken = shard.lock().begin_all(databases);
            self.cached.room.give(taken);
        }
    }

    /// After the answer. The only key's right to be kept is returned.
    fn end(mut self, known: bool) -> Option<Ticket> {
        self.known = known;
        if self.places.len() == 1 { self.ticket } else { None }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        for place in &self.places {
            self.cached.shards[place.shard as usize].lock().end(place, self.known);
        }
        if self.all {
            self.cached.shards.iter().for_each(|shard| shard.lock().end_all(self.known));
        }
    }
}

/// Whether an answer says what was applied. Of the other errors nothing is, now or later.
fn is_known<T>(result: &Result<T>) -> bool {
    result.as_ref().err().is_none_or(|error| {
        !matches!(error.kind(), ErrorKind::UnknownOutcome | ErrorKind::Unavailable | ErrorKind::Internal)
    })
}

/// Writes a batch.
pub(super) fn write<'a>(cached: &'a Cached, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
    let hold = Hold::of_changes(cached, batch.changes, now_ms);
    match cached.inner.write(batch, now_ms) {
        Eventual::Now(result) => Eventual::Now(written(hold, (batch, now_ms), result)),
        later => Eventual::later(async move {
            let result = later.await;
            written(hold, (batch, now_ms), result)
        }),
    }
}

/// Ends a hold, and keeps what was written if it is known.
fn written(hold: Hold<'_>, (batch, now_ms): (Batch<'_>, u64), result: Result<Outcome>) -> Result<Outcome> {
    let cached = hold.cached;
    let ticket = hold.end(is_known(&result));
    let outcome = result?;
    if let Applied::Refused { index, .. } = outcome.applied
        && let Some(Change::Check { key, .. }) = batch.changes.get(index)
    {
        // Values that are encrypted anew get versions that the cache does not hear of: whoever was refused
        // for that has to see the new one when he reads again.
        let mut forgotten = Hold::new(cached);
        forgotten.add(key, now_ms);
        forgotten.end(true);
    }
    if let (Some(ticket), Some((key, entry))) = (ticket, put_alone(&batch, &outcome)) {
        cached.keep(&key, ticket, entry);
    }
    Ok(outcome)
}

/// The entry that a batch has left behind, if it was one put and everything about it is known.
fn put_alone<'a>(batch: &Batch<'a>, outcome: &Outcome) -> Option<(KeyRef<'a>, Entry)> {
    let (false, [Change::Put { key, value, kind, expires, .. }]) = (batch.blind, batch.changes) else {
        return None;
    };
    let Applied::Whole(effects) = &outcome.applied else { return None };
    let expires_at_ms = match expires {
        Expires::Never => None,
        Expires::At(at_ms) => Some(*at_ms),
        Expires::Keep => return None,
    };
    let version = effects.first()?.version;
    let entry = EntryRef { value: ValueRef::Inline(value), kind: *kind, version, expires_at_ms };
    can_be_kept(key).then(|| (*key, Entry::copy(key.key, key.member, &entry)))
}

/// Writes changes each for itself. Their versions are not told: they only leave the cache.
pub(super) fn write_each<'a>(
    cached: &'a Cached,
    changes: &'a [Change<'a>],
    now_ms: u64,
) -> Eventual<'a, Each> {
    let hold = Hold::of_changes(cached, changes, now_ms);
    let end = move |result: Result<Each>| {
        // A failure of one may be of any kind: rarely worth a closer look.
        hold.end(result.as_ref().is_ok_and(|each| each.failures.is_empty()));
        result
    };
    match cached.inner.write_each(changes, now_ms) {
        Eventual::Now(result) => Eventual::Now(end(result)),
        later => Eventual::later(async move { end(later.await) }),
    }
}

/// Updates an entry.
pub(super) fn update<'a>(
    cached: &'a Cached,
    key: KeyRef<'a>,
    now_ms: u64,
    edit: &'a mut Edit<'_>,
) -> Eventual<'a, Outcome> {
    let mut hold = Hold::new(cached);
    hold.add(&key, now_ms);
    ending(hold, cached.inner.update(key, now_ms, edit))
}

/// Takes entries in as they are.
pub(super) fn adopt<'a>(
    cached: &'a Cached,
    entries: &'a Page,
    above: Sequence,
    now_ms: u64,
) -> Eventual<'a, Sequence> {
    let mut hold = Hold::new(cached);
    entries.iter().for_each(|(key, _)| hold.add(&key, now_ms));
    ending(hold, cached.inner.adopt(entries, above, now_ms))
}

fn ending<'a, T: Unpin + Send + 'a>(hold: Hold<'a>, answer: Eventual<'a, T>) -> Eventual<'a, T> {
    match answer {
        Eventual::Now(result) => {
            hold.end(is_known(&result));
            Eventual::Now(result)
        }
        later => Eventual::later(async move {
            let result = later.await;
            hold.end(is_known(&result));
            result
        }),
    }
}
