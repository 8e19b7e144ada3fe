//! Replies as bytes of the Redis protocol, versions 2 and 3.
//!
//! Format: <https://redis.io/docs/latest/develop/reference/protocol-spec/>. What version 2 does not
//! know (maps, sets, doubles, booleans, pushes, verbatim text) is written as Redis 7.2 does there.

use bytes::Bytes;

use super::Output;
use crate::{
    engine::SHARED_VALUE_BYTES,
    error::{Error, ErrorKind},
};

/// Writes replies into an [`Output`].
#[derive(Debug)]
pub struct RespWriter {
    output: Output,
    protocol: u8,
}

impl Default for RespWriter {
    fn default() -> Self {
        Self { output: Output::default(), protocol: 2 }
    }
}

impl RespWriter {
    /// The protocol version: 2 or 3.
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Changes the protocol version.
    pub fn set_protocol(&mut self, version: u8) {
        self.protocol = version;
    }

    /// What was written.
    #[inline]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// What was written, to be sent and cleared.
    #[inline]
    pub fn output_mut(&mut self) -> &mut Output {
        &mut self.output
    }

    #[inline]
    fn text(&mut self, text: &str) {
        self.output.buffer().extend_from_slice(text.as_bytes());
    }

    /// A type byte, a number and a line end: the head of nearly everything.
    #[inline]
    fn head(&mut self, kind: u8, number: impl itoa::Integer) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        self.output.check_limit();
        let buffer = self.output.buffer();
        buffer.reserve(digits.len() + 3);
        buffer.push(kind);
        buffer.extend_from_slice(digits);
        buffer.extend_from_slice(b"\r\n");
    }

    #[inline]
    pub(super) fn simple(&mut self, text: &str) {
        let buffer = self.output.buffer();
        buffer.reserve(text.len() + 3);
        buffer.push(b'+');
        buffer.extend_from_slice(text.as_bytes());
        buffer.extend_from_slice(b"\r\n");
    }

    pub(super) fn error(&mut self, error: &Error) {
        let text = error_text(error);
        self.text("-");
        self.text(&text);
        self.text("\r\n");
    }

    #[inline]
    pub(super) fn integer(&mut self, number: i64) {
        self.head(b':', number);
    }

    #[inline]
    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.head(b'$', bytes.len());
        let buffer = self.output.buffer();
        buffer.reserve(bytes.len() + 2);
        buffer.extend_from_slice(bytes);
        buffer.extend_from_slice(b"\r\n");
    }

    pub(super) fn bulk_shared(&mut self, bytes: &Bytes) {
        if bytes.len() <= SHARED_VALUE_BYTES {
            return self.bulk(bytes);
        }
        self.head(b'$', bytes.len());
        self.output.splice(bytes.clone());
        self.text("\r\n");
    }

    #[inline]
    pub(super) fn null(&mut self) {
        self.text(if self.protocol == 3 { "_\r\n" } else { "$-1\r\n" });
    }

    pub(super) fn null_array(&mut self) {
        self.text(if self.protocol == 3 { "_\r\n" } else { "*-1\r\n" });
    }

    pub(super) fn array(&mut self, length: usize) {
        self.head(b'*', length);
    }

    pub(super) fn map(&mut self, pairs: usize) {
        if self.protocol == 3 { self.head(b'%', pairs) } else { self.head(b'*', pairs * 2) }
    }

    pub(super) fn set(&mut self, length: usize) {
        self.head(if self.protocol == 3 { b'~' } else { b'*' }, length);
    }

    pub(crate) fn push(&mut self, length: usize) {
        self.head(if self.protocol == 3 { b'>' } else { b'*' }, length);
    }

    pub(super) fn double(&mut self, number: f64) {
        let text = double_text(number);
        if self.protocol == 3 {
            self.text(",");
            self.text(&text);
            self.text("\r\n");
        } else {
            self.bulk(text.as_bytes());
        }
    }

    pub(super) fn boolean(&mut self, value: bool) {
        match (self.protocol, value) {
            (3, true) => self.text("#t\r\n"),
            (3, false) => self.text("#f\r\n"),
            (_, value) => self.integer(i64::from(value)),
        }
    }

    pub(super) fn big_number(&mut self, digits: &str) {
        if self.protocol == 3 {
            self.text("(");
            self.text(digits);
            self.text("\r\n");
        } else {
            self.bulk(digits.as_bytes());
        }
    }

    pub(super) fn attribute(&mut self, pairs: usize) -> bool {
        if self.protocol == 3 {
            self.head(b'|', pairs);
        }
        self.protocol == 3
    }

    pub(super) fn verbatim(&mut self, format: &str, text: &str) {
        if self.protocol == 3 {
            self.head(b'=', text.len() + 4);
            self.text(format);
            self.text(":");
            self.text(text);
            self.text("\r\n");
        } else {
            self.bulk(text.as_bytes());
        }
    }
}

/// Codes that some messages bring themselves, because clients look for them.
const CODES: [&str; 10] = [
    "NOPROTO",
    "WRONGTYPE",
    "EXECABORT",
    "BUSYKEY",
    "NOAUTH",
    "WRONGPASS",
    "NOPERM",
    "NOSCRIPT",
    "BUSY",
    "LOADING",
];

/// An error as the Redis protocol says it: a code in capitals, then the message, on one line.
pub fn error_text(error: &Error) -> String {
    // A line break inside would end the reply early.
    let message = error.to_string().replace(['\r', '\n'], " ");
    if CODES.iter().any(|code| message.split(' ').next() == Some(code)) {
        return message;
    }
    let code = match error.kind() {
        ErrorKind::Deadlock => "DEADLOCK",
        ErrorKind::LockTimeout => "LOCKTIMEOUT",
        ErrorKind::OutOfMemory => "OOM",
        ErrorKind::DiskFull => "MISCONF",
        ErrorKind::Unauthorized => "NOAUTH",
        ErrorKind::Unsupported => "ERR unsupported:",
        ErrorKind::Unavailable | ErrorKind::Poisoned => "ERR unavailable:",
        ErrorKind::UnknownOutcome => "UNKNOWN outcome:",
        ErrorKind::Internal => "ERR internal:",
        _ => "ERR",
    };
    format!("{code} {message}")
}

/// A double as Redis writes it: no exponent where the digits are few, `inf`, `-inf`, `nan`.
pub fn double_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if number == number.trunc() && number.abs() < 1e17 {
        return format!("{number:.0}");
    }
    ryu::Buffer::new().format_finite(number).to_owned()
}
