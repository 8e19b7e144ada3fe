//! The order of layers: the one place that decides which stands on which.
//!
//! From outside: cache, compression, encryption, engine. A cache keeps what readers get, so that a hit
//! costs no decoding; what is encrypted no longer shrinks, so compression stands above it. Values that
//! were compressed once stay readable when nobody asks for compression any more: the layer is then there
//! to read only.

use std::sync::Arc;

use super::{
    Cipher, Compressed, CompressionOptions, Encrypted, Method,
    cached::{Cached, Capacity},
    settled::settled,
};
use crate::{
    config::{Config, ShardOf, ShardStore, Storage},
    engine::{Content, DATABASES, Engine, Kind, Order, Scan},
    error::{Error, Result},
};

/// Entries of each database that are looked at for what this configuration could not read.
const LOOKED_AT: usize = 16;

/// An engine with its layers.
pub(crate) struct Stack {
    /// The outermost.
    pub(crate) engine: Arc<dyn Engine>,
    /// The layer that encrypts, where there is one.
    pub(crate) encrypted: Option<Arc<Encrypted>>,
}

/// Puts the layers that a configuration asks for on an engine.
pub(crate) fn over(engine: Arc<dyn Engine>, config: &Config) -> Result<Stack> {
    let mut engine = settled(engine);
    let mut encrypted = None;
    let mut packed = engine.status().wait()?.packed;
    match &config.encryption {
        Some(encryption) => {
            let layer = Encrypted::new(engine, &encryption.keys, encryption.cipher)?;
            engine = layer.clone();
            encrypted = Some(layer);
            packed = true;
        }
        None if packed => refuse_encrypted(&*engine)?,
        None => {}
    }
    if packed || config.compression.method != Method::None {
        let most = config.compression.max_value_bytes.min(config.max_value_bytes.max(1));
        engine = Compressed::new(engine, CompressionOptions { max_value_bytes: most, ..config.compression })?;
    }
    Ok(Stack { engine: cached(engine, config)?, encrypted })
}

/// The same on a shard. What is packed there is left to the layers over all shards, unless the shard asks for
/// some of its own.
pub(crate) fn over_shard(engine: Arc<dyn Engine>, config: &Config) -> Result<Arc<dyn Engine>> {
    let is_coded = config.encryption.is_some() || config.compression.method != Method::None;
    if is_coded { over(engine, config).map(|stack| stack.engine) } else { cached(engine, config) }
}

fn cached(engine: Arc<dyn Engine>, config: &Config) -> Result<Arc<dyn Engine>> {
    Ok(match config.cache {
        Some(capacity) => Arc::new(Cached::new(engine, capacity)?),
        None => engine,
    })
}

/// Refuses a store whose values only a key can open.
fn refuse_encrypted(engine: &dyn Engine) -> Result<()> {
    for database in 0..DATABASES {
        let scan = Scan::all(database, Order::Any, Content::Entries, LOOKED_AT);
        let page = engine.scan(&scan, 0).wait()?;
        let encrypted = page.iter().any(|(_, entry)| {
            let tag = entry.value.bytes().first().copied();
            entry.kind == Kind::Packed && tag.and_then(Cipher::of_tag).is_some()
        });
        if encrypted {
            return Err(Error::invalid(
                "the store's values are encrypted: name the file with its keys, --encryption-key-file",
            ));
        }
    }
    Ok(())
}

/// The layers and the engine in a line, from outside in, as in `cached(100) > zstd > disk`. Where the
/// configuration names shards, these are the engine, as in `zstd > sharded(memory, cached(100) > disk)`.
pub fn describe(config: &Config, engine: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    match config.cache {
        Some(Capacity::Entries(entries)) => parts.push(format!("cached({entries})")),
        Some(Capacity::Bytes(bytes)) => parts.push(format!("cached({bytes} bytes)")),
        None => {}
    }
    if config.compression.method != Method::None {
        parts.push(config.compression.method.name().to_owned());
    }
    parts.extend(config.encryption.as_ref().map(|encryption| encryption.cipher.name().to_owned()));
    if config.shards.is_empty() {
        parts.push(engine.to_owned());
    } else {
        let shards: Vec<String> = config.shards.iter().map(describe_shard).collect();
        parts.push(format!("sharded({})", shards.join(", ")));
    }
    parts.join(" > ")
}

fn describe_shard(shard: &ShardOf) -> String {
    match &shard.store {
        ShardStore::Engine(engine) => engine.capabilities().name.to_owned(),
        ShardStore::Config(config) => describe(
            config,
            match config.storage {
                Storage::Memory => "memory",
                Storage::JsonFile => "json",
                Storage::Disk => "disk",
            },
        ),
    }
}
