//! Answers of the line protocol: one JSON object and a line end each.
//!
//! Members come in the order in which the documentation shows them. Values and keys appear as everywhere
//! (`json.rs`); JSON that was stored with line breaks loses them, since they would end the answer early.
//! Invariant: an answer holds exactly one line end, its last byte.

use tresor::{Error, ErrorKind, engine::Kind};

use crate::json::{ValuePieces, write_key, write_string};

/// `{"status":"Ok"}` and a line end.
pub(super) const OK: &[u8] = b"{\"status\":\"Ok\"}\n";

/// The start of an answer with one more member, up to its colon.
pub(super) fn begin(out: &mut Vec<u8>, member: &str) {
    out.extend_from_slice(b"{\"status\":\"Ok\",\"");
    out.extend_from_slice(member.as_bytes());
    out.extend_from_slice(b"\":");
}

/// The end of an answer that was begun.
pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\n");
}

/// An answer that says a number.
pub(super) fn write_number(out: &mut Vec<u8>, member: &str, number: u64) {
    begin(out, member);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    end(out);
}

/// An answer that says a text.
pub(super) fn write_text(out: &mut Vec<u8>, member: &str, text: &str) {
    begin(out, member);
    write_string(out, text);
    end(out);
}

/// The start of an answer that shows an entry, up to its value.
pub(super) fn begin_entry(out: &mut Vec<u8>, key: &[u8]) {
    begin(out, "key");
    write_key(out, key);
    out.extend_from_slice(b",\"value\":");
}

/// An answer that shows an entry, or that there is none.
pub(super) fn write_entry(out: &mut Vec<u8>, key: &[u8], value: Option<(&[u8], Kind)>) {
    begin_entry(out, key);
    match value {
        Some((bytes, kind)) => write_value(out, bytes, kind),
        None => out.extend_from_slice(b"null"),
    }
    end(out);
}

/// A value, whole.
pub(super) fn write_value(out: &mut Vec<u8>, bytes: &[u8], kind: Kind) {
    let start = out.len();
    ValuePieces::new(kind, bytes).write_all(out);
    keep_on_one_line(&mut out[start..], kind);
}

/// Turns line breaks into blanks. In JSON they stand between words alone, never inside a string.
pub(super) fn keep_on_one_line(json: &mut [u8], kind: Kind) {
    if kind == Kind::Json {
        json.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
}

/// The answer to a command that failed.
pub(crate) fn write_error(out: &mut Vec<u8>, error: &Error) {
    out.extend_from_slice(b"{\"status\":\"Error\",\"code\":\"");
    out.extend_from_slice(code(error.kind()).as_bytes());
    out.extend_from_slice(b"\",\"message\":");
    write_string(out, &error.to_string());
    end(out);
}

/// What the line protocol calls a kind of error.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "NotFound",
        ErrorKind::Exists => "Exists",
        ErrorKind::Conflict => "Conflict",
        ErrorKind::UnknownTransaction => "UnknownTransaction",
        ErrorKind::NothingToUndo => "NothingToUndo",
        ErrorKind::Deadlock => "Deadlock",
        ErrorKind::LockTimeout => "LockTimeout",
        ErrorKind::Invalid => "Invalid",
        ErrorKind::TooLarge => "TooLarge",
        ErrorKind::OutOfMemory => "OutOfMemory",
        ErrorKind::DiskFull => "DiskFull",
        ErrorKind::Unauthorized => "Unauthorized",
        ErrorKind::Unsupported => "Unsupported",
        ErrorKind::Unavailable | ErrorKind::Poisoned => "Unavailable",
        ErrorKind::UnknownOutcome => "UnknownOutcome",
        ErrorKind::Internal => "Internal",
    }
}
