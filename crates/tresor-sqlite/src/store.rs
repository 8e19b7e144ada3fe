//! What callers and background threads share: the writer, the readers, how far things are.
//!
//! Opening is in one order: take hold of the file, look at all of it where it is small, bring what an
//! earlier process left in the log into the file, then begin. Closing goes back: no more calls, no
//! more threads, everything in the file, connections, lock.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
};

use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tresor::{
    Error, Result,
    clock::{Clock, StoreTime},
    config::Durability,
    engine::{Count, DATABASES, ExpiryLagCounters, RemovalTeller, cursors::Cursors},
    files::{File, Files},
};

use crate::{
    Options, check,
    databases::Databases,
    failure,
    identity::Identity,
    location::{Location, Role},
    progress::Progress,
    readers::Readers,
    turns::Turns,
    writer::Writer,
};

/// An open store.
pub(crate) struct Store {
    pub(crate) path: PathBuf,
    pub(crate) options: Options,
    pub(crate) time: StoreTime,
    pub(crate) store_id: u64,
    /// Gone once the store is closed.
    pub(crate) writer: Mutex<Option<Writer>>,
    /// The connection of the housekeeper. Gone once the store is closed.
    pub(crate) housekeeping: Mutex<Option<Connection>>,
    pub(crate) readers: Readers,
    /// Where each database's entries stand, as readers may see them.
    pub(crate) places: RwLock<[i64; DATABASES as usize]>,
    pub(crate) progress: Progress,
    pub(crate) turns: Turns,
    pub(crate) cursors: Cursors,
    pub(crate) figures: Mutex<[Count; DATABASES as usize]>,
    pub(crate) packed: AtomicBool,
    /// About how many bytes the log has grown by since the last checkpoint.
    pub(crate) log_bytes: AtomicU64,
    /// Who is told of entries that expired and are gone.
    pub(crate) removals: RemovalTeller,
    /// Entries removed because they expired, since the start.
    pub(crate) expired: ExpiryLagCounters,
    /// The write-ahead log, open for its syncs: a failed one is told to those who had it open.
    pub(crate) log: Arc<dyn File>,
    /// The last to go: its lock lets others in.
    location: Mutex<Option<Location>>,
}

/// Stores up to this size are looked at as a whole before they are opened, which takes well under a
/// second; in a larger one each row is checked when it is read.
const LOOKED_AT_WHOLE_BYTES: u64 = 32 * 1024 * 1024;

impl Store {
    pub(crate) fn open(options: Options, files: Arc<dyn Files>, clock: Arc<dyn Clock>) -> Result<Self> {
        let location = Location::take(files, &options.path, true)?;
        let path = location.path.clone();
        let role = if options.durability == Durability::None { Role::Unsynced } else { Role::Synced };
        // With syncs whatever the level: the mark of an unsynced store has to be on disk.
        let connection = location.connect(Role::Synced)?;
        let failed = |error| failure::error(&path, error);
        // The first to look at the file may have to wait for another program that is at it.
        connection.busy_timeout(options.busy_timeout).map_err(failed)?;
        let size: i64 = connection
            .query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |row| {
                row.get(0)
            })
            .map_err(failed)?;
        if size.unsigned_abs() <= LOOKED_AT_WHOLE_BYTES {
            check::refuse_damage(&connection, &path)?;
        }
        let identity = identify(&connection, &path, options.durability)?;
        let (databases, latest) = Databases::read(&connection, &path)?;
        // What an earlier process left in the log may never have been synced.
        let log = location.open_log()?;
        log.sync().map_err(|error| failure::poisoned(&path, &error.to_string()))?;
        checkpoint_all(&connection).map_err(failed)?;
        let synchronous = if role == Role::Synced { "NORMAL" } else { "OFF" };
        connection.pragma_update(None, "synchronous", synchronous).map_err(failed)?;
        connection.busy_timeout(std::time::Duration::ZERO).map_err(failed)?;
        let connections: Result<Vec<_>> =
            (0..options.readers.max(1)).map(|_| location.connect(Role::Read)).collect();
        let mut figures = [Count::default(); DATABASES as usize];
        for (figure, row) in figures.iter_mut().zip(&databases.rows) {
            *figure = Count { keys: row.keys, unsure: row.expiring, sequence: latest };
        }
        Ok(Self {
            expired: ExpiryLagCounters::new(clock.now_ms()),
            removals: RemovalTeller::default(),
            time: StoreTime::new(clock, 0),
            store_id: identity.store_id,
            readers: Readers::new(connections?),
            housekeeping: Mutex::new(Some(location.connect(role)?)),
            places: RwLock::new(databases.places()),
            progress: Progress::new(path.clone(), options.durability, latest),
            turns: Turns::default(),
            cursors: Cursors::default(),
            figures: Mutex::new(figures),
            packed: identity.packed.into(),
            log_bytes: 0.into(),
            log,
            writer: Mutex::new(Some(Writer::new(connection, databases, identity, latest))),
            path,
            options,
            location: Mutex::new(Some(location)),
        })
    }

    /// After the last call and the last thread: brings everything into the file.
    pub(crate) fn finish(&self) -> Result<()> {
        self.readers.close();
        drop(self.housekeeping.lock().take());
        let Some(mut writer) = self.writer.lock().take() else { return Ok(()) };
        let kept = self.progress.end();
        if kept.is_ok() {
            self.tidy(&mut writer).map_err(|error| failure::error(&self.path, error))?;
        }
        let closed = writer.connection.close().map_err(|(_, error)| failure::error(&self.path, error));
        drop(self.location.lock().take());
        kept.and(closed)
    }

    fn tidy(&self, writer: &mut Writer) -> rusqlite::Result<()> {
        let connection = &writer.connection;
        connection.busy_timeout(self.options.busy_timeout)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        if !checkpoint_all(connection)? || !writer.identity.unsynced {
            return Ok(());
        }
        // Only now that everything is on disk.
        writer.identity.unsynced = false;
        writer.identity.write(connection)?;
        checkpoint_all(connection).map(drop)
    }

    /// Refuses a call with the reason for which nothing works any more.
    pub(crate) fn closed(&self) -> Error {
        match self.progress.usable() {
            Err(error) => error,
            Ok(()) => failure::closed(&self.path),
        }
    }
}

/// Reads the identity, gives a store that may have forgotten changes a new one, and marks one that may
/// come to.
fn identify(connection: &Connection, path: &std::path::Path, durability: Durability) -> Result<Identity> {
    let before = Identity::read(connection, path)?;
    let mut identity = before;
    if before.unsynced {
        identity = Identity { packed: before.packed, ..Identity::new()? };
    }
    identity.unsynced = durability != Durability::Always;
    if identity != before {
        identity.write(connection).map_err(|error| failure::error(path, error))?;
    }
    Ok(identity)
}

/// Brings the whole log into the file and both to the disk; false where there is no room, or where a
/// reader of another program holds some back. Then that stays in the log, which is as safe.
pub(crate) fn checkpoint_all(connection: &Connection) -> rusqlite::Result<bool> {
    match connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)) {
        Ok(busy) => Ok(busy == 0),
        Err(error) if failure::is_full(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
