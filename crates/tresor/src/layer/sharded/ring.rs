//! Where a key lives: consistent hashing on a ring with virtual nodes.
//!
//! A shard's points come from its name and weight alone, and a key belongs to the shard of the first
//! point at or behind its hash. So a shard that comes takes keys only for itself, one that goes gives
//! only its own, and the order in which shards are named does not matter. The hash is fixed for good:
//! `docs/formats.md`. (Karger et al., Consistent hashing and random trees, 1997.)

use std::collections::BTreeMap;

use siphasher::sip::SipHasher13;

/// Points of a shard for each unit of its weight: shares then stray from what they should be by 3 % of
/// themselves (one standard deviation, 1 / sqrt(1024)).
pub const POINTS: u32 = 1024;

/// The greatest weight.
pub const MAX_WEIGHT: u32 = 64;

const KEY_HASH: (u64, u64) = (0x7472_6573_6f72_206b, 0x6579_7320_6f6e_2061);
const POINT_HASH: (u64, u64) = (0x7472_6573_6f72_2070, 0x6f69_6e74_7320_6f6e);

/// A key's place on every ring: SipHash-1-3 of its bytes. Neither database nor member counts, so a key's
/// members are together, and swapping databases moves nothing.
#[inline]
pub fn hash_of_key(key: &[u8]) -> u64 {
    SipHasher13::new_with_keys(KEY_HASH.0, KEY_HASH.1).hash(key)
}

/// The place of a shard's point: SipHash-1-3 of the name and the point's number, 4 bytes little-endian.
fn hash_of_point(name: &str, number: u32) -> u64 {
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend_from_slice(&number.to_le_bytes());
    SipHasher13::new_with_keys(POINT_HASH.0, POINT_HASH.1).hash(&bytes)
}

/// A shard on a ring.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// What [`Ring::owner`] answers for it.
    pub number: u8,
    /// Its name.
    pub name: &'a str,
    /// Its weight; with 0 it has no keys.
    pub weight: u32,
}

/// Points on the ring, and whose they are.
#[derive(Debug)]
pub struct Ring {
    positions: Vec<u64>,
    owners: Vec<u8>,
    /// For each value of a hash's upper bits the owner, where all such hashes have the same: most do.
    sure: Vec<u8>,
    shift: u32,
}

/// Part of the ring begins with some of these upper bits: its points have to be looked at.
const UNSURE: u8 = u8::MAX;

