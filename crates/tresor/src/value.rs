//! What a program puts into the store and gets back: bytes, and whether they are JSON text.
//!
//! A value is what the engine keeps and nothing more, so reading one copies its bytes once and looks
//! at none of them; text, numbers and JSON are views that are made when asked for. Short values, the
//! most common ones, stand in the value itself: reading them allocates nothing. The kind follows from
//! the type that was put: strings and bytes are raw, numbers, booleans and JSON are json.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    engine::{Kind, ValueRef},
    error::{Error, Result},
};

/// A value: raw bytes or JSON text. Displays as text; bytes that are not UTF-8 show as `U+FFFD`.
#[derive(Clone)]
pub struct Value(Held);

/// The longest value that stands in the value itself: what fits where the other form has its pointers.
const INLINE_BYTES: usize = 37;

#[derive(Clone)]
enum Held {
    Inline { kind: Kind, length: u8, bytes: [u8; INLINE_BYTES] },
    Shared { kind: Kind, bytes: Bytes },
}

impl Value {
    /// Raw bytes.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self(Held::Shared { kind: Kind::Raw, bytes: bytes.into() })
    }

    /// The JSON of anything that can be serialized; a string stays a JSON string, quotes included.
    /// [`Invalid`](crate::ErrorKind::Invalid) for what JSON cannot say, such as a map with keys that are no text.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let text = serde_json::to_vec(value)
            .map_err(|error| Error::invalid("the value cannot be written as JSON").caused_by(error))?;
        Ok(Self::json_text(text))
    }

    /// JSON kept as it is written. [`Invalid`](crate::ErrorKind::Invalid) if it does not parse.
    pub fn from_json_text(text: impl Into<Bytes>) -> Result<Self> {
        let text = text.into();
        serde_json::from_slice::<serde::de::IgnoredAny>(&text)
            .map_err(|error| Error::invalid("the value is not JSON").caused_by(error))?;
        Ok(Self::json_text(text))
    }

    fn json_text(text: impl Into<Bytes>) -> Self {
        Self(Held::Shared { kind: Kind::Json, bytes: text.into() })
    }

    #[inline]
    fn copied(bytes: &[u8], kind: Kind) -> Self {
        if bytes.len() > INLINE_BYTES {
            return Self(Held::Shared { kind, bytes: Bytes::copy_from_slice(bytes) });
        }
        let mut inline = [0; INLINE_BYTES];
        inline[..bytes.len()].copy_from_slice(bytes);
        Self(Held::Inline { kind, length: bytes.len() as u8, bytes: inline })
    }

    /// What the engine shows, to keep: large values are shared with it, not copied.
    #[inline]
    pub(crate) fn kept(value: ValueRef<'_>, kind: Kind) -> Self {
        match value {
            ValueRef::Inline(bytes) => Self::copied(bytes, kind),
            ValueRef::Shared(bytes) => Self(Held::Shared { kind, bytes: bytes.clone() }),
        }
    }

    /// Whether it is raw or JSON.
    pub fn kind(&self) -> Kind {
        match self.0 {
            Held::Inline { kind, .. } | Held::Shared { kind, .. } => kind,
        }
    }

    /// The bytes as they are stored.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Held::Inline { length, bytes, .. } => &bytes[..usize::from(*length)],
            Held::Shared { bytes, .. } => bytes,
        }
    }

    /// The bytes as they are stored; long ones are not copied.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Held::Inline { .. } => Bytes::copy_from_slice(self.as_bytes()),
            Held::Shared { bytes, .. } => bytes,
        }
    }

    /// The text, if it is UTF-8; for JSON its source.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }

    /// The integer that it spells, raw or json, if it is one and fits: `-7`, but neither `+7` nor `07`.
    pub fn as_i64(&self) -> Option<i64> {
        integer_of(self.as_bytes())
    }

    /// The same for large positive integers.
    pub fn as_u64(&self) -> Option<u64> {
        let text = self.as_str()?;
        let canonical = text == "0" || text.starts_with(|first: char| ('1'..='9').contains(&first));
        text.parse().ok().filter(|_| canonical)
    }

    /// The number that it spells, raw or json.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_str()?.parse().ok()
    }

    /// Whether it spells `true` or `false`, raw or json.
    pub fn as_bool(&self) -> Option<bool> {
        self.as_str()?.parse().ok()
    }

    /// As JSON: json parsed, raw as a string. `None` for raw bytes that are not UTF-8, and for text
    /// of kind json that is none.
    pub fn as_json(&self) -> Option<serde_json::Value> {
        match self.kind() {
            Kind::Json => serde_json::from_slice(self.as_bytes()).ok(),
            _ => Some(self.as_str()?.into()),
        }
    }

    /// Reads it as `T`: json as it is; raw as a string or, where `T` is none, as the JSON that it
    /// spells (a counter that INCR made). [`Invalid`](crate::ErrorKind::Invalid) when it is no `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        if self.kind() == Kind::Raw
            && let Some(text) = self.as_str()
            && let Ok(value) = serde_json::from_value(text.into())
        {
            return Ok(value);
        }
        serde_json::from_slice(self.as_bytes()).map_err(|error| {
            Error::invalid(format!("the value is no {}", std::any::type_name::<T>())).caused_by(error)
        })
    }
}

