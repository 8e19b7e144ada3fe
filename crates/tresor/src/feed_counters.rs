//! How the change feeds of a store fare: who reads them, and what was told.
//!
//! Counted by the readers themselves, a page at a time; writers know nothing of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the change feeds of a store have told since the start, over all its databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedFigures {
    /// Readers now, those that ask for one page included.
    pub readers: u64,
    /// Changes told, to each reader.
    pub told: u64,
    /// Gaps told: a reader came too late for what was kept.
    pub gaps: u64,
}

/// The counters behind these figures.
#[derive(Debug, Default)]
pub(crate) struct FeedCounters {
    readers: AtomicU64,
    told: AtomicU64,
    gaps: AtomicU64,
}

impl FeedCounters {
    /// A reader has come.
    pub(crate) fn come(&self) {
        self.readers.fetch_add(1, Relaxed);
    }

    /// One has gone.
    pub(crate) fn gone(&self) {
        self.readers.fetch_sub(1, Relaxed);
    }

    /// One was told of so many changes, and of a gap or none.
    pub(crate) fn told(&self, changes: usize, gap: bool) {
        self.told.fetch_add(changes as u64, Relaxed);
        self.gaps.fetch_add(gap.into(), Relaxed);
    }

    pub(crate) fn figures(&self) -> FeedFigures {
        let (readers, told, gaps) = (&self.readers, &self.told, &self.gaps);
        FeedFigures { readers: readers.load(Relaxed), told: told.load(Relaxed), gaps: gaps.load(Relaxed) }
    }
}
