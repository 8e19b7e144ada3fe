//! What clients asked of keys and what they were told, with times: the input of the check.
//!
//! A call is written down as "outcome unknown" before it is made and its outcome is added when it is
//! known, so a client that dies, or a check in the middle of a run, never makes a history claim too
//! much. Times come from one monotonic clock, taken last thing before and first thing after the
//! operation; operations whose times touch count as concurrent.

use std::{
    fmt::{self, Display, Formatter},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::reply::quoted;

/// What a client asks of one key. A key holds a value or is absent; it begins absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads the value; answered by [`Answer::Value`].
    Get,
    /// Writes the value, whatever was there; answered by [`Answer::Done`].
    Set(Vec<u8>),
    /// Writes the value if the key is absent; answered by [`Answer::Applied`].
    SetIfAbsent(Vec<u8>),
    /// Writes `new` if the key holds exactly `expected`; answered by [`Answer::Applied`].
    CompareAndSet {
        /// What the key must hold.
        expected: Vec<u8>,
        /// What it holds afterwards.
        new: Vec<u8>,
    },
    /// Adds one to the decimal 64-bit number held, 0 if absent; answered by [`Answer::Number`], or by
    /// [`Answer::NotAnInteger`] if what is held is no such number in its one canonical spelling, or the
    /// greatest one. That changes nothing.
    Increment,
    /// Removes the key; answered by [`Answer::Applied`], which says whether it was there.
    Delete,
    /// Lets the key expire later than the history ends; answered by [`Answer::Applied`], which says
    /// whether it was there. Nothing else is seen of it.
    Expire,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The value, or that there is none.
    Value(Option<Vec<u8>>),
    /// It is written.
    Done,
    /// Whether the operation found what it needed, and so was applied.
    Applied(bool),
    /// The number that the key holds now.
    Number(i64),
    /// The key holds no number that can be incremented.
    NotAnInteger,
}

/// How a call ended, as far as its client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, at this time since the history's start.
    Answered(Answer, Duration),
    /// It certainly did not happen and never will.
    Failed,
    /// It may have happened, may yet happen at any later time, or never.
    Unknown,
}

/// One call of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who called; only shown.
    pub client: u64,
    /// The key it was about.
    pub key: Vec<u8>,
    /// What was asked.
    pub operation: Operation,
    /// When the call began, since the history's start.
    pub called: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// Records calls from any number of threads. Clones are the same history.
#[derive(Clone, Debug)]
pub struct History {
    started: Instant,
    records: Arc<Mutex<Vec<Record>>>,
}

/// A call that was begun; without a word about its end its outcome is unknown.
#[must_use = "say how the call ended: ok, failed or unknown"]
#[derive(Debug)]
pub struct Call {
    history: History,
    index: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl History {
    /// An empty history that starts now.
    pub fn new() -> Self {
        Self { started: Instant::now(), records: Arc::default() }
    }

    /// Notes that a client is about to call; to be followed at once by the call itself.
    pub fn begin(&self, client: u64, key: impl Into<Vec<u8>>, operation: Operation) -> Call {
        let mut record =
            Record { client, key: key.into(), operation, called: Duration::ZERO, outcome: Outcome::Unknown };
        let mut records = self.records.lock();
        record.called = self.started.elapsed();
        records.push(record);
        Call { history: self.clone(), index: records.len() - 1 }
    }

    /// Adds a call that was observed elsewhere, in any order; panics if the answer is not one to the
    /// operation or comes before the call.
    pub fn add(&self, record: Record) {
        if let Outcome::Answered(answer, at) = &record.outcome {
            assert!(record.operation.can_answer(answer), "not an answer to it: {record}");
            assert!(record.called <= *at, "answered before it was called: {record}");
        }
        self.records.lock().push(record);
    }

    /// All calls so far; those still open are among them with an unknown outcome.
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().clone()
    }
}

