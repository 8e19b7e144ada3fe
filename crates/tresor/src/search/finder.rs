//! Running a query: page by page over the engine, a slice at a time, with turns for others between.
//!
//! An entry that is there from a query's first page to its last is found exactly once; one that comes or goes
//! meanwhile may be found or not. No lock is held between two slices, and a page ends when it is full, when
//! its values are large, or when very much was looked at: then it may be empty and still have a cursor.

use std::{collections::BTreeSet, ops::Bound};

use bytes::Bytes;

use super::{
    condition::Verdict,
    cursor,
    neighbours::Neighbours,
    plan::{Plan, Values},
    query::Query,
};
use crate::{
    engine::{EntryRef, KeyRef, Kind, Order, Position, Scan, Version},
    error::{Error, Result},
    session::Session,
};

/// Entries of a slice: what is read, written or deleted before others have their turn.
pub(crate) const SLICE_ENTRIES: usize = 128;

/// Bytes of values that are looked at before others have their turn.
const SLICE_BYTES: usize = 256 * 1024;

/// A page ends when its keys and values are this many bytes together.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// A page ends when so many keys were looked at.
const LOOKED_AT: u64 = 1_000_000;

/// An entry that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its key.
    pub key: Vec<u8>,
    /// Its value and kind, if values were asked for.
    pub value: Option<(Bytes, Kind)>,
    /// The number of its last change.
    pub version: Version,
    /// When it expires, in Unix milliseconds; `None` for never.
    pub expires_at_ms: Option<u64>,
    /// How far its vector is from the one searched with.
    pub distance: Option<f64>,
}

/// A page of what was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundPage {
    /// The entries, in the order of the query.
    pub entries: Vec<Found>,
    /// What to go on with; `None` when this was the last page.
    pub cursor: Option<String>,
    /// How many were left out because they cannot be read as a condition wants it: text that is no number, a value
    /// that is no vector of these dimensions.
    pub skipped: u64,
}

impl Found {
    /// An entry that is looked at; its value comes along until it is known what becomes of it.
    fn candidate(key: &[u8], entry: &EntryRef<'_>) -> Self {
        Self {
            key: key.to_vec(),
            value: Some((entry.value.to_bytes(), entry.kind)),
            version: entry.version,
            expires_at_ms: entry.expires_at_ms,
            distance: None,
        }
    }

    /// The value's bytes; empty without one.
    pub(super) fn value_bytes(&self) -> &[u8] {
        self.value.as_ref().map_or(&[], |(value, _)| value)
    }

    /// What it takes in memory, keys and values.
    pub(super) fn bytes(&self) -> usize {
        self.key.len() + self.value_bytes().len()
    }

    /// Without its value, unless that was asked for.
    pub(super) fn asked_for(mut self, query: &Query) -> Self {
        self.value = self.value.filter(|_| query.with_values);
        self
    }
}

/// A slice of what is to be looked at.
struct Slice {
    candidates: Vec<Found>,
    looked_at: u64,
    next: Option<Position>,
}

