//! A row of the entry table: what a key and member hold, or that they hold nothing any more.
//!
//! A removed entry keeps its row for a day, with a version and no value, so that no version comes
//! twice. Whether an entry is there is decided here alone: a value, and an expiry that has not passed.

use bytes::Bytes;
use tresor::engine::{EntryRef, KeyRef, Kind, SHARED_VALUE_BYTES, ValueRef, Version};

/// The address of a row, owned: requests outlive the call that asks for them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) database: u8,
    pub(crate) key: Bytes,
    pub(crate) member: Bytes,
}

impl Address {
    pub(crate) fn of(key: KeyRef<'_>) -> Self {
        Self {
            database: key.database,
            key: Bytes::copy_from_slice(key.key),
            member: Bytes::copy_from_slice(key.member),
        }
    }

    /// Whether both stand in one partition, where a batch is atomic.
    pub(crate) fn beside(&self, other: &Self) -> bool {
        self.database == other.database && self.key == other.key
    }
}

/// What a row says. The default is what no row says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// `None`: removed, or never there.
    pub(crate) value: Option<Bytes>,
    pub(crate) kind: Kind,
    /// The number of the last change; 0 where there is no row.
    pub(crate) version: Version,
    pub(crate) expires_at_ms: Option<u64>,
}

impl Row {
    /// From the columns; a kind of a later version of Tresor reads as raw bytes.
    pub(crate) fn from_columns(
        (value, kind, version, expires_at): (Option<Bytes>, Option<i8>, Option<i64>, Option<i64>),
    ) -> Self {
        Self {
            value,
            kind: kind_of(kind),
            version: version.unwrap_or_default() as Version,
            expires_at_ms: expires_at.map(|at| at as u64),
        }
    }

    /// Whether the entry is there and has not expired.
    pub(crate) fn is_live(&self, now_ms: u64) -> bool {
        self.value.is_some() && self.expires_at_ms.is_none_or(|at| at > now_ms)
    }

    /// The entry, if it is there and has not expired.
    pub(crate) fn live(&self, now_ms: u64) -> Option<EntryRef<'_>> {
        let value = self.value.as_ref().filter(|_| self.is_live(now_ms))?;
        let value =
            if value.len() > SHARED_VALUE_BYTES { ValueRef::Shared(value) } else { ValueRef::Inline(value) };
        Some(EntryRef { value, kind: self.kind, version: self.version, expires_at_ms: self.expires_at_ms })
    }
}

/// In an index entry's kind: it was not written together with its row, which may be missing.
pub(crate) const UNSURE: i8 = 16;

/// The kind that a column says.
pub(crate) fn kind_of(column: Option<i8>) -> Kind {
    column.and_then(|kind| u8::try_from(kind & !UNSURE).ok()).and_then(Kind::from_byte).unwrap_or_default()
}
