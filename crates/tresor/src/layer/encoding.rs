//! Values on their way in and out, one or a batch at a time.
//!
//! What a batch's values become stands in one buffer, so a batch costs one allocation however many
//! changes it has.

use std::ops::Range;

use smallvec::SmallVec;

use super::codec::{Codec, Coding};
use crate::{
    engine::{Change, EntryRef, KeyRef, Kind, ValueRef},
    error::Result,
};

/// What the store is to keep of a value.
pub(super) fn encoded(
    codec: &impl Codec,
    key: KeyRef<'_>,
    (value, kind): (Vec<u8>, Kind),
) -> Result<(Vec<u8>, Kind)> {
    let mut out = Vec::new();
    Ok(match codec.encode(key, (&value, kind), &mut out)? {
        Coding::AsItIs => (value, kind),
        Coding::Into(kind) => (out, kind),
    })
}

/// The entry that the store keeps as this one; its value is put into `out` where it has to be decoded.
pub(super) fn decoded<'v>(
    codec: &impl Codec,
    key: KeyRef<'_>,
    stored: EntryRef<'v>,
    out: &'v mut Vec<u8>,
) -> Result<EntryRef<'v>> {
    out.clear();
    Ok(match codec.decode(key, (stored.value.bytes(), stored.kind), out)? {
        Coding::AsItIs => stored,
        Coding::Into(kind) => EntryRef { value: ValueRef::Inline(out), kind, ..stored },
    })
}

/// Where in the buffer the value of a change is, and its kind; none for one that stays as it is.
type Made = (Range<usize>, Kind);

/// The values of a batch, encoded.
pub(super) struct Encoded {
    buffer: Vec<u8>,
    values: SmallVec<[Option<Made>; 1]>,
}

impl Encoded {
    /// Encodes what the puts of a batch bring.
    pub(super) fn of(codec: &impl Codec, changes: &[Change<'_>]) -> Result<Self> {
        let mut encoded = Self { buffer: Vec::new(), values: SmallVec::with_capacity(changes.len()) };
        for change in changes {
            let Change::Put { key, value, kind, .. } = *change else {
                encoded.values.push(None);
                continue;
            };
            let start = encoded.buffer.len();
            let coding = codec.encode(key, (value, kind), &mut encoded.buffer)?;
            encoded.values.push(match coding {
                Coding::AsItIs => None,
                Coding::Into(kind) => Some((start..encoded.buffer.len(), kind)),
            });
        }
        Ok(encoded)
    }

    /// The changes that it was made of, with the encoded values.
    pub(super) fn changes<'x>(&'x self, changes: &[Change<'x>]) -> SmallVec<[Change<'x>; 1]> {
        let encoded = |(change, value): (&Change<'x>, &'x Option<Made>)| match (change, value) {
            (Change::Put { key, guard, expires, .. }, Some((range, kind))) => Change::Put {
                key: *key,
                guard: *guard,
                value: &self.buffer[range.clone()],
                kind: *kind,
                expires: *expires,
            },
            _ => *change,
        };
        changes.iter().zip(&self.values).map(encoded).collect()
    }
}
