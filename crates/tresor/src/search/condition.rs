//! What a key or a value has to be: begin so, match a pattern, lie between two bounds.
//!
//! A range over values says how they are read: as bytes, as text, or as decimal numbers of any size. What
//! cannot be read so is left out and counted, so that nobody takes silence for an answer.

use std::{cmp::Ordering, ops::Bound};

use super::{
    decimal::Decimal,
    glob::Glob,
    pattern::Pattern,
    pointer::{Pointer, text_of},
};
use crate::{
    engine::behind_prefix,
    entries::possible,
    error::{Error, Result},
};

/// How the values of a range are read and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Byte by byte.
    Bytes,
    /// UTF-8, in the order of code points.
    Text,
    /// Decimal numbers of any size, by what they are worth.
    Number,
}

impl Reading {
    const ALL: [Self; 3] = [Self::Bytes, Self::Text, Self::Number];

    /// Reads `text`, `bytes` or `number`, in any case.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for any other name.
    pub fn parse(name: &[u8]) -> Result<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|reading| reading.name().as_bytes().eq_ignore_ascii_case(name))
            .ok_or_else(|| Error::invalid("value_as is one of text, bytes and number"))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Text => "text",
            Self::Number => "number",
        }
    }
}

/// What is found out about one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Matches,
    Differs,
    /// It cannot be read as the condition wants it.
    Unreadable,
}

impl Verdict {
    fn of(matches: bool) -> Self {
        if matches { Self::Matches } else { Self::Differs }
    }
}

/// A pattern that bytes match or not.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Prefix(Vec<u8>),
    Glob(Glob),
    Regex(Pattern),
}

impl Test {
    pub(super) fn matches(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Prefix(prefix) => bytes.starts_with(prefix),
            Self::Glob(glob) => glob.matches(bytes),
            Self::Regex(pattern) => pattern.matches(bytes),
        }
    }
}

/// Two bounds of byte strings.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) lower: Bound<Vec<u8>>,
    pub(super) upper: Bound<Vec<u8>>,
}

impl Default for Range {
    fn default() -> Self {
        Self { lower: Bound::Unbounded, upper: Bound::Unbounded }
    }
}

impl Range {
    pub(super) fn is_unbounded(&self) -> bool {
        matches!((&self.lower, &self.upper), (Bound::Unbounded, Bound::Unbounded))
    }

    /// The bounds that there are.
    pub(super) fn ends(&self) -> impl Iterator<Item = &[u8]> {
        [&self.lower, &self.upper].into_iter().filter_map(|bound| match bound {
            Bound::Included(end) | Bound::Excluded(end) => Some(&**end),
            Bound::Unbounded => None,
        })
    }

    /// Keeps the greater of two lower bounds.
    pub(super) fn raise(&mut self, lower: Bound<Vec<u8>>) {
        let is_higher = match (&lower, &self.lower) {
            (Bound::Unbounded, _) => false,
            (_, Bound::Unbounded) => true,
            (Bound::Included(new), Bound::Included(old) | Bound::Excluded(old)) => new > old,
            (Bound::Excluded(new), Bound::Included(old) | Bound::Excluded(old)) => new >= old,
        };
        if is_higher {
            self.lower = lower;
        }
    }

    /// Keeps the smaller of two upper bounds.
    pub(super) fn cap(&mut self, upper: Bound<Vec<u8>>) {
        let is_lower = match (&upper, &self.upper) {
            (Bound::Unbounded, _) => false,
            (_, Bound::Unbounded) => true,
            (Bound::Included(new), Bound::Included(old) | Bound::Excluded(old)) => new < old,
            (Bound::Excluded(new), Bound::Included(old) | Bound::Excluded(old)) => new <= old,
        };
        if is_lower {
            self.upper = upper;
        }
    }

    /// Whether a string lies inside, compared byte by byte.
    pub(super) fn contains(&self, bytes: &[u8]) -> bool {
        self.holds(|end| Some(bytes.cmp(end))).unwrap_or(false)
    }

    /// Whether nothing can lie inside.
    pub(super) fn is_empty(&self) -> bool {
        !possible(&self.lower, &self.upper)
    }

    /// Whether every key inside begins with a prefix.
    pub(super) fn is_within(&self, prefix: &[u8]) -> bool {
        let is_above = match &self.lower {
            Bound::Included(end) | Bound::Excluded(end) => **end >= *prefix,
            Bound::Unbounded => prefix.is_empty(),
        };
        let is_below = match (&self.upper, behind_prefix(prefix)) {
            (_, Bound::Unbounded) => true,
            (Bound::Excluded(end), Bound::Excluded(behind)) => *end <= behind,
            (Bound::Included(end), Bound::Excluded(behind)) => *end < behind,
            _ => false,
        };
        is_above && is_below
    }

    /// The bounds, borrowed.
    pub(super) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.lower.as_ref().map(Vec::as_slice), self.upper.as_ref().map(Vec::as_slice))
    }

    /// The same with a comparison of the caller's, which may be impossible.
    fn holds(&self, compare: impl Fn(&[u8]) -> Option<Ordering>) -> Option<bool> {
        let is_above = match &self.lower {
            Bound::Included(end) => compare(end)?.is_ge(),
            Bound::Excluded(end) => compare(end)?.is_gt(),
            Bound::Unbounded => true,
        };
        let is_below = match &self.upper {
            Bound::Included(end) => compare(end)?.is_le(),
            Bound::Excluded(end) => compare(end)?.is_lt(),
            Bound::Unbounded => true,
        };
        Some(is_above && is_below)
    }
}

/// What a value, or one field of a JSON value, has to be.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueCondition {
    pub(super) field: Option<Pointer>,
    pub(super) tests: Vec<Test>,
    pub(super) range: Range,
    pub(super) reading: Option<Reading>,
}

impl ValueCondition {
    /// How the range reads values unless it was said: as numbers if both bounds are, else as text.
    pub(super) fn reading(&self) -> Reading {
        let all_numbers = || self.range.ends().all(|end| Decimal::parse(end).is_some());
        self.reading.unwrap_or_else(|| if all_numbers() { Reading::Number } else { Reading::Text })
    }

    pub(super) fn verdict(&self, value: &[u8]) -> Verdict {
        match &self.field {
            None => self.verdict_of(value),
            Some(field) => match field.find(value) {
                Some(part) => self.verdict_of(&text_of(part)),
                None => Verdict::Differs,
            },
        }
    }

    fn verdict_of(&self, text: &[u8]) -> Verdict {
        if !self.tests.iter().all(|test| test.matches(text)) {
            return Verdict::Differs;
        }
        if self.range.is_unbounded() {
            return Verdict::Matches;
        }
        let inside = match self.reading() {
            Reading::Bytes => Some(self.range.contains(text)),
            Reading::Text => std::str::from_utf8(text).is_ok().then(|| self.range.contains(text)),
            Reading::Number => Decimal::parse(text).and_then(|number| {
                self.range.holds(|end| Decimal::parse(end).map(|end| number.compare(&end)))
            }),
        };
        inside.map_or(Verdict::Unreadable, Verdict::of)
    }
}

/// What begins a glob, as far as it is literal.
pub(super) fn glob_prefix(pattern: &[u8]) -> &[u8] {
    let end = pattern.iter().position(|byte| b"*?[\\".contains(byte)).unwrap_or(pattern.len());
    &pattern[..end]
}
