//! One of a keyspace's many small locked shards: a table, its deadlines and its counts.
//!
//! Everything here runs under the shard's lock and touches nothing but the shard. Numbers, the log
//! and the memory limit are the engine's; a shard only applies what was decided.

use super::{
    deadlines::Deadlines,
    entry::{Entry, EntryView, Parts},
    table::{Hasher, Place, Spot, Table},
};
use crate::engine::{Kind, Sequence, Version, step::patched};

/// An entry's address inside a shard.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) key: &'a [u8],
    pub(super) member: &'a [u8],
    pub(super) spot: Spot,
}

/// What a put writes.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) value: &'a [u8],
    pub(super) kind: Kind,
    pub(super) version: Version,
    pub(super) expires_at_ms: Option<u64>,
}

/// A table with what must be kept beside it.
#[derive(Default)]
pub(super) struct Shard {
    table: Table,
    deadlines: Deadlines,
    entry_bytes: usize,
    expiring: u32,
    /// The moments at which these expire, added up modulo 2^64, which those of a shard stay far below.
    expiry_sum_ms: u64,
    /// The number of the latest removal: what an absent key's reader may have observed.
    pub(super) removed: Sequence,
    /// The soonest deadline as the keyspace has it; see [`Shard::due_changed`].
    told_due_ms: u64,
    /// Numbers set aside for this shard where no log gives them: the next one, and the end.
    pub(super) numbers: (Sequence, Sequence),
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn expiring(&self) -> usize {
        self.expiring as usize
    }

    /// The moments at which these expire, added up, in Unix milliseconds.
    pub(super) fn expiry_sum_ms(&self) -> u64 {
        self.expiry_sum_ms
    }

    /// Bytes of entries, table and deadlines.
    pub(super) fn bytes(&self) -> usize {
        self.entry_bytes + self.side_bytes()
    }

    /// Bytes of table and deadlines.
    pub(super) fn side_bytes(&self) -> usize {
        self.table.table_bytes() + self.deadlines.bytes()
    }

    /// The time from which on [`Self::next_expired`] may answer, if it is another than last told.
    #[inline]
    pub(super) fn due_changed(&mut self) -> Option<u64> {
        let due_ms = self.deadlines.next_ms();
        (due_ms != self.told_due_ms).then(|| {
            self.told_due_ms = due_ms;
            due_ms
        })
    }

    #[inline]
    pub(super) fn find(&self, name: &Name<'_>) -> Option<Place> {
        self.table.find(name.spot, name.key, name.member)
    }

