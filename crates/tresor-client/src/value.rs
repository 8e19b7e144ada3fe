//! Values and keys as answers carry them, and the bytes that they stand for.
//!
//! Raw text comes as a JSON string, other raw bytes as `{"base64":…}`, and JSON as itself, or as
//! `{"json":…}` where it would be taken for one of these two. Keys are strings; one that is not text
//! comes as `base64:` and its code. JSON stays the text that the server sent, so no digit of a number is
//! lost.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};

const ENCODED_KEY: &str = "base64:";

/// A value: raw bytes, or the text of a JSON document.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    bytes: Vec<u8>,
    is_json: bool,
}

impl Value {
    /// The bytes; of a JSON document its text.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The bytes as text, if they are UTF-8.
    pub fn text(&self) -> Option<&str> {
        str::from_utf8(&self.bytes).ok()
    }

    /// Whether it is a JSON document. A document that is one string counts as its text, for the protocol
    /// does not tell the two apart.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// The JSON document, numbers as precise as `serde_json` has them; `None` for raw bytes.
    pub fn json(&self) -> Option<serde_json::Value> {
        self.is_json.then(|| serde_json::from_slice(&self.bytes).ok()).flatten()
    }

    /// The value that an answer has in this place.
    pub(crate) fn decode(answered: &RawValue) -> Result<Self> {
        let text = answered.get();
        match text.as_bytes().first() {
            Some(b'"') => {
                let raw: String = serde_json::from_str(text).map_err(unreadable)?;
                Ok(Self { bytes: raw.into_bytes(), is_json: false })
            }
            Some(b'{') => Self::decode_object(text),
            _ => Ok(Self { bytes: text.as_bytes().to_vec(), is_json: true }),
        }
    }

    fn decode_object(text: &str) -> Result<Self> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(unreadable)?;
        let only = if members.len() == 1 { members.first_key_value() } else { None };
        match only.map(|(name, value)| (name.as_str(), *value)) {
            Some(("base64", encoded)) => {
                let encoded: String = serde_json::from_str(encoded.get()).map_err(unreadable)?;
                Ok(Self { bytes: STANDARD.decode(encoded).map_err(unreadable)?, is_json: false })
            }
            Some(("json", wrapped)) => Ok(Self { bytes: wrapped.get().as_bytes().to_vec(), is_json: true }),
            _ => Ok(Self { bytes: text.as_bytes().to_vec(), is_json: true }),
        }
    }
}

/// Text as it is, other bytes with signs of replacement.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", if self.is_json { "Json" } else { "Raw" }, String::from_utf8_lossy(&self.bytes))
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.bytes == other.as_bytes()
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

/// The bytes of a key as an answer names it.
pub(crate) fn decode_key(answered: String) -> Result<Vec<u8>> {
    match answered.strip_prefix(ENCODED_KEY) {
        Some(encoded) => STANDARD.decode(encoded).map_err(unreadable),
        None => Ok(answered.into_bytes()),
    }
}

fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Protocol, "the server's answer has a value that makes no sense").caused_by(error)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::{Value, decode_key};

    fn decoded(text: &str) -> Value {
        Value::decode(serde_json::from_str::<&RawValue>(text).unwrap()).unwrap()
    }

    #[test]
    fn each_way_to_write_a_value_is_read() {
        assert_eq!(decoded(r#""a\u00e9\n""#), "aé\n");
        assert_eq!(decoded(r#"{"base64":"/wA="}"#).bytes(), [0xff, 0]);
        assert!(!decoded(r#"{"base64":"/wA="}"#).is_json());
        for (answered, document) in [
            ("1.00000000000000000001", "1.00000000000000000001"),
            ("null", "null"),
            (r#"{"a": [1, 2]}"#, r#"{"a": [1, 2]}"#),
            (r#"{"json":{"base64":"x"}}"#, r#"{"base64":"x"}"#),
            (r#"{"base64":"x","more":1}"#, r#"{"base64":"x","more":1}"#),
        ] {
            let value = decoded(answered);
            assert!(value.is_json() && value == document, "{value:?}");
        }
    }

    #[test]
    fn keys_that_are_no_text_are_decoded() {
        assert_eq!(decode_key("plain".to_owned()).unwrap(), b"plain");
        assert_eq!(decode_key("base64:/wA=".to_owned()).unwrap(), [0xff, 0]);
        assert!(decode_key("base64:?".to_owned()).is_err());
    }
}
