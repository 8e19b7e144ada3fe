//! What the disk engine does in the background: removing what has expired, and checkpoints.
//!
//! A checkpoint makes the tables durable and is a snapshot without entries in the log: the next start
//! does again what the log has behind it. Expired entries are found by the table of expiries; a row
//! there may be out of date, so the entry itself decides.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::{
    address,
    store::{Hold, Store},
    tables::Due,
    write,
};
use crate::{
    clock::StoreTime,
    engine::{KeyRef, Removal, Removals},
    error::{Error, ErrorKind, Result},
    oplog::Refused,
};

/// Between two looks at whether the tables are written out.
const WRITING_OUT: Duration = Duration::from_millis(2);

/// Rows of the table of expiries that are looked at together.
const TOGETHER: usize = 256;

/// Removes what has expired.
pub(super) fn sweep(store: &Store, removals: &Removals, time: &StoreTime, stop: &AtomicBool) {
    let goes_on = || !stop.load(Ordering::Acquire) && !removals.expired_is_kept();
    while goes_on() && store.check_open().is_ok() {
        match sweep_some(store, removals, time) {
            Ok(true) => {}
            // The log has no room: entries stay, absent to readers, until the next sweep.
            Ok(false) | Err(Refused::NoRoom { .. }) => return,
            Err(Refused::Failed(error)) => {
                tracing::warn!(%error, "expired entries could not be removed; they stay absent to readers");
                return;
            }
        }
    }
}

/// Whether there may be more to do.
fn sweep_some(store: &Store, removals: &Removals, time: &StoreTime) -> Result<bool, Refused> {
    let now_ms = time.now_ms();
    let due = store.read().and_then(|whole| whole.tables.due(now_ms, TOGETHER)).map_err(Refused::Failed)?;
    let more = due.len() == TOGETHER;
    for due in due {
        remove(store, removals, due, time.now_ms())?;
    }
    Ok(more)
}

fn remove(store: &Store, removals: &Removals, due: Due, now_ms: u64) -> Result<(), Refused> {
    let Due { at_ms, physical, address } = due;
    let Some((key, member)) = address::decode(&address) else {
        return Err(Refused::Failed(Error::new(ErrorKind::Internal, "a row of the expiries has no address")));
    };
    let mut hold = Hold::Shared(store.read().map_err(Refused::Failed)?);
    let _locked = store.lock(&key);
    let stored = hold.whole().get(physical, &address).map_err(Refused::Failed)?;
    if stored.is_none_or(|stored| stored.expires_at_ms != Some(at_ms)) {
        // It was written again, with another expiry or none.
        let mut changes = hold.whole().tables.changes();
        changes.forget_due(at_ms, physical, &address);
        return changes.commit().map_err(Refused::Failed);
    }
    let key = KeyRef { database: physical, key: &key, member: &member };
    let planned = [write::removal(key, address, at_ms)];
    let effect = crate::engine::Effect { existed: true, version: 0 };
    let outcome = write::finish(store, &mut hold, now_ms, &planned, smallvec::smallvec![effect], 0)?;
    if let Some(database) = hold.whole().mapping.iter().position(|mapped| *mapped == physical) {
        let key = KeyRef { database: database as u8, ..key };
        removals.note(Removal::Expired, key, outcome.sequence);
    }
    Ok(())
}

/// Makes the tables durable through everything that is in the log now, so that a start need not do it
/// again and the log's older part can go. Gives up once the flag is set. The tables are held only for
/// moments, so that a Clear, and whoever comes after it, need not wait until all is written out.
pub(super) fn checkpoint(store: &Store, stop: &AtomicBool) -> Result<()> {
    let writer = store.log.begin_snapshot()?;
    // Changes that are in the log by now are in the tables once their calls have let go.
    let mapping = store.settle()?;
    store.read()?.tables.write_out()?;
    while store.read()?.tables.is_writing_out()? {
        if stop.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Unavailable, "the store is closing"));
        }
        thread::park_timeout(WRITING_OUT);
    }
    store.read()?.tables.sync()?;
    writer.finish(mapping).map(drop)
}
