//! The one connection that changes entries: a call is a transaction, committed at once and unsynced.
//!
//! A commit hands its pages to the system, which takes microseconds and shows them to every reader;
//! the disk is waited for elsewhere and for many commits together (`progress.rs`). So a call that
//! fails, for want of room or whatever else, fails alone and has changed nothing.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};
use tresor::{
    Error, ErrorKind, Result,
    engine::{Count, MAX_SEQUENCE, Sequence},
};

use crate::{databases::Databases, failure, identity::Identity, row::Head, store::Store};

/// The writing connection and what it alone knows.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) databases: Databases,
    pub(crate) identity: Identity,
    /// The latest number that was given.
    latest: Sequence,
}

/// One transaction under way.
pub(crate) struct Transaction<'w> {
    pub(crate) store: &'w Store,
    pub(crate) writer: &'w mut Writer,
    /// The last number among its changes that removed an entry, or brought one with an old version.
    removed: Option<Sequence>,
    /// About how many bytes the log grows by.
    bytes: u64,
    /// When those entries were due that had expired and are gone with this.
    expired_ms: Vec<u64>,
}

/// What a page of the log takes, about.
const PAGE_BYTES: u64 = 4096;

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        databases: Databases,
        identity: Identity,
        latest: Sequence,
    ) -> Self {
        Self { connection, databases, identity, latest }
    }

    pub(crate) fn latest(&self) -> Sequence {
        self.latest
    }

    /// Runs `work` as one transaction; `None` when another program is in the middle of one.
    pub(crate) fn transact<T>(
        &mut self,
        store: &Store,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        match execute(&self.connection, "BEGIN IMMEDIATE") {
            Ok(()) => {}
            Err(error) if failure::is_busy(&error) => return Ok(None),
            Err(error) => return Err(failure::error(&store.path, error)),
        }
        let (databases, identity, before) = (self.databases, self.identity, self.latest);
        let mut transaction =
            Transaction { store, writer: self, removed: None, bytes: 0, expired_ms: Vec::new() };
        let outcome = work(&mut transaction).and_then(|done| transaction.commit(before).map(|()| done));
        if outcome.is_err() {
            // Numbers stay given: another change never gets them.
            (self.databases, self.identity) = (databases, identity);
            self.take_back(store)?;
            store.progress.written(self.latest);
        }
        outcome.map(Some)
    }

    fn take_back(&mut self, store: &Store) -> Result<()> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        execute(&self.connection, "ROLLBACK")
            .map_err(|error| store.progress.poison(&format!("a change could not be taken back: {error}")))
    }
}

impl Transaction<'_> {
    /// The number of one more change.
    pub(crate) fn next(&mut self) -> Result<Sequence> {
        if self.writer.latest == MAX_SEQUENCE {
            let message = "the store has used up its numbers; copy its entries to a new one";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        self.writer.latest += 1;
        Ok(self.writer.latest)
    }

    /// The number of a change after which somebody may find an entry absent, or with an old version.
    pub(crate) fn next_removal(&mut self) -> Result<Sequence> {
        let number = self.next()?;
        self.removed = Some(number);
        Ok(number)
    }

    /// Gives later changes numbers above this one.
    pub(crate) fn lift(&mut self, above: Sequence) {
        self.writer.latest = self.writer.latest.max(above.min(MAX_SEQUENCE));
    }

    /// The last removal that this transaction, or anybody, can have seen.
    pub(crate) fn removed(&self) -> Sequence {
        self.removed.unwrap_or_else(|| self.store.progress.removed())
    }

    /// Notes that the log grows by a row with so many bytes of value.
    pub(crate) fn grew(&mut self, value_bytes: usize) {
        self.bytes += PAGE_BYTES + value_bytes as u64;
    }

    /// Notes that an entry had expired and goes with this.
    pub(crate) fn note_expired(&mut self, head: &Head) {
        self.expired_ms.extend(head.expires_at_ms);
    }

    /// What went wrong. A disk that fails while something is changed leaves nobody sure of anything.
    pub(crate) fn failed(&self, error: rusqlite::Error) -> Error {
        if failure::is_broken_disk(&error) {
            return self.store.progress.poison(&error.to_string());
        }
        if failure::is_full(&error) {
            // A log that starts anew needs no more room.
            self.store.log_bytes.store(self.store.options.checkpoint_bytes, Ordering::Relaxed);
        }
        failure::error(&self.store.path, error)
    }

    /// Commits; what was seen of it before has numbers above `before`.
    fn commit(&mut self, before: Sequence) -> Result<()> {
        let (store, latest) = (self.store, self.writer.latest);
        let failed = |error| self.failed(error);
        if latest == before {
            return execute(&self.writer.connection, "COMMIT").map_err(failed);
        }
        let moved = self.writer.databases.moved;
        let Writer { databases, connection, .. } = &mut *self.writer;
        databases.write(connection, latest).map_err(|error| self.failed(error))?;
        store.progress.give(latest, self.removed);
        // Readers take their places and their view of the file together.
        let mut places = moved.then(|| store.places.write());
        execute(&self.writer.connection, "COMMIT").map_err(|error| self.failed(error))?;
        if let Some(places) = &mut places {
            **places = self.writer.databases.places();
        }
        drop(places);
        store.progress.written(latest);
        store.log_bytes.fetch_add(self.bytes + 2 * PAGE_BYTES, Ordering::Relaxed);
        store.packed.store(self.writer.identity.packed, Ordering::Relaxed);
        if !self.expired_ms.is_empty() {
            let now_ms = store.time.now_ms();
            self.expired_ms.iter().for_each(|due_ms| store.expired.note(*due_ms, now_ms));
        }
        let mut figures = store.figures.lock();
        for (figure, row) in figures.iter_mut().zip(&self.writer.databases.rows) {
            *figure = Count { keys: row.keys, unsure: row.expiring, sequence: latest };
        }
        Ok(())
    }

    /// Notes for good that some value is of a kind that only layers can read.
    pub(crate) fn pack(&mut self) -> Result<()> {
        if self.writer.identity.packed {
            return Ok(());
        }
        self.writer.identity.packed = true;
        self.writer.identity.write(&self.writer.connection).map_err(|error| self.failed(error))
    }
}

/// Executes a statement without parameters that is used often.
pub(crate) fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(params![]).map(drop)
}
