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
    engine::{Applied, Effect, KeyRef, Removal},
    error::{Error, ErrorKind, Result},
    oplog::Refused,
};

/// Between two looks at whether the tables are written out.
const WRITING_OUT: Duration = Duration::from_millis(2);

/// Entries that are removed together; writers of their keys wait as long.
const TOGETHER: usize = 64;

/// Removes what has expired.
pub(super) fn sweep(store: &Store, time: &StoreTime, stop: &AtomicBool) {
    let goes_on = || !stop.load(Ordering::Acquire) && !store.removals.expired_is_kept();
    while goes_on() && store.check_open().is_ok() {
        match sweep_some(store, time) {
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
fn sweep_some(store: &Store, time: &StoreTime) -> Result<bool, Refused> {
    let due = store.read().and_then(|whole| whole.tables.due(time.now_ms(), TOGETHER));
    let due = due.map_err(Refused::Failed)?;
    let Some(first) = due.first() else { return Ok(false) };
    remove(store, &due, time.now_ms()).inspect_err(|_| {
        if let Ok(whole) = store.read() {
            whole.tables.due_again(first.at_ms);
        }
    })?;
    Ok(due.len() == TOGETHER)
}

/// Removes those of these entries that have expired, as one change of the log and of the tables, and the rows of
/// all.
fn remove(store: &Store, due: &[Due], now_ms: u64) -> Result<(), Refused> {
    let keys: Vec<(Vec<u8>, Vec<u8>)> = due
        .iter()
        .map(|due| address::decode(&due.address).ok_or_else(no_address))
        .collect::<Result<_, _>>()?;
    let key = |at: usize| KeyRef { database: due[at].physical, key: &keys[at].0, member: &keys[at].1 };
    let mut hold = Hold::Shared(store.read().map_err(Refused::Failed)?);
    let _locked = store.lock_all((0..due.len()).map(key));
    let (mut planned, mut gone) = (Vec::new(), Vec::new());
    let mut out_of_date = hold.whole().tables.changes();
    for (at, Due { at_ms, physical, address }) in due.iter().enumerate() {
        let stored = hold.whole().get(*physical, address).map_err(Refused::Failed)?;
        if stored.is_some_and(|stored| stored.expires_at_ms == Some(*at_ms)) {
            planned.push(write::removal(key(at), address.clone(), *at_ms));
            gone.push(key(at));
        } else {
            // It was written again, with another expiry or none.
            out_of_date.forget_due(*at_ms, *physical, address);
        }
    }
    out_of_date.commit().map_err(Refused::Failed)?;
    let effects = smallvec::smallvec![Effect { existed: true, version: 0 }; planned.len()];
    let outcome = write::finish(store, &mut hold, now_ms, &planned, effects, 0)?;
    let Applied::Whole(effects) = outcome.applied else { return Ok(()) };
    for (key, effect) in gone.iter().zip(effects) {
        let database = hold.whole().mapping.iter().position(|mapped| *mapped == key.database);
        if let Some(database) = database {
            store.removals.note(
                Removal::Expired,
                KeyRef { database: database as u8, ..*key },
                effect.version,
            );
        }
    }
    Ok(())
}

fn no_address() -> Refused {
    Refused::Failed(Error::new(ErrorKind::Internal, "a row of the expiries has no address"))
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
