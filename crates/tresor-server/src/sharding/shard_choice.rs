//! A shard as a server is told of it, and the store that this means.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tresor::{
    Config, Error, Result,
    clock::Clock,
    config::{Durability, ShardOf, Storage},
    layer::{CompressionOptions, sharded::MAX_NAME_BYTES},
};

use crate::assemble::{EngineChoice, open_sqlite};

/// Reads the configuration file's shards as they are now.
pub type ReadShards = Arc<dyn Fn() -> Result<Vec<ShardChoice>> + Send + Sync>;

/// A shard that is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardChoice {
    /// What it is called.
    pub name: String,
    /// Where its data lives; not on a cluster.
    pub engine: EngineChoice,
    /// Its directory, or its file; `None` for one in memory that ends with the server.
    pub store_path: Option<PathBuf>,
    /// Its weight, from 1 on.
    pub weight: u32,
}

/// What the layer keeps in its own directory.
const LAYER_FILES: [&str; 6] =
    ["ring", "ring.new", "intents", "intents.new", "added-shards.toml", "added-shards.toml.new"];

/// Whether a path is that of a file that the layer keeps in its directory.
pub fn is_layer_file(directory: &Path, path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    path.parent() == Some(directory) && LAYER_FILES.contains(&name)
}

impl ShardChoice {
    /// A shard that lives in the layer's directory under its own name; in memory where there is none.
    ///
    /// # Errors
    /// [`Invalid`](tresor::ErrorKind::Invalid) for a name that is no file name, and for engines that need a
    /// directory where there is none.
    pub(super) fn within(
        directory: Option<&Path>,
        name: &str,
        engine: EngineChoice,
        weight: u32,
    ) -> Result<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let length = 1..=MAX_NAME_BYTES;
        if !length.contains(&name.len()) || !name.bytes().all(is_plain) || LAYER_FILES.contains(&name) {
            return Err(Error::invalid(format!(
                "shard {name:?}: a shard that is not in the configuration file is named by up to \
                 {MAX_NAME_BYTES} letters, digits, - and _, and not ring or intents"
            )));
        }
        let file = match engine {
            EngineChoice::Memory | EngineChoice::Disk => name.to_owned(),
            EngineChoice::Json => format!("{name}.json"),
            EngineChoice::Sqlite => format!("{name}.db"),
            EngineChoice::Cassandra => return Err(no_cluster(name)),
        };
        let store_path = directory.map(|directory| directory.join(file));
        if store_path.is_none() && engine != EngineChoice::Memory {
            let message = format!(
                "shard {name}: the {engine} engine keeps its data on disk, and this server has no directory for \
                 its shards; start it with --store-path"
            );
            return Err(Error::invalid(message));
        }
        Ok(Self { name: name.to_owned(), engine, store_path, weight })
    }

    /// Whether it is the same store under the same name, whatever it weighs.
    pub(super) fn is_same_store(&self, other: &Self) -> bool {
        (&self.name, self.engine, &self.store_path) == (&other.name, other.engine, &other.store_path)
    }

    /// The shard as the library takes it. What `config` says of engines holds for it; layers stand over all
    /// shards.
    pub(super) fn described(&self, config: &Config, clock: &Arc<dyn Clock>) -> Result<ShardOf> {
        let durability = match self.store_path {
            Some(_) => config.durability,
            None => Durability::None,
        };
        let own = Config {
            store_path: self.store_path.clone(),
            durability,
            shards: Vec::new(),
            cache: None,
            compression: CompressionOptions::default(),
            encryption: None,
            ..config.clone()
        };
        let name = self.name.clone();
        let shard = match self.engine {
            EngineChoice::Memory => ShardOf::new(name, Config { storage: Storage::Memory, ..own }),
            EngineChoice::Json => ShardOf::new(name, Config { storage: Storage::JsonFile, ..own }),
            EngineChoice::Disk => ShardOf::new(name, Config { storage: Storage::Disk, ..own }),
            EngineChoice::Sqlite => {
                let opened = open_sqlite(&own, clock.clone());
                let named = |error: Error| Error::new(error.kind(), format!("shard {name}: {error}"));
                let engine = opened.map_err(named)?;
                ShardOf::over(name, engine)
            }
            EngineChoice::Cassandra => return Err(no_cluster(&name)),
        };
        Ok(shard.weighing(self.weight))
    }
}

fn no_cluster(name: &str) -> Error {
    Error::invalid(format!(
        "shard {name}: this version has no shards on a Cassandra cluster; choose memory, json, disk or sqlite"
    ))
}
