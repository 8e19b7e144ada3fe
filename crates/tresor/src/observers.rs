//! Who wants to know how long commands take: the slow log, latency events, monitors.
//!
//! Commands are timed in runs, because reading the clock is dear. This knows whether anybody wants the time of
//! each one; sessions ask once a batch. Invariant: with a monitor, with a slow log that begins below what a run
//! would hide, and with latency events, each command is timed alone.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::{latency_events::LatencyEvents, slow_log::SlowLog};

/// A slow log that begins below so many microseconds hears of each command: above, one of a run of fast commands
/// in memory would have to be off by a thousand times.
const RUN_HIDES_US: i64 = 1000;

/// Everyone who wants to know.
#[derive(Default)]
pub(crate) struct Observers {
    /// How many reasons there are to take the time of each command.
    reasons: AtomicUsize,
    logs_each: AtomicBool,
    samples_each: AtomicBool,
    /// Any command may have to wait for the engine, the fast ones too.
    pub(crate) engine_waits: bool,
    slow_log: SlowLog,
    latency_events: LatencyEvents,
}

impl Observers {
    pub(crate) fn new(engine_waits: bool) -> Self {
        Self { engine_waits, ..Self::default() }
    }

    /// Whether somebody wants to hear of each command.
    #[inline]
    pub(crate) fn want_each(&self) -> bool {
        self.reasons.load(Relaxed) > 0
    }

    pub(crate) fn slow_log(&self) -> &SlowLog {
        &self.slow_log
    }

    pub(crate) fn latency_events(&self) -> &LatencyEvents {
        &self.latency_events
    }

    /// Keeps commands that take so many microseconds; none for a negative number.
    pub(crate) fn log_slower_than(&self, microseconds: i64) {
        self.slow_log.set_slower_than_us(microseconds);
        self.note_reason(&self.logs_each, (0..RUN_HIDES_US).contains(&microseconds));
    }

    /// Keeps samples of what takes so many milliseconds; none for 0.
    pub(crate) fn sample_from(&self, milliseconds: u64) {
        self.latency_events.set_threshold_ms(milliseconds);
        self.note_reason(&self.samples_each, milliseconds > 0);
    }

    fn note_reason(&self, noted: &AtomicBool, is_one: bool) {
        match (noted.swap(is_one, Relaxed), is_one) {
            (false, true) => self.begin_wanting(),
            (true, false) => self.end_wanting(),
            _ => {}
        }
    }

    /// One more wants to hear of each command.
    pub(crate) fn begin_wanting(&self) {
        self.reasons.fetch_add(1, Relaxed);
    }

    /// One less does.
    pub(crate) fn end_wanting(&self) {
        self.reasons.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Observers;

    #[test]
    fn each_command_counts_as_long_as_there_is_a_reason() {
        let observers = Observers::default();
        assert!(!observers.want_each());
        for microseconds in [0, 999, 0] {
            observers.log_slower_than(microseconds);
            assert!(observers.want_each());
        }
        observers.sample_from(1);
        for microseconds in [1000, -1] {
            observers.log_slower_than(microseconds);
            assert!(observers.want_each());
        }
        observers.begin_wanting();
        observers.sample_from(0);
        assert!(observers.want_each());
        observers.end_wanting();
        assert!(!observers.want_each());
    }
}
