//! The one error type of Tresor.
//!
//! `ErrorKind` lists what a caller can do something about; each front door maps a kind to its own
//! code (a RESP prefix, an HTTP status, a line code) in one table. The message names the thing that
//! failed and the way out, in the words that Redis uses wherever clients parse them.

use std::{error::Error as StdError, fmt};

/// What every fallible call of the library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The key is not there.
    NotFound,
    /// The key is there already.
    Exists,
    /// A guard failed: the entry is not in the state that the caller named.
    Conflict,
    /// No open transaction of this client has that id.
    UnknownTransaction,
    /// The transaction has no write left to undo.
    NothingToUndo,
    /// Waiting for the lock would never end; the transaction was the one to give way.
    Deadlock,
    /// The lock was not free within the limit.
    LockTimeout,
    /// The request makes no sense as it stands; sending it again will not help.
    Invalid,
    /// A key, value or request is over its limit.
    TooLarge,
    /// The memory limit is reached and nothing may be evicted.
    OutOfMemory,
    /// The disk has no room for the change; nothing was changed.
    DiskFull,
    /// A password is needed, or the one given is wrong.
    Unauthorized,
    /// This engine or server cannot do that.
    Unsupported,
    /// The store cannot be reached or used for now.
    Unavailable,
    /// An fsync failed: nothing more is promised until the store is opened again.
    Poisoned,
    /// The request was sent but its answer never came: it may or may not have been applied.
    UnknownOutcome,
    /// A defect, or a failure of the machine that fits no other kind.
    Internal,
}

/// An error: its kind, a message for people, and what caused it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` whose message names the thing and the way out.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    /// Shorthand for [`ErrorKind::Invalid`], the most common kind.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Adds what caused the error; it is shown after the message.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without its cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The same kind and message again, for one failure that several callers must hear of.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::new(self.0.kind, self.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
