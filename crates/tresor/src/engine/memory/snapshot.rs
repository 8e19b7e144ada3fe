//! Snapshots without fork: a pass over all shards, each copied under its lock and written outside it.
//!
//! The pass may see a change or not; the log from the snapshot's start on has every change, and doing
//! one again is harmless. A shard is copied at a time, so the pass needs little memory and holds no
//! lock for long, and it runs at the lowest priority, so that clients come first on a busy core.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    keyspace::{Keyspace, SHARDS, Target, shard_of},
    shard::Name,
    step::Step,
    store::Store,
};
use crate::{
    engine::{Content, KeyRef, Page, Version},
    error::{Error, ErrorKind, Result},
    oplog::{Logged, Replayed, SnapshotWriter},
};

/// Writes a snapshot; abandons it when `stop` is set.
pub(super) fn take(store: &Store, stop: &AtomicBool) -> Result<()> {
    let Some(log) = &store.log else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "there is nowhere to save to: start with --store-path",
        ));
    };
    let mut writer = log.begin_snapshot()?;
    for (physical, keyspace) in store.all() {
        for number in 0..SHARDS {
            if stop.load(Ordering::Acquire) {
                writer.abandon();
                return Err(Error::new(ErrorKind::Unavailable, "the store is closing"));
            }
            write_shard(keyspace, physical, number, &mut writer)?;
        }
    }
    writer.finish(store.mapping())?;
    Ok(())
}

fn write_shard(keyspace: &Keyspace, physical: u8, number: usize, writer: &mut SnapshotWriter) -> Result<()> {
    let mut copy = Page::new(physical);
    {
        let shard = keyspace.lock(number);
        // Expired ones too: a command that began earlier may still lift an expiry, and what the log then
        // says is of use only over the entry.
        for entry in shard.table().iter() {
            let (key, member) = entry.name();
            copy.push(key, member, &entry.read(), Content::Entries);
        }
    }
    for (key, entry) in copy.iter() {
        writer.entry(key, &entry)?;
    }
    Ok(())
}

/// Puts the calling thread behind all others. Where the system does not let it, snapshots cost more.
pub(super) fn lower_priority() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), 19) {
        tracing::debug!(%error, "the saving thread keeps its priority");
    }
}

/// Does what the log says, while nobody else has the store.
pub(super) fn replay(store: &Store, replayed: Replayed<'_>) -> Result<()> {
    match replayed {
        Replayed::Mapping(mapping) => store.set_mapping(mapping),
        Replayed::Entry { key, entry } => {
            let step = Step::Put {
                value: entry.value.bytes().into(),
                kind: entry.kind,
                expires_at_ms: entry.expires_at_ms,
            };
            replay_step(store, key, &step, entry.version);
        }
        Replayed::Change { version, change, .. } => replay_change(store, version, change),
    }
    Ok(())
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
        Logged::Delete { key } => replay_step(store, key, &Step::Delete, version),
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
    let before = shard.bytes();
    let target = Target { number, name, place, access: store.limit.first_access(), hasher: &store.hasher };
    keyspace.apply(target, &mut shard, step, version);
    store.limit.count(before, shard.bytes());
}
