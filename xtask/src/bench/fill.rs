//! Filling a server with keys of 16 bytes and values of 32, each once, over one connection.
//!
//! The keys are the ones that redis-benchmark draws (`key:` and 12 digits), so that its GETs find them.

use std::ops::Range;

use super::{
    load::{Lane, Pace, Protocol, Requests, drive},
    redis_benchmark::VALUE,
    resp,
};
use crate::Outcome;

/// Requests sent together.
const DEPTH: u32 = 500;

/// When the keys expire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expiry {
    Never,
    InSeconds(u64),
    /// Unix milliseconds.
    At(u64),
    /// One after the other, evenly from one moment on, in Unix milliseconds, for so many milliseconds.
    Spread(u64, u64),
}

/// The key of a number.
pub(super) fn key(number: u64) -> String {
    format!("key:{number:012}")
}

/// Sets every key of a range.
pub(super) fn fill(port: u16, numbers: Range<u64>, expiry: Expiry) -> Outcome {
    let (first, count) = (numbers.start, numbers.end - numbers.start);
    let mut numbers = numbers;
    each(port, move |request| {
        let Some(number) = numbers.next() else { return false };
        let key = key(number);
        let (word, time) = match expiry {
            Expiry::Never => {
                resp::append(request, &[b"SET", key.as_bytes(), VALUE.as_bytes()]);
                return true;
            }
            Expiry::InSeconds(seconds) => ("EX", seconds),
            Expiry::At(at_ms) => ("PXAT", at_ms),
            Expiry::Spread(from_ms, for_ms) => ("PXAT", from_ms + (number - first) * for_ms / count),
        };
        let time = time.to_string();
        let words = ["SET", &key, VALUE, word, &time].map(str::as_bytes);
        resp::append(request, &words);
        true
    })
}

/// Sets every key of a range, each to a value of its own.
pub(super) fn fill_with(port: u16, numbers: Range<u64>, value: impl FnMut() -> Vec<u8> + 'static) -> Outcome {
    let (mut numbers, mut value) = (numbers, value);
    each(port, move |request| {
        let Some(number) = numbers.next() else { return false };
        resp::append(request, &[b"SET", key(number).as_bytes(), &value()]);
        true
    })
}

/// Gets every key of a range.
pub(super) fn read_all(port: u16, numbers: Range<u64>) -> Outcome {
    let mut numbers = numbers;
    each(port, move |request| {
        let Some(number) = numbers.next() else { return false };
        resp::append(request, &[b"GET", key(number).as_bytes()]);
        true
    })
}

/// Deletes every key of a range.
pub(super) fn delete(port: u16, numbers: Range<u64>) -> Outcome {
    let mut numbers = numbers;
    each(port, move |request| {
        let Some(number) = numbers.next() else { return false };
        resp::append(request, &[b"DEL", key(number).as_bytes()]);
        true
    })
}

fn each(port: u16, requests: impl FnMut(&mut Vec<u8>) -> bool + 'static) -> Outcome {
    let lane = Lane::connect(port, Protocol::Resp, Pace::Closed { depth: DEPTH }, Box::new(requests))?;
    drive(&mut [lane], &mut |_| false).map(|_| ())
}

/// Endless SETs of random keys below `keys`.
pub(super) fn random_sets(keys: u64, seed: u64) -> Requests {
    let mut random = Random::new(seed);
    Box::new(move |request| {
        let key = key(random.below(keys));
        resp::append(request, &[b"SET", key.as_bytes(), VALUE.as_bytes()]);
        true
    })
}

/// Endless GETs of random keys below `keys`.
pub(super) fn random_gets(keys: u64, seed: u64) -> Requests {
    let mut random = Random::new(seed);
    Box::new(move |request| {
        resp::append(request, &[b"GET", key(random.below(keys)).as_bytes()]);
        true
    })
}

/// Xorshift64* (Vigna 2016): quick, and as random as keys of a benchmark have to be.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // The state must not be 0, and near seeds should not begin alike.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit
    }
}
