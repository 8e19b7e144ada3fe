//! The memory engine: sharded tables, an index by key while one is used, expiry, eviction, and with a
//! path the op log and snapshots, so that it comes back as it was.
//!
//! One call goes: address (hash, shard) -> lock -> find -> guard -> step -> log -> apply. Every answer
//! is there at once, except a write for which the log has no room, a save, and the first page of an
//! ordered scan. `docs/decisions/0004-memory-engine.md` tells what was measured.

#[cfg(test)]
mod accounting;
mod adopt;
mod ahead;
mod cursor;
mod deadlines;
mod entry;
mod eviction;
mod index;
mod keyspace;
mod loading;
mod memory_limit;
mod read;
mod shard;
mod snapshot;
mod store;
mod sweep;
mod table;
mod write;
mod write_each;
mod write_many;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use self::{loading::Loading, store::Store, table::Hasher};
use super::{
    Batch, Capabilities, Change, ChangeCursor, ChangePage, ChangesWanted, Each, Edit, Engine, Eventual,
    Isolation, KeyRef, Outcome, Page, Removals, Scan, Seen, Sequence, Status, Visit,
    background::{Background, Chores, Schedule},
    disk,
    random::random_word,
};
use crate::{
    clock::{Clock, SystemClock},
    error::{Error, ErrorKind, Result},
    files::Files,
    oplog::{Log, LogOptions, Recovery},
};
pub(crate) use entry::{Entry, prefetch};
pub use eviction::Eviction;
pub(crate) use eviction::out_of_memory;
pub use memory_limit::{BufferShare, MemoryLimit};

/// What can be chosen about a memory engine.
#[derive(Clone, Debug)]
pub struct MemoryOptions {
    /// The memory limit and what gives way to it; may change while the engine runs.
    pub limit: Arc<MemoryLimit>,
    /// A snapshot is taken when the log has grown by this many bytes since the last one.
    pub snapshot_log_bytes: u64,
    /// A snapshot is taken at the latest after this time, if anything has changed.
    pub snapshot_interval: Duration,
    /// Bytes of the latest changes that a volatile store keeps for readers of changes, from the first of them on.
    pub change_buffer_bytes: usize,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            limit: Arc::default(),
            snapshot_log_bytes: 256 * 1024 * 1024,
            snapshot_interval: Duration::from_secs(3600),
            change_buffer_bytes: 16 * 1024 * 1024,
        }
    }
}

/// Entries in memory.
pub struct MemoryEngine {
    store: Arc<Store>,
    background: Background,
    closed: AtomicBool,
}

impl MemoryEngine {
    /// A store that ends with the process.
    pub fn volatile(options: &MemoryOptions) -> Result<Arc<Self>> {
        Self::volatile_at(options, Arc::new(SystemClock::new()))
    }

    /// The same with a clock of the caller's.
    pub fn volatile_at(options: &MemoryOptions, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let store = Store::new(options, random_hasher()?, random_word()?, clock.now_ms());
        Self::start(store, clock, options, 0)
    }

    /// A volatile store whose numbers rise in the order of its changes, for an engine that keeps it.
    pub(super) fn in_order(options: &MemoryOptions, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let mut store = Store::new(options, random_hasher()?, random_word()?, clock.now_ms());
        store.numbers_at_a_time = 1;
        Self::start(store, clock, options, 0)
    }

    /// A store whose log and snapshots are kept in `directory`, as they were left there.
    pub fn open(
        options: &MemoryOptions,
        (files, clock): (Arc<dyn Files>, Arc<dyn Clock>),
        directory: &Path,
        log_options: LogOptions,
    ) -> Result<(Arc<Self>, Recovery)> {
        disk::refuse_tables(&*files, directory)?;
        let mut store = Store::new(options, random_hasher()?, 0, clock.now_ms());
        let mut loading = Loading::into(&store);
        let (log, recovery) = Log::open(files, clock.clone(), directory, log_options, &mut |replayed| {
            loading.replay(replayed)
        })?;
        loading.finish();
        store.store_id = recovery.store_id;
        store.log = Some(log);
        Ok((Self::start(store, clock, options, recovery.latest_time_ms)?, recovery))
    }

    fn start(
        store: Store,
        clock: Arc<dyn Clock>,
        options: &MemoryOptions,
        time_floor_ms: u64,
    ) -> Result<Arc<Self>> {
        let store = Arc::new(store);
        let schedule = Schedule {
            time_floor_ms,
            log_bytes: options.snapshot_log_bytes,
            interval: options.snapshot_interval,
        };
        let (sweeping, saving) = (store.clone(), store.clone());
        let chores = Chores {
            removals: store.removals.clone(),
            sweep: Box::new(move |time, stop| sweep::sweep(&sweeping, time, stop)),
            save: store
                .log
                .clone()
                .map(|log| (log, Box::new(move |stop: &AtomicBool| snapshot::take(&saving, stop)) as Box<_>)),
        };
        let background = Background::start(chores, clock, schedule)?;
        Ok(Arc::new(Self { store, background, closed: AtomicBool::new(false) }))
    }

