//! Version numbers that rise: the clock in units of 16 µs, and always above what was there.
//!
//! 48 bits of such units last until 2112. A number is never given out twice by one server, so versions
//! differ even where a clock stands still.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tresor::{clock::Clock, engine::Version};

/// Nanoseconds of one version.
const UNIT_NS: u64 = 16_000;

/// Timestamps that share a version.
const STAMPS: u64 = 16;

/// Gives out versions.
pub(crate) struct Versions {
    clock: Arc<dyn Clock>,
    latest: AtomicU64,
    stamp: AtomicU64,
}

impl Versions {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, latest: AtomicU64::new(0), stamp: AtomicU64::new(0) }
    }

    /// The first of `count` numbers, all above `stored` and above every number given out before.
    pub(crate) fn take(&self, stored: Version, count: u64) -> Version {
        let now = self.clock.now_ns() / UNIT_NS;
        let mut first = 0;
        // The closure never gives up.
        let _ = self.latest.fetch_update(Ordering::AcqRel, Ordering::Acquire, |latest| {
            first = now.max(latest + 1).max(stored + 1);
            Some(first + count.max(1) - 1)
        });
        first
    }

    /// A timestamp in Unix microseconds, so far above every one given out before that the versions made
    /// of them, one for 16 of them, differ too.
    pub(crate) fn take_stamp(&self) -> u64 {
        let now_us = self.clock.now_ns() / 1000;
        let mut stamp = 0;
        let _ = self.stamp.fetch_update(Ordering::AcqRel, Ordering::Acquire, |latest| {
            stamp = now_us.max(latest + STAMPS);
            Some(stamp)
        });
        stamp
    }

    /// A number that is at least as high as every one given out here.
    pub(crate) fn latest(&self) -> Version {
        let stamped = self.stamp.load(Ordering::Acquire) / STAMPS;
        self.latest.load(Ordering::Acquire).max(stamped).max(self.clock.now_ns() / UNIT_NS)
    }

    /// How many milliseconds ago a number was given out, as this server's clock has it.
    pub(crate) fn age_ms(&self, version: Version) -> u64 {
        (self.clock.now_ns() / UNIT_NS).saturating_sub(version) * UNIT_NS / 1_000_000
    }
}

/// The version that a timestamp stands for.
pub(crate) fn version_of(stamp: u64) -> Version {
    stamp / STAMPS
}

/// The last of the timestamps that share a version.
pub(crate) fn last_stamp(version: Version) -> u64 {
    version * STAMPS + STAMPS - 1
}
