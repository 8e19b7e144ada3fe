//! When the entries of a shard are due, so that expired memory comes back without looking at the rest.
//!
//! A heap of 8-byte notes: a coarse time above the entry's hash position. A note is a hint, never the
//! truth: entries are deleted and extended without touching the heap, so whoever takes a note looks
//! at the entries near that position and decides by their own expiry. When notes outnumber expiring
//! entries two to one the shard writes them anew. Costs 8 to 10 bytes for each expiring entry.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Milliseconds to a unit of the notes' time: an entry's memory comes back at most this late, plus the
/// sweep's period.
const UNIT_MS: u64 = 16;

/// Bits of a note that are position; the 40 above are time and last until the year 2527. An expiry
/// beyond that is noted for then. Tables have far fewer than 2^24 groups.
const POSITION_BITS: u32 = 24;

/// The positions that a note may stand for.
const SPAN: u32 = u32::MAX >> POSITION_BITS;

/// Notes of one shard, soonest first.
#[derive(Default)]
pub(super) struct Deadlines(BinaryHeap<Reverse<u64>>);

impl Deadlines {
    /// Notes that an entry at `position` is due.
    pub(super) fn push(&mut self, expires_at_ms: u64, position: u32) {
        if self.0.len() == self.0.capacity() {
            // Doubling would leave half of it unused.
            self.0.reserve_exact(self.0.len() / 4 + 2);
        }
        self.0.push(Reverse(note(expires_at_ms, position)));
    }

    /// Takes a note that is due; the entries near the first and the last of these positions may have
    /// expired.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<(u32, u32)> {
        let Reverse(note) = *self.0.peek()?;
        if time_ms(note) > now_ms {
            return None;
        }
        self.0.pop();
        let first = (note as u32) << (u32::BITS - POSITION_BITS);
        Some((first, first | SPAN))
    }

    /// Gives memory back when most of it is unused.
    pub(super) fn shrink(&mut self) {
        if self.0.capacity() > self.0.len() * 4 + 16 {
            self.0.shrink_to(self.0.len() * 2);
        }
    }

    /// The time from which on `pop_due` may answer; `u64::MAX` for never.
    pub(super) fn next_ms(&self) -> u64 {
        self.0.peek().map_or(u64::MAX, |Reverse(note)| time_ms(*note))
    }

    /// Whether so many notes are stale that they should be written anew.
    pub(super) fn is_stale(&self, expiring: usize) -> bool {
        self.0.len() > expiring * 2 + 16
    }

    /// Replaces all notes.
    pub(super) fn rebuild(&mut self, entries: impl Iterator<Item = (u64, u32)>) {
        let notes: Vec<_> =
            entries.map(|(expires_at_ms, position)| Reverse(note(expires_at_ms, position))).collect();
        self.0 = BinaryHeap::from(notes);
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }
}

/// The note of an entry: the first unit that begins when it has expired, above its position.
fn note(expires_at_ms: u64, position: u32) -> u64 {
    let unit = expires_at_ms.div_ceil(UNIT_MS).min(u64::MAX >> POSITION_BITS);
    unit << POSITION_BITS | u64::from(position >> (u32::BITS - POSITION_BITS))
}

/// The time from which on a note is due.
fn time_ms(note: u64) -> u64 {
    (note >> POSITION_BITS) * UNIT_MS
}
