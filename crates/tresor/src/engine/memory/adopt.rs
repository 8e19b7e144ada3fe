//! Entries that come from another store as they are: under their versions, with later numbers above them.
//!
//! First the counter is lifted, then each entry is put under its shard's lock, as a change with a number of
//! its own that nobody sees but the log. Doing it again does nothing: what is there already stays.

use super::store::Store;
use crate::{
    engine::{
        EntryRef, Eventual, KeyRef, Page, Sequence,
        step::{Step, retry},
    },
    oplog::{Logged, Refused},
};

/// Puts entries as they are; later only when the log has no room at hand.
pub(super) fn adopt<'a>(
    store: &'a Store,
    entries: &'a Page,
    above: Sequence,
    now_ms: u64,
) -> Eventual<'a, Sequence> {
    match try_adopt(store, entries, above, now_ms) {
        Ok(sequence) => Eventual::Now(Ok(sequence)),
        Err(Refused::Failed(error)) => Eventual::Now(Err(error)),
        Err(Refused::NoRoom { bytes }) => Eventual::later(retry(
            move |bytes| store.room(bytes),
            bytes,
            move || try_adopt(store, entries, above, now_ms),
        )),
    }
}

fn try_adopt(store: &Store, entries: &Page, above: Sequence, now_ms: u64) -> Result<Sequence, Refused> {
    let highest = entries.iter().map(|(_, entry)| entry.version).max().unwrap_or(0);
    let mut sequence = store.lift(now_ms, highest.max(above))?;
    for (key, entry) in entries.iter() {
        store.make_room(now_ms)?;
        sequence = sequence.max(adopt_one(store, key, &entry, now_ms)?);
    }
    Ok(sequence)
}

/// Puts one entry; its change's number, or 0 if what is there stays.
fn adopt_one(store: &Store, key: KeyRef<'_>, entry: &EntryRef<'_>, now_ms: u64) -> Result<Sequence, Refused> {
    let mut address = store.address(key);
    let (keyspace, mut shard) = store.lock(&mut address, key.database);
    let place = shard.find(&address.name);
    if place.and_then(|place| shard.entry(place)).is_some_and(|there| there.version() >= entry.version) {
        return Ok(0);
    }
    let EntryRef { kind, version, expires_at_ms, .. } = *entry;
    let value = entry.value.bytes();
    let logged = Logged::Adopt { key: address.physical_key(), version, kind, expires_at_ms, value };
    let number = store.number_all(now_ms, 1, std::iter::once(logged))?;
    let step = Step::Put { value: value.into(), kind, expires_at_ms };
    store.apply(keyspace, &mut shard, (&address, place), &step, (version, now_ms));
    // Who does not find it any more must wait for this change too.
    shard.removed = shard.removed.max(number);
    Ok(number)
}
