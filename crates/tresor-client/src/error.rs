//! The client's one error type: what the server answered, or what became of the connection.
//!
//! The kind is the protocol's code, so programs decide by the kind and people read the message. Codes of
//! a newer server that this client does not know become [`ErrorKind::Internal`], with the code in front
//! of the message.

use std::{error::Error as StdError, fmt};

/// What every fallible call returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// What went wrong, by what the caller can do about it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind { $($(#[$meta])* $name),* }

        impl ErrorKind {
            /// The protocol's code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// The kind of a code, if this client knows it.
            pub(crate) fn of(code: &str) -> Option<Self> {
                match code { $(stringify!($name) => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// The key is not there.
    NotFound,
    /// The key is there already.
    Exists,
    /// A guard failed: the entry is not in the state that was named.
    Conflict,
    /// No open transaction of this connection has that id.
    UnknownTransaction,
    /// The transaction has no write left to undo.
    NothingToUndo,
    /// Waiting for the lock would never end.
    Deadlock,
    /// The lock was not free within the server's limit; the transaction is still open.
    LockTimeout,
    /// The request makes no sense as it stands; sending it again will not help.
    Invalid,
    /// A key, a value, a line or an answer is over its limit.
    TooLarge,
    /// The server's memory limit is reached and nothing may be evicted.
    OutOfMemory,
    /// The server's disk has no room for the change; nothing was changed.
    DiskFull,
    /// A password is needed, or the one given is wrong.
    Unauthorized,
    /// The server cannot do that.
    Unsupported,
    /// The server cannot be reached, or cannot serve for now.
    Unavailable,
    /// The line was sent but its answer never came: it may or may not have been done.
    UnknownOutcome,
    /// What came back is not the line protocol: the address is most likely that of another port.
    Protocol,
    /// A defect of the server, or a code that this client does not know.
    Internal,
}

/// An error: its kind, a message for people, and what caused it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` whose message names the thing and the way out.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds what caused the error; it is shown after the message.
    #[must_use]
    pub(crate) fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What an error answer says.
    pub(crate) fn answered(code: &str, message: &str) -> Self {
        match ErrorKind::of(code) {
            Some(kind) => Self::new(kind, message),
            None => Self::new(ErrorKind::Internal, format!("{code}: {message}")),
        }
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message without its cause.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, ErrorKind};

    #[test]
    fn codes_become_kinds_and_back() {
        for kind in [ErrorKind::NotFound, ErrorKind::UnknownTransaction, ErrorKind::LockTimeout] {
            assert_eq!(ErrorKind::of(kind.code()), Some(kind));
        }
        assert_eq!(ErrorKind::NothingToUndo.code(), "NothingToUndo");
        let unknown = Error::answered("Tired", "come back tomorrow");
        assert_eq!(unknown.kind(), ErrorKind::Internal);
        assert_eq!(unknown.to_string(), "Tired: come back tomorrow");
    }
}
