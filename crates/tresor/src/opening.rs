//! From a configuration to an open engine: the only place in the library that names them all.

use std::{path::Path, sync::Arc};

use crate::{
    clock::Clock,
    config::{Config, Durability, ShardOf, ShardStore, Storage},
    engine::{
        Engine,
        disk::{DiskEngine, DiskOptions},
        json_file::{JsonFileEngine, JsonFileOptions},
        memory::{MemoryEngine, MemoryLimit, MemoryOptions},
    },
    error::{Error, Result},
    files::{Files, SystemFiles},
    layer::{
        sharded::{Shard, Sharded},
        stack,
    },
    oplog::{LogOptions, Recovery},
};

/// An engine that was opened.
pub(crate) struct Opened {
    pub(crate) engine: Arc<dyn Engine>,
    /// The latest store time that it had seen, in Unix milliseconds.
    pub(crate) latest_time_ms: u64,
    /// What its memory counts against.
    pub(crate) memory_limit: Arc<MemoryLimit>,
    /// The engine as what it is, where it is spread over shards.
    pub(crate) shards: Option<Arc<Sharded>>,
}

/// Opens the engine that a configuration describes.
pub(crate) fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Opened> {
    let memory_limit = Arc::new(MemoryLimit::new(config.max_memory_bytes, config.eviction));
    if config.shards.is_empty() {
        let (engine, latest_time_ms) = open_one(config, &memory_limit, clock)?;
        return Ok(Opened { engine, latest_time_ms, memory_limit, shards: None });
    }
    let (sharded, latest_time_ms) = open_sharded(config, &memory_limit, clock)?;
    Ok(Opened { engine: sharded.clone(), latest_time_ms, memory_limit, shards: Some(sharded) })
}

/// Opens a shard, and answers the latest store time that it had seen.
pub(crate) fn open_shard(
    shard: &ShardOf,
    memory_limit: &Arc<MemoryLimit>,
    clock: Arc<dyn Clock>,
) -> Result<(Shard, u64)> {
    let (engine, latest_time_ms) = match &shard.store {
        ShardStore::Engine(engine) => (engine.clone(), 0),
        ShardStore::Config(config) => {
            let named = |error: Error| Error::new(error.kind(), format!("shard {}: {error}", shard.name));
            let (engine, latest_time_ms) = open_one(config, memory_limit, clock).map_err(named)?;
            (stack::over_shard(engine, config).map_err(named)?, latest_time_ms)
        }
    };
    Ok((Shard { name: shard.name.clone(), weight: shard.weight, engine }, latest_time_ms))
}

fn open_sharded(
    config: &Config,
    memory_limit: &Arc<MemoryLimit>,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<Sharded>, u64)> {
    if config.store_path.is_none() {
        // Before anything is made on disk.
        config.shards.iter().try_for_each(refuse_durable)?;
    }
    let mut shards = Vec::new();
    let mut latest_time_ms = 0;
    for shard in &config.shards {
        let (shard, latest_ms) = open_shard(shard, memory_limit, clock.clone())?;
        latest_time_ms = latest_time_ms.max(latest_ms);
        shards.push(shard);
    }
    let seams = (Arc::new(SystemFiles) as Arc<dyn Files>, clock);
    Ok((Sharded::open(config.store_path.as_deref(), seams, shards)?, latest_time_ms))
}

fn refuse_durable(shard: &ShardOf) -> Result<()> {
    match &shard.store {
        ShardStore::Config(config) if config.store_path.is_some() => {
            Err(crate::layer::sharded::needs_directory(&shard.name))
        }
        _ => Ok(()),
    }
}

/// Opens a store that is not spread; answers the latest store time that it had seen.
fn open_one(
    config: &Config,
    memory_limit: &Arc<MemoryLimit>,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<dyn Engine>, u64)> {
    if !config.shards.is_empty() {
        return Err(Error::invalid(
            "a shard cannot be spread over shards itself; name these beside the others",
        ));
    }
    let memory = MemoryOptions {
        limit: memory_limit.clone(),
        snapshot_log_bytes: config.snapshot_log_bytes,
        snapshot_interval: config.snapshot_interval,
        change_buffer_bytes: config.change_buffer_bytes,
    };
    let seams = (Arc::new(SystemFiles) as Arc<dyn Files>, clock.clone());
    let log = LogOptions {
        durability: config.durability,
        keep_bytes: config.keep_log_bytes,
        ..LogOptions::default()
    };
    Ok(match (config.storage, &config.store_path) {
        (Storage::Memory, None) => (MemoryEngine::volatile_at(&memory, clock)?, 0),
        (Storage::Memory, Some(path)) => {
            let (engine, recovery) = MemoryEngine::open(&memory, seams, path, log)?;
            (engine, told(path, &recovery))
        }
        (Storage::Disk, Some(path)) => {
            let options = DiskOptions {
                block_cache_bytes: config.block_cache_bytes,
                checkpoint_log_bytes: config.snapshot_log_bytes,
                checkpoint_interval: config.snapshot_interval,
                ..DiskOptions::default()
            };
            let (engine, recovery) = DiskEngine::open(&options, seams, path, log)?;
            (engine, told(path, &recovery))
        }
        (Storage::JsonFile, Some(path)) => {
            (JsonFileEngine::open(&memory, seams, path, json_file(config)?)?, 0)
        }
        (Storage::Disk, None) => return Err(no_path("a store on disk", "Config::disk(path)")),
        (Storage::JsonFile, None) => return Err(no_path("a JSON file", "Config::json_file(path)")),
    })
}

fn no_path(what: &str, way_out: &str) -> Error {
    Error::invalid(format!("{what} needs a path: {way_out}"))
}

fn json_file(config: &Config) -> Result<JsonFileOptions> {
    let waits = config.durability == Durability::Always;
    if waits && config.batch_size > 1 {
        return Err(Error::invalid(
            "a batch size above 1 leaves writes unsaved, which durability always does not allow",
        ));
    }
    Ok(JsonFileOptions {
        batch_size: config.batch_size,
        auto_save_interval: config.auto_save_interval,
        waits,
    })
}

/// Tells how a start from a log went; answers the latest store time.
fn told(path: &Path, recovery: &Recovery) -> u64 {
    tracing::info!(
        path = %path.display(),
        snapshot_entries = recovery.entries,
        log_records = recovery.records,
        torn_bytes = recovery.torn_bytes,
        took_ms = recovery.took_ms,
        "the store is open"
    );
    recovery.latest_time_ms
}
