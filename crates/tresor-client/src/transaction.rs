//! What answers tell of transactions and of the whole store.

use std::{collections::BTreeMap, fmt};

use crate::value::Value;

/// The id of a transaction, good for the connection that began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(u64);

impl TransactionId {
    /// The number that the server gave it.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl From<u64> for TransactionId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a step back has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The key whose write was undone.
    pub key: Vec<u8>,
    /// The value that it is back to; `None` when it is not there again.
    pub value: Option<Value>,
}

/// All that a server has: what is committed, and what is not yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The committed entries.
    pub entries: BTreeMap<Vec<u8>, Value>,
    /// The open transactions of every connection.
    pub transactions: Vec<OpenTransaction>,
}

/// A transaction that somebody has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its id; it is of use to its own connection alone.
    pub id: TransactionId,
    /// What it has written; `None` for a key that it has deleted.
    pub writes: BTreeMap<Vec<u8>, Option<Value>>,
}
