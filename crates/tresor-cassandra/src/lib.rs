//! Tresor's engine on an Apache Cassandra or ScyllaDB cluster.
//!
//! [`open`] answers an engine whose entries live in a keyspace of the cluster. It keeps no data itself,
//! so any number of servers can stand beside each other on one keyspace. Requests run on a runtime of
//! the engine's own; whoever calls only waits. How rows are laid out and written: `schema.rs`,
//! `linearizable.rs`, `eventual.rs`, `ordered.rs`.

mod accord;
mod change;
mod clocks;
mod cluster;
mod eventual;
mod failure;
mod lifetime;
mod linearizable;
mod options;
mod ordered;
mod prepared;
mod retry;
mod row;
mod scan;
mod schema;
mod settings;
mod statements;
mod store;
mod sweep;
mod tables;
mod tls;
mod tokens;
mod transactions;
mod versions;
mod whole;

use std::{future::Future, num::NonZero, sync::Arc, thread};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tresor::{
    Error, ErrorKind, Result,
    clock::Clock,
    engine::{
        Applied, Batch, Capabilities, Change, Count, Each, Edit, Edited, Engine, Eventual, Guard, Isolation,
        KeyRef, Order, Outcome, Page, Scan, Seen, Sequence, Status, Visit,
    },
};

use crate::{
    change::{OwnedChange, Rows},
    options::Order as KeptOrder,
    row::Address,
    scan::OwnedScan,
    store::Store,
    versions::Versions,
};
pub use crate::{
    options::{Level, Mset, Options, Order as OrderKept, Writes},
    schema::statements as schema,
};

/// The most threads that talk to the cluster.
const MOST_THREADS: usize = 8;

/// The engine on a cluster.
pub struct CassandraEngine {
    store: Arc<Store>,
    /// Gone once the engine is closed.
    runtime: Mutex<Option<Runtime>>,
    counts: whole::Counts,
    clock: Arc<dyn Clock>,
}

/// Connects to a cluster, makes the keyspace and its tables if they are missing, and agrees with the
/// other servers on how they are used.
///
/// # Errors
/// [`Unavailable`](ErrorKind::Unavailable) when no node answers; [`Invalid`](ErrorKind::Invalid) when
/// the keyspace was made with other options.
pub fn open(options: Options, clock: Arc<dyn Clock>) -> Result<Arc<CassandraEngine>> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads())
        .thread_name("tresor-cassandra")
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::Unavailable, "cannot start threads").caused_by(error))?;
    let versions = Versions::new(clock.clone());
    let store = Arc::new(runtime.block_on(whole::connect(options, versions))?);
    runtime.spawn(clocks::watch(store.clone(), clock.clone()));
    if store.settings.transactions {
        runtime.spawn(sweep::watch(store.clone(), clock.clone()));
    }
    Ok(Arc::new(CassandraEngine {
        store,
        runtime: Mutex::new(Some(runtime)),
        counts: whole::Counts::default(),
        clock,
    }))
}

/// As many threads as a server has workers beside them: half the cores. More would only hand requests
/// from one to the other.
fn threads() -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    (cores / 2).clamp(1, MOST_THREADS)
}

impl CassandraEngine {
    /// Begins work on the engine's threads. It goes on whether or not anybody waits for it.
    fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let task = self.runtime.lock().as_ref().map(|runtime| runtime.spawn(work));
        async move {
            let Some(task) = task else { return Err(closed()) };
            task.await.unwrap_or_else(|error| {
                let message = "the request was given up: the store is being closed";
                Err(Error::new(ErrorKind::UnknownOutcome, message).caused_by(error))
            })
        }
    }

    fn store(&self) -> Arc<Store> {
        self.store.clone()
    }

    /// Deletes what was removed or has expired a day ago, where Cassandra does not do so by itself, unless
    /// a server of this store has done so within a day; answers how many rows those were. Each server does
    /// this by itself every ten minutes.
    pub fn sweep_when_due(&self) -> Eventual<'_, Option<u64>> {
        let (store, now_ms) = (self.store(), self.clock.now_ms());
        Eventual::later(self.begin(async move { sweep::when_due(&store, now_ms).await }))
    }

    fn writes_are_serial(&self) -> bool {
        self.store.options.writes == Writes::Linearizable
    }

    /// Edits an entry by compare-and-set: reads it, lets `edit` decide, and sets it if it is unchanged.
    async fn edit(&self, key: KeyRef<'_>, now_ms: u64, edit: &mut Edit<'_>) -> Result<Outcome> {
        let address = Address::of(key);
        let deadline = self.store.deadline();
        let turning = (self.store(), address.clone());
        let _turn = self.begin(async move { turning.0.turns(&[turning.1], deadline).await }).await?;
        for tries in 0.. {
            let reading = (self.store(), address.clone());
            let row = self.begin(async move { linearizable::read_one(&reading.0, &reading.1).await }).await?;
            let edited = edit(row.live(now_ms))?;
            let unchanged = matches!(edited, Edited::Keep);
            let change = OwnedChange::of_edit(key, Guard::None, edited);
            let rows: Rows = [(address.clone(), row)].into_iter().collect();
            if unchanged {
                let planned = change::plan(&[change], &rows, 0, now_ms);
                return Ok(Outcome { sequence: rows[0].1.version, applied: planned.applied });
            }
            let store = self.store();
            let attempt = async move { linearizable::attempt(&store, &[change], &rows, now_ms).await };
            if let Some(outcome) = self.begin(attempt).await? {
                return Ok(outcome);
            }
            self.begin(linearizable::wait_for_next(tries, deadline)).await?;
        }
        unreachable!("tries end with the deadline")
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed; open it again")
}

