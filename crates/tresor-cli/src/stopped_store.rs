//! A store that no server has open, opened by a subcommand at one moment that does not pass.
//!
//! Its clock stands still (a cluster's cannot), so no entry expires while it is read, copied and
//! compared. Whatever a configuration says, it is opened so that an acknowledged write survives a power
//! cut, nothing is evicted, and no cache stands before it: a crash below that would give the store a new
//! identity, and eviction would change what is only to be read.

use std::{sync::Arc, time::Instant};

use tresor::{
    Database,
    clock::{Clock, SystemClock},
    config::Durability,
    engine::{Engine, block_on, memory::Eviction},
    layer::MAX_DECODED_BYTES,
};
use tresor_server::assemble::{EngineChoice, open_store};

use crate::{
    failure::{Failure, Outcome},
    store_name::StoreName,
};

const NS_PER_MS: u64 = 1_000_000;

/// A clock that shows one moment for good; durations are real.
struct Moment {
    unix_ms: u64,
    opened: Instant,
}

impl Clock for Moment {
    fn now_ns(&self) -> u64 {
        self.unix_ms.saturating_mul(NS_PER_MS)
    }

    fn monotonic_ns(&self) -> u64 {
        self.opened.elapsed().as_nanos() as u64
    }
}

/// An open store.
pub(crate) struct StoppedStore {
    database: Database,
    /// The moment at which it is looked at, in Unix milliseconds.
    pub(crate) now_ms: u64,
}

impl StoppedStore {
    /// Opens a store as it is now.
    pub(crate) fn open(name: &StoreName) -> Outcome<Self> {
        Self::open_at(name, SystemClock::new().now_ms())
    }

    /// Opens a store as it is at a moment, or at the latest that it has seen if that is later.
    pub(crate) fn open_at(name: &StoreName, unix_ms: u64) -> Outcome<Self> {
        let mut assembly = name.assembly.clone();
        let config = &mut assembly.database;
        config.cache = None;
        config.eviction = Eviction::None;
        config.batch_size = 1;
        if assembly.engine != EngineChoice::Cassandra {
            config.durability = Durability::Always;
            // What is there is read and kept, whatever a server would take from clients.
            config.max_value_bytes = MAX_DECODED_BYTES;
        }
        // A cluster numbers its changes by the time, which goes on there whatever is shown here.
        let clock: Arc<dyn Clock> = match assembly.engine {
            EngineChoice::Cassandra => Arc::new(SystemClock::new()),
            _ => Arc::new(Moment { unix_ms, opened: Instant::now() }),
        };
        let store = open_store(&assembly, clock).map_err(|error| cannot_open(name, &error))?;
        let database = store.database;
        let mut session = database.session(0);
        block_on(session.enter());
        session.leave();
        Ok(Self { now_ms: session.now_ms(), database })
    }

    /// The engine with the layers before it.
    pub(crate) fn engine(&self) -> &dyn Engine {
        &**self.database.engine()
    }

    /// Closes it, and says what went wrong with that.
    pub(crate) fn close(self) -> Outcome {
        Ok(self.database.close()?)
    }
}

fn cannot_open(name: &StoreName, error: &tresor::Error) -> Failure {
    let layers = if error.message().contains("--encryption-key-file") {
        "; a store with layers is named by its configuration, a file that ends in .toml"
    } else {
        ""
    };
    Failure::failed(format!("cannot open {name}: {error}{layers}"))
}
