//! The file that says that the server accepts, and where.
//!
//! It appears whole or not at all: it is written beside its place and renamed. It is removed when the
//! server stops, so that nobody waits at a door that is shut.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use serde::Serialize;

use crate::failure::{Failure, Outcome};

/// What the file says.
#[derive(Debug, Serialize)]
pub(crate) struct Ready {
    /// The process.
    pub(crate) pid: u32,
    /// HTTP's port; null where it is off, as with the others.
    pub(crate) http: Option<u16>,
    /// The Redis protocol's port.
    pub(crate) resp: Option<u16>,
    /// The line protocol's port.
    pub(crate) line: Option<u16>,
}

/// The file while it is there.
#[derive(Debug)]
pub(crate) struct ReadyFile {
    path: PathBuf,
}

impl ReadyFile {
    /// Writes the file.
    pub(crate) fn write(path: &Path, ready: &Ready) -> Outcome<Self> {
        let write = || -> io::Result<()> {
            let mut beside = path.as_os_str().to_owned();
            beside.push(format!(".{}", process::id()));
            fs::write(&beside, serde_json::to_vec(ready)?)?;
            fs::rename(&beside, path)
        };
        write().map_err(|error| {
            Failure::failed(format!("--ready-file: cannot write {}: {error}", path.display()))
        })?;
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the ready file could not be removed");
        }
    }
}
