//! One entry as one line of JSON, and back: the format of `/v1/export` and `/v1/import`, of `tresor dump` and
//! `tresor load`.
//!
//! Keys and values look as they do elsewhere over HTTP, and the members `kind`, `expires_at_ms` and `db` say the
//! rest, so that reading makes the same entry again, byte for byte. Binary data, and JSON that spans several lines,
//! is base64.

use base64::Engine as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tresor::{
    Error, Result,
    engine::{DATABASES, Kind},
};

use crate::json::{BASE64, BASE64_PREFIX, ValuePieces, write_key};

/// An entry as a line says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryLine {
    /// The numbered database that it is in.
    pub database: u8,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// [`Kind::Raw`] or [`Kind::Json`].
    pub kind: Kind,
    /// When it goes, in Unix milliseconds.
    pub expires_at_ms: Option<u64>,
}

/// The members of a line, as they are read.
#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    db: u8,
    key: String,
    value: Box<RawValue>,
    kind: Option<KindName>,
    expires_at_ms: Option<u64>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KindName {
    Raw,
    Json,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Wrapped {
    Base64(String),
    Json(Box<RawValue>),
}

impl EntryLine {
    /// The entry as a line, its end included.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(self.key.len() + self.value.len() + 64);
        write_opening(&mut line, self.database, &self.key);
        ValuePieces::on_one_line(self.kind, &self.value).write_all(&mut line);
        write_closing(&mut line, self.kind, self.expires_at_ms);
        line
    }

    /// The entry that a line describes. Without `kind`, strings are raw and the rest is JSON. What is base64 is
    /// not looked at: whether it is JSON, if it is said to be, is for others to check.
    ///
    /// # Errors
    /// [`Invalid`](tresor::ErrorKind::Invalid) for whatever is no such line.
    pub fn from_line(line: &str) -> Result<Self> {
        let members: Members =
            serde_json::from_str(line).map_err(|error| Error::invalid(error.to_string()))?;
        if members.db >= DATABASES {
            let message = format!("there is no database {}: they go from 0 to 15", members.db);
            return Err(Error::invalid(message));
        }
        let key = match members.key.strip_prefix(BASE64_PREFIX) {
            Some(encoded) => decode(encoded)?,
            None => members.key.into_bytes(),
        };
        let (value, kind) = value_of(&members.value, members.kind)?;
        Ok(Self { database: members.db, key, value, kind, expires_at_ms: members.expires_at_ms })
    }
}

/// Writes what stands before the value.
pub(crate) fn write_opening(line: &mut Vec<u8>, database: u8, key: &[u8]) {
    line.push(b'{');
    if database > 0 {
        line.extend_from_slice(b"\"db\":");
        line.extend_from_slice(itoa::Buffer::new().format(database).as_bytes());
        line.push(b',');
    }
    line.extend_from_slice(b"\"key\":");
    write_key(line, key);
    line.extend_from_slice(b",\"value\":");
}

/// Writes what stands behind the value, which [`ValuePieces::on_one_line`] writes.
pub(crate) fn write_closing(line: &mut Vec<u8>, kind: Kind, expires_at_ms: Option<u64>) {
    let kind: &[u8] = if kind == Kind::Json { b"json" } else { b"raw" };
    line.extend_from_slice(b",\"kind\":\"");
    line.extend_from_slice(kind);
    line.push(b'"');
    if let Some(at_ms) = expires_at_ms {
        line.extend_from_slice(b",\"expires_at_ms\":");
        line.extend_from_slice(itoa::Buffer::new().format(at_ms).as_bytes());
    }
    line.extend_from_slice(b"}\n");
}

fn value_of(value: &RawValue, kind: Option<KindName>) -> Result<(Vec<u8>, Kind)> {
    let named = match kind {
        Some(KindName::Json) => Kind::Json,
        Some(KindName::Raw) | None => Kind::Raw,
    };
    match serde_json::from_str(value.get()) {
        Ok(Wrapped::Base64(encoded)) => return Ok((decode(&encoded)?, named)),
        Ok(Wrapped::Json(inner)) => return Ok((inner.get().as_bytes().to_vec(), Kind::Json)),
        Err(_) => {}
    }
    let text: Option<String> = serde_json::from_str(value.get()).ok();
    match (text, kind) {
        (Some(text), None | Some(KindName::Raw)) => Ok((text.into_bytes(), Kind::Raw)),
        (None, Some(KindName::Raw)) => Err(Error::invalid("a raw value is a string or {\"base64\":…}")),
        _ => Ok((value.get().as_bytes().to_vec(), Kind::Json)),
    }
}

fn decode(encoded: &str) -> Result<Vec<u8>> {
    BASE64.decode(encoded).map_err(|error| Error::invalid(format!("not base64: {error}")))
}

#[cfg(test)]
mod tests {
    use super::{EntryLine, Kind};

    fn entry(value: &[u8], kind: Kind) -> EntryLine {
        EntryLine { database: 3, key: b"k".to_vec(), value: value.to_vec(), kind, expires_at_ms: Some(7) }
    }

    #[test]
    fn every_entry_comes_back_as_it_was() {
        for value in [&b""[..], b"text", b"\xff\0", b"{\"a\":1}", "line\nbreak ä".as_bytes()] {
            round_trip(&entry(value, Kind::Raw));
        }
        for value in [
            &b"{\"a\": 1.50}"[..],
            b"\"text\"",
            b"null",
            b"{\"base64\":\"AA==\"}",
            b"{\"json\":1}",
            b"{\"json\":1,\"base64\":2}",
            b"{\n  \"a\": 1\n}",
            b" 1 ",
            b"123456789012345678901234567890.0e5",
        ] {
            round_trip(&entry(value, Kind::Json));
        }
        for key in [&b""[..], b"base64:AA==", b"\xfe", b"a\nb"] {
            let plain = EntryLine { database: 0, expires_at_ms: None, ..entry(b"v", Kind::Raw) };
            round_trip(&EntryLine { key: key.to_vec(), ..plain });
        }
    }

    fn round_trip(entry: &EntryLine) {
        let line = String::from_utf8(entry.to_line()).unwrap();
        assert_eq!(line.find('\n'), Some(line.len() - 1), "{line}");
        assert_eq!(EntryLine::from_line(&line).unwrap(), *entry, "{line}");
    }

    #[test]
    fn lines_written_by_hand_need_only_key_and_value() {
        let read = |line| EntryLine::from_line(line).map(|entry| (entry.value, entry.kind));
        assert_eq!(read(r#"{"key":"k","value":"v"}"#).unwrap(), (b"v".to_vec(), Kind::Raw));
        assert_eq!(read(r#"{"key":"k","value":[1, 2]}"#).unwrap(), (b"[1, 2]".to_vec(), Kind::Json));
        assert!(read(r#"{"key":"k"}"#).is_err());
        assert!(read(r#"{"key":"k","value":1,"kind":"raw"}"#).is_err());
        assert!(read(r#"{"db":16,"key":"k","value":1}"#).is_err());
        assert!(read(r#"{"key":"base64:?","value":1}"#).is_err());
    }
}
