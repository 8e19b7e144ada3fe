//! Commands of the line protocol counted by name, for `/metrics`.
//!
//! Each worker counts in a row of its own, as the other counters do, so that counting is a plain load and
//! store; the rows are added up when they are read.

use tresor::metrics::Counter;

use super::command::{ROWS, Row};

/// All workers' counters.
pub(crate) struct LineCounters {
    workers: Box<[[CommandCounters; ROWS.len()]]>,
}

#[derive(Default)]
struct CommandCounters {
    calls: Counter,
    failed: Counter,
}

/// What a command has done so far, over all workers.
pub(crate) struct LineFigures {
    /// Its name, in small letters as those of other commands.
    pub(crate) command: String,
    /// How often it was executed.
    pub(crate) calls: u64,
    /// How often that ended with an error.
    pub(crate) failed: u64,
}

impl LineCounters {
    /// Counters for `workers` workers; at least one.
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers: (0..workers.max(1)).map(|_| Default::default()).collect() }
    }

    /// Counts a command that was executed.
    #[inline]
    pub(super) fn executed(&self, worker: usize, row: &Row, failed: bool) {
        let counters = &self.workers[worker % self.workers.len()][row.name as usize];
        counters.calls.add(1);
        if failed {
            counters.failed.add(1);
        }
    }

    /// The figures of each command that was ever called.
    pub(crate) fn figures(&self) -> impl Iterator<Item = LineFigures> {
        let sum = |of: &dyn Fn(&[CommandCounters; ROWS.len()]) -> u64| self.workers.iter().map(of).sum();
        let figures = ROWS.iter().map(move |row| LineFigures {
            command: row.word.to_ascii_lowercase(),
            calls: sum(&|worker| worker[row.name as usize].calls.get()),
            failed: sum(&|worker| worker[row.name as usize].failed.get()),
        });
        figures.filter(|figures| figures.calls > 0)
    }
}
