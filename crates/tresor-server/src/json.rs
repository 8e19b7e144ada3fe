//! Keys and values as JSON text, on the way out.
//!
//! Invariant: what is written here, sent back through `http/document.rs`, makes the same bytes and kind
//! again, whatever they are: text appears as text, other bytes as `{"base64":…}`, JSON as it was stored,
//! and JSON that looks like one of the two wrappings is wrapped itself. Large values are written in
//! pieces, so that no response holds a second copy of them.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::value::RawValue;
use tresor::engine::Kind;

/// Standard base64, written with padding, read with or without.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a key that JSON cannot say begins with.
pub(crate) const BASE64_PREFIX: &str = "base64:";

/// Bytes of a value that one piece covers: a multiple of 3, so that base64 pieces join.
const PIECE_BYTES: usize = 48 * 1024;

/// How a value appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As it is.
    Json,
    /// As `{"json":…}`.
    WrappedJson,
    /// As a string.
    Text,
    /// As `{"base64":"…"}`.
    Base64,
}

impl Form {
    fn of(kind: Kind, bytes: &[u8]) -> Self {
        match kind {
            Kind::Json if looks_wrapped(bytes) => Self::WrappedJson,
            Kind::Json => Self::Json,
            Kind::Raw | Kind::Packed if std::str::from_utf8(bytes).is_ok() => Self::Text,
            Kind::Raw | Kind::Packed => Self::Base64,
        }
    }

    /// The same for text that must not have several lines. Blanks at either end of JSON would be lost with the
    /// text around them.
    fn on_one_line(kind: Kind, bytes: &[u8]) -> Self {
        let is_one_line = || memchr::memchr2(b'\n', b'\r', bytes).is_none() && bytes.trim_ascii() == bytes;
        match kind {
            Kind::Json if !is_one_line() || std::str::from_utf8(bytes).is_err() => Self::Base64,
            kind => Self::of(kind, bytes),
        }
    }

    fn brackets(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Json => (b"", b""),
            Self::WrappedJson => (b"{\"json\":", b"}"),
            Self::Text => (b"\"", b"\""),
            Self::Base64 => (b"{\"base64\":\"", b"\"}"),
        }
    }
}

/// Writes a key as a JSON string.
pub(crate) fn write_key(out: &mut Vec<u8>, key: &[u8]) {
    out.push(b'"');
    match std::str::from_utf8(key) {
        Ok(text) if !text.starts_with(BASE64_PREFIX) => write_escaped(out, key),
        _ => {
            out.extend_from_slice(BASE64_PREFIX.as_bytes());
            write_base64(out, key);
        }
    }
    out.push(b'"');
}

/// A key as a JSON string says it, before it is escaped.
pub(super) fn key_text(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.starts_with(BASE64_PREFIX) => text.to_owned(),
        _ => format!("{BASE64_PREFIX}{}", BASE64.encode(key)),
    }
}

/// A value being written as JSON, a piece at a time.
pub(crate) struct ValuePieces<B> {
    bytes: B,
    form: Form,
    at: usize,
}

impl<B: AsRef<[u8]>> ValuePieces<B> {
    pub(crate) fn new(kind: Kind, bytes: B) -> Self {
        let form = Form::of(kind, bytes.as_ref());
        Self { bytes, form, at: 0 }
    }

    /// Without line breaks; the kind of what is then base64 has to be said beside it.
    pub(crate) fn on_one_line(kind: Kind, bytes: B) -> Self {
        let form = Form::on_one_line(kind, bytes.as_ref());
        Self { bytes, form, at: 0 }
    }

    /// Appends the next piece, brackets included; true when it was the last.
    pub(crate) fn write_next(&mut self, out: &mut Vec<u8>) -> bool {
        let (opening, closing) = self.form.brackets();
        if self.at == 0 {
            out.extend_from_slice(opening);
        }
        let bytes = self.bytes.as_ref();
        let mut end = bytes.len().min(self.at + PIECE_BYTES);
        if self.form == Form::Text {
            // Between characters: a continuation byte never begins a piece.
            while end < bytes.len() && bytes[end] & 0xC0 == 0x80 {
                end -= 1;
            }
        }
        let piece = &bytes[self.at..end];
        match self.form {
            Form::Json | Form::WrappedJson => out.extend_from_slice(piece),
            Form::Text => write_escaped(out, piece),
            Form::Base64 => write_base64(out, piece),
        }
        self.at = end;
        let last = end == bytes.len();
        if last {
            out.extend_from_slice(closing);
        }
        last
    }

    /// Appends all of it.
    pub(crate) fn write_all(mut self, out: &mut Vec<u8>) {
        while !self.write_next(out) {}
    }
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = BASE64.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}

/// A JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text.as_bytes());
    out.push(b'"');
}

/// The inside of a JSON string: UTF-8 text with quotes, backslashes and control characters escaped.
pub(crate) fn write_escaped(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut from = 0;
    for (at, &byte) in text.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0C => b'f',
            0..=0x1F => b'u',
            _ => continue,
        };
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            out.extend_from_slice(&[b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        from = at + 1;
    }
    out.extend_from_slice(&text[from..]);
}

/// Whether JSON text is an object whose only member is named `base64` or `json`.
fn looks_wrapped(text: &[u8]) -> bool {
    let mut rest = text.trim_ascii_start();
    let Some((b'{', inside)) = rest.split_first() else { return false };
    rest = inside.trim_ascii_start();
    // The first name decides nearly always, without reading the rest.
    let first = serde_json::Deserializer::from_slice(rest).into_iter::<String>().next();
    if !matches!(first, Some(Ok(name)) if is_wrapper(&name)) {
        return false;
    }
    // A name that comes twice counts as often: only readers that drop one would see a wrapping.
    serde_json::from_slice::<std::collections::BTreeMap<String, &RawValue>>(text)
        .is_ok_and(|members| members.len() == 1)
}

/// Whether a member of this name stands for a value that is said another way.
fn is_wrapper(name: &str) -> bool {
    matches!(name, "base64" | "json")
}
