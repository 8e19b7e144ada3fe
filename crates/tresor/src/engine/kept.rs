//! An entry that outlives the engine's lock: what layers and transactions hold on to.
//!
//! Small values stand in it without an allocation, large ones are shared with whoever has them.

use bytes::Bytes;
use smallvec::SmallVec;

use super::entry::{EntryRef, Kind, SHARED_VALUE_BYTES, ValueRef, Version};

/// An entry, kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    value: Value,
    pub(crate) kind: Kind,
    pub(crate) version: Version,
    pub(crate) expires_at_ms: Option<u64>,
}

#[derive(Clone, Debug)]
enum Value {
    Inline(SmallVec<[u8; 36]>),
    Shared(Bytes),
}

impl Kept {
    pub(crate) fn of(entry: EntryRef<'_>) -> Self {
        let value = match entry.value {
            ValueRef::Inline(bytes) => Value::Inline(SmallVec::from_slice(bytes)),
            ValueRef::Shared(bytes) => Value::Shared(bytes.clone()),
        };
        let EntryRef { kind, version, expires_at_ms, .. } = entry;
        Self { value, kind, version, expires_at_ms }
    }

    /// One that no engine has yet.
    pub(crate) fn new(value: &[u8], kind: Kind, expires_at_ms: Option<u64>, version: Version) -> Self {
        let value = match value.len() > SHARED_VALUE_BYTES {
            true => Value::Shared(Bytes::copy_from_slice(value)),
            false => Value::Inline(SmallVec::from_slice(value)),
        };
        Self { value, kind, version, expires_at_ms }
    }

    pub(crate) fn as_entry(&self) -> EntryRef<'_> {
        let value = match &self.value {
            Value::Inline(bytes) => ValueRef::Inline(bytes),
            Value::Shared(bytes) => ValueRef::Shared(bytes),
        };
        EntryRef { value, kind: self.kind, version: self.version, expires_at_ms: self.expires_at_ms }
    }

    /// The value's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.value {
            Value::Inline(bytes) => bytes,
            Value::Shared(bytes) => bytes,
        }
    }

    /// Whether it is absent for a reader at this time.
    pub(crate) fn has_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_some_and(|moment_ms| now_ms >= moment_ms)
    }
}
