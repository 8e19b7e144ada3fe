//! The seam to time: nothing else in the library asks what time it is.
//!
//! `StoreTime` is what commands see: it never goes back, even when the wall clock does, so a key that
//! was absent because it expired stays absent. Tests put a clock of their own behind [`Clock`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

const NS_PER_MS: u64 = 1_000_000;

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Wall clock, in Unix nanoseconds.
    fn now_ns(&self) -> u64;
    /// Wall clock, in Unix milliseconds.
    fn now_ms(&self) -> u64 {
        self.now_ns() / NS_PER_MS
    }
    /// Nanoseconds since some fixed moment; never goes back. For durations and intervals.
    fn monotonic_ns(&self) -> u64;
}

/// The machine's own clocks.
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic count starts now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // This is the seam.
    #[inline]
    fn now_ns(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
    }

    fn monotonic_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
}

/// Nanoseconds of CPU time that the calling thread has used; work is measured by it where other programs
/// take turns.
pub fn thread_cpu_ns() -> u64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// The store's time: the greater of the wall clock and the latest time seen, in Unix milliseconds.
pub struct StoreTime {
    clock: Arc<dyn Clock>,
    latest_ms: AtomicU64,
}

impl StoreTime {
    /// Store time over `clock`, at least `floor_ms` (the latest time found in the log; 0 for none).
    pub fn new(clock: Arc<dyn Clock>, floor_ms: u64) -> Self {
        Self { clock, latest_ms: AtomicU64::new(floor_ms) }
    }

    /// The time now. Taken once a command, and once for a whole transaction.
    pub fn now_ms(&self) -> u64 {
        self.now().0
    }

    /// The time now, and the wall clock in nanoseconds that it was taken from: one reading serves
    /// expiry and latencies, at the price of one odd latency when somebody sets the clock.
    #[inline]
    pub fn now(&self) -> (u64, u64) {
        let wall_ns = self.clock.now_ns();
        (self.at_least(wall_ns / NS_PER_MS), wall_ns)
    }

    #[inline]
    fn at_least(&self, wall: u64) -> u64 {
        let latest = self.latest_ms.load(Ordering::Relaxed);
        if wall > latest {
            // Several threads may store here; a lost race leaves a value at most one reading old,
            // and every caller still takes the maximum with its own reading.
            self.latest_ms.fetch_max(wall, Ordering::Relaxed);
            return wall;
        }
        latest
    }

    /// The latest time that anyone has been told, without looking at the clock: what was absent then
    /// is absent now.
    #[inline]
    pub fn latest_ms(&self) -> u64 {
        self.latest_ms.load(Ordering::Relaxed)
    }

    /// The clock behind it.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }
}
