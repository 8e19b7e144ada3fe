//! A database: an engine, the gates before it, its time and its counters, and the sessions on it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

use crate::{
    client::Clients,
    clock::{Clock, StoreTime, SystemClock},
    command::set_at_start,
    config::{Config, ShardOf},
    engine::{Engine, Removals, Status, block_on, memory::MemoryLimit},
    error::{Error, ErrorKind, Result},
    feed_counters::FeedCounters,
    index::Indexes,
    layer::{
        Encrypted,
        indexed::Indexed,
        sharded::{Shard, Sharded},
        stack::{self, Stack},
    },
    metrics::Metrics,
    observers::Observers,
    opening::{self, Opened},
    publish::{Bell, EventClasses, Hub, Notifications},
    session::Session,
    settings::Settings,
    shutdown::Shutdown,
    transaction::{Gates, OpenTransaction, TransactionFigures, Transactions},
};

/// What all sessions of a database share.
pub(crate) struct Core {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) indexes: Arc<Indexes>,
    pub(crate) encrypted: Option<Arc<Encrypted>>,
    pub(crate) time: StoreTime,
    pub(crate) gates: Gates,
    pub(crate) transactions: Arc<Transactions>,
    pub(crate) metrics: Metrics,
    pub(crate) observers: Observers,
    pub(crate) settings: Settings,
    pub(crate) config: Config,
    pub(crate) memory_limit: Arc<MemoryLimit>,
    pub(crate) shards: Option<Arc<Sharded>>,
    pub(crate) closed: AtomicBool,
    pub(crate) clients: Clients,
    pub(crate) hub: Arc<Hub>,
    pub(crate) notifications: Notifications,
    pub(crate) removals: Arc<Removals>,
    pub(crate) feeds: FeedCounters,
    pub(crate) shutdown: Shutdown,
    pub(crate) start: Start,
}

/// Since when and as what the database was opened.
pub(crate) struct Start {
    pub(crate) at_ns: u64,
    /// Forty hexadecimal digits, new at each start.
    pub(crate) run_id: String,
    /// In Unix milliseconds.
    pub(crate) at_ms: u64,
    rate: Mutex<Rate>,
}

/// Commands, bytes received and bytes sent a second, as seen between two questions.
#[derive(Default)]
struct Rate {
    since_ns: u64,
    counts: [u64; 3],
    a_second: [f64; 3],
}

/// Questions that follow one another faster get the same answer.
const RATE_INTERVAL_NS: u64 = 100_000_000;

impl Start {
    fn now(clock: &dyn Clock) -> Result<Self> {
        let mut random = [0; 20];
        getrandom::fill(&mut random).map_err(|error| {
            Error::new(ErrorKind::Internal, "the system gives no random numbers").caused_by(error)
        })?;
        Ok(Self {
            at_ns: clock.monotonic_ns(),
            run_id: random.iter().map(|byte| format!("{byte:02x}")).collect(),
            at_ms: clock.now_ms(),
            rate: Mutex::default(),
        })
    }

    /// What each of these counts has grown by in a second, since this was last asked.
    pub(crate) fn rates(&self, now_ns: u64, counts: [u64; 3]) -> [f64; 3] {
        let mut rate = self.rate.lock();
        let passed_ns = now_ns.saturating_sub(rate.since_ns.max(self.at_ns));
        if passed_ns >= RATE_INTERVAL_NS {
            let seconds = passed_ns as f64 / 1e9;
            let each = |at: usize| counts[at].saturating_sub(rate.counts[at]) as f64 / seconds;
            let a_second = [each(0), each(1), each(2)];
            *rate = Rate { since_ns: now_ns, counts, a_second };
        }
        rate.a_second
    }
}

impl Core {
    /// Closes the engine, the first time that it is called.
    pub(crate) fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.transactions.close();
        self.transactions.stop();
        self.notifications.stop();
        self.indexes.stop();
        self.engine.close().wait()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "closing the database when it was dropped failed");
        }
    }
}

/// An open database: a handle on one of its 16 numbered databases. Clones share it; it is closed
/// when the last handle and session are gone, or by [`close`](Self::close).
#[derive(Clone)]
pub struct Database {
    pub(crate) core: Arc<Core>,
    pub(crate) number: u8,
}

impl Database {
    /// Opens the store that `config` describes, with a path as it was left there.
    pub fn open(config: Config) -> Result<Self> {
        Self::open_with_clock(config, Arc::new(SystemClock::new()))
    }

    /// The same with a clock of one's own: one that stands still keeps everything from expiring.
    pub fn open_with_clock(config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let opened = opening::open(&config, clock.clone())?;
        Self::assemble(opened, config, clock)
    }

    /// A database over an engine that was opened elsewhere.
    pub fn over(engine: Arc<dyn Engine>, config: Config) -> Result<Self> {
        Self::with_clock(engine, config, Arc::new(SystemClock::new()))
    }

    /// The same with a clock of one's own, for tests.
    pub fn with_clock(engine: Arc<dyn Engine>, config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let opened = Opened { engine, latest_time_ms: 0, memory_limit: Arc::default(), shards: None };
        Self::assemble(opened, config, clock)
    }

