//! A violation in words: which answer cannot be, what the key can have held, and what went on around it.
//!
//! It shows the shortest stretch from the history's beginning that has no explanation, of which only
//! the end is printed: what cannot be is mostly decided by the last few operations, and by those of
//! unknown outcome that might still have come in between.

use std::fmt::{self, Debug, Display, Formatter};

use super::{
    history::{Outcome, Record},
    register::State,
    timeline::Timeline,
};
use crate::reply::quoted;

/// How many of the last operations are printed.
const LAST: usize = 24;

/// How many earlier operations are printed that were still open, or of unknown outcome.
const EARLIER: usize = 16;

/// How many states are printed.
const STATES: usize = 12;

/// Answers that no order of the operations on a key explains. Printed, it tells the story.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation {
    /// The key.
    pub key: Vec<u8>,
    /// The operation with the first answer that, together with all before it, cannot be explained.
    pub answered: Record,
    /// The shortest history that cannot be explained: all operations on the key that were called
    /// before that answer, in order of their calls. Failed operations and reads of unknown outcome are
    /// left out.
    pub prefix: Vec<Record>,
    /// What the key can have held before that answer, in words.
    held: Vec<String>,
}

impl Violation {
    pub(super) fn new(timeline: &Timeline<'_>, operation: usize, states: &[State]) -> Self {
        let answered = timeline.records[operation].clone();
        let until = returned(&answered).unwrap_or(answered.called);
        let called = timeline.records.iter().filter(|record| record.called <= until);
        let mut held: Vec<_> = states.iter().map(|state| timeline.values.describe(*state)).collect();
        held.sort();
        held.dedup();
        Self {
            key: answered.key.clone(),
            prefix: called.map(|record| (*record).clone()).collect(),
            answered,
            held,
        }
    }

    /// Whether a record is worth printing although much came after it.
    fn is_open(&self, record: &Record) -> bool {
        returned(record).is_none_or(|at| returned(&self.answered).is_some_and(|until| at >= until))
    }
}

fn returned(record: &Record) -> Option<std::time::Duration> {
    match record.outcome {
        Outcome::Answered(_, at) => Some(at),
        Outcome::Failed | Outcome::Unknown => None,
    }
}

impl Display for Violation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "key {}: no order of its operations explains this answer:", quoted(&self.key))?;
        writeln!(f, "  {}", self.answered)?;
        let shown = self.held.len().min(STATES);
        write!(f, "before it the key can only have been: {}", self.held[..shown].join(", "))?;
        if shown < self.held.len() {
            write!(f, ", and {} more", self.held.len() - shown)?;
        }
        let (earlier, last) = self.prefix.split_at(self.prefix.len().saturating_sub(LAST));
        writeln!(f, "\nthe last of {} operations up to then, in order of their calls:", self.prefix.len())?;
        let open: Vec<_> = earlier.iter().filter(|record| self.is_open(record)).collect();
        let left_out = open.len().saturating_sub(EARLIER);
        for record in &open[left_out..] {
            writeln!(f, "  {record}")?;
        }
        let closed = earlier.len() - open.len() + left_out;
        if closed > 0 {
            writeln!(f, "  ... and {closed} that are not shown")?;
        }
        for record in last {
            let mark = if *record == self.answered { '>' } else { ' ' };
            writeln!(f, "{mark} {record}")?;
        }
        Ok(())
    }
}

/// The same as printed, so that a test that expects a history to be linearizable says why it is not.
impl Debug for Violation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}
