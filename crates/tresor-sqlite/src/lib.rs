//! Tresor's engine in an SQLite database.
//!
//! [`open`] answers an engine whose entries live in one file that the sqlite3 shell can read:
//! `SELECT value FROM entries WHERE key = 'x'`. It is safe to read, and to write other tables, beside a
//! running server. What stands in the file is in `docs/formats.md`; how writes reach the disk and why
//! it is made this way, in `docs/decisions/0007-sqlite.md`.
//!
//! ```
//! use tresor::{Config, Database};
//!
//! # fn main() -> tresor::Result<()> {
//! # let directory = tresor_testkit::TemporaryDirectory::new("sqlite-example");
//! # let path = directory.join("store.db");
//! let store = Database::over(tresor_sqlite::open(&path)?, Config::memory())?;
//! store.put("name", "Alice")?;
//! assert_eq!(store.read("name")?.to_string(), "Alice");
//! store.close()
//! # }
//! ```

mod change;
mod check;
mod databases;
mod failure;
mod housekeeper;
mod identity;
mod location;
mod progress;
mod random_place;
mod readers;
mod row;
mod scan;
mod schema;
mod store;
mod turns;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    task::Poll,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tresor::{
    Error, ErrorKind, Result,
    clock::{Clock, SystemClock},
    config::Durability,
    engine::{
        Batch, Capabilities, Change, Count, Each, Edit, Engine, Eventual, Guard, Isolation, KeyRef, Outcome,
        Page, Removals, Scan, Seen, Sequence, Status, Visit,
    },
    files::{Files, SystemFiles},
};

pub use crate::{
    check::{Report, check},
    schema::MAGIC,
};
use crate::{
    housekeeper::Housekeeper,
    row::{MAX_VALUE_BYTES, check_size},
    store::Store,
    writer::Transaction,
};

/// How a store is opened. Start from [`Options::at`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The database file; made, with its directory, where it is missing.
    pub path: PathBuf,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Connections that read: as many reads as can go on at once.
    pub readers: usize,
    /// The write-ahead log is brought into the file when it has grown by about so many bytes.
    pub checkpoint_bytes: u64,
    /// How long a write waits for another program that is in the middle of one.
    pub busy_timeout: Duration,
}

impl Options {
    /// A store at a path that loses no acknowledged write, not even by a power cut.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::Always,
            readers: thread::available_parallelism().map_or(2, usize::from).clamp(2, 8),
            checkpoint_bytes: 16 * 1024 * 1024,
            busy_timeout: Duration::from_secs(5),
        }
    }

    /// The same with another durability level.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }
}

