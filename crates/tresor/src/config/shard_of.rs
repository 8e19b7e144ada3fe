//! A shard as a configuration says it: a name, a weight, and a store that is to be opened or is open.
//!
//! The name decides which keys it has, for good; where the store lies may change with the configuration.
//! A store that another crate opens is handed in as its engine, because the library names only its own.

use std::{fmt, sync::Arc};

use super::Config;
use crate::engine::Engine;

/// One of the stores over which a sharded store is spread.
#[derive(Clone, Debug)]
pub struct ShardOf {
    /// What it is called, for good: its keys are found by it.
    pub name: String,
    /// Its part of the keys, against the weights of the others. It counts when the shards come together for
    /// the first time; afterwards [`Sharded::rebalance`](crate::layer::sharded::Sharded::rebalance) decides.
    pub weight: u32,
    /// Where its entries are.
    pub store: ShardStore,
}

/// The store of a shard.
#[derive(Clone)]
pub enum ShardStore {
    /// It is opened, and closed, with the sharded store.
    Config(Box<Config>),
    /// It is open already, and is closed with the sharded store.
    Engine(Arc<dyn Engine>),
}

impl ShardOf {
    /// A shard of weight 1 in a store of its own. Layers of that store's configuration stand in front of this
    /// shard alone; its memory counts against the limit of the sharded store, not its own.
    pub fn new(name: impl Into<String>, config: Config) -> Self {
        Self { name: name.into(), weight: 1, store: ShardStore::Config(Box::new(config)) }
    }

    /// A shard of weight 1 over an engine that was opened elsewhere.
    pub fn over(name: impl Into<String>, engine: Arc<dyn Engine>) -> Self {
        Self { name: name.into(), weight: 1, store: ShardStore::Engine(engine) }
    }

    /// The same with another weight.
    #[must_use]
    pub fn weighing(self, weight: u32) -> Self {
        Self { weight, ..self }
    }
}

impl fmt::Debug for ShardStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(config) => config.fmt(f),
            Self::Engine(engine) => f.write_str(engine.capabilities().name),
        }
    }
}
