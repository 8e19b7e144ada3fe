//! When the entries of a shard are due, so that expired memory comes back without looking at the rest.
//!
//! A heap of 8-byte notes: a coarse time above the entry's hash position. A note is a hint, never the
//! truth: entries are deleted and extended without touching the heap, so whoever takes a note looks
//! at the entries near that position and decides by their own expiry. When notes outnumber expiring
//! entries two to one the shard writes them anew. Costs 8 to 10 bytes for each expiring entry.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Milliseconds to a unit of the notes' time: an entry's memory comes back at most this late, plus the
/// sweep's period.
const UNIT_MS: u64 = 256;

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
        self.0.push(Reverse(unit(expires_at_ms) << 32 | u64::from(position)));
    }

    /// Takes a note that is due; the entries near the position may have expired.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<u32> {
        let Reverse(note) = *self.0.peek()?;
        if (note >> 32) * UNIT_MS > now_ms {
            return None;
        }
        self.0.pop();
        Some(note as u32)
    }

    /// The time from which on `pop_due` may answer; `u64::MAX` for never.
    pub(super) fn next_ms(&self) -> u64 {
        self.0.peek().map_or(u64::MAX, |Reverse(note)| (note >> 32) * UNIT_MS)
    }

    /// Whether so many notes are stale that they should be written anew.
    pub(super) fn is_stale(&self, expiring: usize) -> bool {
        self.0.len() > expiring * 2 + 16
    }

    /// Replaces all notes.
    pub(super) fn rebuild(&mut self, entries: impl Iterator<Item = (u64, u32)>) {
        let notes: Vec<_> = entries
            .map(|(expires_at_ms, position)| Reverse(unit(expires_at_ms) << 32 | u64::from(position)))
            .collect();
        self.0 = BinaryHeap::from(notes);
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }
}

/// The first unit that begins when the entry has expired; 32 bits last until the year 36,800.
fn unit(expires_at_ms: u64) -> u64 {
    expires_at_ms.div_ceil(UNIT_MS).min(u64::from(u32::MAX))
}
