//! Whether transactions, as their clients saw them, were strictly serializable.
//!
//! Clients record what they did in a [`History`]; [`check`] looks for an order of all transactions, one
//! at a time, that explains every read and keeps to real time: what had ended before something else
//! began comes first. It knows nothing of any database. There are three kinds of keys, and a
//! transaction may touch all of them: lists that are appended to, registers, and sets that only grow
//! and are read as a whole. Every number is written once, which is how reads tell who wrote.
//!
//! Lists and sets show enough of the past to draw a graph of what must come before what, and its cycles
//! are the anomalies (Adya, 1999; Elle: Kingsbury and Alvaro, 2020). Registers show less, so an order
//! is searched for as well (as Porcupine and Lowe do). Both are exact: what passes has an order.
//! What was weighed stands in `docs/decisions/0017-checking-isolation.md`.

mod anomaly;
mod cycle;
mod footprint;
mod graph;
mod history;
#[cfg(test)]
mod known_histories;
mod lists;
mod observed;
#[cfg(test)]
mod random_histories;
mod register_search;
mod registers;
mod sets;
#[cfg(test)]
mod weak_stores;

use std::fmt::{self, Debug, Display, Formatter};

pub use anomaly::{Anomaly, Phenomenon};
pub use history::{Begun, History, Operation, Outcome, Transaction};

use graph::Graph;
use observed::Observed;
use register_search::{Search, search};

/// How many anomalies are printed.
const PRINTED: usize = 8;

/// A history that is strictly serializable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// All transactions.
    pub transactions: usize,
    /// Those that were told they had committed.
    pub committed: usize,
    /// Those that certainly had not.
    pub aborted: usize,
    /// Those of unknown outcome.
    pub unknown: usize,
    /// Those among them whose writes were seen.
    pub seen: usize,
    /// Edges of the graph.
    pub edges: usize,
}

/// Why a history was not found strictly serializable. Its debug form is its text, so `expect` prints it.
#[derive(Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is not.
    Anomalies(Vec<Anomaly>),
    /// Its lists and sets are; for its registers the search gave up.
    Undecided(Report),
}

/// Checks transactions of a history that began with everything absent.
///
/// Transactions on registers together with lists or sets are checked by the graph in full, and by the
/// search for their registers alone. Panics if a number is written twice.
pub fn check(transactions: &[Transaction]) -> Result<Report, Finding> {
    let observed = Observed::new(transactions);
    let mut graph = Graph::new(transactions.len());
    let mut anomalies = contradictions(&observed);
    anomalies.extend(lists::analyze(&observed, &mut graph));
    anomalies.extend(sets::analyze(&observed, &mut graph));
    anomalies.extend(registers::analyze(&observed, &mut graph));
    graph.link_real_time(transactions, &observed.counted);
    graph.settle();
    let cycles = cycle::find(&graph, &|key| observed.name(key).to_owned());
    anomalies.extend(cycles.into_iter().map(|cycle| observed.with_transactions(cycle)));
    let report = report(&observed, &graph);
    if anomalies.is_empty() {
        match search(&observed) {
            Search::Explained => return Ok(report),
            Search::Undecided => return Err(Finding::Undecided(report)),
            Search::Unexplained(anomaly) => anomalies.push(anomaly),
        }
    }
    Err(Finding::Anomalies(anomalies))
}

/// Checks that every reading of all balances by a committed transaction holds what there is in all, and
/// no account less than nothing.
///
/// Only the sums: how money moved leaves no numbers that occur once.
pub fn check_totals(transactions: &[Transaction], total: i64) -> Result<Report, Finding> {
    let observed = Observed::new(transactions);
    let mut anomalies = Vec::new();
    for index in observed.all_counted() {
        for operation in &transactions[index].operations {
            let Operation::ReadBalances(balances) = operation else { continue };
            if balances.iter().sum::<i64>() != total || balances.iter().any(|balance| *balance < 0) {
                let story =
                    format!("T{index} read {balances:?}, which is not {total} in all, each 0 or more");
                anomalies.push(observed.anomaly(Phenomenon::WrongTotal, vec![index], story));
            }
        }
    }
    let report = report(&observed, &Graph::new(0));
    if anomalies.is_empty() { Ok(report) } else { Err(Finding::Anomalies(anomalies)) }
}

/// Transactions that contradict themselves.
fn contradictions(observed: &Observed<'_>) -> Vec<Anomaly> {
    let of_each = observed.all_counted().flat_map(|index| {
        let found = observed.footprints[index].contradictions.iter();
        found.map(move |(phenomenon, story)| (index, *phenomenon, format!("in T{index} {story}")))
    });
    of_each.map(|(index, phenomenon, story)| observed.anomaly(phenomenon, vec![index], story)).collect()
}

fn report(observed: &Observed<'_>, graph: &Graph) -> Report {
    let count = |outcome| observed.transactions.iter().filter(|each| each.outcome == outcome).count();
    let committed = count(Outcome::Committed);
    Report {
        transactions: observed.transactions.len(),
        committed,
        aborted: count(Outcome::Aborted),
        unknown: count(Outcome::Unknown),
        seen: observed.all_counted().count() - committed,
        edges: graph.edges(),
    }
}

impl Finding {
    /// What was found, each kind once; none if it is undecided.
    pub fn phenomena(&self) -> Vec<Phenomenon> {
        let Self::Anomalies(anomalies) = self else { return Vec::new() };
        let mut phenomena: Vec<_> = anomalies.iter().map(|anomaly| anomaly.phenomenon).collect();
        phenomena.sort_unstable();
        phenomena.dedup();
        phenomena
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { transactions, committed, aborted, unknown, seen, edges } = self;
        write!(f, "{transactions} transactions: {committed} committed, {aborted} aborted, ")?;
        write!(f, "{unknown} unknown of which {seen} were seen; {edges} edges")
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anomalies(anomalies) => {
                writeln!(f, "{} anomalies", anomalies.len())?;
                anomalies.iter().take(PRINTED).try_for_each(|anomaly| writeln!(f, "{anomaly}"))
            }
            Self::Undecided(report) => write!(f, "undecided: {report}"),
        }
    }
}

impl Debug for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "the history is not found strictly serializable: {self}")
    }
}

impl std::error::Error for Finding {}
