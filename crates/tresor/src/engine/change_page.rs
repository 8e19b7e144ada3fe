//! Pages of the change feed: what a reader asks for, and what it is told.
//!
//! A page holds what it tells in one arena. It is bounded in changes and bytes, except that one change always
//! fits, and in how much of the log was looked through for it: a page may tell nothing and yet lead on.

use std::ops::Range;

use super::{
    change_cursor::ChangeCursor,
    entry::{EntryRef, Kind, Sequence, ValueRef, Version},
};

/// Bytes of keys and values after which a page is full.
const FULL_BYTES: usize = 256 * 1024;

/// What a reader of changes asks for.
#[derive(Clone, Copy, Debug)]
pub struct ChangesWanted<'a> {
    /// Of which database.
    pub database: u8,
    /// Of which keys: those that begin so.
    pub prefix: &'a [u8],
    /// Whether values are told, too.
    pub values: bool,
    /// Changes in one page; none only finds out where the cursor stands.
    pub limit: usize,
    /// Whether to wait until there is anything to look at.
    pub wait: bool,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// An entry was put, or its value or expiry changed.
    Set,
    /// Somebody deleted it. An engine that does not look may tell so of a key that was not there.
    Delete,
    /// Its time was over.
    Expire,
    /// It gave way to others for want of memory.
    Evict,
    /// The database was emptied.
    Clear,
    /// The database was swapped with another: every entry may be another now.
    Swap,
}

impl ChangeKind {
    /// As it is called in every protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Delete => "delete",
            Self::Expire => "expire",
            Self::Evict => "evict",
            Self::Clear => "clear",
            Self::Swap => "swap",
        }
    }
}

/// Numbers whose changes a reader has missed for good: it has to read the entries anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first.
    pub from: Sequence,
    /// The last.
    pub to: Sequence,
}

/// One change as it is told.
#[derive(Clone, Copy, Debug)]
pub struct ChangeRef<'a> {
    /// Its number.
    pub sequence: Sequence,
    /// What happened.
    pub kind: ChangeKind,
    /// To which key; empty where it happened to the whole database.
    pub key: &'a [u8],
    /// With which database it was swapped.
    pub with: Option<u8>,
    /// The database in which the entry stands now, whatever was swapped since.
    pub database: u8,
    /// The entry that the change itself says whole. None where values were not asked for, where nothing is left,
    /// and for changes of a part or of the expiry.
    pub entry: Option<EntryRef<'a>>,
}

/// A page of changes, in the order of their numbers. The gap, if there is one, comes before all of them.
#[derive(Clone, Debug, Default)]
pub struct ChangePage {
    arena: Vec<u8>,
    items: Vec<Item>,
    /// What was missed before the first change.
    pub gap: Option<Gap>,
    /// Everything up to here has been told or was not asked for.
    pub through: Sequence,
    /// Whether there is more to look at already.
    pub more: bool,
    /// Identifies the store, as in an ETag.
    pub store_id: u64,
    /// There was nothing to look at.
    pub(crate) idle: bool,
}

#[derive(Clone, Debug)]
struct Item {
    sequence: Sequence,
    kind: ChangeKind,
    key: Range<usize>,
    with: Option<u8>,
    database: u8,
    entry: Option<(Range<usize>, Kind, Version, Option<u64>)>,
}

impl ChangePage {
    /// Adds a change.
    pub fn push(&mut self, change: &ChangeRef<'_>) {
        let key = self.keep(change.key);
        let entry = change
            .entry
            .map(|entry| (self.keep(entry.value.bytes()), entry.kind, entry.version, entry.expires_at_ms));
        let ChangeRef { sequence, kind, with, database, .. } = *change;
        self.items.push(Item { sequence, kind, key, with, database, entry });
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }

    /// How many changes it tells.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it tells none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// Whether there is room for another change.
    pub(crate) fn has_room(&self, wanted: &ChangesWanted<'_>) -> bool {
        self.items.len() < wanted.limit && self.bytes() < FULL_BYTES
    }

    /// The same page before its first change.
    pub(crate) fn without_changes(&self) -> Self {
        let Self { gap, through, more, store_id, idle, .. } = *self;
        Self { arena: Vec::new(), items: Vec::new(), gap, through, more, store_id, idle }
    }

    /// Leaves this change and all behind it to the next page.
    pub(crate) fn end_before(&mut self, sequence: Sequence, cursor: &mut ChangeCursor) {
        cursor.rewind(sequence - 1);
        (self.through, self.more) = (cursor.through(), true);
    }

    /// The changes, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ChangeRef<'_>> {
        self.items.iter().map(|item| ChangeRef {
            sequence: item.sequence,
            kind: item.kind,
            key: &self.arena[item.key.clone()],
            with: item.with,
            database: item.database,
            entry: item.entry.as_ref().map(|(value, kind, version, expires_at_ms)| EntryRef {
                value: ValueRef::Inline(&self.arena[value.clone()]),
                kind: *kind,
                version: *version,
                expires_at_ms: *expires_at_ms,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_what_it_was_given() {
        let mut page = ChangePage::default();
        let value = ValueRef::Inline(b"value");
        let entry = EntryRef { value, kind: Kind::Json, version: 7, expires_at_ms: Some(9) };
        let change = ChangeRef {
            sequence: 7,
            kind: ChangeKind::Set,
            key: b"k",
            with: None,
            database: 0,
            entry: Some(entry),
        };
        page.push(&change);
        page.push(&ChangeRef {
            sequence: 8,
            kind: ChangeKind::Swap,
            key: b"",
            with: Some(3),
            database: 0,
            entry: None,
        });
        let told: Vec<_> = page.iter().collect();
        assert_eq!((told.len(), told[0].key, told[0].sequence), (2, &b"k"[..], 7));
        let entry = told[0].entry.expect("it has a value");
        assert_eq!((entry.value.bytes(), entry.kind, entry.version), (&b"value"[..], Kind::Json, 7));
        assert_eq!((told[1].kind, told[1].with, page.bytes()), (ChangeKind::Swap, Some(3), 6));
    }

    #[test]
    fn a_page_has_room_for_one_change_of_any_size() {
        let wanted = ChangesWanted { database: 0, prefix: b"", values: true, limit: 2, wait: false };
        let mut page = ChangePage::default();
        assert!(page.has_room(&wanted));
        page.push(&ChangeRef {
            sequence: 1,
            kind: ChangeKind::Delete,
            key: &vec![b'x'; FULL_BYTES],
            with: None,
            database: 0,
            entry: None,
        });
        assert!(!page.has_room(&wanted));
    }
}