    #[inline]
    pub(super) fn entry(&self, place: Place) -> Option<EntryView<'_>> {
        self.table.slot(place).entry()
    }

    #[inline]
    pub(super) fn access(&self, place: Place) -> u8 {
        self.table.slot(place).access()
    }

    #[inline]
    pub(super) fn set_access(&mut self, place: Place, access: u8) {
        self.table.slot_mut(place).set_access(access);
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// Writes a whole entry. `place` is where `find` found the old one, expired or not.
    /// Returns whether the table has a key more than before.
    #[inline]
    pub(super) fn put(
        &mut self,
        name: &Name<'_>,
        place: Option<Place>,
        content: &Content<'_>,
        access: u8,
        hasher: &Hasher,
    ) -> bool {
        let parts = Parts {
            key: name.key,
            member: name.member,
            value: content.value,
            kind: content.kind,
            version: content.version,
            expires_at_ms: content.expires_at_ms,
        };
        let Some(place) = place else {
            let entry = Entry::new(&parts);
            self.entry_bytes += entry.view().size();
            self.table.insert(name.spot, entry, access, hasher);
            self.expiry_changed(None, content.expires_at_ms, name.spot.position, hasher);
            return true;
        };
        let slot = self.table.slot_mut(place);
        let before = slot.entry().map_or((0, None), |entry| (entry.size(), entry.expires_at_ms()));
        let in_place = slot.entry_mut().is_some_and(|mut entry| entry.overwrite(&parts));
        if !in_place {
            let entry = Entry::new(&parts);
            self.entry_bytes = self.entry_bytes + entry.view().size() - before.0;
            let access = slot.access();
            *slot = super::entry::Slot::full(entry, name.spot.tag, access);
        }
        if before.1.is_some() || content.expires_at_ms.is_some() {
            self.expiry_changed(before.1, content.expires_at_ms, name.spot.position, hasher);
        }
        false
    }

    /// Writes bytes into a value; the entry becomes raw and keeps its expiry.
    pub(super) fn patch(&mut self, name: &Name<'_>, place: Place, patch: &Patch<'_>, hasher: &Hasher) {
        let slot = self.table.slot_mut(place);
        let raw = slot.entry().is_some_and(|entry| entry.read().kind == Kind::Raw);
        if let Some(mut entry) = slot.entry_mut().filter(|_| raw)
            && entry.write_over(patch.offset, patch.bytes)
        {
            entry.set_version(patch.version);
            return;
        }
        let Some((value, expires_at_ms)) = slot.entry().map(|entry| {
            let read = entry.read();
            (patched(read.value.bytes(), patch.offset, patch.bytes), read.expires_at_ms)
        }) else {
            return;
        };
        let content = Content { value: &value, kind: Kind::Raw, version: patch.version, expires_at_ms };
        self.put(name, Some(place), &content, 0, hasher);
    }

    /// Sets or removes an entry's expiry.
    pub(super) fn expire(
        &mut self,
        name: &Name<'_>,
        place: Place,
        expires_at_ms: Option<u64>,
        version: Version,
        hasher: &Hasher,
    ) {
        let slot = self.table.slot_mut(place);
        let before = slot.entry().and_then(|entry| entry.expires_at_ms());
        if let (Some(at_ms), Some(mut entry)) = (expires_at_ms, slot.entry_mut())
            && entry.set_expiry(at_ms)
        {
            entry.set_version(version);
            self.expiry_changed(before, expires_at_ms, name.spot.position, hasher);
            return;
        }
        let Some(read) = self.table.slot(place).entry().map(EntryView::read) else { return };
        let (value, kind) = (read.value.to_bytes(), read.kind);
        let content = Content { value: &value, kind, version, expires_at_ms };
        self.put(name, Some(place), &content, 0, hasher);
    }

    /// Makes room in the table for so many entries in all.
    pub(super) fn reserve(&mut self, entries: usize, hasher: &Hasher) {
        self.table.reserve(entries, hasher);
    }

    /// Gives back room that was made for more entries than came.
    pub(super) fn shrink(&mut self, hasher: &Hasher) {
        self.table.shrink(hasher);
    }

    /// Removes an entry; `version` is the removal's number.
    pub(super) fn remove(&mut self, place: Place, version: Version, hasher: &Hasher) {
        if let Some(entry) = self.table.remove(place) {
            self.entry_bytes -= entry.view().size();
            self.count_expiry(entry.view().expires_at_ms(), None);
        }
        self.table.shrink(hasher);
        if self.expiring == 0 {
            self.deadlines = Deadlines::default();
        }
        self.removed = self.removed.max(version);
    }

    /// Removes everything; what it was is returned, to be dropped outside the lock.
    pub(super) fn clear(&mut self, version: Version) -> Table {
        self.entry_bytes = 0;
        self.expiring = 0;
        self.expiry_sum_ms = 0;
        self.deadlines = Deadlines::default();
        self.removed = self.removed.max(version);
        std::mem::take(&mut self.table)
    }

    /// An entry that has expired, if there is one that is not yet removed.
    pub(super) fn next_expired(&mut self, now_ms: u64) -> Option<Place> {
        while let Some((first, last)) = self.deadlines.pop_due(now_ms) {
            // A group may begin between the two.
            let mut near = self.table.places_near(first).chain(self.table.places_near(last));
            let expired = near.find(|place| self.entry(*place).is_some_and(|entry| entry.is_expired(now_ms)));
            if let Some(place) = expired {
                // Others near here may have expired too: keep the note until there is none.
                self.deadlines.push(now_ms.saturating_sub(512), first);
                return Some(place);
            }
        }
        None
    }

    /// Gives back the memory of notes that [`Self::next_expired`] took. Once it answers `None`.
    pub(super) fn forget_notes_taken(&mut self) {
        self.deadlines.shrink();
    }

    #[inline]
    fn expiry_changed(&mut self, before: Option<u64>, after: Option<u64>, position: u32, hasher: &Hasher) {
        self.count_expiry(before, after);
        let Some(expires_at_ms) = after else {
            if self.expiring == 0 {
                self.deadlines = Deadlines::default();
            }
            return;
        };
        if before != after {
            self.deadlines.push(expires_at_ms, position);
            if self.deadlines.is_stale(self.expiring as usize) {
                self.rebuild_deadlines(hasher);
            }
        }
    }

    #[inline]
    fn count_expiry(&mut self, before: Option<u64>, after: Option<u64>) {
        self.expiring = self.expiring + u32::from(after.is_some()) - u32::from(before.is_some());
        self.expiry_sum_ms =
            self.expiry_sum_ms.wrapping_add(after.unwrap_or(0)).wrapping_sub(before.unwrap_or(0));
    }

    fn rebuild_deadlines(&mut self, hasher: &Hasher) {
        let entries = self.table.iter().filter_map(|entry| {
            let (key, member) = entry.name();
            Some((entry.expires_at_ms()?, hasher.spot(hasher.key(key), member).position))
        });
        self.deadlines.rebuild(entries);
    }
}

/// Bytes to be written into a value.
#[derive(Clone, Copy)]
pub(super) struct Patch<'a> {
    pub(super) offset: usize,
    pub(super) bytes: &'a [u8],
    pub(super) version: Version,
}
