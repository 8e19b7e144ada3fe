//! One entry as one line of JSON, and back: the format of `dump` and `load`.
//!
//! Keys and values look as they do over HTTP, and the members `kind`, `expires_at_ms` and `db` say the
//! rest, so that loading makes the same entry again, byte for byte. Binary data, and JSON that spans
//! several lines, is base64.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What a key that is not plain text begins with.
const BASE64_PREFIX: &str = "base64:";

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) database: u8,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) kind: Kind,
    /// In Unix milliseconds.
    pub(crate) expires_at_ms: Option<u64>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Raw,
    Json,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(default, skip_serializing_if = "is_first")]
    db: u8,
    key: String,
    value: Box<RawValue>,
    kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Wrapped {
    Base64(String),
    Json(Box<RawValue>),
}

fn is_first(database: &u8) -> bool {
    *database == 0
}

impl Entry {
    /// The entry as a line, without its end.
    pub(crate) fn to_line(&self) -> Result<String, serde_json::Error> {
        let key = match std::str::from_utf8(&self.key) {
            Ok(text) if !text.starts_with(BASE64_PREFIX) => text.to_owned(),
            _ => format!("{BASE64_PREFIX}{}", BASE64.encode(&self.key)),
        };
        serde_json::to_string(&Line {
            db: self.database,
            key,
            value: self.value_to_json()?,
            kind: Some(self.kind),
            expires_at_ms: self.expires_at_ms,
        })
    }

    fn value_to_json(&self) -> Result<Box<RawValue>, serde_json::Error> {
        let base64 = || serde_json::value::to_raw_value(&Wrapped::Base64(BASE64.encode(&self.value)));
        let Ok(text) = std::str::from_utf8(&self.value) else { return base64() };
        match self.kind {
            Kind::Raw => serde_json::value::to_raw_value(text),
            // Blanks at either end would be lost with the JSON text around them.
            Kind::Json if text.contains(['\n', '\r']) || text.trim() != text => base64(),
            Kind::Json => {
                let json: Box<RawValue> = serde_json::from_str(text)?;
                match serde_json::from_str::<Wrapped>(text) {
                    Ok(_) => serde_json::value::to_raw_value(&Wrapped::Json(json)),
                    Err(_) => Ok(json),
                }
            }
        }
    }

    /// The entry that a line describes. Without `kind`, strings are raw and the rest is JSON.
    pub(crate) fn from_line(line: &str) -> Result<Self, String> {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if line.db >= tresor::engine::DATABASES {
            return Err(format!("there is no database {}: they go from 0 to 15", line.db));
        }
        let key = match line.key.strip_prefix(BASE64_PREFIX) {
            Some(encoded) => decode(encoded)?,
            None => line.key.into_bytes(),
        };
        let (value, kind) = value_of(&line.value, line.kind)?;
        Ok(Self { database: line.db, key, value, kind, expires_at_ms: line.expires_at_ms })
    }
}

fn value_of(value: &RawValue, kind: Option<Kind>) -> Result<(Vec<u8>, Kind), String> {
    match serde_json::from_str(value.get()) {
        Ok(Wrapped::Base64(encoded)) => return Ok((decode(&encoded)?, kind.unwrap_or(Kind::Raw))),
        Ok(Wrapped::Json(inner)) => return Ok((inner.get().as_bytes().to_vec(), Kind::Json)),
        Err(_) => {}
    }
    let text: Option<String> = serde_json::from_str(value.get()).ok();
    match (text, kind) {
        (Some(text), None | Some(Kind::Raw)) => Ok((text.into_bytes(), Kind::Raw)),
        (None, Some(Kind::Raw)) => Err("a raw value is a string or {\"base64\":…}".to_owned()),
        _ => Ok((value.get().as_bytes().to_vec(), Kind::Json)),
    }
}

fn decode(encoded: &str) -> Result<Vec<u8>, String> {
    BASE64.decode(encoded).map_err(|error| format!("not base64: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{Entry, Kind};

    fn entry(value: &[u8], kind: Kind) -> Entry {
        Entry { database: 3, key: b"k".to_vec(), value: value.to_vec(), kind, expires_at_ms: Some(7) }
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
            let plain = Entry { database: 0, expires_at_ms: None, ..entry(b"v", Kind::Raw) };
            round_trip(&Entry { key: key.to_vec(), ..plain });
        }
    }

    fn round_trip(entry: &Entry) {
        let line = entry.to_line().unwrap();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(Entry::from_line(&line).as_ref(), Ok(entry), "{line}");
    }

    #[test]
    fn lines_written_by_hand_need_only_key_and_value() {
        let read = |line| Entry::from_line(line).map(|entry| (entry.value, entry.kind));
        assert_eq!(read(r#"{"key":"k","value":"v"}"#), Ok((b"v".to_vec(), Kind::Raw)));
        assert_eq!(read(r#"{"key":"k","value":[1, 2]}"#), Ok((b"[1, 2]".to_vec(), Kind::Json)));
        assert!(read(r#"{"key":"k"}"#).is_err());
        assert!(read(r#"{"key":"k","value":1,"kind":"raw"}"#).is_err());
        assert!(read(r#"{"db":16,"key":"k","value":1}"#).is_err());
        assert!(read(r#"{"key":"base64:?","value":1}"#).is_err());
    }
}
