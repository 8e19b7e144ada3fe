//! Where a store lies: its file, the lock beside it, and whether the file is such a store at all.
//!
//! A new store is made under another name and renamed when it is whole, so a file that has the name
//! is a store or somebody else's, and what is somebody else's is not touched. The lock is on a file of
//! its own: SQLite's locks end for the whole process when any handle on the database file is closed,
//! so nothing but SQLite may open that while a store is in use.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, OpenFlags};
use tresor::{
    Error, ErrorKind, Result,
    files::{File, Files, Open},
};

use crate::{
    failure,
    identity::Identity,
    schema::{self, APPLICATION_ID, FORMAT, MAGIC},
};

/// A store's file, ours as long as this is there.
pub(crate) struct Location {
    files: Arc<dyn Files>,
    pub(crate) path: PathBuf,
    _lock: Arc<dyn File>,
}

/// Bytes at the beginning of the file that say what it is.
const HEADER_BYTES: usize = 72;

impl Location {
    /// Takes hold of a store. One that is not there is made if `make` says so.
    pub(crate) fn take(files: Arc<dyn Files>, path: &Path, make: bool) -> Result<Self> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if make {
            files
                .create_directory(directory)
                .map_err(|error| failed("make the directory of", path, &error))?;
        }
        let path = real_path(directory, path)?;
        if !make && !path.exists() {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no {}", path.display())));
        }
        // Before the lock, so that nothing is left beside a file that is no store.
        let there = refuse_others(&*files, &path)?;
        let lock = lock(&*files, &path)?;
        let location = Self { files, path, _lock: lock };
        if !there && !refuse_others(&*location.files, &location.path)? {
            location.make()?;
        }
        Ok(location)
    }

    fn make(&self) -> Result<()> {
        let new = beside(&self.path, "-new");
        let failed = |error: io::Error| failed("make", &self.path, &error);
        for leftover in ["", "-journal", "-wal", "-shm"] {
            match self.files.remove(&beside(&new, leftover)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        // Made here for its rights: SQLite would let others read it.
        drop(self.files.open(&new, Open::Create).map_err(failed)?);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let identity = Identity::new()?;
        let connection = Connection::open_with_flags(&new, flags);
        connection
            .and_then(|connection| {
                schema::make(&connection, identity)?;
                connection.close().map_err(|(_, error)| error)
            })
            .map_err(|error| failure::error(&self.path, error))?;
        let file = self.files.open(&new, Open::Write).map_err(failed)?;
        file.sync().map_err(failed)?;
        self.files.rename(&new, &self.path).map_err(failed)?;
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        self.files.sync_directory(directory).map_err(failed)
    }

    /// The write-ahead log, to sync it. SQLite holds no lock on it that closing this would end.
    pub(crate) fn open_log(&self) -> Result<Arc<dyn File>> {
        let log = beside(&self.path, "-wal");
        self.files.open(&log, Open::Write).map_err(|error| failed("open", &log, &error))
    }

    /// Opens a connection.
    pub(crate) fn connect(&self, role: Role) -> Result<Connection> {
        connect(&self.path, role).map_err(|error| failure::error(&self.path, error))
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reading alone; waits a little for a program that holds the whole file.
    Read,
    /// Changing and checkpointing, with syncs where SQLite's order of writes needs them.
    Synced,
    /// The same without any sync: a power cut may leave the file unusable.
    Unsynced,
}

fn connect(path: &Path, role: Role) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(64);
    let (synchronous, query_only, busy_ms) = match role {
        Role::Read => ("OFF", "ON", 1000),
        Role::Synced => ("NORMAL", "OFF", 0),
        Role::Unsynced => ("OFF", "OFF", 0),
    };
    // Checkpoints have a thread of their own: none may happen in a caller's commit.
    connection.execute_batch(&format!(
        "PRAGMA busy_timeout = {busy_ms}; PRAGMA synchronous = {synchronous};
         PRAGMA wal_autocheckpoint = 0; PRAGMA trusted_schema = OFF;
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{CACHE_KIB}; PRAGMA query_only = {query_only};"
    ))?;
    Ok(connection)
}

/// Memory for pages that a connection may hold, in KiB.
pub(crate) const CACHE_KIB: u32 = 8192;

/// Whether the path has a store; an error if it has something else.
fn refuse_others(files: &dyn Files, path: &Path) -> Result<bool> {
    let file = match files.open(path, Open::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("open", path, &error)),
    };
    let mut header = [0; HEADER_BYTES];
    let read = file.read_at(&mut header, 0).map_err(|error| failed("read", path, &error))?;
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let name = path.display();
    if read < HEADER_BYTES || header[..MAGIC.len()] != MAGIC {
        return Err(Error::invalid(format!("{name} is no SQLite database; name another file")));
    }
    if number(68) != APPLICATION_ID {
        let message =
            format!("{name} is an SQLite database, but none of Tresor's; it was not touched, name another");
        return Err(Error::invalid(message));
    }
    match number(60) {
        FORMAT => Ok(true),
        format => Err(Error::invalid(format!(
            "{name} has format {format}, and this version of Tresor knows format {FORMAT}; use a newer one"
        ))),
    }
}

fn lock(files: &dyn Files, path: &Path) -> Result<Arc<dyn File>> {
    let name = beside(path, "-lock");
    let file = match files.open(&name, Open::Create) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => files.open(&name, Open::Write),
        other => other,
    };
    let file = file.map_err(|error| failed("open", &name, &error))?;
    if file.try_lock().map_err(|error| failed("lock", &name, &error))? {
        return Ok(file);
    }
    let message = format!("{} is in use by another process; stop that first", path.display());
    Err(Error::new(ErrorKind::Unavailable, message))
}

/// The path with every link followed, so that two names of one file have one lock, and the log is
/// where SQLite puts it.
fn real_path(directory: &Path, path: &Path) -> Result<PathBuf> {
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| failed("find", path, &error));
    if path.exists() {
        return real(path);
    }
    let Some(name) = path.file_name() else {
        return Err(Error::invalid(format!("{} is no name for a file", path.display())));
    };
    Ok(real(directory)?.join(name))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("cannot {what} {}: {error}", path.display()))
}
