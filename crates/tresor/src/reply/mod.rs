//! Typed replies: what commands write, whatever door the client came through.
//!
//! A command says `bulk`, `integer`, `map`; the variant that the protocol supplied decides what
//! becomes of it: RESP2 or RESP3 bytes, or an owned [`Reply`] for library callers. Invariant: a
//! command never sees wire bytes, and a failed command leaves nothing but its error behind
//! ([`ReplyWriter::mark`] and [`ReplyWriter::rewind`]).

mod output;
mod owned;
mod resp;

use bytes::Bytes;

pub use output::Output;
pub use owned::{OwnedWriter, Reply};
pub use resp::{RespWriter, double_text, error_text};

use crate::{engine::ValueRef, error::Error};

/// Where replies go. Aggregates are announced with their length and then filled in order.
pub enum ReplyWriter {
    /// Redis protocol bytes, version 2 or 3.
    Resp(RespWriter),
    /// A value for library callers and tests.
    Owned(OwnedWriter),
}

/// How far a writer has come, to take back what was written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub(crate) bytes: usize,
    pub(crate) shared: usize,
}

macro_rules! forward {
    ($($(#[$docs:meta])* $name:ident($($argument:ident: $type:ty),*);)*) => {$(
        $(#[$docs])*
        #[inline]
        pub fn $name(&mut self, $($argument: $type),*) {
            match self {
                Self::Resp(writer) => writer.$name($($argument),*),
                Self::Owned(writer) => writer.$name($($argument),*),
            }
        }
    )*};
}

impl ReplyWriter {
    forward! {
        /// A short status such as `OK`; no line breaks.
        simple(text: &str);
        /// An error, with the code that its kind has in the Redis protocol.
        error(error: &Error);
        /// A number.
        integer(number: i64);
        /// Bytes.
        bulk(bytes: &[u8]);
        /// Reference-counted bytes: large ones are not copied.
        bulk_shared(bytes: &Bytes);
        /// Nothing where a value could be.
        null();
        /// Nothing where an array could be.
        null_array();
        /// The next `length` replies are its elements.
        array(length: usize);
        /// The next `2 * pairs` replies are its keys and values, alternating.
        map(pairs: usize);
        /// The next `length` replies are its elements, in no particular order.
        set(length: usize);
        /// A message that answers no request; the next `length` replies are its elements.
        push(length: usize);
        /// A floating-point number.
        double(number: f64);
        /// True or false.
        boolean(value: bool);
        /// A number of any size, in decimal digits.
        big_number(digits: &str);
        /// Text for people, with a three-letter format (`txt`, `mkd`).
        verbatim(format: &str, text: &str);
    }

    /// The next `2 * pairs` replies say something about the reply behind them; false where there is no way to
    /// say it (version 2, owned replies), and they must not be written.
    #[must_use]
    pub fn attribute(&mut self, pairs: usize) -> bool {
        match self {
            Self::Resp(writer) => writer.attribute(pairs),
            Self::Owned(_) => false,
        }
    }

    /// `OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.simple("OK");
    }

    /// A value as an engine holds it; call it under the engine's lock.
    #[inline]
    pub fn value(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Inline(bytes) => self.bulk(bytes),
            ValueRef::Shared(bytes) => self.bulk_shared(bytes),
        }
    }

    /// The protocol version that the client speaks: 2 or 3. Owned replies are 3.
    pub fn protocol(&self) -> u8 {
        match self {
            Self::Resp(writer) => writer.protocol(),
            Self::Owned(_) => 3,
        }
    }

    /// Changes the protocol version from the next reply on; nothing to change for owned replies.
    pub fn set_protocol(&mut self, version: u8) {
        if let Self::Resp(writer) = self {
            writer.set_protocol(version);
        }
    }

    /// Adds replies that were made elsewhere; owned replies take none.
    pub(crate) fn append(&mut self, output: Output) {
        if let Self::Resp(writer) = self {
            writer.output_mut().append(output);
        }
    }

    /// How far the writer has come.
    #[inline]
    pub fn mark(&self) -> Mark {
        match self {
            Self::Resp(writer) => writer.output().mark(),
            Self::Owned(writer) => writer.mark(),
        }
    }

    /// Takes back everything since `mark`, which must lie between whole replies.
    pub fn rewind(&mut self, mark: Mark) {
        match self {
            Self::Resp(writer) => writer.output_mut().rewind(mark),
            Self::Owned(writer) => writer.rewind(mark),
        }
    }

    /// Takes back the whole reply since `mark`, because the client does not want it.
    pub(crate) fn withhold(&mut self, mark: Mark) {
        match self {
            Self::Resp(writer) => writer.output_mut().withhold(mark),
            Self::Owned(writer) => writer.rewind(mark),
        }
    }

    /// Makes room for a reply of about so many bytes.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        if let Self::Resp(writer) = self {
            writer.output_mut().reserve(bytes);
        }
    }

    /// Bytes waiting to be sent (0 for owned replies), for output limits.
    pub fn pending_bytes(&self) -> usize {
        match self {
            Self::Resp(writer) => writer.output().len(),
            Self::Owned(_) => 0,
        }
    }
}
