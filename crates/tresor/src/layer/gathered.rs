//! Entries of one read, kept as the store has them until its lock is released, and decoded then.
//!
//! Shared values are kept by reference, small ones are copied into one buffer: to copy 16 KiB under a
//! lock is short, to decompress it may not be.

use std::{mem, ops::Range};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{codec::Codec, encoding::decoded};
use crate::{
    engine::{EntryRef, KeyRef, Kind, SHARED_VALUE_BYTES, ValueRef, Version, Visit},
    error::Result,
};

/// The last entries of a read, from the first that has to be decoded on.
#[derive(Default)]
pub(super) struct Gathered {
    buffer: Vec<u8>,
    entries: SmallVec<[Option<Stored>; 1]>,
}

struct Stored {
    value: Kept,
    kind: Kind,
    version: Version,
    expires_at_ms: Option<u64>,
}

enum Kept {
    Copied(Range<usize>),
    Shared(Bytes),
}

impl Gathered {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps the next entry.
    pub(super) fn push(&mut self, entry: Option<EntryRef<'_>>) {
        let stored = entry.map(|entry| Stored {
            value: match entry.value {
                ValueRef::Shared(bytes) => Kept::Shared(bytes.clone()),
                ValueRef::Inline(bytes) => {
                    let start = self.buffer.len();
                    self.buffer.extend_from_slice(bytes);
                    Kept::Copied(start..self.buffer.len())
                }
            },
            kind: entry.kind,
            version: entry.version,
            expires_at_ms: entry.expires_at_ms,
        });
        self.entries.push(stored);
    }

    /// Decodes and shows what was kept: the last of `keys`. Ends with the first value that cannot be
    /// decoded.
    pub(super) fn show(self, codec: &impl Codec, keys: &[KeyRef<'_>], visit: &mut Visit<'_>) -> Result<()> {
        let first = keys.len() - self.entries.len();
        let mut value = Vec::new();
        for (index, stored) in (first..).zip(&self.entries) {
            let Some(stored) = stored else {
                visit(index, None);
                continue;
            };
            let entry = decoded(codec, keys[index], stored.entry(&self.buffer), &mut value)?;
            match entry.value {
                ValueRef::Inline(bytes) if bytes.len() > SHARED_VALUE_BYTES => {
                    let shown = EntryRef { value: ValueRef::Inline(&[]), ..entry };
                    let shared = Bytes::from(mem::take(&mut value));
                    visit(index, Some(EntryRef { value: ValueRef::Shared(&shared), ..shown }));
                }
                _ => visit(index, Some(entry)),
            }
        }
        Ok(())
    }
}

impl Stored {
    fn entry<'e>(&'e self, buffer: &'e [u8]) -> EntryRef<'e> {
        let value = match &self.value {
            Kept::Copied(range) => ValueRef::Inline(&buffer[range.clone()]),
            Kept::Shared(bytes) => ValueRef::Shared(bytes),
        };
        EntryRef { value, kind: self.kind, version: self.version, expires_at_ms: self.expires_at_ms }
    }
}
