//! Everything that can be chosen about a database, and every limit.
//!
//! A limit that is not here does not exist: queues, buffers and sizes all take theirs from this file.

mod shard_of;

use std::{path::PathBuf, sync::Arc, time::Duration};

pub use self::shard_of::{ShardOf, ShardStore};
pub use crate::oplog::Durability;
use crate::{
    engine::{MAX_KEY_BYTES, memory::Eviction},
    layer::{Cipher, CompressionOptions, EncryptionKeys, cached::Capacity},
};

/// How entries are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Storage {
    /// In memory; with a path, in a directory with a log and snapshots too.
    #[default]
    Memory,
    /// In one readable JSON file.
    JsonFile,
    /// In tables on disk, in a directory with a log: data need not fit into memory.
    Disk,
}

/// How values are encrypted.
#[derive(Clone, Debug)]
pub struct EncryptionOptions {
    /// The keys: the first encrypts, all of them decrypt.
    pub keys: Arc<EncryptionKeys>,
    /// The cipher for what is written from now on.
    pub cipher: Cipher,
}

/// What transactions may take of time and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionLimits {
    /// How long a command waits for a lock that another transaction holds.
    pub lock_wait: Duration,
    /// How long a transaction may do nothing before it is discarded.
    pub idle: Duration,
    /// Bytes of what a transaction has written and locked, bookkeeping included.
    pub max_bytes: usize,
    /// Transactions that one client may have open.
    pub max_open: usize,
    /// How long commands go on looking at locks after the last transaction: to begin stops everyone for a moment.
    pub linger: Duration,
}

impl Default for TransactionLimits {
    fn default() -> Self {
        Self {
            lock_wait: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            max_bytes: 256 * 1024 * 1024,
            max_open: 1024,
            linger: Duration::from_secs(1),
        }
    }
}

/// What a [`Database`](crate::Database) is made of. Start from [`Config::memory`].
#[derive(Clone, Debug)]
pub struct Config {
    /// How entries are kept; without a meaning where there are shards.
    pub storage: Storage,
    /// Where they are kept: a directory, or the JSON file; `None` for a volatile store. Where there are
    /// shards, the directory of the layer's own files, without which no shard may outlive the process.
    pub store_path: Option<PathBuf>,
    /// The stores over which the entries are spread; none for a store that is one.
    pub shards: Vec<ShardOf>,
    /// What an acknowledged write survives. Without a path nothing can be promised.
    pub durability: Durability,
    /// Bytes that data and buffers may hold together; `None` for no limit.
    pub max_memory_bytes: Option<u64>,
    /// What gives way when that is reached.
    pub eviction: Eviction,
    /// The largest value, in bytes.
    pub max_value_bytes: usize,
    /// A snapshot is taken when the log has grown by this many bytes since the last one...
    pub snapshot_log_bytes: u64,
    /// ...and at the latest after this time, if anything has changed.
    pub snapshot_interval: Duration,
    /// How much log that a start no longer needs is kept for readers of changes, in bytes: as many whole segments,
    /// of up to 64 MiB each, as fit.
    pub keep_log_bytes: u64,
    /// Bytes of the latest changes that a volatile store keeps for readers of changes, from the first of them on.
    pub change_buffer_bytes: usize,
    /// A JSON file is saved after so many writes. More than one needs another durability level than
    /// [`Always`](Durability::Always)...
    pub batch_size: u64,
    /// ...and this long after a write, if there were fewer.
    pub auto_save_interval: Duration,
    /// The entries used last are kept in memory in front of the engine, so many; `None` for no cache.
    pub cache: Option<Capacity>,
    /// Values are compressed; not at all by default. What was compressed before stays readable.
    pub compression: CompressionOptions,
    /// Values are encrypted.
    pub encryption: Option<EncryptionOptions>,
    /// Bytes of the tables on disk that are kept in memory for readers.
    pub block_cache_bytes: u64,
    /// What transactions may take of time and memory.
    pub transactions: TransactionLimits,
    /// Gates, and stripes of the counters: the number of server workers, or of busy threads.
    pub workers: usize,
}