/// Entries in an SQLite database.
pub struct SqliteEngine {
    store: Arc<Store>,
    housekeeper: Arc<Housekeeper>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Opens a store on the machine's own disk and clock. Fails as [`SqliteEngine::open`] does.
pub fn open(path: impl AsRef<Path>) -> Result<Arc<SqliteEngine>> {
    let seams = (Arc::new(SystemFiles) as Arc<dyn Files>, Arc::new(SystemClock::new()) as Arc<dyn Clock>);
    SqliteEngine::open(Options::at(path.as_ref()), seams)
}

impl SqliteEngine {
    /// Opens a store, which is made where there is none.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a file that is no such store, or a newer one;
    /// [`Unavailable`](ErrorKind::Unavailable) for one that another process has open;
    /// [`Internal`](ErrorKind::Internal) for a damaged one.
    pub fn open(options: Options, (files, clock): (Arc<dyn Files>, Arc<dyn Clock>)) -> Result<Arc<Self>> {
        let store = Arc::new(Store::open(options, files, clock)?);
        let housekeeper = Arc::new(Housekeeper::new());
        let engine =
            Self { store: store.clone(), housekeeper: housekeeper.clone(), threads: Mutex::default() };
        let syncing = store.clone();
        engine.spawn("tresor-sync", move || syncing.progress.sync(&syncing.log))?;
        engine.spawn("tresor-house", move || housekeeper.run(&store))?;
        Ok(Arc::new(engine))
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("cannot start the thread {name}")).caused_by(error)
        })?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Runs one transaction: now, or when whoever is in the way is gone.
    fn change<'a, T: Send + 'a>(
        &'a self,
        mut work: impl FnMut(&mut Transaction<'_>) -> Result<T> + Send + 'a,
    ) -> Eventual<'a, T> {
        match self.try_change(&mut work) {
            Ok(Some(done)) => return Eventual::Now(Ok(done)),
            Err(error) => return Eventual::Now(Err(error)),
            Ok(None) => {}
        }
        let mut give_up = Instant::now() + self.store.options.busy_timeout;
        Eventual::later(std::future::poll_fn(move |context| {
            // Before trying, so that a turn that comes in between is not missed.
            self.store.turns.wait(context.waker());
            if self.store.turns.paused() {
                // The disk takes its time, and that is not counted.
                give_up = Instant::now() + self.store.options.busy_timeout;
            }
            match self.try_change(&mut work) {
                Ok(Some(done)) => Poll::Ready(Ok(done)),
                Err(error) => Poll::Ready(Err(error)),
                Ok(None) if Instant::now() < give_up => {
                    self.housekeeper.hurry();
                    Poll::Pending
                }
                Ok(None) => Poll::Ready(Err(busy(&self.store.path))),
            }
        }))
    }

    /// Runs one transaction; `None` when something is in the way.
    fn try_change<T>(&self, work: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<Option<T>> {
        self.store.progress.usable()?;
        if self.store.turns.paused() {
            return Ok(None);
        }
        let mut writer = self.store.writer.lock();
        let Some(writer) = &mut *writer else { return Err(self.store.closed()) };
        writer.transact(&self.store, work)
    }

    fn close_now(&self) -> Result<()> {
        let threads = std::mem::take(&mut *self.threads.lock());
        self.store.progress.close();
        self.housekeeper.stop();
        self.store.progress.stop();
        for thread in threads {
            if thread.join().is_err() {
                self.store.progress.poison("a background thread has panicked");
            }
        }
        self.store.finish()
    }

    /// Changes each for itself, all in one transaction.
    fn write_together(&self, changes: &[Change<'_>], now_ms: u64) -> Result<Option<Each>> {
        let mut each = Each::default();
        let (mut fit, mut places) = (Vec::with_capacity(changes.len()), Vec::with_capacity(changes.len()));
        for (index, change) in changes.iter().enumerate() {
            match check_size(value_bytes(change)) {
                Ok(()) => {
                    fit.push(*change);
                    places.push(index);
                }
                Err(error) => each.failures.push((index, error)),
            }
        }
        if fit.iter().any(|change| change.guard() != Guard::None) {
            return Ok(None);
        }
        let batch = Batch::blind(&fit);
        let Some(outcome) = self.try_change(|transaction| transaction.batch(batch, now_ms))? else {
            return Ok(None);
        };
        each.sequence = outcome.sequence;
        Ok(Some(each))
    }

    /// Changes one after the other.
    async fn write_apart(&self, changes: &[Change<'_>], now_ms: u64) -> Result<Each> {
        let mut each = Each::default();
        for (index, change) in changes.iter().enumerate() {
            let batch = Batch::blind(std::slice::from_ref(change));
            each.note(index, self.write(batch, now_ms).await);
        }
        Ok(each)
    }
}

fn value_bytes(change: &Change<'_>) -> usize {
    match change {
        Change::Put { value, .. } => value.len(),
        Change::Patch { offset, bytes, .. } => offset.saturating_add(bytes.len()),
        _ => 0,
    }
}

fn busy(path: &Path) -> Error {
    let message = format!(
        "another program is in the middle of changing {}; let it finish its transaction",
        path.display()
    );
    Error::new(ErrorKind::Unavailable, message)
}

impl Engine for SqliteEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "sqlite",
            atomic_batches: true,
            guards: true,
            ordered: true,
            swap: true,
            durable: true,
            shared: false,
            takes_back: false,
            waits: true,
            max_value_bytes: MAX_VALUE_BYTES,
        }
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        _: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'_>,
    ) -> Eventual<'a, Seen> {
        Eventual::Now(self.store.read(keys, now_ms, visit))
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        Eventual::Now(self.store.page(scan, now_ms))
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        let clears = batch.changes.iter().any(|change| matches!(change, Change::Clear { .. }));
        let written = self.change(move |transaction| transaction.batch(batch, now_ms));
        if clears {
            self.housekeeper.cleared();
        }
        written
    }

    fn write_each<'a>(&'a self, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
        match self.write_together(changes, now_ms) {
            Ok(Some(each)) => Eventual::Now(Ok(each)),
            // One of them may be to blame, or something is in the way: the others stand for themselves.
            Ok(None) | Err(_) => Eventual::later(self.write_apart(changes, now_ms)),
        }
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        self.change(move |transaction| transaction.edit(key, now_ms, edit))
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, _: u64) -> Eventual<'a, Sequence> {
        self.change(move |transaction| transaction.adopt(entries, above))
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        match self.store.progress.kept(upto) {
            Some(kept) => Eventual::Now(kept),
            None => Eventual::later(self.store.progress.durable(upto)),
        }
    }

    fn count(&self, database: u8) -> Eventual<'_, Count> {
        let counted = self.store.progress.usable();
        Eventual::Now(counted.map(|()| self.store.figures.lock()[usize::from(database)]))
    }

    fn status(&self) -> Eventual<'_, Status> {
        let figures = *self.store.figures.lock();
        let bytes = self.store.reading(|connection| {
            let count = |sql| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
            let pages = count("PRAGMA page_count")? - count("PRAGMA freelist_count")?;
            Ok(Some(pages * count("PRAGMA page_size")?))
        });
        Eventual::Now(bytes.map(|bytes| Status {
            keys: figures.map(|count| count.keys),
            expiring: figures.map(|count| count.unsure),
            sequence: self.store.progress.given(),
            data_bytes: bytes.unsigned_abs(),
            expired: self.store.expired.figures(),
            store_id: self.store.store_id,
            packed: self.store.packed.load(Ordering::Relaxed),
            ..Status::default()
        }))
    }

    fn tell_removals(&self, removals: &Arc<Removals>) -> bool {
        self.store.removals.tell(removals)
    }

    fn save(&self) -> Eventual<'_, ()> {
        match self.store.progress.usable() {
            Ok(()) => Eventual::later(self.housekeeper.save(&self.store)),
            Err(error) => Eventual::Now(Err(error)),
        }
    }

    fn close(&self) -> Eventual<'_, ()> {
        Eventual::Now(self.close_now())
    }
}

impl Drop for SqliteEngine {
    fn drop(&mut self) {
        if let Err(error) = self.close_now() {
            tracing::error!(%error, "closing the SQLite store failed");
        }
    }
}
