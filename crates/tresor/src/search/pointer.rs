//! JSON pointers (RFC 6901): which part of a JSON value is meant.
//!
//! The part is found while the text is read once, without building the value, and comes back as it is
//! written: a number keeps all of its digits.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// The longest pointer, in bytes.
const MAX_POINTER_BYTES: usize = 1024;

/// A pointer; the empty one means the whole value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer {
    steps: Vec<String>,
}

impl Pointer {
    /// Reads `/members/0/name`, with `~1` for a slash and `~0` for a tilde in a name.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for anything else, and beyond 1024 bytes.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let text =
            std::str::from_utf8(text).map_err(|_| Error::invalid("a field is a JSON pointer in UTF-8"))?;
        if text.len() > MAX_POINTER_BYTES {
            return Err(Error::invalid(format!(
                "a field is a JSON pointer of at most {MAX_POINTER_BYTES} bytes"
            )));
        }
        if text.is_empty() {
            return Ok(Self::default());
        }
        let wrong = || {
            Error::invalid(format!("'{text}' is no JSON pointer: write a field as /name, or /list/0/name"))
        };
        let steps = text.strip_prefix('/').ok_or_else(wrong)?;
        let step = |step: &str| {
            let is_escaped = step.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
            is_escaped.then(|| step.replace("~1", "/").replace("~0", "~")).ok_or_else(wrong)
        };
        Ok(Self { steps: steps.split('/').map(step).collect::<Result<_>>()? })
    }

    /// The part of a JSON text that is meant, as it is written; `None` if there is none or it is no JSON.
    pub(crate) fn find<'a>(&self, json: &'a [u8]) -> Option<&'a str> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let found = Walk(&self.steps).deserialize(&mut reader).ok()??;
        reader.end().ok()?;
        Some(found.get())
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

/// What a part says as text: a string's own text, anything else as it is written.
pub(crate) fn text_of(part: &str) -> Cow<'_, [u8]> {
    if !part.starts_with('"') {
        return Cow::Borrowed(part.as_bytes());
    }
    match serde_json::from_str::<String>(part) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        // A lone surrogate, which no text can hold.
        Err(_) => Cow::Borrowed(part.as_bytes()),
    }
}

struct Walk<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => <&RawValue>::deserialize(deserializer).map(Some),
            [..] => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((step, rest)) = self.0.split_first() else { return Ok(None) };
        let mut found = None;
        while let Some(name) = map.next_key::<Name<'de>>()? {
            // Of two members of one name the last counts, as everywhere in JSON.
            match name.0 == *step {
                true => found = map.next_value_seed(Walk(rest))?,
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let Some((step, rest)) = self.0.split_first() else { return Ok(None) };
        let is_number =
            step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
        let wanted = is_number.then(|| step.parse::<usize>().ok()).flatten();
        let (mut found, mut place) = (None, 0);
        loop {
            let more = match wanted == Some(place) {
                true => list.next_element_seed(Walk(rest))?.map(|part| found = part),
                false => list.next_element::<IgnoredAny>()?.map(drop),
            };
            if more.is_none() {
                return Ok(found);
            }
            place += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A member's name, borrowed where it holds no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::{Pointer, text_of};

    const DOCUMENT: &[u8] =
        br#" {"a":{"b":[10, 2.50, {"c/d":"x\ny"}]}, "":1, "m~n":8, "big":123456789012345678901234567890, "a2":null} "#;

    #[test]
    fn parts_are_found_as_they_are_written() {
        for (pointer, part) in [
            ("/a/b/0", Some("10")),
            ("/a/b/1", Some("2.50")),
            ("/a/b/2/c~1d", Some(r#""x\ny""#)),
            ("/", Some("1")),
            ("/m~0n", Some("8")),
            ("/big", Some("123456789012345678901234567890")),
            ("/a2", Some("null")),
            ("/a2/x", None),
            ("/big/x", None),
            ("/a/b/3", None),
            ("/a/b/01", None),
            ("/a/b/-", None),
            ("/none", None),
        ] {
            assert_eq!(Pointer::parse(pointer.as_bytes()).unwrap().find(DOCUMENT), part, "{pointer}");
        }
        let whole = Pointer::default().find(DOCUMENT).map(str::as_bytes);
        assert_eq!(whole, Some(DOCUMENT.trim_ascii()));
        assert_eq!(text_of(r#""x\ny""#).as_ref(), b"x\ny");
        assert_eq!(text_of("2.50").as_ref(), b"2.50");
    }

    #[test]
    fn what_is_no_json_has_no_parts() {
        for text in [&b"plain"[..], b"{\"a\":1} x", b"{\"a\":1", b"\xff", b""] {
            assert_eq!(Pointer::parse(b"/a").unwrap().find(text), None);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in [&b"a"[..], b"/a~", b"/a~2", b"/\xff", &[b'/'; 1025]] {
            assert!(Pointer::parse(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }
}
