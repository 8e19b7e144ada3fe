//! Requests of the Redis protocol: bytes to words that point into them.
//!
//! A request is an array of bulk strings (<https://redis.io/docs/latest/develop/reference/protocol-spec/>)
//! or an inline line. The decoder copies nothing of an array and never looks at the inside of a word.
//! Invariants: what it answers does not depend on how the input is cut; a request of many words that
//! arrives in pieces is looked at once, not once a piece; an announced length allocates nothing.

use std::fmt;

use smallvec::SmallVec;

use super::{Line, split_line};
use crate::limits::INLINE_BYTES;

/// Words of a request, as slices of the input.
pub type Words<'b> = SmallVec<[&'b [u8]; 16]>;

/// A request with more words than this that is not complete is continued, not decoded anew.
const CONTINUED_WORDS: usize = 16;

/// What a decoder allows.
#[derive(Clone, Copy, Debug)]
pub struct RequestBounds {
    /// Words of a request.
    pub words: usize,
    /// Bytes of a word.
    pub word_bytes: usize,
    /// Whether the client has authenticated; the texts of refusals differ.
    pub authenticated: bool,
}

/// What the input began with.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A request of so many bytes, its words in `words`.
    Array(usize),
    /// An inline request of so many bytes and its words.
    Inline(usize, Vec<Vec<u8>>),
    /// So many bytes that ask for nothing.
    Nothing(usize),
    /// Nothing can be said before so many more bytes.
    More(usize),
}

/// Why a connection has to be closed.
#[derive(Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// An array's length is no number, or over the limit.
    ArrayLength,
    /// The same before authentication.
    ArrayLengthUnauthenticated,
    /// A word's length is no number, or over the limit.
    WordLength,
    /// The same before authentication.
    WordLengthUnauthenticated,
    /// Something else where a word should begin.
    ExpectedWord(u8),
    /// An inline request without an end.
    InlineTooLong,
    /// An inline request whose quotes do not balance.
    UnbalancedQuotes,
    /// An HTTP request: not answered at all.
    Http,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Self::ArrayLength => f.write_str("invalid multibulk length"),
            Self::ArrayLengthUnauthenticated => f.write_str("unauthenticated multibulk length"),
            Self::WordLength => f.write_str("invalid bulk length"),
            Self::WordLengthUnauthenticated => f.write_str("unauthenticated bulk length"),
            Self::ExpectedWord(byte) => write!(f, "expected '$', got '{}'", byte.escape_ascii()),
            Self::InlineTooLong => f.write_str("too big inline request"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            Self::Http => f.write_str("HTTP request"),
        }
    }
}

/// Decodes the requests of one connection.
#[derive(Debug, Default)]
pub struct Decoder {
    /// How far the incomplete request at the start of the input has come, if it has many words.
    partial: Option<Box<Partial>>,
}

/// Offsets count from the request's first byte.
#[derive(Debug)]
struct Partial {
    at: usize,
    missing: usize,
    words: Vec<(u32, u32)>,
}

impl Decoder {
    /// Decodes the first request of `input`, whose words go to the empty `words`.
    ///
    /// After [`Decoded::More`] the next input must begin with the same bytes.
    #[inline]
    pub fn decode<'b>(
        &mut self,
        input: &'b [u8],
        words: &mut Words<'b>,
        bounds: RequestBounds,
    ) -> Result<Decoded, ProtocolError> {
        match input.first() {
            None => Ok(Decoded::More(1)),
            Some(b'*') if self.partial.is_some() => self.resume(input, words, bounds),
            Some(b'*') => self.begin(input, words, bounds),
            Some(_) => inline(input, bounds),
        }
    }

    #[inline]
    fn begin<'b>(
        &mut self,
        input: &'b [u8],
        words: &mut Words<'b>,
        bounds: RequestBounds,
    ) -> Result<Decoded, ProtocolError> {
        let (length, mut at) = match number(input, 1) {
            Number::Is(length, after) => (length, after),
            Number::More => return Ok(Decoded::More(1)),
            Number::Invalid => return Err(ProtocolError::ArrayLength),
        };
        if length <= 0 {
            return Ok(Decoded::Nothing(at));
        }
        let mut missing = usize::try_from(length).unwrap_or(usize::MAX);
        if missing > bounds.words {
            return Err(if bounds.authenticated {
                ProtocolError::ArrayLength
            } else {
                ProtocolError::ArrayLengthUnauthenticated
            });
        }
        let more = take_words(input, &mut at, &mut missing, bounds, |from, to| words.push(&input[from..to]))?;
        if more == 0 {
            return Ok(Decoded::Array(at));
        }
        if words.len() > CONTINUED_WORDS {
            let start = input.as_ptr() as usize;
            let span = |word: &&[u8]| {
                let from = word.as_ptr() as usize - start;
                (from as u32, (from + word.len()) as u32)
            };
            self.partial = Some(Box::new(Partial { at, missing, words: words.iter().map(span).collect() }));
        }
        Ok(Decoded::More(more))
    }

    #[cold]
    fn resume<'b>(
        &mut self,
        input: &'b [u8],
        words: &mut Words<'b>,
        bounds: RequestBounds,
    ) -> Result<Decoded, ProtocolError> {
        let Some(partial) = &mut self.partial else { return Ok(Decoded::More(1)) };
        let Partial { at, missing, words: spans } = &mut **partial;
        let more = take_words(input, at, missing, bounds, |from, to| spans.push((from as u32, to as u32)))?;
        if more > 0 {
            return Ok(Decoded::More(more));
        }
        words.extend(spans.iter().map(|(from, to)| &input[*from as usize..*to as usize]));
        let consumed = *at;
        self.partial = None;
        Ok(Decoded::Array(consumed))
    }
}

