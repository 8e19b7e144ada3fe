//! From snapshot and log back into tables, while nobody else has the store.
//!
//! A snapshot says how many entries come, so tables have their size before they are filled: growing
//! step by step hashes every key several times over. Entries come a few at a time, and what their
//! places in the tables miss in the cache is fetched for all of them together.

use smallvec::SmallVec;

use super::{
    ahead,
    keyspace::{Keyspace, SHARDS, Target, shard_of},
    shard::{Name, Shard},
    store::Store,
    table::Hasher,
};
use crate::{
    engine::{DATABASES, EntryRef, KeyRef, Version, step::Step},
    error::Result,
    oplog::{Logged, Replayed},
};

/// A store that is being loaded.
pub(super) struct Loading<'s> {
    store: &'s Store,
    /// Entries of the snapshot that are still to come.
    expected: u64,
    /// For how many entries each keyspace got room.
    reserved: [u64; DATABASES as usize],
}

impl<'s> Loading<'s> {
    pub(super) fn into(store: &'s Store) -> Self {
        Self { store, expected: 0, reserved: [0; DATABASES as usize] }
    }

    /// Does what snapshot and log say.
    pub(super) fn replay(&mut self, replayed: Replayed<'_>) -> Result<()> {
        match replayed {
            Replayed::Snapshot { mapping, entries } => {
                self.expected = entries;
                self.store.set_mapping(mapping);
            }
            Replayed::Entries(entries) => self.entries(entries),
            Replayed::Change { version, change, .. } => replay_change(self.store, version, change),
        }
        Ok(())
    }

    fn entries(&mut self, entries: &[(KeyRef<'_>, EntryRef<'_>)]) {
        for (key, _) in entries {
            self.make_room(key.database);
        }
        let keys: SmallVec<[KeyRef<'_>; 16]> = entries.iter().map(|(key, _)| *key).collect();
        ahead::expect(self.store, &keys);
        for (key, entry) in entries {
            let step = Step::Put {
                value: entry.value.bytes().into(),
                kind: entry.kind,
                expires_at_ms: entry.expires_at_ms,
            };
            replay_step(self.store, *key, &step, entry.version);
        }
        self.expected = self.expected.saturating_sub(entries.len() as u64);
    }

    /// Before a keyspace's first entry: nobody knows how many of those to come are its own, but one
    /// database that holds them all is the rule.
    fn make_room(&mut self, physical: u8) {
        let reserved = &mut self.reserved[usize::from(physical)];
        if *reserved == 0 && self.expected > 0 {
            *reserved = self.expected;
            let mean = self.expected as f64 / SHARDS as f64;
            // All but one shard in forty stay below two standard deviations above the mean.
            let most = (mean + 2.0 * mean.sqrt()).ceil() as usize;
            resize(self.store, self.store.keyspace(physical), |shard, hasher| shard.reserve(most, hasher));
        }
    }

    /// Gives back what was too much.
    pub(super) fn finish(self) {
        for (physical, keyspace) in self.store.all() {
            if keyspace.figures().keys < self.reserved[usize::from(physical)] / 2 {
                resize(self.store, keyspace, Shard::shrink);
            }
        }
    }
}

/// Changes the size of every table of a keyspace, and counts what that took or gave.
fn resize(store: &Store, keyspace: &Keyspace, change: impl Fn(&mut Shard, &Hasher)) {
    for number in 0..SHARDS {
        let mut shard = keyspace.lock(number);
        let before = shard.bytes();
        change(&mut shard, &store.hasher);
        store.limit.count(before, shard.bytes());
    }
}

fn replay_change(store: &Store, version: Version, change: Logged<'_>) {
    match change {
        Logged::Put { key, kind, expires_at_ms, value } => {
            replay_step(store, key, &Step::Put { value: value.into(), kind, expires_at_ms }, version);
        }
        Logged::Patch { key, offset, bytes } => {
            replay_step(store, key, &Step::Patch { offset, bytes: bytes.into() }, version);
        }
        Logged::Expire { key, expires_at_ms } => {
            replay_step(store, key, &Step::Expire(expires_at_ms), version)
        }
        Logged::Delete { key, .. } => replay_step(store, key, &Step::Delete, version),
        Logged::Clear { database } => {
            let keyspace = store.keyspace(database);
            for number in 0..SHARDS {
                let mut shard = keyspace.lock(number);
                let before = shard.bytes();
                drop(keyspace.clear(number, &mut shard, version));
                store.limit.count(before, shard.bytes());
            }
        }
        Logged::Mapping(mapping) => store.set_mapping(mapping),
        Logged::Adopt { key, version, kind, expires_at_ms, value } => {
            replay_step(store, key, &Step::Put { value: value.into(), kind, expires_at_ms }, version);
        }
        Logged::Lift { .. } => {}
    }
}

/// A patch or an expiry is skipped where the snapshot already has it, or something later.
fn replay_step(store: &Store, key: KeyRef<'_>, step: &Step<'_>, version: Version) {
    let hash = store.hasher.key(key.key);
    let name = Name { key: key.key, member: key.member, spot: store.hasher.spot(hash, key.member) };
    let number = shard_of(hash);
    let keyspace = store.keyspace(key.database);
    let mut shard = keyspace.lock(number);
    let place = shard.find(&name);
    let stored = place.and_then(|place| shard.entry(place)).map(|entry| entry.version());
    if matches!(step, Step::Patch { .. } | Step::Expire(_)) && stored.is_none_or(|stored| stored >= version) {
        return;
    }
    store.note(step);
    let before = shard.bytes();
    let target = Target { number, name, place, access: store.limit.first_access(), hasher: &store.hasher };
    keyspace.apply(target, &mut shard, step, version);
    store.limit.count(before, shard.bytes());
}