/// The integer that bytes spell in the one way that Redis accepts: no sign but `-`, no leading zeros.
pub(crate) fn integer_of(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let canonical = match digits.first()? {
        b'0' => bytes == b"0",
        first => first.is_ascii_digit(),
    };
    std::str::from_utf8(bytes).ok()?.parse().ok().filter(|_| canonical)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}(\"{}\")", self.kind(), self.as_bytes().escape_ascii())
    }
}

/// Equal bytes of an equal kind.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        (self.kind(), self.as_bytes()) == (other.kind(), other.as_bytes())
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.kind(), self.as_bytes()).hash(state);
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, text: &str) -> bool {
        self.as_bytes() == text.as_bytes()
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl From<&Value> for Value {
    fn from(value: &Value) -> Self {
        value.clone()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::raw(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::copied(bytes, Kind::Raw)
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(bytes.as_slice())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::raw(bytes)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::raw(bytes)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::copied(if yes { b"true" } else { b"false" }, Kind::Json)
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Value {
            fn from(integer: $integer) -> Self {
                Self::copied(itoa::Buffer::new().format(integer).as_bytes(), Kind::Json)
            }
        }
    )*};
}

from_integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

macro_rules! from_floats {
    ($($float:ty),*) => {$(
        /// The shortest text that reads back as the same number. JSON has no NaN and no infinity:
        /// these become raw text.
        impl From<$float> for Value {
            fn from(float: $float) -> Self {
                if !float.is_finite() {
                    return Self::raw(float.to_string());
                }
                Self::copied(ryu::Buffer::new().format_finite(float).as_bytes(), Kind::Json)
            }
        }
    )*};
}

from_floats!(f32, f64);

impl From<serde_json::Value> for Value {
    /// A JSON string becomes raw text, as over HTTP; any other JSON stays JSON.
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::String(text) => Self::raw(text),
            other => Self::json_text(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Kind, Value};

    #[test]
    fn strings_and_bytes_are_raw_and_everything_else_is_json() {
        let raw: [Value; 5] =
            ["a".into(), String::from("a").into(), b"a".into(), vec![b'a'].into(), json!("a").into()];
        assert!(raw.iter().all(|value| value.kind() == Kind::Raw && value == "a"), "{raw:?}");
        let others: [(Value, &str); 8] = [
            (30.into(), "30"),
            (u64::MAX.into(), "18446744073709551615"),
            (i64::MIN.into(), "-9223372036854775808"),
            (0.1.into(), "0.1"),
            (2f32.into(), "2.0"),
            (true.into(), "true"),
            (json!(null).into(), "null"),
            (json!({"b": [1, "x"]}).into(), r#"{"b":[1,"x"]}"#),
        ];
        for (value, text) in others {
            assert_eq!((value.kind(), value.to_string().as_str()), (Kind::Json, text));
        }
        assert_eq!(Value::from(f64::NAN).kind(), Kind::Raw);
    }

    #[test]
    fn short_and_long_values_are_alike_and_none_is_larger_than_its_pointers() {
        assert_eq!(size_of::<Value>(), 40);
        for length in [0, 1, 36, 37, 38, 1000] {
            let bytes = vec![7; length];
            let (copied, owned) = (Value::from(bytes.as_slice()), Value::from(bytes.clone()));
            assert_eq!((&copied, copied.as_bytes()), (&owned, bytes.as_slice()));
            assert_eq!((copied.into_bytes(), owned.into_bytes()), (bytes.clone().into(), bytes.into()));
        }
        assert_ne!(Value::from("30"), Value::from(30));
    }

    #[test]
    fn views_read_what_the_bytes_spell() {
        assert_eq!(Value::from("12").as_i64(), Some(12));
        assert_eq!(Value::from(-12).as_i64(), Some(-12));
        for wrong in ["", "-", "+1", "01", "-0", " 1", "1.0", "9223372036854775808"] {
            assert_eq!(Value::from(wrong).as_i64(), None, "{wrong:?}");
        }
        assert_eq!(Value::from(u64::MAX).as_u64(), Some(u64::MAX));
        assert_eq!((Value::from("+1").as_u64(), Value::from("00").as_u64()), (None, None));
        assert_eq!(Value::from("2.5").as_f64(), Some(2.5));
        assert_eq!(Value::from(false).as_bool(), Some(false));
        assert_eq!(Value::from("[1]").as_json(), Some(json!("[1]")));
        assert_eq!(Value::from(json!([1])).as_json(), Some(json!([1])));
        assert_eq!(Value::from(b"\xff").as_json(), None);
        assert_eq!(Value::from(b"\xff").as_str(), None);
    }

    #[test]
    fn json_text_is_checked_and_kept_as_it_is_written() {
        let value = Value::from_json_text(r#"{"b": 1.50,  "a": "\u0041"}"#).unwrap();
        assert_eq!((value.kind(), value.as_str()), (Kind::Json, Some(r#"{"b": 1.50,  "a": "\u0041"}"#)));
        for wrong in ["", "{", "nul", "1 2", "'a'"] {
            assert!(Value::from_json_text(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn raw_text_decodes_as_a_string_first_and_as_json_second() {
        assert_eq!(Value::from("5").decode::<String>().ok(), Some("5".to_owned()));
        assert_eq!(Value::from("5").decode::<u64>().ok(), Some(5));
        assert!(Value::from(5).decode::<String>().is_err());
        assert!(Value::from("five").decode::<u64>().is_err());
    }
}
