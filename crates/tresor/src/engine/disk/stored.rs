//! An entry as a table's value: a head with version, kind and expiry, then the value's own bytes.
//!
//! ```text
//! 0   u64   version 48 bits | kind 8 bits | 1 where an expiry follows, else 0
//! 8   u64   expiry, Unix milliseconds (only where the head says so)
//!           the value
//! ```

use bytes::Bytes;

use crate::{
    engine::{EntryRef, Kind, SHARED_VALUE_BYTES, ValueRef, Version},
    error::{Error, ErrorKind, Result},
};

const HEAD_BYTES: usize = 8;
const KIND_AT: u32 = 48;
const EXPIRES: u64 = 1 << 56;
const VERSION_MASK: u64 = (1 << KIND_AT) - 1;

/// An entry that was read.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) value: Bytes,
    pub(super) kind: Kind,
    pub(super) version: Version,
    pub(super) expires_at_ms: Option<u64>,
}

/// A table's value for an entry.
pub(super) fn encode(value: &[u8], kind: Kind, version: Version, expires_at_ms: Option<u64>) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(HEAD_BYTES * 2 + value.len());
    let head = version & VERSION_MASK | u64::from(kind as u8) << KIND_AT;
    match expires_at_ms {
        None => encoded.extend_from_slice(&head.to_le_bytes()),
        Some(at_ms) => {
            encoded.extend_from_slice(&(head | EXPIRES).to_le_bytes());
            encoded.extend_from_slice(&at_ms.to_le_bytes());
        }
    }
    encoded.extend_from_slice(value);
    encoded
}

impl Stored {
    /// The entry of a table's value.
    #[inline]
    pub(super) fn decode(encoded: Bytes) -> Result<Self> {
        let head = word(&encoded, 0).ok_or_else(unreadable)?;
        let kind = Kind::from_byte((head >> KIND_AT) as u8).ok_or_else(unreadable)?;
        let (expires_at_ms, value_at) = match head & EXPIRES {
            0 => (None, HEAD_BYTES),
            _ => (Some(word(&encoded, HEAD_BYTES).ok_or_else(unreadable)?), 2 * HEAD_BYTES),
        };
        Ok(Self { value: encoded.slice(value_at..), kind, version: head & VERSION_MASK, expires_at_ms })
    }

    /// Whether it counts as absent.
    #[inline]
    pub(super) fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms)
    }

    /// What readers see.
    #[inline]
    pub(super) fn entry(&self) -> EntryRef<'_> {
        let value = match self.value.len() > SHARED_VALUE_BYTES {
            true => ValueRef::Shared(&self.value),
            false => ValueRef::Inline(&self.value),
        };
        EntryRef { value, kind: self.kind, version: self.version, expires_at_ms: self.expires_at_ms }
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cold]
fn unreadable() -> Error {
    Error::new(
        ErrorKind::Internal,
        "an entry in the tables on disk cannot be read: the store is damaged, or of a newer version of Tresor; \
         look with `tresor check PATH`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_comes_back() {
        for kind in [Kind::Raw, Kind::Json, Kind::Packed] {
            for expires_at_ms in [None, Some(0), Some(u64::MAX)] {
                let stored = Stored::decode(encode(b"value", kind, 77, expires_at_ms).into()).expect("whole");
                assert_eq!((&stored.value[..], stored.kind), (&b"value"[..], kind));
                assert_eq!((stored.version, stored.expires_at_ms), (77, expires_at_ms));
            }
        }
    }

    #[test]
    fn what_is_no_entry_is_an_error() {
        let expiring = encode(b"", Kind::Raw, 1, Some(5));
        for length in 0..expiring.len() {
            assert!(Stored::decode(Bytes::copy_from_slice(&expiring[..length])).is_err(), "{length} bytes");
        }
        let mut odd = encode(b"v", Kind::Raw, 1, None);
        odd[6] = 200;
        assert!(Stored::decode(odd.into()).is_err());
    }
}
