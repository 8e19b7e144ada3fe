//! A clock that stands still until a test moves it.
//!
//! Behind the library's `Clock` seam, so expiry, intervals and store time are tested to the
//! millisecond without waiting. Wall time and the monotonic count move together, except that
//! [`ManualClock::set_wall_ms`] can turn the wall clock back as a real one may be turned back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tresor::clock::Clock;

/// Where [`ManualClock::new`] starts: a moment in 2023, in Unix milliseconds.
pub const START_MS: u64 = 1_700_000_000_000;

/// Time in the hands of a test.
pub struct ManualClock {
    wall_ms: AtomicU64,
    monotonic_ns: AtomicU64,
}

impl ManualClock {
    /// A clock at [`START_MS`].
    pub fn new() -> Arc<Self> {
        Self::at(START_MS)
    }

    /// A clock at a moment, in Unix milliseconds.
    pub fn at(wall_ms: u64) -> Arc<Self> {
        Arc::new(Self { wall_ms: AtomicU64::new(wall_ms), monotonic_ns: AtomicU64::new(0) })
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        self.monotonic_ns.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
        self.wall_ms.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// Sets the wall clock, backwards too; the monotonic count does not notice.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ns(&self) -> u64 {
        self.wall_ms.load(Ordering::SeqCst) * 1_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        self.monotonic_ns.load(Ordering::SeqCst)
    }
}
