//! Requests decoded ahead of their execution, so that the engine hears which keys come next.
//!
//! A pipeline's cache misses are the larger part of its cost: had one after another, each waits for
//! main memory; announced together, they overlap. A few requests are decoded, their first arguments
//! (nearly always the key, and only a hint) are announced, and then they are executed in order.

use smallvec::SmallVec;
use tresor::session::Session;

use crate::protocol::{Decoded, Decoder, ProtocolError, RequestBounds, Words};

/// Requests decoded before the first of them is executed.
const REQUESTS: usize = 16;

/// Announcing costs about as much as a miss: fewer keys than this are not worth it.
const WORTH_IT: usize = 3;

/// Decoded requests that are not yet executed.
#[derive(Default)]
pub(crate) struct Ahead<'a> {
    words: SmallVec<[&'a [u8]; 4 * REQUESTS]>,
    /// Where each request's words end, and how many bytes of input it took.
    ends: SmallVec<[(usize, usize); REQUESTS]>,
}

impl<'a> Ahead<'a> {
    /// Decodes requests that are arrays of words, as far as they go; `Some` is what came after them
    /// that is none. Before authentication one at a time, because AUTH changes what is allowed.
    #[inline]
    pub(crate) fn fill(
        &mut self,
        decoder: &mut Decoder,
        mut input: &'a [u8],
        bounds: RequestBounds,
    ) -> Option<Result<Decoded, ProtocolError>> {
        self.words.clear();
        self.ends.clear();
        let most = if bounds.authenticated { REQUESTS } else { 1 };
        let mut words = Words::new();
        while self.ends.len() < most {
            words.clear();
            match decoder.decode(input, &mut words, bounds) {
                Ok(Decoded::Array(bytes)) => {
                    self.words.extend_from_slice(&words);
                    self.ends.push((self.words.len(), bytes));
                    input = &input[bytes..];
                }
                other => return Some(other),
            }
        }
        None
    }

    /// Tells the engine the keys of what is neither alone nor part of a run, which sees to it itself.
    #[inline]
    pub(crate) fn announce(&self, session: &Session) {
        if self.ends.len() < WORTH_IT {
            return;
        }
        let keys: SmallVec<[&[u8]; REQUESTS]> = self
            .requests()
            .filter_map(|(words, _)| match words {
                [name, key, ..] if !is_plain(words) && !name.is_empty() => Some(*key),
                _ => None,
            })
            .collect();
        if keys.len() >= WORTH_IT {
            session.expect(&keys);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The requests' words, with the bytes of input that each took.
    #[inline]
    pub(crate) fn requests(&self) -> impl Iterator<Item = (&[&'a [u8]], usize)> {
        let mut start = 0;
        self.ends.iter().map(move |(end, bytes)| {
            let words = &self.words[start..*end];
            start = *end;
            (words, *bytes)
        })
    }
}

/// Whether a request looks like one of the GETs and SETs that runs are made of.
#[inline]
fn is_plain(words: &[&[u8]]) -> bool {
    match words {
        [name, _] => name.eq_ignore_ascii_case(b"get"),
        [name, _, _] => name.eq_ignore_ascii_case(b"set"),
        _ => false,
    }
}
