//! A database: an engine, the gates before it, its time and its counters, and the sessions on it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    clock::{Clock, StoreTime, SystemClock},
    config::Config,
    engine::{
        Engine, Status,
        memory::{MemoryEngine, MemoryLimit, MemoryOptions},
    },
    error::Result,
    files::{Files, SystemFiles},
    metrics::Metrics,
    oplog::LogOptions,
    session::Session,
    settings::Settings,
    transaction::Gates,
};

/// What all sessions of a database share.
pub(crate) struct Core {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) time: StoreTime,
    pub(crate) gates: Gates,
    pub(crate) metrics: Metrics,
    pub(crate) settings: Settings,
    pub(crate) config: Config,
    pub(crate) memory_limit: Arc<MemoryLimit>,
    pub(crate) closed: AtomicBool,
}

impl Core {
    /// Closes the engine, the first time that it is called.
    pub(crate) fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) { Ok(()) } else { self.engine.close().wait() }
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
    /// Opens the store that `config` describes: in memory, and with a path as it was left there.
    pub fn open(config: Config) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let options = MemoryOptions {
            limit: Arc::new(MemoryLimit::new(config.max_memory_bytes, config.eviction)),
            snapshot_log_bytes: config.snapshot_log_bytes,
            snapshot_interval: config.snapshot_interval,
        };
        let Some(path) = &config.store_path else {
            let engine = MemoryEngine::volatile_at(&options, clock.clone())?;
            return Ok(Self::assemble(engine, config, StoreTime::new(clock, 0), options.limit));
        };
        let log_options = LogOptions { durability: config.durability, ..LogOptions::default() };
        let seams = (Arc::new(SystemFiles) as Arc<dyn Files>, clock.clone());
        let (engine, recovery) = MemoryEngine::open(&options, seams, path, log_options)?;
        tracing::info!(path = %path.display(), ?recovery, "the store is open");
        let time = StoreTime::new(clock, recovery.latest_time_ms);
        Ok(Self::assemble(engine, config, time, options.limit))
    }

    /// A database over an engine that was opened elsewhere.
    pub fn over(engine: Arc<dyn Engine>, config: Config) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Ok(Self::assemble(engine, config, StoreTime::new(clock, 0), Arc::default()))
    }

    fn assemble(
        engine: Arc<dyn Engine>,
        config: Config,
        time: StoreTime,
        memory_limit: Arc<MemoryLimit>,
    ) -> Self {
        let core = Core {
            engine,
            time,
            gates: Gates::new(config.workers),
            metrics: Metrics::new(config.workers),
            settings: Settings::default(),
            config,
            memory_limit,
            closed: AtomicBool::new(false),
        };
        Self { core: Arc::new(core), number: 0 }
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

    /// Commands' counters.
    pub fn metrics(&self) -> &Metrics {
        &self.core.metrics
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
