//! What a batch makes of the rows that it was shown: pure, so that it can be asked as often as a
//! compare-and-set has to be tried.
//!
//! All changes of a batch concern one key, so all rows stand in one partition. Guards are looked at
//! first, against the rows as they were read; then the changes are applied in order, each with a
//! number of its own.

use std::borrow::Cow;

use bytes::Bytes;
use smallvec::SmallVec;
use tresor::engine::{Applied, Change, Edited, Effect, Expires, Guard, KeyRef, Kind, Version};

use crate::row::{Address, Row};

/// One change of one entry, owned.
#[derive(Clone, Debug)]
pub(crate) struct OwnedChange {
    pub(crate) address: Address,
    pub(crate) guard: Guard,
    pub(crate) what: What,
    /// Whether nobody looks at the effects, and nothing hinders it.
    pub(crate) blind: bool,
}

/// What a change does.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Put {
        value: Bytes,
        kind: Kind,
        expires: Expires,
    },
    Patch {
        offset: usize,
        bytes: Bytes,
    },
    Expire(Option<u64>),
    Delete,
    Check,
    /// Writes down that there is nothing, with a version above one that was seen.
    Bury {
        above: Version,
    },
}

impl OwnedChange {
    /// `None` for changes of whole databases. `blind` if nobody looks at the effects.
    pub(crate) fn of(change: &Change<'_>, blind: bool) -> Option<Self> {
        let what = match *change {
            Change::Put { value, kind, expires, .. } => {
                What::Put { value: Bytes::copy_from_slice(value), kind, expires }
            }
            Change::Patch { offset, bytes, .. } => {
                What::Patch { offset, bytes: Bytes::copy_from_slice(bytes) }
            }
            Change::Expire { expires_at_ms, .. } => What::Expire(expires_at_ms),
            Change::Delete { .. } => What::Delete,
            Change::Check { .. } => What::Check,
            Change::Clear { .. } | Change::Swap { .. } => return None,
        };
        let keeps = matches!(what, What::Put { expires: Expires::Keep, .. });
        let blind = blind && change.guard() == Guard::None && !keeps;
        Some(Self { address: Address::of(change.key()?), guard: change.guard(), what, blind })
    }

    /// The version that those of this change have to be above, where the rows have this one.
    pub(crate) fn above(&self, stored: Version) -> Version {
        match self.what {
            What::Bury { above } => stored.max(above),
            _ => stored,
        }
    }

    /// The change that an edit asks for, to be made only if the entry is still the one it saw.
    pub(crate) fn of_edit(key: KeyRef<'_>, guard: Guard, edited: Edited<'_>) -> Self {
        let owned = |bytes: Cow<'_, [u8]>| Bytes::from(bytes.into_owned());
        let what = match edited {
            Edited::Keep => What::Check,
            Edited::Put { value, kind, expires } => What::Put { value: owned(value), kind, expires },
            Edited::Patch { offset, bytes } => What::Patch { offset, bytes: owned(bytes) },
            Edited::Expire(expires_at_ms) => What::Expire(expires_at_ms),
            Edited::Delete => What::Delete,
        };
        Self { address: Address::of(key), guard, what, blind: false }
    }
}

/// The rows that a batch concerns: each address once, with what was read.
pub(crate) type Rows = SmallVec<[(Address, Row); 1]>;

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// The rows as they shall be; those that the batch leaves alone say so by their old version.
    pub(crate) rows: Rows,
    pub(crate) applied: Applied,
    /// Whether anything changes at all.
    pub(crate) changes: bool,
}

/// Applies changes to rows as they were read; change i gets the number `first + i`.
pub(crate) fn plan(changes: &[OwnedChange], read: &Rows, first: Version, now_ms: u64) -> Planned {
    for (index, change) in changes.iter().enumerate() {
        let row = find(read, &change.address);
        let version = row.is_live(now_ms).then_some(row.version);
        if !holds(change.guard, version) {
            let applied = Applied::Refused { index, version };
            return Planned { rows: read.clone(), applied, changes: false };
        }
    }
    let mut rows = read.clone();
    let mut effects = SmallVec::new();
    let mut changed = false;
    for (index, change) in changes.iter().enumerate() {
        let Some((_, row)) = rows.iter_mut().find(|(address, _)| *address == change.address) else {
            unreachable!("every address of the batch was read")
        };
        let existed = row.is_live(now_ms);
        let written = apply(&change.what, row, now_ms);
        if written {
            row.version = first + index as Version;
            changed = true;
        }
        let version = if written || existed { row.version } else { 0 };
        effects.push(Effect { existed, version });
    }
    Planned { rows, applied: Applied::Whole(effects), changes: changed }
}