    fn close_now(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.store.set_closed();
        self.store.changes.close();
        self.background.stop();
        let Some(log) = &self.store.log else { return Ok(()) };
        // The log has everything already: a failed snapshot makes the next start slower, no more.
        let status = log.status();
        if status.latest > status.last_snapshot
            && status.poison.is_none()
            && let Err(error) = snapshot::take(&self.store, &AtomicBool::new(false))
        {
            tracing::warn!(%error, "no snapshot was taken at the end; the log has every change");
        }
        log.close()
    }
}

impl Engine for MemoryEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "memory",
            atomic_batches: true,
            guards: true,
            ordered: true,
            swap: true,
            durable: self.store.log.is_some(),
            shared: false,
            takes_back: false,
            waits: false,
            max_value_bytes: usize::MAX,
        }
    }

    #[inline]
    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'_>,
    ) -> Eventual<'a, Seen> {
        Eventual::Now(
            self.store.check_open().map(|()| read::read(&self.store, keys, isolation, now_ms, visit)),
        )
    }

    #[inline]
    fn expect(&self, keys: &[KeyRef<'_>]) {
        ahead::expect(&self.store, keys);
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        match self.store.check_open() {
            Ok(()) => read::scan(&self.store, scan, now_ms),
            Err(error) => Eventual::Now(Err(error)),
        }
    }

    #[inline]
    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        match self.store.check_open() {
            Ok(()) => write::write(&self.store, batch, now_ms),
            Err(error) => Eventual::Now(Err(error)),
        }
    }

    #[inline]
    fn write_each<'a>(&'a self, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
        match self.store.check_open() {
            Ok(()) => write_each::write_each(&self.store, changes, now_ms),
            Err(error) => Eventual::Now(Err(error)),
        }
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        match self.store.check_open() {
            Ok(()) => write::update(&self.store, key, now_ms, edit),
            Err(error) => Eventual::Now(Err(error)),
        }
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, now_ms: u64) -> Eventual<'a, Sequence> {
        match self.store.check_open() {
            Ok(()) => adopt::adopt(&self.store, entries, above, now_ms),
            Err(error) => Eventual::Now(Err(error)),
        }
    }

    fn changes<'a>(
        &'a self,
        cursor: &'a mut ChangeCursor,
        wanted: &'a ChangesWanted<'a>,
    ) -> Eventual<'a, ChangePage> {
        if let Err(error) = self.store.check_open() {
            return Eventual::Now(Err(error));
        }
        match &self.store.log {
            Some(log) => log.changes(cursor, wanted),
            None => {
                self.store.keep_changes();
                self.store.changes.changes(self.store.latest(), cursor, wanted)
            }
        }
    }

    #[inline]
    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        match &self.store.log {
            Some(log) => log.durable(upto),
            None => Eventual::Now(Ok(())),
        }
    }

    fn status(&self) -> Eventual<'_, Status> {
        let store = &self.store;
        if let Err(error) = store.check_open() {
            return Eventual::Now(Err(error));
        }
        let mut status = Status {
            sequence: store.latest(),
            expired: store.expired.figures(),
            evicted: store.evicted.load(Ordering::Relaxed),
            log: store.log.as_ref().map(|log| log.status()),
            store_id: store.store_id,
            packed: store.packed.load(Ordering::Relaxed),
            ..Status::default()
        };
        for (database, physical) in store.mapping().into_iter().enumerate() {
            let Some(keyspace) = store.existing(physical) else { continue };
            let figures = keyspace.figures();
            status.keys[database] = figures.keys;
            status.expiring[database] = figures.expiring;
            status.mean_expiry_ms[database] = figures.mean_expiry_ms();
            status.data_bytes += figures.bytes;
        }
        Eventual::Now(Ok(status))
    }

    fn tell_removals(&self, removals: &Arc<Removals>) -> bool {
        self.store.removals.tell(removals)
    }

    fn save(&self) -> Eventual<'_, ()> {
        if let Err(error) = self.store.check_open() {
            return Eventual::Now(Err(error));
        }
        if self.store.log.is_none() {
            return Eventual::Now(Err(Error::new(
                ErrorKind::Unsupported,
                "there is nowhere to save to: start with --store-path",
            )));
        }
        Eventual::later(self.background.save())
    }

    fn close(&self) -> Eventual<'_, ()> {
        Eventual::Now(self.close_now())
    }
}

impl Drop for MemoryEngine {
    fn drop(&mut self) {
        if let Err(error) = self.close_now() {
            tracing::error!(%error, "closing the memory engine failed");
        }
    }
}

fn random_hasher() -> Result<Hasher> {
    Ok(Hasher::new(random_word()?, random_word()?))
}