    fn assemble(opened: Opened, config: Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let time = StoreTime::new(clock, opened.latest_time_ms);
        let Stack { engine, encrypted } = stack::over(opened.engine, &config)?;
        let removals = Arc::<Removals>::default();
        engine.tell_removals(&removals);
        let indexes = Indexes::open(
            &engine,
            time.clock().clone(),
            config.index_file(),
            removals.clone(),
            opened.memory_limit.clone(),
        )?;
        let engine: Arc<dyn Engine> = Arc::new(Indexed { inner: engine, indexes: indexes.clone() });
        let start = Start::now(&**time.clock())?;
        let transactions = Transactions::new(config.transactions, time.clock().clone());
        let locks = transactions.clone();
        opened.memory_limit.spare(move |key| locks.is_locked(key));
        let hub = Arc::<Hub>::default();
        let notifications =
            Notifications::new(hub.clone(), engine.clone(), time.clock().clone(), removals.clone());
        let observers = Observers::new(engine.capabilities().waits);
        let core = Core {
            engine,
            indexes,
            encrypted,
            time,
            gates: Gates::new(config.workers),
            transactions,
            metrics: Metrics::new(config.workers),
            observers,
            settings: Settings::default(),
            config,
            memory_limit: opened.memory_limit,
            shards: opened.shards,
            closed: AtomicBool::new(false),
            clients: Clients::default(),
            hub,
            notifications,
            removals,
            feeds: FeedCounters::default(),
            shutdown: Shutdown::default(),
            start,
        };
        Ok(Self { core: Arc::new(core), number: 0 })
    }

    /// A session on `worker`'s gate and counters, with this handle's database selected.
    pub fn session(&self, worker: usize) -> Session {
        let mut session = Session::new(self.core.clone(), worker);
        session.select(self.number);
        session
    }

    /// The memory limit, to change it and to count buffers against it.
    pub fn memory_limit(&self) -> &Arc<MemoryLimit> {
        &self.core.memory_limit
    }

    /// The engine beneath, for front doors that stream or page by themselves.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.core.engine
    }

    /// The layer that encrypts values, where there is one: to rotate its keys.
    pub fn encrypted(&self) -> Option<&Arc<Encrypted>> {
        self.core.encrypted.as_ref()
    }

    /// Blocks until every command and call that is under way has ended; those that come meanwhile wait.
    pub fn settle(&self) {
        drop(block_on(self.core.gates.all()));
    }

    /// The shards, where it is spread over some: to list, add, weigh and remove them while it is used.
    pub fn shards(&self) -> Option<&Arc<Sharded>> {
        self.core.shards.as_ref()
    }

    /// Opens one more shard, as those are that it was opened with, for [`Sharded::add`]. Its memory counts
    /// against the limit of this database.
    pub fn open_shard(&self, shard: &ShardOf) -> Result<Shard> {
        let clock = self.core.time.clock().clone();
        opening::open_shard(shard, &self.core.memory_limit, clock).map(|(shard, _)| shard)
    }

    /// Discards every open transaction and lets none begin any more; how many there were.
    pub fn end_transactions(&self) -> usize {
        self.core.transactions.close()
    }

    /// The open transactions of all clients, oldest first, with what they have written. Takes no locks.
    pub fn open_transactions(&self) -> Vec<OpenTransaction> {
        self.core.transactions.shown()
    }

    /// Whether a transaction, or a command at this moment, has this key of some database locked.
    pub fn is_locked(&self, key: &[u8]) -> bool {
        self.core.transactions.is_locked(key)
    }

    /// How transactions have fared since the start.
    pub fn transaction_figures(&self) -> TransactionFigures {
        self.core.transactions.figures()
    }

    /// Commands' counters.
    pub fn metrics(&self) -> &Metrics {
        &self.core.metrics
    }

    /// Commands that the slow log has kept since the start, forgotten ones included.
    pub fn slow_commands(&self) -> u64 {
        self.core.observers.slow_log().taken()
    }

    /// The clients that are connected.
    pub fn clients(&self) -> &Clients {
        &self.core.clients
    }

    /// Who listens to which messages.
    pub fn hub(&self) -> &Hub {
        &self.core.hub
    }

    /// Drops those who have been taking their messages too slowly for too long; to be called now and then.
    pub fn drop_slow_subscribers(&self, bell: &Bell) {
        self.core.hub.drop_slow(bell, self.core.time.now_ms());
    }

    /// Chooses which events of keys are published, on channels as Redis names them: `__keyspace@0__:key` and
    /// `__keyevent@0__:set`. None at first.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the system has no thread for it.
    pub fn notify(&self, classes: EventClasses) -> Result<()> {
        self.core.notifications.choose(classes)
    }

    /// Sets one of CONFIG SET's parameters, as a program does for what its user has chosen.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a name that is not known, a value that does not fit it, and what
    /// can only be decided when the database is opened.
    pub fn set_parameter(&self, name: &str, value: &str) -> Result<()> {
        set_at_start(&self.core, name, value)
    }

    /// What can be changed while it runs.
    pub fn settings(&self) -> &Settings {
        &self.core.settings
    }

    /// Where SHUTDOWN says that the server shall stop.
    pub fn shutdown(&self) -> &Shutdown {
        &self.core.shutdown
    }

    /// What it was opened with.
    pub fn config(&self) -> &Config {
        &self.core.config
    }

    /// How the engine is doing.
    pub fn status(&self) -> Result<Status> {
        self.core.engine.status().wait()
    }

    /// Saves what the durability level promises, stops background work and reports what went wrong.
    /// Later calls on any handle or session are [`Unavailable`](crate::ErrorKind::Unavailable), except
    /// that closing again does nothing.
    pub fn close(&self) -> Result<()> {
        self.core.close()
    }
}
