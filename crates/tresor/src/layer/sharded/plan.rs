//! What a batch over several shards asks of each, found before anything is changed.
//!
//! Databases have the shards' own numbers from here on; a swap inside the batch changes which those are
//! for what comes after it, and nothing else. Guards look at the state before the batch.

use std::sync::Arc;

use super::{
    core::Core,
    read,
    ring::hash_of_key,
    routes::Routes,
    wanted::{Before, Wanted},
    write::{physical, unguarded},
};
use crate::{
    engine::{Applied, Batch, Change, DatabaseTable, Guard, Isolation, Kept, KeyRef, Outcome, Sequence},
    error::Result,
};

/// What one shard has to do.
pub(super) struct Part<'a> {
    pub(super) number: u8,
    pub(super) changes: Vec<Change<'a>>,
    /// The place of each among all changes.
    pub(super) indexes: Vec<usize>,
}

impl Part<'_> {
    fn changes_something(&self) -> bool {
        self.changes.iter().any(|change| !matches!(change, Change::Check { .. }))
    }
}

/// A batch taken apart.
pub(super) struct Plan<'a> {
    pub(super) parts: Vec<Part<'a>>,
    /// The databases' numbers after it, if it changes them.
    pub(super) mapping: Option<DatabaseTable>,
    pub(super) blind: bool,
    pub(super) changes: usize,
    now_ms: u64,
    addresses: Vec<KeyRef<'a>>,
    before: Vec<Option<Kept>>,
    /// The highest number met so far.
    pub(super) sequence: Sequence,
}

impl<'a> Plan<'a> {
    /// Takes a batch apart and looks at its guards; the refusal if one fails. All stripes are held.
    pub(super) async fn make(
        core: &Core,
        routes: &Arc<Routes>,
        batch: Batch<'a>,
        now_ms: u64,
    ) -> Result<Result<Self, Outcome>> {
        let guarded: Vec<KeyRef<'a>> =
            batch.changes.iter().filter_map(Change::key).map(|key| routes.physical(key)).collect();
        let (parts, mapping) = split(routes, batch.changes);
        let mut addresses = guarded.clone();
        if mapping.is_some() {
            let changes = parts.iter().flat_map(|part| &part.changes);
            addresses.extend(changes.filter_map(Change::key));
        }
        let (before, sequence) = look(core, routes, &addresses, now_ms).await?;
        let keyed = batch.changes.iter().enumerate().filter(|(_, change)| change.key().is_some());
        for ((index, change), entry) in keyed.zip(&before) {
            let version = entry.as_ref().map(|entry| entry.version);
            if !holds(change.guard(), version) {
                return Ok(Err(Outcome { sequence, applied: Applied::Refused { index, version } }));
            }
        }
        let (blind, changes) = (batch.blind, batch.changes.len());
        Ok(Ok(Self { parts, mapping, blind, changes, now_ms, addresses, before, sequence }))
    }

    /// Whether it is one step without more ado: one shard has all that changes.
    pub(super) fn is_one_step(&self) -> bool {
        self.mapping.is_none() && self.parts.iter().filter(|part| part.changes_something()).count() <= 1
    }

    /// Whether what it does can be taken back: not what empties databases.
    pub(super) fn can_be_taken_back(&self) -> bool {
        let keyed = |part: &Part<'_>| part.changes.iter().all(|change| change.key().is_some());
        self.mapping.is_none() && self.parts.iter().all(keyed)
    }

    /// What the shards of these parts are to hold after it.
    pub(super) fn after(&self, core: &Core, parts: impl Fn(usize) -> bool) -> Vec<Wanted> {
        self.states(core, parts, Wanted::after)
    }

    /// What the shards of these parts held before it.
    pub(super) fn before(&self, core: &Core, parts: impl Fn(usize) -> bool) -> Vec<Wanted> {
        self.states(core, parts, Wanted::before)
    }

    fn states(
        &self,
        core: &Core,
        parts: impl Fn(usize) -> bool,
        state: fn(&str, &[Change<'_>], &Before<'_>, u64) -> Wanted,
    ) -> Vec<Wanted> {
        let before: Before<'_> =
            self.addresses.iter().copied().zip(self.before.iter().map(Option::as_ref)).collect();
        let parts = self.parts.iter().enumerate().filter(|(at, part)| parts(*at) && part.changes_something());
        parts
            .map(|(_, part)| state(&core.member(part.number).name, &part.changes, &before, self.now_ms))
            .collect()
    }
}

/// The parts of a batch, and the databases' numbers after it if it changes them.
fn split<'a>(routes: &Routes, changes: &[Change<'a>]) -> (Vec<Part<'a>>, Option<DatabaseTable>) {
    let mut parts: Vec<Part<'a>> = Vec::new();
    let mut mapping = routes.mapping;
    let mut swapped = false;
    for (index, change) in changes.iter().enumerate() {
        let mut give = |number: u8, change: Change<'a>| {
            let at = parts.iter().position(|part| part.number == number).unwrap_or_else(|| {
                parts.push(Part { number, changes: Vec::new(), indexes: Vec::new() });
                parts.len() - 1
            });
            parts[at].changes.push(change);
            parts[at].indexes.push(index);
        };
        match (change, change.key()) {
            (_, Some(key)) => give(routes.owner(key.key), unguarded(physical(change, mapping))),
            (Change::Swap { first, second }, None) => {
                mapping.swap(usize::from(*first), usize::from(*second));
                swapped = true;
            }
            (_, None) => routes.members.iter().for_each(|number| give(*number, physical(change, mapping))),
        }
    }
    (parts, swapped.then_some(mapping))
}

/// The entries at these addresses, in their order, and the highest number met.
async fn look(
    core: &Core,
    routes: &Routes,
    addresses: &[KeyRef<'_>],
    now_ms: u64,
) -> Result<(Vec<Option<Kept>>, Sequence)> {
    let mut groups: Vec<(u8, Vec<KeyRef<'_>>)> = Vec::new();
    let mut places = Vec::with_capacity(addresses.len());
    for address in addresses {
        let owner = routes.route(address.key, hash_of_key(address.key)).owner;
        let at = groups.iter().position(|group| group.0 == owner).unwrap_or_else(|| {
            groups.push((owner, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(*address);
        places.push(at);
    }
    let mut found = Vec::with_capacity(groups.len());
    let mut sequence = 0;
    for answer in read::ask(core, &groups, Isolation::Together, now_ms) {
        let answer = answer.await?;
        sequence = sequence.max(answer.sequence);
        found.push(answer.entries.into_iter());
    }
    let entry = |at: usize| found[at].next().expect("a shard answers for every key that it was asked for");
    Ok((places.into_iter().map(entry).collect(), sequence))
}

fn holds(guard: Guard, version: Option<u64>) -> bool {
    match guard {
        Guard::None => true,
        Guard::Absent => version.is_none(),
        Guard::Present => version.is_some(),
        Guard::Version(wanted) => version == Some(wanted),
    }
}
