//! Snapshots without fork: a pass over all shards, each copied under its lock and written outside it.
//!
//! The pass may see a change or not; the log from the snapshot's start on has every change, and doing
//! one again is harmless. A shard is copied at a time, so the pass needs little memory and holds no
//! lock for long, and it runs at the lowest priority, so that clients come first on a busy core.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    keyspace::{Keyspace, SHARDS},
    store::Store,
};
use crate::{
    engine::{Content, Page},
    error::{Error, ErrorKind, Result},
    oplog::SnapshotWriter,
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
