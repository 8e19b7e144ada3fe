//! The options of SET and GETEX: conditions, expiry, and whether the old value is wanted.
//!
//! All words are looked at before any number is, so that the error for a bad request is the one that
//! Redis gives.

use super::{
    expiry::{Count, invalid_expire},
    is, number, syntax_error,
};
use crate::{
    engine::{EntryRef, Guard},
    error::Result,
};

/// What must be true of the entry for SET to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    #[default]
    None,
    Absent,
    Present,
    /// It is there and holds this value.
    Equals(&'a [u8]),
}

impl Condition<'_> {
    /// As a guard of a write; `None` where the value has to be looked at.
    pub(super) fn guard(self) -> Option<Guard> {
        match self {
            Self::None => Some(Guard::None),
            Self::Absent => Some(Guard::Absent),
            Self::Present => Some(Guard::Present),
            Self::Equals(_) => None,
        }
    }

    pub(super) fn holds(self, entry: Option<EntryRef<'_>>) -> bool {
        match self {
            Self::None => true,
            Self::Absent => entry.is_none(),
            Self::Present => entry.is_some(),
            Self::Equals(value) => entry.is_some_and(|entry| entry.value.bytes() == value),
        }
    }
}

/// What becomes of the expiry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// SET: never. GETEX: as it was.
    #[default]
    Unsaid,
    /// KEEPTTL.
    Keep,
    /// PERSIST.
    Endless,
    /// Until this moment, in Unix milliseconds, which is still to come.
    Until(u64),
    /// The moment has passed: what is meant is to have nothing.
    Over,
}

/// SET's options.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SetOptions<'a> {
    pub(super) condition: Condition<'a>,
    pub(super) get: bool,
    pub(super) lifetime: Lifetime,
}

/// An expiry as it was written: how it counts, and the number.
type Written<'a> = Option<(Count, &'a [u8])>;

fn count(word: &[u8]) -> Option<Count> {
    match word.to_ascii_uppercase().as_slice() {
        b"EX" => Some(Count::Seconds),
        b"PX" => Some(Count::Milliseconds),
        b"EXAT" => Some(Count::UnixSeconds),
        b"PXAT" => Some(Count::UnixMilliseconds),
        _ => None,
    }
}

/// The moment that a number means for a new value: above zero, and within range.
pub(super) fn lifetime(command: &str, count: Count, number: &[u8], now_ms: u64) -> Result<Lifetime> {
    let number = number::integer(number)?;
    let moment_ms = count.moment_ms(number, now_ms).filter(|_| number > 0);
    let moment_ms = moment_ms.ok_or_else(|| invalid_expire(command))? as u64;
    Ok(if moment_ms > now_ms { Lifetime::Until(moment_ms) } else { Lifetime::Over })
}

impl<'a> SetOptions<'a> {
    /// Reads the words behind the value.
    pub(super) fn parse(words: &[&'a [u8]], now_ms: u64) -> Result<Self> {
        let mut options = Self::default();
        let mut written: Written<'_> = None;
        let mut rest = words;
        while let [word, after @ ..] = rest {
            rest = after;
            if is(word, "GET") {
                options.get = true;
            } else if is(word, "KEEPTTL") && written.is_none() {
                options.lifetime = Lifetime::Keep;
            } else if let Some(condition) = condition(word, &mut rest) {
                // Saying the same twice is no contradiction.
                if options.condition != Condition::None && options.condition != condition {
                    return Err(syntax_error());
                }
                options.condition = condition;
            } else {
                let count = count(word).ok_or_else(syntax_error)?;
                let contradiction = written.is_some_and(|(other, _)| other != count);
                if contradiction || options.lifetime == Lifetime::Keep {
                    return Err(syntax_error());
                }
                let [number, after @ ..] = rest else { return Err(syntax_error()) };
                written = Some((count, number));
                rest = after;
            }
        }
        if let Some((count, number)) = written {
            options.lifetime = lifetime("set", count, number, now_ms)?;
        }
        Ok(options)
    }
}

fn condition<'a>(word: &[u8], rest: &mut &[&'a [u8]]) -> Option<Condition<'a>> {
    if is(word, "NX") {
        return Some(Condition::Absent);
    }
    if is(word, "XX") {
        return Some(Condition::Present);
    }
    let [value, after @ ..] = *rest else { return None };
    is(word, "IFEQ").then(|| {
        *rest = after;
        Condition::Equals(value)
    })
}

/// What GETEX asks for, before its number was looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extension<'a> {
    Unsaid,
    Persist,
    Until(Count, &'a [u8]),
}

impl<'a> Extension<'a> {
    /// Reads the words behind the key.
    pub(super) fn parse(words: &[&'a [u8]]) -> Result<Self> {
        match words {
            [] => Ok(Self::Unsaid),
            [word] if is(word, "PERSIST") => Ok(Self::Persist),
            [word, number] if !is(word, "PERSIST") => {
                count(word).map(|count| Self::Until(count, number)).ok_or_else(syntax_error)
            }
            // Saying the same again is no contradiction, and the last one stands.
            [word, rest @ ..] if is(word, "PERSIST") && is(rest[0], "PERSIST") => Self::parse(rest),
            [word, _, rest @ ..] if count(word).is_some() && count(word) == count(rest[0]) => {
                Self::parse(rest)
            }
            _ => Err(syntax_error()),
        }
    }

    /// What it means for the expiry.
    pub(super) fn lifetime(self, now_ms: u64) -> Result<Lifetime> {
        match self {
            Self::Unsaid => Ok(Lifetime::Unsaid),
            Self::Persist => Ok(Lifetime::Endless),
            Self::Until(count, number) => lifetime("getex", count, number, now_ms),
        }
    }
}