fn find<'r>(rows: &'r Rows, address: &Address) -> &'r Row {
    match rows.iter().find(|(other, _)| other == address) {
        Some((_, row)) => row,
        None => unreachable!("every address of the batch was read"),
    }
}

/// Changes the row; `false` when it stays as it is.
fn apply(what: &What, row: &mut Row, now_ms: u64) -> bool {
    let live = row.is_live(now_ms);
    match what {
        What::Put { value, kind, expires } => {
            row.expires_at_ms = match expires {
                Expires::Never => None,
                Expires::At(at) => Some(*at),
                Expires::Keep => row.expires_at_ms.filter(|_| live),
            };
            row.value = Some(value.clone());
            row.kind = *kind;
        }
        What::Patch { offset, bytes } => {
            if !live {
                row.expires_at_ms = None;
            }
            let before = row.value.take().filter(|_| live);
            row.value = Some(patched(before.as_deref().unwrap_or_default(), *offset, bytes));
            row.kind = Kind::Raw;
        }
        What::Expire(expires_at_ms) if live => row.expires_at_ms = *expires_at_ms,
        What::Delete if live => *row = Row { version: row.version, ..Row::default() },
        What::Bury { .. } => *row = Row { version: row.version, ..Row::default() },
        What::Expire(_) | What::Delete | What::Check => return false,
    }
    true
}

fn patched(before: &[u8], offset: usize, bytes: &[u8]) -> Bytes {
    let mut value = Vec::with_capacity(before.len().max(offset + bytes.len()));
    value.extend_from_slice(before);
    value.resize(before.len().max(offset + bytes.len()), 0);
    value[offset..offset + bytes.len()].copy_from_slice(bytes);
    value.into()
}

fn holds(guard: Guard, version: Option<Version>) -> bool {
    match guard {
        Guard::None => true,
        Guard::Absent => version.is_none(),
        Guard::Present => version.is_some(),
        Guard::Version(wanted) => version == Some(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000;

    fn change(guard: Guard, what: What) -> OwnedChange {
        OwnedChange { address: Address::of(KeyRef::new(0, b"k")), guard, what, blind: false }
    }

    fn rows(row: Row) -> Rows {
        [(Address::of(KeyRef::new(0, b"k")), row)].into_iter().collect()
    }

    fn held(value: &'static [u8], expires_at_ms: Option<u64>) -> Row {
        Row { value: Some(Bytes::from_static(value)), kind: Kind::Json, version: 7, expires_at_ms }
    }

    #[test]
    fn a_guard_takes_expired_for_absent() {
        let changes = [change(Guard::Absent, What::Check)];
        let planned = plan(&changes, &rows(held(b"v", Some(NOW))), 8, NOW);
        assert!(matches!(planned.applied, Applied::Whole(_)), "{planned:?}");
        let planned = plan(&changes, &rows(held(b"v", Some(NOW + 1))), 8, NOW);
        assert_eq!(planned.applied, Applied::Refused { index: 0, version: Some(7) });
    }

    #[test]
    fn a_patch_of_an_expired_value_starts_from_nothing() {
        let changes = [change(Guard::None, What::Patch { offset: 2, bytes: Bytes::from_static(b"x") })];
        let planned = plan(&changes, &rows(held(b"abc", Some(NOW))), 8, NOW);
        let row = &planned.rows[0].1;
        assert_eq!(row.value.as_deref(), Some(&b"\0\0x"[..]));
        assert_eq!((row.expires_at_ms, row.kind, row.version), (None, Kind::Raw, 8));
    }

    #[test]
    fn deleting_what_is_not_there_writes_nothing() {
        let planned = plan(&[change(Guard::None, What::Delete)], &rows(Row::default()), 8, NOW);
        assert!(!planned.changes, "{planned:?}");
    }
}
