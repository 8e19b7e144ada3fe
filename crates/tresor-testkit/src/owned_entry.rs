//! An entry to keep: what a test compares after the engine's lock is gone.

use bytes::Bytes;
use tresor::engine::{EntryRef, Kind, SHARED_VALUE_BYTES, ValueRef, Version};

/// An entry with its own copy of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedEntry {
    /// The value.
    pub value: Bytes,
    /// How to read it.
    pub kind: Kind,
    /// The number of its last change.
    pub version: Version,
    /// When it expires, in Unix milliseconds.
    pub expires_at_ms: Option<u64>,
}

impl OwnedEntry {
    /// Whether it is absent for a reader at this time.
    pub fn expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_some_and(|at| now_ms >= at)
    }

    /// The entry as an engine shows it: large values shared, small ones inline.
    pub fn as_entry(&self) -> EntryRef<'_> {
        let value = if self.value.len() > SHARED_VALUE_BYTES {
            ValueRef::Shared(&self.value)
        } else {
            ValueRef::Inline(&self.value)
        };
        EntryRef { value, kind: self.kind, version: self.version, expires_at_ms: self.expires_at_ms }
    }
}

impl From<EntryRef<'_>> for OwnedEntry {
    fn from(entry: EntryRef<'_>) -> Self {
        Self {
            value: entry.value.to_bytes(),
            kind: entry.kind,
            version: entry.version,
            expires_at_ms: entry.expires_at_ms,
        }
    }
}
