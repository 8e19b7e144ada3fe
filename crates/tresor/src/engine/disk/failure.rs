//! What goes wrong below: errors of the tables on disk as errors of ours.

use std::{io, path::Path};

use crate::{
    error::{Error, ErrorKind},
    oplog::is_full,
};

/// An error of a call into the tables.
#[cold]
pub(super) fn failed(what: &str, path: &Path, error: fjall::Error) -> Error {
    let (kind, way_out) = match &error {
        fjall::Error::Io(cause) => of_io(cause),
        fjall::Error::Storage(fjall::LsmError::Io(cause)) => of_io(cause),
        fjall::Error::Locked => (ErrorKind::Unavailable, "another process has the store open: stop it first"),
        fjall::Error::Poisoned => {
            (ErrorKind::Poisoned, "an earlier write to the disk failed; see to the disk, then start again")
        }
        fjall::Error::InvalidVersion(_) => {
            (ErrorKind::Invalid, "it was made by a version of Tresor that this one does not know")
        }
        _ => (ErrorKind::Internal, "it is damaged: restore it from a backup"),
    };
    Error::new(kind, format!("cannot {what} {}: {way_out}", path.display())).caused_by(error)
}

fn of_io(cause: &io::Error) -> (ErrorKind, &'static str) {
    if is_full(cause) {
        (ErrorKind::DiskFull, "the disk has no room: make some")
    } else if cause.kind() == io::ErrorKind::UnexpectedEof || cause.kind() == io::ErrorKind::InvalidData {
        (ErrorKind::Internal, "it is damaged: restore it from a backup")
    } else {
        (ErrorKind::Unavailable, "the disk does not answer as it should")
    }
}