/// Takes words until none is missing; answers before how many more bytes nothing can be said, 0 for done.
#[inline]
fn take_words(
    input: &[u8],
    at: &mut usize,
    missing: &mut usize,
    bounds: RequestBounds,
    mut word: impl FnMut(usize, usize),
) -> Result<usize, ProtocolError> {
    while *missing > 0 {
        match input.get(*at) {
            Some(b'$') => {}
            Some(other) => return Err(ProtocolError::ExpectedWord(*other)),
            None => return Ok(1),
        }
        let (length, from) = match number(input, *at + 1) {
            Number::Is(length, after) => (length, after),
            Number::More => return Ok(1),
            Number::Invalid => return Err(ProtocolError::WordLength),
        };
        let length = usize::try_from(length).map_err(|_| ProtocolError::WordLength)?;
        if length > bounds.word_bytes {
            return Err(if bounds.authenticated {
                ProtocolError::WordLength
            } else {
                ProtocolError::WordLengthUnauthenticated
            });
        }
        let after = from + length + 2;
        if after > input.len() {
            return Ok(after - input.len());
        }
        word(from, from + length);
        *at = after;
        *missing -= 1;
    }
    Ok(0)
}

enum Number {
    /// The number, and where what follows its line begins.
    Is(i64, usize),
    More,
    Invalid,
}

/// More digits than any limit has: enough to refuse without waiting for the line's end.
const LONGEST_NUMBER: usize = 18;

/// A decimal number and its line end. As in Redis, no sign but `-`, no zeros before it.
#[inline]
fn number(input: &[u8], from: usize) -> Number {
    let negative = input.get(from) == Some(&b'-');
    let first = from + usize::from(negative);
    let mut value = 0i64;
    let mut at = first;
    loop {
        match input.get(at) {
            Some(digit @ b'0'..=b'9') if at - first < LONGEST_NUMBER => {
                if value == 0 && at > first {
                    return Number::Invalid;
                }
                value = value * 10 + i64::from(digit - b'0');
                at += 1;
            }
            Some(b'\r') if at > first && !(negative && value == 0) => break,
            Some(_) => return Number::Invalid,
            None => return Number::More,
        }
    }
    if at + 2 > input.len() {
        return Number::More;
    }
    Number::Is(if negative { -value } else { value }, at + 2)
}

#[cold]
fn inline(input: &[u8], bounds: RequestBounds) -> Result<Decoded, ProtocolError> {
    let Some(end) = memchr::memchr(b'\n', &input[..input.len().min(INLINE_BYTES)]) else {
        return if input.len() >= INLINE_BYTES {
            Err(ProtocolError::InlineTooLong)
        } else {
            Ok(Decoded::More(1))
        };
    };
    let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
    match split_line(line) {
        Line::Http => Err(ProtocolError::Http),
        Line::UnbalancedQuotes => Err(ProtocolError::UnbalancedQuotes),
        Line::Words(words) if words.is_empty() => Ok(Decoded::Nothing(end + 1)),
        Line::Words(words) if bounds.authenticated => Ok(Decoded::Inline(end + 1, words)),
        Line::Words(words) if words.len() > bounds.words => Err(ProtocolError::ArrayLengthUnauthenticated),
        Line::Words(words) if words.iter().any(|word| word.len() > bounds.word_bytes) => {
            Err(ProtocolError::WordLengthUnauthenticated)
        }
        Line::Words(words) => Ok(Decoded::Inline(end + 1, words)),
    }
}
