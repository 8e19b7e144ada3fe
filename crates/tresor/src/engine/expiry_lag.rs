//! How late expired entries go: removals, counted by the time since they were due.
//!
//! An engine keeps [`ExpiryLagCounters`] in place of a plain count of removals, so the two cannot disagree. The
//! bounds are the same for all engines, so figures of several can be added up. A removal costs two additions
//! that nobody waits for.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Entries removed because they expired, by how long after they were due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpiryLag {
    /// Removals up to each of [`BOUNDS_MS`](Self::BOUNDS_MS) and above the bound before it; the last are later
    /// than all.
    pub counts: [u64; Self::BOUNDS_MS.len() + 1],
    /// All lags added up, in milliseconds.
    pub sum_ms: u64,
}

impl ExpiryLag {
    /// Upper bounds of the lags that are counted together, in milliseconds, included.
    pub const BOUNDS_MS: [u64; 15] =
        [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000, 600_000];

    /// Removals in all.
    pub fn removed(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The lowest bound, in milliseconds, that so many percent of the removals keep; 0 without removals, and the
    /// highest bound where none is high enough.
    pub fn percentile_ms(&self, percent: f64) -> u64 {
        let wanted = (self.removed() as f64 * percent / 100.0).ceil() as u64;
        if wanted == 0 {
            return 0;
        }
        let mut within = 0;
        let bounds = Self::BOUNDS_MS.iter().zip(&self.counts);
        let mut kept = bounds.filter_map(|(bound_ms, count)| {
            within += count;
            (within >= wanted).then_some(*bound_ms)
        });
        kept.next().unwrap_or(Self::BOUNDS_MS[Self::BOUNDS_MS.len() - 1])
    }

    /// Adds the removals of another engine.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.sum_ms += other.sum_ms;
    }
}

/// The counters of one engine.
#[derive(Debug)]
pub struct ExpiryLagCounters {
    opened_ms: u64,
    counts: [AtomicU64; ExpiryLag::BOUNDS_MS.len() + 1],
    sum_ms: AtomicU64,
}

impl ExpiryLagCounters {
    /// Counters of an engine that was opened at this moment, in Unix milliseconds: what was due before counts as
    /// due then, because nobody was there to remove it.
    pub fn new(opened_ms: u64) -> Self {
        Self { opened_ms, counts: Default::default(), sum_ms: AtomicU64::new(0) }
    }

    /// Counts an entry that was due at one moment and removed at another, both in Unix milliseconds.
    pub fn note(&self, due_ms: u64, removed_ms: u64) {
        let lag_ms = removed_ms.saturating_sub(due_ms.max(self.opened_ms));
        let at = ExpiryLag::BOUNDS_MS.partition_point(|bound_ms| *bound_ms < lag_ms);
        self.counts[at].fetch_add(1, Relaxed);
        self.sum_ms.fetch_add(lag_ms, Relaxed);
    }

    /// What was counted so far.
    pub fn figures(&self) -> ExpiryLag {
        ExpiryLag {
            counts: std::array::from_fn(|at| self.counts[at].load(Relaxed)),
            sum_ms: self.sum_ms.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ExpiryLag, ExpiryLagCounters};

    #[test]
    fn a_lag_is_counted_under_the_first_bound_that_it_keeps() {
        let counters = ExpiryLagCounters::new(1_000);
        for (due_ms, removed_ms) in [(2_000, 2_000), (2_000, 2_001), (2_000, 2_002), (2_000, 602_000)] {
            counters.note(due_ms, removed_ms);
        }
        counters.note(2_000, 602_001);
        let lag = counters.figures();
        assert_eq!((lag.counts[0], lag.counts[1]), (2, 1));
        assert_eq!((lag.counts[14], lag.counts[15], lag.removed()), (1, 1, 5));
        assert_eq!(lag.sum_ms, 3 + 600_000 + 600_001);
    }

    #[test]
    fn what_was_due_before_the_engine_opened_is_late_from_then_on() {
        let counters = ExpiryLagCounters::new(50_000);
        counters.note(1, 50_004);
        assert_eq!((counters.figures().counts[2], counters.figures().sum_ms), (1, 4));
        // A clock that was set back.
        counters.note(60_000, 55_000);
        assert_eq!(counters.figures().sum_ms, 4);
    }

    #[test]
    fn a_percentile_is_the_bound_that_so_many_keep() {
        let mut lag = ExpiryLag::default();
        assert_eq!(lag.percentile_ms(99.0), 0);
        lag.counts[5] = 99;
        lag.counts[9] = 1;
        assert_eq!(
            [50.0, 99.0, 99.5, 100.0].map(|percent| lag.percentile_ms(percent)),
            [50, 50, 1_000, 1_000]
        );
        let mut late = ExpiryLag::default();
        late.counts[15] = 300;
        lag.add(&late);
        assert_eq!((lag.removed(), lag.percentile_ms(50.0), lag.percentile_ms(25.0)), (400, 600_000, 1_000));
    }
}
