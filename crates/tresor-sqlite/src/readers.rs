//! A few connections that only read, beside the writer and each other.
//!
//! SQLite gives each read the file as it was after some commit, however long the read takes. A thread
//! prefers one connection, whose pages it knows, and takes any other that is free before it waits.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, Row, params};
use tresor::{
    Result,
    engine::{EntryRef, KeyRef, Seen, Sequence, Visit},
};

use crate::{
    failure,
    row::{Address, Head, SELECT_ROW, Text, bytes},
    store::Store,
    writer::execute,
};

/// The connections. Each is gone once the store is closed.
pub(crate) struct Readers(Vec<Mutex<Option<Connection>>>);

thread_local! {
    static PREFERRED: Cell<usize> = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Cell::new(NEXT.fetch_add(1, Ordering::Relaxed))
    };
}

impl Readers {
    pub(crate) fn new(connections: Vec<Connection>) -> Self {
        Self(connections.into_iter().map(|connection| Mutex::new(Some(connection))).collect())
    }

    fn take(&self) -> MutexGuard<'_, Option<Connection>> {
        let preferred = PREFERRED.get();
        let all = self.0.len();
        let free = (0..all).find_map(|step| self.0[(preferred + step) % all].try_lock());
        free.unwrap_or_else(|| self.0[preferred % all].lock())
    }

    pub(crate) fn close(&self) {
        self.0.iter().for_each(|connection| drop(connection.lock().take()));
    }
}

impl Store {
    /// Reads with a connection of one's own for the moment. `read` fails with SQLite's errors, and answers
    /// `None` where a row is not what was written.
    pub(crate) fn reading<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<Option<T>>,
    ) -> Result<T> {
        self.progress.usable()?;
        let connection = self.readers.take();
        let Some(connection) = &*connection else { return Err(self.closed()) };
        match read(connection) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(failure::damaged(&self.path, "an entry")),
            Err(error) => Err(failure::error(&self.path, error)),
        }
    }

    /// Shows each key's entry, all as of one moment: which is cheaper than a moment for each.
    pub(crate) fn read(&self, keys: &[KeyRef<'_>], now_ms: u64, visit: &mut Visit<'_>) -> Result<Seen> {
        self.reading(|connection| {
            // Held until SQLite's view of the file is fixed, so that both are of one moment.
            let places = self.places.read();
            let _view = if keys.len() > 1 { Some(View::begin(connection)?) } else { None };
            let mut sequence = 0;
            for (index, key) in keys.iter().enumerate() {
                let address = Address::of(places[usize::from(key.database)], *key);
                let mut show = |entry: Option<EntryRef<'_>>| visit(index, entry);
                match self.read_one(connection, address, now_ms, &mut show)? {
                    Some(seen) => sequence = seen.max(sequence),
                    None => return Ok(None),
                }
            }
            Ok(Some(Seen { sequence }))
        })
    }

    /// Shows one row; the number that was observed, or `None` for a damaged row.
    fn read_one(
        &self,
        connection: &Connection,
        address: Address<'_>,
        now_ms: u64,
        show: &mut dyn FnMut(Option<EntryRef<'_>>),
    ) -> rusqlite::Result<Option<Sequence>> {
        let mut select = connection.prepare_cached(SELECT_ROW)?;
        let mut rows = select.query(params![address.place, Text(address.key), Text(address.member)])?;
        let Some(row) = rows.next()? else {
            show(None);
            return Ok(Some(self.progress.removed()));
        };
        let Some((head, value)) = whole_row(row, 0, address)? else { return Ok(None) };
        show(head.is_live(now_ms).then(|| head.entry(value)));
        Ok(Some(head.version))
    }
}

/// Head and value in the columns from `first` on; `None` if they are not what was written.
pub(crate) fn whole_row<'r>(
    row: &'r Row<'_>,
    first: usize,
    address: Address<'_>,
) -> rusqlite::Result<Option<(Head, &'r [u8])>> {
    let head = Head::read(row, first, address)?;
    let value = bytes(row, first + 4)?;
    Ok(head.zip(value).filter(|(head, value)| head.fits(value)))
}

/// One moment of the file, for several statements.
pub(crate) struct View<'c>(&'c Connection);

impl<'c> View<'c> {
    pub(crate) fn begin(connection: &'c Connection) -> rusqlite::Result<Self> {
        execute(connection, "BEGIN")?;
        Ok(Self(connection))
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        // A transaction that only reads has nothing to lose; if this fails, the next BEGIN does.
        let _ = execute(self.0, "COMMIT");
    }
}
