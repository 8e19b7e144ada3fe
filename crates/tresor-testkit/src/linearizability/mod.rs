//! Whether what clients saw of single keys can be explained by one operation at a time.
//!
//! Clients record their calls in a [`History`]; [`check`] looks, for each key, for an order in which
//! every operation takes effect at one moment between its call and its return and every answer is the
//! right one. Linearizability is local: a history is linearizable if that of each key is. An operation
//! whose outcome is unknown takes effect at any time after its call, or never.
//!
//! The search follows Wing and Gong with the states remembered, as Lowe proposed ("Testing for
//! linearizability", 2017), operation by operation at the time it has to be decided. It needs no
//! pauses in a run: wherever nothing is open on a key, its history falls apart by itself.

mod configuration;
mod frontier;
mod history;
#[cfg(test)]
mod known_histories;
#[cfg(test)]
mod random_histories;
mod register;
mod search;
mod timeline;
mod violation;

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::{self, Debug, Display, Formatter},
};

pub use history::{Answer, Call, History, Operation, Outcome, Record};
pub use violation::Violation;

use crate::reply::quoted;
use search::{Effort, Ending, search};
use timeline::Timeline;

/// How many steps [`check`] takes for a key before it gives up: ten seconds or twenty. A history of
/// `n` operations by few clients mostly takes 10 to 100 times `n`, by many at once 1000 times.
pub const STEPS_A_KEY: u64 = 100_000_000;

/// What the check of one key took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// The key.
    pub key: Vec<u8>,
    /// Operations on it, without those that failed and without reads of unknown outcome.
    pub operations: usize,
    /// Those among them whose outcome is unknown.
    pub unknown: usize,
    /// Steps of the search.
    pub steps: u64,
    /// The most ways in which the history may have gone that were followed at a time.
    pub widest: usize,
}

/// A history that is linearizable, and what it took to see that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The keys, in their order.
    pub keys: Vec<KeyReport>,
}

/// A key for which the steps did not suffice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// What was done for it.
    pub report: KeyReport,
    /// Up to the call of this operation everything is explained or may be.
    pub reached: Record,
}

/// Why a history was not found linearizable. Its debug form is its text, so `expect` prints it.
#[derive(Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is not.
    Violation(Box<Violation>),
    /// Perhaps it is: for these keys the steps did not suffice, or more than 128 operations were open
    /// at once. All others are linearizable.
    Undecided(Vec<Undecided>),
}

/// Checks every key of a history, which begins with all keys absent.
///
/// Finds the violation of the first key that has one, else says for which keys [`STEPS_A_KEY`] did not
/// suffice. Calls still open count as of unknown outcome.
pub fn check(history: &History) -> Result<Report, Finding> {
    check_within(history, STEPS_A_KEY)
}

/// The same with another limit of steps for each key.
pub fn check_within(history: &History, steps_a_key: u64) -> Result<Report, Finding> {
    let records = history.records();
    let mut by_key: BTreeMap<&[u8], Vec<&Record>> = BTreeMap::new();
    for record in &records {
        by_key.entry(&record.key).or_default().push(record);
    }
    let (mut report, mut undecided) = (Report::default(), Vec::new());
    for of_key in by_key.values() {
        let mut timeline = Timeline::new(of_key);
        let (ending, effort) = search(&mut timeline, steps_a_key);
        let of_key = KeyReport::new(of_key[0].key.clone(), &timeline, effort);
        match ending {
            Ending::Linearizable => report.keys.push(of_key),
            Ending::Violated { operation, states } => {
                let violation = Violation::new(&timeline, operation, &states);
                return Err(Finding::Violation(Box::new(violation)));
            }
            Ending::Undecided { operation } => {
                undecided.push(Undecided { report: of_key, reached: timeline.records[operation].clone() });
            }
        }
    }
    if undecided.is_empty() { Ok(report) } else { Err(Finding::Undecided(undecided)) }
}

impl KeyReport {
    fn new(key: Vec<u8>, timeline: &Timeline<'_>, effort: Effort) -> Self {
        let unknown = timeline.records.iter().filter(|record| record.outcome == Outcome::Unknown);
        Self {
            key,
            operations: timeline.records.len(),
            unknown: unknown.count(),
            steps: effort.steps,
            widest: effort.widest,
        }
    }
}

impl Report {
    /// Operations on all keys.
    pub fn operations(&self) -> usize {
        self.keys.iter().map(|key| key.operations).sum()
    }

    /// Operations of unknown outcome on all keys.
    pub fn unknown(&self) -> usize {
        self.keys.iter().map(|key| key.unknown).sum()
    }

    /// Steps for all keys.
    pub fn steps(&self) -> u64 {
        self.keys.iter().map(|key| key.steps).sum()
    }
}

impl Display for KeyReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { key, operations, unknown, steps, widest } = self;
        let key = quoted(key);
        write!(f, "key {key}: {operations} operations, {unknown} unknown, {steps} steps, width {widest}")
    }
}

/// One line for each key.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.keys.iter().try_for_each(|key| writeln!(f, "{key}"))
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Violation(violation) => Display::fmt(violation, f),
            Self::Undecided(keys) => {
                writeln!(f, "undecided:")?;
                keys.iter().try_for_each(|key| writeln!(f, "{}, reached {}", key.report, key.reached))
            }
        }
    }
}

impl Debug for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "the history is not found linearizable\n{self}")
    }
}

impl Error for Finding {}
