//! What a history shows that no database with strict serializability would: its name, and its story.
//!
//! The names are Adya's ("Weak Consistency", 1999) where he has one, and Elle's (Kingsbury and Alvaro,
//! VLDB 2020) for what only lists or unique values can show.

use std::fmt::{self, Debug, Display, Formatter};

/// The kinds of anomalies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phenomenon {
    /// Something was read that nobody wrote.
    Unwritten,
    /// Something occurs twice that was written once.
    Duplicate,
    /// Two reads of a list, none of which begins with the other.
    IncompatibleOrder,
    /// A transaction did not see its own writes, or one thing differently at two times.
    Internal,
    /// G1a: a committed transaction read what an aborted one wrote, or what was taken back.
    AbortedRead,
    /// G1b: a transaction read what another one had not finished writing.
    IntermediateRead,
    /// A committed write that nobody ever saw, not even those that began afterwards.
    LostWrite,
    /// P4: two transactions read the same state of a key, and both changed it.
    LostUpdate,
    /// G0: a cycle of writes over writes alone.
    DirtyWrite,
    /// G1c: a cycle of writes, and reads of what was written.
    CircularInformation,
    /// G-single: a cycle with one read that missed a write.
    ReadSkew,
    /// G2-item: a cycle with several reads that missed writes.
    WriteSkew,
    /// G2 or G-single over a predicate: a cycle with a read of a whole set that missed a member.
    Phantom,
    /// All accounts, read together, do not hold what there is.
    WrongTotal,
    /// Registers for which no order of all transactions explains what was read.
    Unexplained,
}

/// One thing wrong with a history. Its debug form is its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// What it is.
    pub phenomenon: Phenomenon,
    /// Whether it is one only because of what had ended before something else began: then the history
    /// may still be serializable, but not strictly.
    pub real_time: bool,
    /// The transactions it is about, by their place in the history; in a cycle each comes before the
    /// next, and the last before the first.
    pub transactions: Vec<usize>,
    /// What was seen, in words.
    pub story: String,
}

impl Phenomenon {
    /// Its name in the literature, or a short one where it has none.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unwritten => "read of what nobody wrote",
            Self::Duplicate => "duplicate",
            Self::IncompatibleOrder => "incompatible orders",
            Self::Internal => "internal inconsistency",
            Self::AbortedRead => "aborted read (G1a)",
            Self::IntermediateRead => "intermediate read (G1b)",
            Self::LostWrite => "lost write",
            Self::LostUpdate => "lost update (P4)",
            Self::DirtyWrite => "dirty write (G0)",
            Self::CircularInformation => "circular information flow (G1c)",
            Self::ReadSkew => "read skew (G-single)",
            Self::WriteSkew => "write skew (G2-item)",
            Self::Phantom => "phantom (G2)",
            Self::WrongTotal => "wrong total",
            Self::Unexplained => "registers without an order",
        }
    }
}

impl Display for Anomaly {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let only = if self.real_time { ", by real time" } else { "" };
        write!(f, "{}{only}: {}", self.phenomenon.name(), self.story)
    }
}

impl Debug for Anomaly {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}
