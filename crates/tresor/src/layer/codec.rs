//! What becomes of a value on its way into a store and out of it again.
//!
//! A codec is pure: it sees one value and its key and touches no engine. What it makes is a value of
//! [`Kind::Packed`] that begins with a tag, so every codec knows its own values from all others.

use std::fmt::Display;

use crate::{
    engine::{KeyRef, Kind},
    error::{Error, ErrorKind, Result},
};

/// The tag of a value that compression made: the method, 1 to 15.
pub(super) const COMPRESSED: std::ops::RangeInclusive<u8> = 1..=15;

/// The tag of a value that encryption made: the cipher, 16 to 31.
pub(super) const ENCRYPTED: std::ops::RangeInclusive<u8> = 16..=31;

/// What a codec did with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Nothing: the value stays as it is, and so does its kind. Nothing was written.
    AsItIs,
    /// The other form was appended to the output; it is of this kind.
    Into(Kind),
}

/// Turns values into what a store keeps of them, and back.
pub trait Codec: Send + Sync + 'static {
    /// Appends to `out` what the store keeps of a value. After an error `out` may have grown.
    fn encode(&self, key: KeyRef<'_>, value: (&[u8], Kind), out: &mut Vec<u8>) -> Result<Coding>;

    /// Appends to `out` the value that the store keeps in this form. After an error `out` may have grown
    /// by anything but wrong values, and no more than the limit on values allows.
    fn decode(&self, key: KeyRef<'_>, stored: (&[u8], Kind), out: &mut Vec<u8>) -> Result<Coding>;

    /// Whether what the store keeps as this kind is the value as it is, so that it need not be decoded.
    fn leaves(&self, kind: Kind) -> bool;

    /// How many bytes a value says it has when decoded; any number for a damaged one.
    fn decoded_bytes(&self, stored: (&[u8], Kind)) -> usize;

    /// The largest value, where the store keeps at most `inner` bytes of one.
    fn max_value_bytes(&self, inner: usize) -> usize;
}

/// An error about a value, which it names.
pub(super) fn value_error(kind: ErrorKind, key: KeyRef<'_>, what: impl Display) -> Error {
    let name = String::from_utf8_lossy(key.key);
    Error::new(kind, format!("the value of {name:?} in database {} {what}", key.database))
}