impl Session {
    /// How a query is run here.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a query that was said wrong, and
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the engine knows no key order.
    pub fn plan<'q>(&self, query: &'q Query) -> Result<Plan<'q>> {
        let mut plan = Plan::of(query, &self.engine().capabilities())?;
        // An index knows nothing of what a transaction has written and not committed.
        if !self.is_in_transaction() {
            plan.choose_index(&self.core().indexes, self.selected());
        }
        Ok(plan)
    }

    /// One page of a query over the selected database, from the beginning or from the cursor of the page
    /// before. Between [`enter`](Self::enter) and [`leave`](Self::leave), as a read.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a query that was said wrong and a cursor that is none of its
    /// own, and whatever the engine fails with.
    pub async fn find(&mut self, query: &Query, cursor: Option<&[u8]>) -> Result<FoundPage> {
        let plan = self.plan(query)?;
        if query.nearest.is_some() {
            return self.find_nearest(query, &plan, cursor).await;
        }
        let run = self.core().start.run_id.clone();
        let database = self.selected();
        let mut position = match cursor {
            Some(cursor) => Some(cursor::read(query, database, &run, cursor)?),
            None => Some(Position::Start),
        };
        let (mut page, limit) = (FoundPage::default(), query.page_limit());
        let (mut bytes, mut looked_at, mut judged_bytes) = (0, 0, 0);
        let is_full = |page: &FoundPage, bytes: usize| page.entries.len() >= limit || bytes >= PAGE_BYTES;
        while let Some(from) = position.take() {
            let wanted = SLICE_ENTRIES.min(limit - page.entries.len());
            // In any order a page can only end where a slice does; and what is not judged any more all matches.
            let is_exact = plan.order == Order::Any || (!query.judges_values() && query.key_tests.is_empty());
            let entries = if is_exact { wanted } else { SLICE_ENTRIES };
            let slice = self.slice(query, &plan, from, entries).await?;
            position = slice.next;
            looked_at += slice.looked_at;
            let mut candidates = slice.candidates.into_iter();
            while let Some(candidate) = candidates.next() {
                self.breathe_after(&mut judged_bytes, &candidate).await;
                match query.verdict(candidate.value_bytes()) {
                    Verdict::Differs => continue,
                    Verdict::Unreadable => page.skipped += 1,
                    Verdict::Matches => {
                        let found = candidate.asked_for(query);
                        bytes += found.bytes();
                        page.entries.push(found);
                    }
                }
                if is_full(&page, bytes) && plan.order != Order::Any && candidates.len() > 0 {
                    position = page.entries.last().map(|found| behind(&found.key));
                    break;
                }
            }
            if is_full(&page, bytes) || looked_at >= LOOKED_AT {
                break;
            }
            if position.is_some() {
                self.breathe().await;
            }
        }
        page.cursor = position.and_then(|position| cursor::write(query, database, &run, &position));
        Ok(page)
    }

    async fn find_nearest(
        &mut self,
        query: &Query,
        plan: &Plan<'_>,
        cursor: Option<&[u8]>,
    ) -> Result<FoundPage> {
        if cursor.is_some() {
            return Err(Error::invalid(
                "the nearest are one page: there is no cursor, raise the limit instead",
            ));
        }
        if let Some(page) = self.find_near(query, plan).await? {
            return Ok(page);
        }
        let mut neighbours = Neighbours::new(query)?;
        let mut position = Some(Position::Start);
        while let Some(from) = position.take() {
            let slice = self.slice(query, plan, from, SLICE_ENTRIES).await?;
            position = slice.next;
            self.meet_all(&mut neighbours, slice.candidates).await?;
        }
        Ok(neighbours.into_page())
    }

    /// Looks at entries that may be near, with turns for others.
    pub(super) async fn meet_all(
        &mut self,
        neighbours: &mut Neighbours<'_>,
        candidates: Vec<Found>,
    ) -> Result<()> {
        let mut judged_bytes = 0;
        for candidate in candidates {
            self.breathe_after(&mut judged_bytes, &candidate).await;
            match neighbours.query.verdict(candidate.value_bytes()) {
                Verdict::Differs => {}
                Verdict::Unreadable => neighbours.skip(),
                Verdict::Matches => neighbours.meet(candidate)?,
            }
        }
        self.breathe().await;
        Ok(())
    }

    /// Gives others their turn if with this one too many bytes of values were looked at since they had it.
    async fn breathe_after(&mut self, judged_bytes: &mut usize, candidate: &Found) {
        *judged_bytes += candidate.value_bytes().len();
        if *judged_bytes > SLICE_BYTES {
            *judged_bytes = 0;
            self.breathe().await;
        }
    }

    /// Reads what comes next of what may match by its key; values come where the plan wants them.
    async fn slice(
        &mut self,
        query: &Query,
        plan: &Plan<'_>,
        from: Position,
        mut entries: usize,
    ) -> Result<Slice> {
        if let Some(named) = plan.named() {
            return self.slice_of_keys((query, named), plan.order, &from, entries).await;
        }
        if query.range.is_empty() {
            return Ok(Slice { candidates: Vec::new(), looked_at: 0, next: None });
        }
        let (lower, upper) = query.range.bounds();
        loop {
            let scan = Scan {
                position: from.clone(),
                lower,
                upper,
                ..Scan::all(self.selected(), plan.order, plan.content(), entries)
            };
            let mut page = self.scan(&scan).await?;
            let (mut next, looked_at) = (page.next.take(), page.len() as u64);
            let matching = page.iter().filter(|(key, _)| key.member.is_empty() && query.takes_key(key.key));
            if plan.values != Values::OfMatches {
                let candidates = matching.map(|(key, entry)| Found::candidate(key.key, &entry)).collect();
                return Ok(Slice { candidates, looked_at, next });
            }
            let keys: Vec<&[u8]> = matching.map(|(key, _)| key.key).collect();
            let (mut candidates, mut taken) = self.candidates(&keys).await?;
            if taken < keys.len() && plan.order != Order::Any {
                next = taken.checked_sub(1).map(|last| behind(keys[last]));
            } else if taken < keys.len() && entries > 1 {
                // Nobody can go on in the middle of a page in any order: a shorter one, then.
                let fitting = page.iter().take_while(|(key, _)| key.key != keys[taken]).count();
                entries = fitting.min(entries - 1).max(1);
                continue;
            }
            while taken < keys.len() && plan.order == Order::Any {
                let (more, further) = self.candidates(&keys[taken..]).await?;
                candidates.extend(more);
                taken += further;
            }
            return Ok(Slice { candidates, looked_at, next });
        }
    }

    /// The same of keys that are named one by one.
    async fn slice_of_keys(
        &mut self,
        (query, named): (&Query, &BTreeSet<Vec<u8>>),
        order: Order,
        from: &Position,
        entries: usize,
    ) -> Result<Slice> {
        let last = match from {
            Position::Behind { key, .. } => Bound::Excluded(key.as_slice()),
            _ => Bound::Unbounded,
        };
        let is_wanted = |key: &&[u8]| query.takes_key(key);
        // One more than there is room for, to know whether there is more.
        let keys: Vec<&[u8]> = match order {
            Order::Descending => {
                let rest = named.range::<[u8], _>((Bound::Unbounded, last)).rev();
                rest.map(Vec::as_slice).filter(is_wanted).take(entries + 1).collect()
            }
            Order::Any | Order::Ascending => {
                let rest = named.range::<[u8], _>((last, Bound::Unbounded));
                rest.map(Vec::as_slice).filter(is_wanted).take(entries + 1).collect()
            }
        };
        let (candidates, taken) = self.candidates(&keys[..keys.len().min(entries)]).await?;
        let next =
            (taken < keys.len()).then(|| taken.checked_sub(1).map(|last| behind(keys[last]))).flatten();
        Ok(Slice { candidates, looked_at: taken as u64, next })
    }

    /// The entries of keys, as far as they are there and fit into a page; of how many of the keys, one at least.
    pub(super) async fn candidates(&mut self, keys: &[&[u8]]) -> Result<(Vec<Found>, usize)> {
        let database = self.selected();
        let keys: Vec<KeyRef<'_>> = keys.iter().map(|key| KeyRef::new(database, key)).collect();
        let (mut candidates, mut bytes, mut taken) = (Vec::with_capacity(keys.len()), 0, 0);
        self.look_at(&keys, |place, entry| {
            if bytes < PAGE_BYTES {
                taken = place + 1;
                let found = entry.map(|entry| Found::candidate(keys[place].key, &entry));
                bytes += found.as_ref().map_or(0, Found::bytes);
                candidates.extend(found);
            }
        })
        .await?;
        Ok((candidates, taken))
    }
}

fn behind(key: &[u8]) -> Position {
    Position::Behind { key: key.to_vec(), member: Vec::new() }
}

impl Query {
    /// Whether a value is one of those that are looked for.
    fn verdict(&self, value: &[u8]) -> Verdict {
        let mut verdict = Verdict::Matches;
        for condition in &self.values {
            match condition.verdict(value) {
                Verdict::Differs => return Verdict::Differs,
                Verdict::Unreadable => verdict = Verdict::Unreadable,
                Verdict::Matches => {}
            }
        }
        verdict
    }
}