impl Config {
    /// A volatile store in memory.
    pub fn memory() -> Self {
        Self {
            storage: Storage::Memory,
            store_path: None,
            shards: Vec::new(),
            durability: Durability::None,
            max_memory_bytes: None,
            eviction: Eviction::None,
            max_value_bytes: 64 * 1024 * 1024,
            snapshot_log_bytes: 256 * 1024 * 1024,
            snapshot_interval: Duration::from_secs(3600),
            keep_log_bytes: 64 * 1024 * 1024,
            change_buffer_bytes: 16 * 1024 * 1024,
            batch_size: 1,
            auto_save_interval: Duration::from_secs(10),
            cache: None,
            compression: CompressionOptions::default(),
            encryption: None,
            block_cache_bytes: 256 * 1024 * 1024,
            transactions: TransactionLimits::default(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// A store in memory whose log and snapshots are kept in a directory: it comes back after a restart,
    /// and no acknowledged write is lost, not even by a power cut.
    pub fn at(store_path: impl Into<PathBuf>) -> Self {
        Self { store_path: Some(store_path.into()), durability: Durability::Always, ..Self::memory() }
    }

    /// A store as one JSON file, which is made with the first write where there is none. Every write is
    /// saved before it returns; no acknowledged write is lost.
    pub fn json_file(path: impl Into<PathBuf>) -> Self {
        Self { storage: Storage::JsonFile, ..Self::at(path) }
    }

    /// A store on disk, in a directory: data may be larger than memory, and no acknowledged write is lost.
    pub fn disk(store_path: impl Into<PathBuf>) -> Self {
        Self { storage: Storage::Disk, ..Self::at(store_path) }
    }

    /// One store over several by consistent hashing. It ends with the process, and so must every shard,
    /// unless [`kept_in`](Self::kept_in) names a directory.
    pub fn sharded(shards: impl IntoIterator<Item = ShardOf>) -> Self {
        Self { shards: shards.into_iter().collect(), ..Self::memory() }
    }

    /// The same with another directory, or file, that it is kept in.
    #[must_use]
    pub fn kept_in(self, store_path: impl Into<PathBuf>) -> Self {
        Self { store_path: Some(store_path.into()), ..self }
    }

    /// The same, saved after every `batch_size` writes and `auto_save_interval` after a write: a crash
    /// loses what was not saved.
    #[must_use]
    pub fn in_batches(self, batch_size: u64, auto_save_interval: Duration) -> Self {
        Self { batch_size, auto_save_interval, durability: Durability::None, ..self }
    }

    /// The same with the entries used last kept in memory, in front of whatever keeps them all.
    #[must_use]
    pub fn cached(self, capacity: Capacity) -> Self {
        Self { cache: Some(capacity), ..self }
    }

    /// The same with values compressed, where that makes them smaller.
    #[must_use]
    pub fn compressed(self, compression: CompressionOptions) -> Self {
        Self { compression, ..self }
    }

    /// The same with values encrypted; keys stay readable, so that their order is kept.
    #[must_use]
    pub fn encrypted(self, keys: EncryptionKeys, cipher: Cipher) -> Self {
        Self { encryption: Some(EncryptionOptions { keys: Arc::new(keys), cipher }), ..self }
    }

    /// The same with another durability level.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Where definitions of indexes are kept: in the store's directory, or beside its file.
    pub(crate) fn index_file(&self) -> Option<PathBuf> {
        let path = self.store_path.as_ref()?;
        if path.is_dir() {
            return Some(path.join("indexes.json"));
        }
        let mut file = path.clone().into_os_string();
        file.push(".indexes.json");
        Some(file.into())
    }

    /// The longest key that is accepted, in bytes.
    pub const fn max_key_bytes() -> usize {
        MAX_KEY_BYTES
    }
}
