//! From a configuration to an open engine: the only place in the library that names them all.

use std::{path::Path, sync::Arc};

use crate::{
    clock::Clock,
    config::{Config, Durability, Storage},
    engine::{
        Engine,
        disk::{DiskEngine, DiskOptions},
        json_file::{JsonFileEngine, JsonFileOptions},
        memory::{MemoryEngine, MemoryLimit, MemoryOptions},
    },
    error::{Error, Result},
    files::{Files, SystemFiles},
    oplog::{LogOptions, Recovery},
};

/// An engine that was opened.
pub(crate) struct Opened {
    pub(crate) engine: Arc<dyn Engine>,
    /// The latest store time that it had seen, in Unix milliseconds.
    pub(crate) latest_time_ms: u64,
    /// What its memory counts against.
    pub(crate) memory_limit: Arc<MemoryLimit>,
}

/// Opens the engine that a configuration describes.
pub(crate) fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Opened> {
    let memory = MemoryOptions {
        limit: Arc::new(MemoryLimit::new(config.max_memory_bytes, config.eviction)),
        snapshot_log_bytes: config.snapshot_log_bytes,
        snapshot_interval: config.snapshot_interval,
    };
    let seams = (Arc::new(SystemFiles) as Arc<dyn Files>, clock.clone());
    let log = LogOptions { durability: config.durability, ..LogOptions::default() };
    let (engine, latest_time_ms): (Arc<dyn Engine>, u64) = match (config.storage, &config.store_path) {
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
    };
    Ok(Opened { engine, latest_time_ms, memory_limit: memory.limit })
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
