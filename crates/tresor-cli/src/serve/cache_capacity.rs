//! How much the LRU cache may hold, as people write it: `500` entries, or `64MiB`.
//!
//! A number alone counts entries; with a unit it is a size.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tresor::layer::cached::Capacity;

use super::size::{Size, written};

/// A number of entries or of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheCapacity {
    Entries(u64),
    Bytes(Size),
}

impl CacheCapacity {
    /// What the library calls it. A machine cannot hold more than it can address.
    pub(crate) fn capacity(self) -> Capacity {
        let most = |number| usize::try_from(number).unwrap_or(usize::MAX);
        match self {
            Self::Entries(entries) => Capacity::Entries(most(entries)),
            Self::Bytes(size) => Capacity::Bytes(most(size.0)),
        }
    }
}

impl fmt::Display for CacheCapacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries(entries) => entries.fmt(f),
            // Without a unit it would be taken for entries.
            Self::Bytes(size) if size.0.is_multiple_of(1024) && size.0 > 0 => size.fmt(f),
            Self::Bytes(size) => write!(f, "{}b", size.0),
        }
    }
}

impl FromStr for CacheCapacity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(entries) = text.trim().parse::<u64>() {
            // TOML's integers are signed.
            return Ok(Self::Entries(entries.min(i64::MAX as u64)));
        }
        let size = text.parse().map_err(|_| {
            format!("`{text}` is no capacity: give a number of entries, or a size with its unit, as in 64MiB")
        })?;
        Ok(Self::Bytes(size))
    }
}

impl Serialize for CacheCapacity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Entries(entries) => serializer.serialize_u64(*entries),
            Self::Bytes(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for CacheCapacity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{CacheCapacity, Size};

    #[test]
    fn numbers_are_entries_and_units_make_bytes() {
        for (text, capacity) in [
            ("500", CacheCapacity::Entries(500)),
            ("0", CacheCapacity::Entries(0)),
            ("64MiB", CacheCapacity::Bytes(Size(64 << 20))),
            ("100b", CacheCapacity::Bytes(Size(100))),
        ] {
            assert_eq!(text.parse(), Ok(capacity));
            assert_eq!(capacity.to_string(), text, "what is shown can be given");
        }
        assert!("many".parse::<CacheCapacity>().is_err() && "-1".parse::<CacheCapacity>().is_err());
    }
}
