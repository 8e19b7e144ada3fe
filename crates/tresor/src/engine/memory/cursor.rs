//! Cursors of unordered scans: a shard and a hash position, enciphered.
//!
//! Clients see cursors, and a position in hash order would tell which keys lie together; whoever knew
//! that could flood one group. So the pair goes through a keyed permutation of 64-bit numbers: a
//! Feistel network of four rounds with SipHash as the round function
//! (Luby and Rackoff, 1988: four rounds make a strong pseudo-random permutation).

use super::{keyspace::SHARDS, table::Hasher};

const ROUNDS: u8 = 4;

/// Stands for the one pair whose number would be 0, which clients take for the end.
const INSTEAD_OF_ZERO: u64 = u64::MAX;

/// Where an unordered scan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) shard: usize,
    pub(super) position: u32,
}

impl Cursor {
    /// The number that clients see; never 0.
    pub(super) fn encode(self, hasher: &Hasher) -> u64 {
        match encipher((self.shard as u64) << 32 | u64::from(self.position), hasher) {
            0 => encipher(INSTEAD_OF_ZERO, hasher),
            number => number,
        }
    }

    /// The cursor of a number; `None` if it was never one.
    pub(super) fn decode(number: u64, hasher: &Hasher) -> Option<Self> {
        let pair = match decipher(number, hasher) {
            INSTEAD_OF_ZERO => decipher(0, hasher),
            pair => pair,
        };
        let shard = (pair >> 32) as usize;
        (shard < SHARDS).then_some(Self { shard, position: pair as u32 })
    }
}

fn round(half: u32, number: u8, hasher: &Hasher) -> u32 {
    let [a, b, c, d] = half.to_le_bytes();
    hasher.key(&[number, a, b, c, d]) as u32
}

fn encipher(pair: u64, hasher: &Hasher) -> u64 {
    let (mut left, mut right) = ((pair >> 32) as u32, pair as u32);
    for number in 0..ROUNDS {
        (left, right) = (right, left ^ round(right, number, hasher));
    }
    u64::from(left) << 32 | u64::from(right)
}

fn decipher(number: u64, hasher: &Hasher) -> u64 {
    let (mut left, mut right) = ((number >> 32) as u32, number as u32);
    for round_number in (0..ROUNDS).rev() {
        (left, right) = (right ^ round(left, round_number, hasher), left);
    }
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Hasher, SHARDS};

    #[test]
    fn cursors_come_back_and_others_are_refused() {
        let hasher = Hasher::new(7, 9);
        let mut invalid = 0;
        for number in 0..5_000u64 {
            let cursor = Cursor { shard: number as usize % SHARDS, position: (number * 7919) as u32 };
            assert_eq!(Cursor::decode(cursor.encode(&hasher), &hasher), Some(cursor));
            invalid += u32::from(Cursor::decode(number, &hasher).is_none());
        }
        assert!(invalid > 4_990, "small numbers are hardly ever cursors");
    }
}
