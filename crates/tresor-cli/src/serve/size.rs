//! Sizes as people write them: `64MiB`, `64mb`, `67108864`.
//!
//! The two-letter units count in 1024s, as Redis's do, and so do the ones with an `i`; a single letter
//! is refused, because Redis takes it for 1000s and most people do not.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

const UNITS: [(&str, u32); 10] = [
    ("tib", 40),
    ("gib", 30),
    ("mib", 20),
    ("kib", 10),
    ("tb", 40),
    ("gb", 30),
    ("mb", 20),
    ("kb", 10),
    ("b", 0),
    ("", 0),
];

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Size {
    pub(crate) const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
            .into_iter()
            .find(|(shift, _)| self.0 >> shift != 0 && self.0.trailing_zeros() >= *shift);
        match exact {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            format!("`{text}` is not a size: give bytes, or a number with KiB, MiB, GiB or TiB, as in 64MiB")
        };
        let lower = text.trim().to_ascii_lowercase();
        let (unit, shift) = UNITS.iter().find(|(unit, _)| lower.ends_with(unit)).ok_or_else(refused)?;
        let number: u64 = lower[..lower.len() - unit.len()].trim_end().parse().map_err(|_| refused())?;
        // TOML's integers are signed, and no machine has that much memory.
        number.checked_mul(1 << shift).filter(|bytes| *bytes <= i64::MAX as u64).map(Self).ok_or_else(refused)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A size, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryLimit {
    Off,
    At(Size),
}

impl MemoryLimit {
    /// The limit in bytes, unless it is off.
    pub(crate) fn bytes(self) -> Option<u64> {
        match self {
            Self::Off => None,
            Self::At(size) => Some(size.0),
        }
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(size) => size.fmt(f),
        }
    }
}

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        // Redis's way to say the same.
        text.parse().map(|size| if size == Size(0) { Self::Off } else { Self::At(size) })
    }
}

impl Serialize for MemoryLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MemoryLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A TOML integer or string, as text.
pub(super) fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(i64),
        Text(String),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::Number(number) => number.to_string(),
        Written::Text(text) => text,
    })
}

#[cfg(test)]
mod tests {
    use super::{MemoryLimit, Size};

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("64MiB", 64 << 20), ("64mb", 64 << 20), ("1 GiB", 1 << 30), ("7b", 7)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "MiB", "-1", "64m", "1.5GiB", "99999999999999TiB", "8388608TiB", "ten"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_written_so_that_it_reads_back() {
        for bytes in [0, 1, 1023, 1024, 1536, 64 << 20, (64 << 20) + 1, 3 << 40] {
            assert_eq!(Size(bytes).to_string().parse(), Ok(Size(bytes)));
        }
        assert_eq!(Size(64 << 20).to_string(), "64MiB");
    }

    #[test]
    fn no_memory_limit_is_off_or_zero() {
        assert_eq!("off".parse(), Ok(MemoryLimit::Off));
        assert_eq!("0".parse(), Ok(MemoryLimit::Off));
        assert_eq!("1kb".parse(), Ok(MemoryLimit::At(Size(1024))));
    }
}
