//! A database: an engine, the gates before it, its time and its counters, and the sessions on it.

use std::sync::Arc;

use crate::{
    clock::{Clock, StoreTime, SystemClock},
    config::Config,
    engine::{Engine, Status},
    error::Result,
    metrics::Metrics,
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
}

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Database {
    core: Arc<Core>,
}

impl Database {
    /// A database over an engine that was opened elsewhere.
    pub fn over(engine: Arc<dyn Engine>, config: Config) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let core = Core {
            engine,
            time: StoreTime::new(clock, 0),
            gates: Gates::new(config.workers),
            metrics: Metrics::new(config.workers),
            settings: Settings::default(),
            config,
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// A session on `worker`'s gate and counters.
    pub fn session(&self, worker: usize) -> Session {
        Session::new(self.core.clone(), worker)
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
}