impl Ring {
    /// The ring of these shards, of which one at least has a weight above 0.
    pub fn new(shards: &[Placed<'_>]) -> Self {
        let mut points: Vec<(u64, &str, u8)> = Vec::new();
        for shard in shards {
            let numbers = 0..POINTS * shard.weight.min(MAX_WEIGHT);
            points.extend(numbers.map(|at| (hash_of_point(shard.name, at), shard.name, shard.number)));
        }
        // By name where two points fall together, so that the order of shards never matters.
        points.sort_unstable();
        // Four times as many as points, so that four of five hold none.
        let bits = (points.len() * 4).next_power_of_two().trailing_zeros();
        let shift = u64::BITS - bits;
        let positions = points.iter().map(|point| point.0).collect();
        let owners = points.iter().map(|point| point.2).collect();
        let mut ring = Self { positions, owners, sure: Vec::new(), shift };
        let sure = |bits: u64| {
            let first = bits << shift;
            let (owner, point) = ring.look(first);
            let last = first | ((1 << shift) - 1);
            if point <= last && point >= first { UNSURE } else { owner }
        };
        ring.sure = (0..1_u64 << bits).map(sure).collect();
        ring
    }

    /// The number of the shard that a hash belongs to.
    #[inline]
    pub fn owner(&self, hash: u64) -> u8 {
        match self.sure[(hash >> self.shift) as usize] {
            UNSURE => self.look(hash).0,
            owner => owner,
        }
    }

    /// The owner of a hash and the place of the point that makes it so.
    fn look(&self, hash: u64) -> (u8, u64) {
        let at = self.positions.partition_point(|position| *position < hash);
        // Behind the last point the ring begins again.
        let at = if at == self.owners.len() { 0 } else { at };
        (self.owners[at], self.positions[at])
    }

    /// The parts of all hashes, by the shard that has them here and the one that has them there.
    pub fn shares(&self, other: &Self) -> BTreeMap<(u8, u8), f64> {
        let mut ends: Vec<u64> = self.positions.iter().chain(&other.positions).copied().collect();
        ends.sort_unstable();
        ends.dedup();
        let mut before = ends.last().copied().unwrap_or(0);
        let mut shares = BTreeMap::new();
        for end in ends {
            let part = end.wrapping_sub(before) as f64 / 2.0_f64.powi(64);
            *shares.entry((self.owner(end), other.owner(end))).or_default() += part;
            before = end;
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(shards: &[(&str, u32)]) -> Ring {
        let placed: Vec<Placed<'_>> = shards
            .iter()
            .enumerate()
            .map(|(number, (name, weight))| Placed { number: number as u8, name, weight: *weight })
            .collect();
        Ring::new(&placed)
    }

    fn key(number: u32) -> Vec<u8> {
        format!("key:{number}").into_bytes()
    }

    const GOLDEN_HASHES: [&str; 4] =
        ["9f794a19e632b6b1", "74147c506a81f1b0", "ca7b970203fc3343", "67e793ba909ee042"];

    /// Once released these may never change: each would be a key that is looked for in the wrong place.
    #[test]
    fn placement_is_fixed_for_good() {
        let hashes = [hash_of_key(b""), hash_of_key(b"key:1"), hash_of_point("a", 0), hash_of_point("a", 1)];
        assert_eq!(hashes.map(|hash| format!("{hash:016x}")), GOLDEN_HASHES);
        let ring = ring(&[("a", 1), ("b", 1), ("c", 2)]);
        let owners: String =
            (0..64).map(|at| ["a", "b", "c"][usize::from(ring.owner(hash_of_key(&key(at))))]).collect();
        assert_eq!(owners, "bbbabccccbaccaabacacacacbcccaaaccbccabccccacccbcbbbcbcaaaaacbcca");
    }

    #[test]
    fn the_first_point_at_or_behind_a_hash_owns_it() {
        let ring = ring(&[("a", 1), ("b", 1)]);
        let plain = |hash: u64| {
            let at = ring.positions.partition_point(|position| *position < hash);
            ring.owners[at % ring.owners.len()]
        };
        for (at, position) in ring.positions.iter().enumerate() {
            for hash in [position.wrapping_sub(1), *position, position.wrapping_add(1)] {
                assert_eq!(ring.owner(hash), plain(hash), "point {at}");
            }
        }
        assert_eq!((ring.owner(0), ring.owner(u64::MAX)), (plain(0), plain(u64::MAX)));
    }

    #[test]
    fn shares_follow_weights() {
        let ring = ring(&[("north", 1), ("south", 1), ("east", 2), ("west", 4)]);
        let mut keys = [0_u32; 4];
        for at in 0..200_000 {
            keys[usize::from(ring.owner(hash_of_key(&key(at))))] += 1;
        }
        for (number, weight) in [1.0, 1.0, 2.0, 4.0].into_iter().enumerate() {
            let (found, due) = (f64::from(keys[number]) / 200_000.0, weight / 8.0);
            assert!((found / due - 1.0).abs() < 0.1, "shard {number}: {found} for {due}");
            let arcs = ring.shares(&ring)[&(number as u8, number as u8)];
            assert!((found - arcs).abs() < 0.01, "shard {number}: {found} of the keys, {arcs} of the ring");
        }
    }

    #[test]
    fn a_fourth_shard_takes_a_quarter_and_nothing_else_moves() {
        let names = ["a", "b", "c", "d"].map(|name| (name, 1));
        let (three, four) = (ring(&names[..3]), ring(&names));
        let mut moved = 0;
        for at in 0..100_000 {
            let hash = hash_of_key(&key(at));
            let (before, after) = (three.owner(hash), four.owner(hash));
            assert!(after == before || after == 3, "key {at} went from {before} to {after}");
            moved += u32::from(after != before);
        }
        assert!((23_000..=27_000).contains(&moved), "{moved} of 100000 moved");
    }

    #[test]
    fn whatever_they_are_called_a_fourth_shard_takes_about_a_quarter() {
        for round in 0..40 {
            let names: Vec<String> = (0..4).map(|number| format!("shard-{round}-{number}")).collect();
            let shards: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
            let (three, four) = (ring(&shards[..3]), ring(&shards));
            let shares = three.shares(&four);
            let moved: f64 = (0..3).map(|from| shares[&(from, 3)]).sum();
            assert!((shares.values().sum::<f64>() - 1.0).abs() < 1e-9);
            assert!((0.22..=0.28).contains(&moved), "round {round}: {moved}");
        }
    }

    #[test]
    fn the_order_of_shards_does_not_matter() {
        let (one, other) = (ring(&[("a", 1), ("b", 3)]), ring(&[("b", 3), ("a", 1)]));
        for at in 0..1000 {
            let hash = hash_of_key(&key(at));
            assert_ne!(one.owner(hash), other.owner(hash), "the numbers are exchanged, the shards are not");
        }
    }
}
