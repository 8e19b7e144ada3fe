//! Replies as values, for library callers and tests.

use bytes::Bytes;

use super::{Mark, resp::error_text};
use crate::error::Error;

/// One reply. Shapes are those of RESP3.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A short status.
    Simple(String),
    /// An error, code first.
    Error(String),
    /// A number.
    Integer(i64),
    /// Bytes.
    Bulk(Bytes),
    /// Nothing.
    Null,
    /// Elements in order.
    Array(Vec<Reply>),
    /// Pairs of keys and values.
    Map(Vec<(Reply, Reply)>),
    /// Elements in no particular order.
    Set(Vec<Reply>),
    /// A message that answers no request.
    Push(Vec<Reply>),
    /// A floating-point number.
    Double(f64),
    /// True or false.
    Boolean(bool),
    /// A number of any size, in decimal digits.
    BigNumber(String),
    /// Text for people: format and text.
    Verbatim(String, String),
}

/// Collects replies.
#[derive(Debug, Default)]
pub struct OwnedWriter {
    finished: Vec<Reply>,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    shape: Shape,
    missing: usize,
    elements: Vec<Reply>,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Array,
    Map,
    Set,
    Push,
}

impl OwnedWriter {
    /// The finished replies, in order; the writer is empty afterwards.
    pub fn take(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.finished)
    }

    pub(super) fn mark(&self) -> Mark {
        let innermost = self.open.last().map_or(0, |open| open.elements.len());
        Mark { bytes: self.finished.len(), shared: self.open.len() << 32 | innermost }
    }

    pub(super) fn rewind(&mut self, mark: Mark) {
        self.open.truncate(mark.shared >> 32);
        if let Some(open) = self.open.last_mut() {
            let elements = mark.shared & 0xffff_ffff;
            open.missing += open.elements.len() - elements;
            open.elements.truncate(elements);
        }
        self.finished.truncate(mark.bytes);
    }

    fn add(&mut self, mut reply: Reply) {
        // Closing an aggregate completes an element of the one around it, and so on outwards.
        while let Some(open) = self.open.last_mut() {
            open.elements.push(reply);
            open.missing -= 1;
            if open.missing > 0 {
                return;
            }
            let Some(Open { shape, elements, .. }) = self.open.pop() else { return };
            reply = close(shape, elements);
        }
        self.finished.push(reply);
    }

    fn begin(&mut self, shape: Shape, elements: usize) {
        if elements == 0 {
            return self.add(close(shape, Vec::new()));
        }
        self.open.push(Open { shape, missing: elements, elements: Vec::new() });
    }

    pub(super) fn simple(&mut self, text: &str) {
        self.add(Reply::Simple(text.to_owned()));
    }

    pub(super) fn error(&mut self, error: &Error) {
        self.add(Reply::Error(error_text(error)));
    }

    pub(super) fn integer(&mut self, number: i64) {
        self.add(Reply::Integer(number));
    }

    pub(super) fn bulk(&mut self, bytes: &[u8]) {
        self.add(Reply::Bulk(Bytes::copy_from_slice(bytes)));
    }

    pub(super) fn bulk_shared(&mut self, bytes: &Bytes) {
        self.add(Reply::Bulk(bytes.clone()));
    }

    pub(super) fn null(&mut self) {
        self.add(Reply::Null);
    }

    pub(super) fn null_array(&mut self) {
        self.add(Reply::Null);
    }

    pub(super) fn array(&mut self, length: usize) {
        self.begin(Shape::Array, length);
    }

    pub(super) fn map(&mut self, pairs: usize) {
        self.begin(Shape::Map, pairs * 2);
    }

    pub(super) fn set(&mut self, length: usize) {
        self.begin(Shape::Set, length);
    }

    pub(super) fn push(&mut self, length: usize) {
        self.begin(Shape::Push, length);
    }

    pub(super) fn double(&mut self, number: f64) {
        self.add(Reply::Double(number));
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.add(Reply::Boolean(value));
    }

    pub(super) fn big_number(&mut self, digits: &str) {
        self.add(Reply::BigNumber(digits.to_owned()));
    }

    pub(super) fn verbatim(&mut self, format: &str, text: &str) {
        self.add(Reply::Verbatim(format.to_owned(), text.to_owned()));
    }
}

fn close(shape: Shape, elements: Vec<Reply>) -> Reply {
    match shape {
        Shape::Array => Reply::Array(elements),
        Shape::Set => Reply::Set(elements),
        Shape::Push => Reply::Push(elements),
        Shape::Map => {
            let mut pairs = Vec::with_capacity(elements.len() / 2);
            let mut elements = elements.into_iter();
            while let (Some(key), Some(value)) = (elements.next(), elements.next()) {
                pairs.push((key, value));
            }
            Reply::Map(pairs)
        }
    }
}
