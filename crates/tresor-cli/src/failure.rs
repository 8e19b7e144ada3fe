//! How a subcommand ends badly: with a message and one of two exit codes.
//!
//! 1 means that the operation failed, 2 that it was asked for wrongly. Libraries return errors; only
//! `main` prints them, once. A closed pipe (`tresor list | head`) is no failure worth a word.

use std::{fmt, io};

/// The result of a subcommand.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a subcommand did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was asked for wrongly: exit code 2.
    Usage(String),
    /// It failed: exit code 1.
    Failed(String),
    /// Nothing to say: exit code 1.
    Silent,
}

impl Failure {
    /// A failure whose message names the thing and the way out.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// Wrong usage, with the right one in the message.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::Usage(message.to_string())
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) | Self::Silent => 1,
        }
    }
}

impl From<tresor::Error> for Failure {
    fn from(error: tresor::Error) -> Self {
        Self::failed(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Silent } else { Self::failed(error) }
    }
}