impl Engine for CassandraEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "cassandra",
            atomic_batches: self.store.settings.transactions,
            guards: self.writes_are_serial(),
            ordered: self.store.options.order == KeptOrder::Kept,
            swap: false,
            durable: true,
            shared: true,
            takes_back: false,
            waits: true,
            max_value_bytes: self.store.options.max_value_bytes,
        }
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        let addresses: Vec<Address> = keys.iter().map(|key| Address::of(*key)).collect();
        let store = self.store();
        let rows = self.begin(async move { linearizable::read(&store, &addresses, isolation).await });
        Eventual::later(async move {
            let mut sequence = 0;
            for (index, row) in rows.await?.iter().enumerate() {
                sequence = sequence.max(if row.version > 0 { row.version } else { self.store.latest() });
                visit(index, row.live(now_ms));
            }
            Ok(Seen { sequence })
        })
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        let (store, scan) = (self.store(), OwnedScan::of(scan));
        Eventual::later(self.begin(async move {
            match scan.order {
                Order::Any => tokens::page(&store, &scan, now_ms).await,
                Order::Ascending | Order::Descending => ordered::page(&store, &scan, now_ms).await,
            }
        }))
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        match whole::plan(&self.store, &batch) {
            Err(error) => Eventual::Now(Err(error)),
            Ok(plan) => {
                let store = self.store();
                Eventual::later(self.begin(async move { plan.apply(&store, now_ms).await }))
            }
        }
    }

    fn write_each<'a>(&'a self, changes: &'a [Change<'a>], now_ms: u64) -> Eventual<'a, Each> {
        let changes = changes.iter().filter_map(|change| OwnedChange::of(change, true)).collect();
        let store = self.store();
        Eventual::later(self.begin(async move { whole::each(&store, changes, now_ms).await }))
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        if !self.writes_are_serial() {
            return Eventual::Now(Err(eventual::unguarded()));
        }
        Eventual::later(self.edit(key, now_ms, edit))
    }

    fn durable(&self, _upto: Sequence) -> Eventual<'_, ()> {
        // Whatever was answered, the cluster had acknowledged.
        Eventual::Now(Ok(()))
    }

    fn count(&self, database: u8) -> Eventual<'_, Count> {
        let (store, now_ms) = (self.store(), self.clock.now_ms());
        let counting = self.begin(async move { tokens::count(&store, database, now_ms).await });
        Eventual::later(async move {
            let count = counting.await?;
            self.counts.note(database, count);
            Ok(Count { keys: count.keys, unsure: 0, sequence: self.store.latest() })
        })
    }

    fn status(&self) -> Eventual<'_, Status> {
        let store = self.store();
        let asking = self.begin(async move { settings::ask(&store.cluster, &store.options).await });
        Eventual::later(async move {
            asking.await?;
            Ok(self.counts.status(&self.store))
        })
    }

    fn save(&self) -> Eventual<'_, ()> {
        let open = self.runtime.lock().is_some();
        Eventual::Now(if open { Ok(()) } else { Err(closed()) })
    }

    fn close(&self) -> Eventual<'_, ()> {
        if let Some(runtime) = self.runtime.lock().take() {
            // Requests under way are given a moment; their outcome is the cluster's by then. On a thread
            // of its own, since whoever closes may be on another runtime's.
            let patience = self.store.options.request_timeout;
            let waiting = thread::spawn(move || runtime.shutdown_timeout(patience));
            if waiting.join().is_err() {
                tracing::error!("the engine's threads have panicked");
            }
        }
        Eventual::Now(Ok(()))
    }
}

impl Drop for CassandraEngine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

/// An outcome without effects.
fn nothing(store: &Store) -> Outcome {
    Outcome { sequence: store.latest(), applied: Applied::Whole(smallvec::SmallVec::new()) }
}

/// Whether a change concerns whole databases.
fn is_whole(change: &Change<'_>) -> bool {
    change.key().is_none()
}
