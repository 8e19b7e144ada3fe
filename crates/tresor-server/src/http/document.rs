//! What clients send as JSON: the `/kv` documents, and values of kind json.
//!
//! The inverse of `../json.rs`. Values are cut out of the body without being interpreted, so numbers,
//! member order and blanks stay as they were written. Parsing does not recurse, and nesting beyond
//! [`MAX_DEPTH`] is refused, because the next program that reads the value may well recurse.

use std::{borrow::Cow, fmt};

use base64::Engine as _;
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use tresor::{Error, Result, engine::Kind};

use super::ttl::Ttl;
use crate::json::{BASE64, BASE64_PREFIX};

/// How deep arrays and objects of a stored value may nest.
pub(super) const MAX_DEPTH: usize = 100;

/// What `PUT /kv` asks for.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) key: Vec<u8>,
    pub(super) value: Bytes,
    pub(super) kind: Kind,
    pub(super) ttl: Option<Ttl>,
}

impl Put {
    /// Reads `{"key":…,"value":…,"ttl":…}`; other members are not looked at.
    pub(super) fn parse(body: &Bytes) -> Result<Self> {
        let members = Members::of(body)?;
        let key = members.key()?;
        let value = members.value.ok_or_else(|| Error::invalid("the body has no \"value\""))?;
        let ttl = members.ttl.map(|ttl| Ttl::parse(ttl.get())).transpose()?;
        let (value, kind) = read_value(body, value.get())?;
        Ok(Self { key, value, kind, ttl })
    }
}

/// The key that `DELETE /kv` names: `{"key":…}`.
pub(super) fn parse_key_document(body: &[u8]) -> Result<Vec<u8>> {
    Members::of(body)?.key()
}

/// The bytes of a key as JSON and query parameters say it.
pub(super) fn key_of_text(text: Cow<'_, [u8]>) -> Result<Vec<u8>> {
    match text.strip_prefix(BASE64_PREFIX.as_bytes()) {
        Some(encoded) => BASE64.decode(encoded).map_err(|error| {
            Error::invalid("a key that begins with base64: must go on in base64").caused_by(error)
        }),
        None => Ok(text.into_owned()),
    }
}

/// Checks that a whole body is one JSON text that may be stored.
pub(super) fn check_json(body: &[u8]) -> Result<()> {
    check_depth(body)?;
    serde_json::from_slice::<IgnoredAny>(body).map_err(not_json)?;
    // Ignored strings are not looked into, but what is sent out as JSON has to be UTF-8 throughout.
    std::str::from_utf8(body).map_err(|error| Error::invalid("the body is not UTF-8").caused_by(error))?;
    Ok(())
}

fn not_json(error: serde_json::Error) -> Error {
    Error::invalid("the body is not the JSON it should be").caused_by(error)
}

/// The value inside a document: text for a string, bytes and JSON for the two wrappings, else JSON.
pub(super) fn read_value(body: &Bytes, text: &str) -> Result<(Bytes, Kind)> {
    match text.as_bytes().first() {
        Some(b'"') => {
            let text: TextOf<'_> = serde_json::from_str(text).map_err(not_json)?;
            Ok((shared(body, text.0), Kind::Raw))
        }
        Some(b'{') => match serde_json::from_str::<Wrapped<'_>>(text).map_err(not_json)? {
            Wrapped::Base64(encoded) => {
                let encoded: TextOf<'_> = serde_json::from_str(encoded.get())
                    .map_err(|error| Error::invalid("\"base64\" must be a string").caused_by(error))?;
                let bytes = BASE64
                    .decode(encoded.0.as_bytes())
                    .map_err(|error| Error::invalid("\"base64\" is not base64").caused_by(error))?;
                Ok((bytes.into(), Kind::Raw))
            }
            Wrapped::Json(inner) => json_value(body, inner.get()),
            Wrapped::Nothing => json_value(body, text),
        },
        _ => json_value(body, text),
    }
}

fn json_value(body: &Bytes, text: &str) -> Result<(Bytes, Kind)> {
    check_depth(text.as_bytes())?;
    Ok((body.slice_ref(text.as_bytes()), Kind::Json))
}

/// The text without copying, where it stands in the body as it is.
fn shared(body: &Bytes, text: Cow<'_, str>) -> Bytes {
    match text {
        Cow::Borrowed("") => Bytes::new(),
        Cow::Borrowed(text) => body.slice_ref(text.as_bytes()),
        Cow::Owned(text) => text.into(),
    }
}

fn check_depth(json: &[u8]) -> Result<()> {
    let (mut depth, mut inside_string, mut escaped) = (0usize, false, false);
    for &byte in json {
        if inside_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => inside_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => inside_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Error::invalid(format!("the JSON nests deeper than {MAX_DEPTH} levels: flatten it")));
        }
    }
    Ok(())
}

/// A string, borrowed where it holds no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct TextOf<'a>(#[serde(borrow)] Cow<'a, str>);

/// The members of a document, not yet interpreted.
#[derive(Default)]
struct Members<'a> {
    key: Option<&'a RawValue>,
    value: Option<&'a RawValue>,
    ttl: Option<&'a RawValue>,
}

impl<'a> Members<'a> {
    fn of(body: &'a [u8]) -> Result<Self> {
        serde_json::from_slice(body).map_err(not_json)
    }

    fn key(&self) -> Result<Vec<u8>> {
        let key = self.key.ok_or_else(|| Error::invalid("the body has no \"key\""))?;
        let key: TextOf<'_> = serde_json::from_str(key.get())
            .map_err(|error| Error::invalid("\"key\" must be a string").caused_by(error))?;
        key_of_text(match key.0 {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key::<TextOf<'de>>()? {
            let member = match &*name.0 {
                "key" => &mut members.key,
                "value" => &mut members.value,
                "ttl" => &mut members.ttl,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if member.replace(map.next_value()?).is_some() {
                return Err(serde::de::Error::custom(format_args!("\"{}\" is there twice", name.0)));
            }
        }
        Ok(members)
    }
}

/// An object that may stand for another value.
enum Wrapped<'a> {
    Base64(&'a RawValue),
    Json(&'a RawValue),
    Nothing,
}

impl<'de> Deserialize<'de> for Wrapped<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WrappedVisitor)
    }
}

struct WrappedVisitor;

impl<'de> Visitor<'de> for WrappedVisitor {
    type Value = Wrapped<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wrapped<'de>, A::Error> {
        let mut wrapped = Wrapped::Nothing;
        let mut members = 0;
        while let Some(name) = map.next_key::<TextOf<'de>>()? {
            members += 1;
            match (members, &*name.0) {
                (1, "base64") => wrapped = Wrapped::Base64(map.next_value()?),
                (1, "json") => wrapped = Wrapped::Json(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(if members == 1 { wrapped } else { Wrapped::Nothing })
    }
}
