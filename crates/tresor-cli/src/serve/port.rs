//! A port option: a number, or `off`.
//!
//! Written in a file as a number or the word, so that both `port = 0` and `port = "off"` read well.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Where a front door listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// Nowhere.
    Off,
    /// There; 0 for any free port.
    Number(u16),
}

impl Port {
    /// The number, unless it is off.
    pub(crate) fn number(self) -> Option<u16> {
        match self {
            Self::Off => None,
            Self::Number(number) => Some(number),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        text.parse().map(Self::Number).map_err(|_| "a port is a number from 0 to 65535, or `off`".to_owned())
    }
}

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::Number(number) => serializer.serialize_u16(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(i64),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string().parse(),
            Written::Word(word) => word.parse(),
        }
        .map_err(D::Error::custom)
    }
}
