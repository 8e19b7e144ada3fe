//! Repeatable randomness for tests: a seed makes the same choices on every machine.
//!
//! SplitMix64 (Steele, Lea, Flood 2014): one word of state, passes the usual statistical batteries,
//! and is short enough to be read. Tests print their seed; `TRESOR_SEED` repeats it.

use std::env;

/// A stream of choices that its seed decides.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `end`, which is above 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias of the remainder is under 2^-40 for the small ranges that tests ask for.
        self.number() % end
    }

    /// An index of something with `length` places.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// One of these.
    pub fn choice<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Any bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.number() as u8).collect()
    }
}

/// Spreads a number over all 64 bits; a permutation.
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The seed to test with: that of `TRESOR_SEED` when it is set, else a new one. Printed either way,
/// so that a failure shows how to repeat it.
pub fn seed(test: &str) -> u64 {
    let seed = match env::var("TRESOR_SEED") {
        Ok(text) => text.parse().expect("TRESOR_SEED is a number"),
        Err(_) => getrandom::u64().expect("the system has random numbers"),
    };
    println!("{test}: TRESOR_SEED={seed}");
    seed
}
