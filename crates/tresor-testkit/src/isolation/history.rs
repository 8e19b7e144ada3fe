//! Transactions as their clients saw them, and the recorder that many threads share.
//!
//! A transaction's time begins before its first byte is sent and ends after its last byte has come, so
//! "this ended before that began" is never said without being so. Every number that is written
//! (element, value, member) occurs once in a history: that is how a read tells which transaction wrote
//! what it saw. Operations are gathered by the client alone and handed over once, at the end.

use std::{
    fmt::{self, Display, Formatter},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// One thing that a transaction did, with what it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds an element behind all others of a list.
    Append {
        /// The list.
        key: String,
        /// What no one else writes.
        element: u64,
    },
    /// Saw a whole list; an absent one is empty.
    ReadList {
        /// The list.
        key: String,
        /// All its elements, in order.
        elements: Vec<u64>,
    },
    /// Puts a value in place of what a register holds.
    Write {
        /// The register.
        key: String,
        /// What no one else writes.
        value: u64,
    },
    /// Saw what a register holds.
    Read {
        /// The register.
        key: String,
        /// The value, or that there is none yet.
        value: Option<u64>,
    },
    /// Adds a member to a set that only grows.
    Insert {
        /// The set.
        key: String,
        /// What no one else writes.
        member: u64,
    },
    /// Saw all members of a set: the answer to a question about everything that matches.
    ReadSet {
        /// The set.
        key: String,
        /// Its members, in any order.
        members: Vec<u64>,
    },
    /// Saw the balances of all accounts.
    ReadBalances(Vec<i64>),
    /// Takes back the transaction's latest append, write or insert that is not yet taken back.
    Undo,
}

/// How a transaction ended, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened, whole, and was told so.
    Committed,
    /// It certainly did not happen and never will.
    Aborted,
    /// It may have happened, may yet happen at any later time, or never: always whole or not at all.
    Unknown,
}

/// One transaction of a client; a plain command is one of a single operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Who ran it; only shown.
    pub process: u64,
    /// When it began, since the history's start.
    pub began: Duration,
    /// When its outcome was known; says nothing where that is unknown.
    pub ended: Duration,
    /// What it did, in order. Reads whose answers never came are left out, writes are not.
    pub operations: Vec<Operation>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Records transactions from any number of threads. Clones are the same history.
#[derive(Clone, Debug)]
pub struct History {
    started: Instant,
    transactions: Arc<Mutex<Vec<Transaction>>>,
}

/// A transaction that was begun. Dropped without a word about its end, its outcome is unknown.
#[must_use = "say how the transaction ended: committed, aborted or unknown"]
#[derive(Debug)]
pub struct Begun {
    history: History,
    process: u64,
    began: Duration,
    operations: Vec<Operation>,
    outcome: Outcome,
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl History {
    /// An empty history that starts now.
    pub fn new() -> Self {
        Self { started: Instant::now(), transactions: Arc::default() }
    }

    /// Notes that a client is about to begin; to be followed by the beginning itself.
    pub fn begin(&self, process: u64) -> Begun {
        Begun {
            history: self.clone(),
            process,
            began: self.started.elapsed(),
            operations: Vec::new(),
            outcome: Outcome::Unknown,
        }
    }

    /// Adds a transaction that was observed elsewhere; panics if it ended before it began.
    pub fn add(&self, transaction: Transaction) {
        assert!(transaction.began <= transaction.ended, "ended before it began: {transaction}");
        self.transactions.lock().push(transaction);
    }

    /// All transactions that have ended so far, in no particular order.
    pub fn transactions(&self) -> Vec<Transaction> {
        self.transactions.lock().clone()
    }
}

impl Begun {
    /// Notes an operation: a write before it is sent, a read when it is answered.
    pub fn did(&mut self, operation: Operation) {
        self.operations.push(operation);
    }

    /// Replaces what was noted so far: for operations whose answers come all at once.
    pub fn instead(&mut self, operations: Vec<Operation>) {
        self.operations = operations;
    }

    /// The client was told that all of it happened.
    pub fn committed(mut self) {
        self.outcome = Outcome::Committed;
    }

    /// It certainly did not happen and never will.
    pub fn aborted(mut self) {
        self.outcome = Outcome::Aborted;
    }

    /// The client was asked to commit and was told nothing.
    pub fn unknown(self) {
        drop(self);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let transaction = Transaction {
            process: self.process,
            began: self.began,
            ended: self.history.started.elapsed(),
            operations: std::mem::take(&mut self.operations),
            outcome: self.outcome,
        };
        self.history.transactions.lock().push(transaction);
    }
}

/// How many elements of a list are printed.
const SHOWN: usize = 12;

fn listed(numbers: &[u64]) -> String {
    let (left_out, last) = numbers.split_at(numbers.len().saturating_sub(SHOWN));
    let last: Vec<_> = last.iter().map(u64::to_string).collect();
    let dots = if left_out.is_empty() { "" } else { ".. " };
    format!("[{dots}{}]", last.join(" "))
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append { key, element } => write!(f, "append {element} to {key}"),
            Self::ReadList { key, elements } => write!(f, "{key} is {}", listed(elements)),
            Self::Write { key, value } => write!(f, "write {value} to {key}"),
            Self::Read { key, value: Some(value) } => write!(f, "{key} is {value}"),
            Self::Read { key, value: None } => write!(f, "{key} is absent"),
            Self::Insert { key, member } => write!(f, "insert {member} into {key}"),
            Self::ReadSet { key, members } => write!(f, "all of {key} is {}", listed(members)),
            Self::ReadBalances(balances) => write!(f, "balances are {balances:?}"),
            Self::Undo => f.write_str("undo"),
        }
    }
}

/// `0.001200 to 0.001900 s  process 3 committed: x is [1 2]; append 3 to x`
impl Display for Transaction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6} to ", self.began.as_secs_f64())?;
        let end = match self.outcome {
            Outcome::Committed => {
                format!("{:.6} s  process {} committed", self.ended.as_secs_f64(), self.process)
            }
            Outcome::Aborted => {
                format!("{:.6} s  process {} aborted", self.ended.as_secs_f64(), self.process)
            }
            Outcome::Unknown => format!("? s  process {} unknown", self.process),
        };
        let operations: Vec<_> = self.operations.iter().map(Operation::to_string).collect();
        write!(f, "{end}: {}", operations.join("; "))
    }
}