impl Call {
    /// Notes the answer, which has just come; panics if it is not one to this operation.
    pub fn ok(self, answer: Answer) {
        let at = self.history.started.elapsed();
        let mut records = self.history.records.lock();
        let record = &mut records[self.index];
        assert!(record.operation.can_answer(&answer), "{answer:?} does not answer: {record}");
        record.outcome = Outcome::Answered(answer, at);
    }

    /// Notes that the operation certainly did not happen and never will.
    pub fn failed(self) {
        self.history.records.lock()[self.index].outcome = Outcome::Failed;
    }

    /// Notes that the operation may have happened, may happen at any later time, or never.
    pub fn unknown(self) {
        self.history.records.lock()[self.index].outcome = Outcome::Unknown;
    }
}

impl Operation {
    /// Does it to a value, alone: what every answer is measured by.
    pub fn apply(&self, value: &mut Option<Vec<u8>>) -> Answer {
        match self {
            Self::Get => Answer::Value(value.clone()),
            Self::Set(new) => {
                *value = Some(new.clone());
                Answer::Done
            }
            Self::SetIfAbsent(new) => {
                let applied = value.is_none();
                value.get_or_insert_with(|| new.clone());
                Answer::Applied(applied)
            }
            Self::CompareAndSet { expected, new } => {
                let applied = value.as_ref() == Some(expected);
                if applied {
                    *value = Some(new.clone());
                }
                Answer::Applied(applied)
            }
            Self::Increment => {
                let number = value.as_ref().map_or(Some(0), |text| integer(text));
                let Some(sum) = number.and_then(|number| number.checked_add(1)) else {
                    return Answer::NotAnInteger;
                };
                *value = Some(sum.to_string().into_bytes());
                Answer::Number(sum)
            }
            Self::Delete => Answer::Applied(value.take().is_some()),
            Self::Expire => Answer::Applied(value.is_some()),
        }
    }

    /// Whether this kind of answer belongs to the operation.
    fn can_answer(&self, answer: &Answer) -> bool {
        match self {
            Self::Get => matches!(answer, Answer::Value(_)),
            Self::Set(_) => matches!(answer, Answer::Done),
            Self::Increment => matches!(answer, Answer::Number(_) | Answer::NotAnInteger),
            Self::SetIfAbsent(_) | Self::CompareAndSet { .. } | Self::Delete | Self::Expire => {
                matches!(answer, Answer::Applied(_))
            }
        }
    }

    /// Whether it can change what a key holds.
    pub(super) fn writes(&self) -> bool {
        !matches!(self, Self::Get | Self::Expire)
    }
}

/// The number that a text spells canonically: no plus, no blanks, no leading zeros.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get => f.write_str("get"),
            Self::Set(value) => write!(f, "set {}", quoted(value)),
            Self::SetIfAbsent(value) => write!(f, "set {} if absent", quoted(value)),
            Self::CompareAndSet { expected, new } => {
                write!(f, "set {} if it is {}", quoted(new), quoted(expected))
            }
            Self::Increment => f.write_str("increment"),
            Self::Delete => f.write_str("delete"),
            Self::Expire => f.write_str("expire"),
        }
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(Some(value)) => f.write_str(&quoted(value)),
            Self::Value(None) => f.write_str("absent"),
            Self::Done => f.write_str("done"),
            Self::Applied(true) => f.write_str("yes"),
            Self::Applied(false) => f.write_str("no"),
            Self::Number(number) => write!(f, "{number}"),
            Self::NotAnInteger => f.write_str("not an integer"),
        }
    }
}

/// `0.001200 to 0.001900 s  client 3: get -> "x"`
impl Display for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:>11.6} to ", self.called.as_secs_f64())?;
        match &self.outcome {
            Outcome::Answered(_, at) => write!(f, "{:>11.6} s", at.as_secs_f64())?,
            Outcome::Failed | Outcome::Unknown => f.write_str("          ?  ")?,
        }
        write!(f, "  client {}: {} -> ", self.client, self.operation)?;
        match &self.outcome {
            Outcome::Answered(answer, _) => write!(f, "{answer}"),
            Outcome::Failed => f.write_str("failed"),
            Outcome::Unknown => f.write_str("unknown"),
        }
    }
}
