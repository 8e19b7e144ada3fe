//! The file itself: locked while it is used, replaced as a whole and never written into.
//!
//! A save writes a new file beside it, syncs that, renames it over the old one and syncs the
//! directory, so a reader at any moment finds one or the other, whole. The lock is on the file that
//! has the name: the new one is locked before it gets it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::{Error, ErrorKind, Result},
    files::{File, Files, Open},
};

/// A store's file.
pub(crate) struct Place {
    files: Arc<dyn Files>,
    directory: PathBuf,
    path: PathBuf,
    /// The file that has the name now; held for its lock.
    current: Option<Arc<dyn File>>,
}

/// Why a save failed, and what that means.
pub(crate) enum Failed {
    /// The old file is still there, and nothing is lost by trying again.
    Before(Error),
    /// What the disk has is not known: after a failed sync the system may call the next one a success,
    /// and after a failed rename either file may be there.
    Unsure(Error),
}

impl Place {
    /// Takes hold of a file, with its contents; `None` where there is none yet.
    pub(crate) fn open(files: Arc<dyn Files>, path: &Path) -> Result<(Self, Option<Vec<u8>>)> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut place = Self { files, directory, path: path.to_owned(), current: None };
        place.files.create_directory(&place.directory).map_err(|error| place.failed("make", &error))?;
        let file = match place.files.open(path, Open::Write) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((place, None)),
            Err(error) => return Err(place.failed("open", &error)),
        };
        place.lock(&*file)?;
        let text = contents(&*file).map_err(|error| place.failed("read", &error))?;
        place.current = Some(file);
        Ok((place, Some(text)))
    }

    fn lock(&self, file: &dyn File) -> Result<()> {
        match file.try_lock() {
            Ok(true) => Ok(()),
            Ok(false) => {
                let message =
                    format!("{} is in use by another process; stop that first", self.path.display());
                Err(Error::new(ErrorKind::Unavailable, message))
            }
            Err(error) => Err(self.failed("lock", &error)),
        }
    }

    /// Replaces the file by one with this text.
    pub(crate) fn save(&mut self, text: &[u8]) -> Result<(), Failed> {
        let new = self.new_path();
        let file = self.write(&new, text).map_err(|error| {
            // Whether it can be removed or not, the next save begins by removing it.
            let _ = self.files.remove(&new);
            Failed::Before(error)
        })?;
        let replaced = file
            .sync()
            .and_then(|()| self.files.rename(&new, &self.path))
            .and_then(|()| self.files.sync_directory(&self.directory));
        replaced.map_err(|error| Failed::Unsure(self.failed("replace", &error)))?;
        self.current = Some(file);
        Ok(())
    }

    fn write(&self, new: &Path, text: &[u8]) -> Result<Arc<dyn File>> {
        let attempt = || {
            match self.files.remove(new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = self.files.open(new, Open::Create)?;
            file.write_at(text, 0)?;
            Ok(file)
        };
        let file = attempt().map_err(|error| self.failed("write", &error))?;
        self.lock(&*file)?;
        Ok(file)
    }

    fn new_path(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        self.directory.join(name)
    }

    fn failed(&self, what: &str, error: &io::Error) -> Error {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                ErrorKind::DiskFull
            }
            io::ErrorKind::PermissionDenied => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("cannot {what} {}: {error}", self.path.display()))
    }
}

fn contents(file: &dyn File) -> io::Result<Vec<u8>> {
    let mut text = vec![0; file.size()? as usize];
    let read = file.read_at(&mut text, 0)?;
    text.truncate(read);
    Ok(text)
}
