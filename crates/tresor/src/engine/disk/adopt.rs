//! Entries that come from another store as they are: under their versions, with later numbers above them.

use super::{address, store::Store, stored, write::eventually};
use crate::{
    engine::{EntryRef, Eventual, KeyRef, Kind, Page, Sequence},
    oplog::{Logged, Refused},
};

/// Puts entries as they are; later only when the log has no room at hand.
pub(super) fn adopt<'a>(
    store: &'a Store,
    entries: &'a Page,
    above: Sequence,
    now_ms: u64,
) -> Eventual<'a, Sequence> {
    eventually(store, move || {
        store.check_open().map_err(Refused::Failed)?;
        store.space.take(entries.bytes()).map_err(Refused::Failed)?;
        let highest = entries.iter().map(|(_, entry)| entry.version).max().unwrap_or(0);
        let mut sequence = store.log.lift(now_ms, highest.max(above))?;
        for (key, entry) in entries.iter() {
            sequence = sequence.max(adopt_one(store, key, &entry, now_ms)?);
        }
        Ok(sequence)
    })
}

/// Puts one entry; its change's number, or 0 if what is there stays.
fn adopt_one(store: &Store, key: KeyRef<'_>, entry: &EntryRef<'_>, now_ms: u64) -> Result<Sequence, Refused> {
    let (hold, _locked) = store.hold_key(key).map_err(Refused::Failed)?;
    let whole = hold.whole();
    let physical = whole.physical(key.database);
    let address = address::encode(key).map_err(Refused::Failed)?;
    let there = whole.get(physical, &address).map_err(Refused::Failed)?;
    if there.as_ref().is_some_and(|there| there.version >= entry.version) {
        return Ok(0);
    }
    let EntryRef { kind, version, expires_at_ms, .. } = *entry;
    let (value, key) = (entry.value.bytes(), KeyRef { database: physical, ..key });
    let number = store.log.append(now_ms, &[Logged::Adopt { key, version, kind, expires_at_ms, value }])?;
    // Who does not find it any more must wait for this change too.
    store.note_removal(key.key, number);
    let mut changes = whole.tables.changes();
    let was_due_ms = there.and_then(|there| there.expires_at_ms);
    if let Some(at_ms) = was_due_ms.filter(|_| was_due_ms != expires_at_ms) {
        changes.forget_due(at_ms, physical, &address);
    }
    if kind == Kind::Packed {
        store.note_packed(&mut changes);
    }
    changes.put(physical, &address, stored::encode(value, kind, version, expires_at_ms), expires_at_ms);
    changes.commit().map_err(|error| Refused::Failed(store.poisoned(&error)))?;
    Ok(number)
}
