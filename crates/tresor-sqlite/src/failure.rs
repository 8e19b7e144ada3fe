//! What a failure of SQLite means for whoever called, in one table.
//!
//! The path is part of every message. A failed write or sync of the disk is told apart from a full
//! disk: after the first, nobody knows what the disk has, and the store takes no more calls.

use std::path::Path;

use rusqlite::{ErrorCode, ffi};
use tresor::{Error, ErrorKind};

/// Another connection holds a lock that was needed.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// The disk failed, and it is not known what of the last change it has.
pub(crate) fn is_broken_disk(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) && !is_full(error)
}

/// The disk has no room; what was there before is still there.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    // The index of the write-ahead log lives in a file of its own, which has to grow too.
    let extended = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::DiskFull) || extended == Some(ffi::SQLITE_IOERR_SHMSIZE)
}

/// The error that a caller gets.
pub(crate) fn error(path: &Path, error: rusqlite::Error) -> Error {
    let path = path.display();
    let (kind, message) = match error.sqlite_error_code() {
        _ if is_full(&error) => {
            (ErrorKind::DiskFull, format!("no room on the disk for {path}; nothing was changed, make room"))
        }
        _ if is_busy(&error) => (
            ErrorKind::Unavailable,
            format!("{path} is locked by another program; let that finish its transaction"),
        ),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            (ErrorKind::Internal, format!("{path} is damaged; stop and see with: tresor check {path}"))
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            (ErrorKind::Invalid, format!("{path} cannot be opened for writing; see to its permissions"))
        }
        Some(ErrorCode::TooBig) => (ErrorKind::TooLarge, format!("too large for {path}")),
        Some(ErrorCode::OutOfMemory) => (ErrorKind::OutOfMemory, format!("no memory to use {path}")),
        Some(ErrorCode::SystemIoFailure) => (ErrorKind::Unavailable, format!("the disk of {path} failed")),
        _ => (ErrorKind::Internal, format!("{path} could not be used")),
    };
    Error::new(kind, message).caused_by(error)
}

/// A row, or what a row says, is not what was written.
pub(crate) fn damaged(path: &Path, what: &str) -> Error {
    let path = path.display();
    Error::new(
        ErrorKind::Internal,
        format!(
            "{path}: {what} is damaged, or was edited; stop and see with: tresor check {path}, and if it was edited on purpose: tresor check --accept {path}"
        ),
    )
}

/// What everybody hears once the disk has failed.
pub(crate) fn poisoned(path: &Path, cause: &str) -> Error {
    let message = format!(
        "{} could not be written, and what is on disk is uncertain; see to the disk, then start again",
        path.display()
    );
    Error::new(ErrorKind::Poisoned, message).caused_by(cause.to_owned())
}

/// What everybody hears once the store is closed.
pub(crate) fn closed(path: &Path) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{} is closed; open it again", path.display()))
}
