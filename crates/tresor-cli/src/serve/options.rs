//! The one table of what `tresor serve` can be told.
//!
//! Each field is a flag, an environment variable (`TRESOR_` and the flag's name) and a key of the TOML
//! file; its name stands here and nowhere else, because clap and serde both read this struct.
//! Every field is optional, so that a layer says only what it was told and layers can be laid over
//! each other (`configuration.rs`). The defaults are a layer too, the lowest one.

use std::{collections::BTreeMap, net::IpAddr, num::NonZeroU32, path::PathBuf};

use clap::{Args, ValueEnum, builder::BoolishValueParser};
use serde::{Deserialize, Serialize};

use super::{
    cache_capacity::CacheCapacity,
    port::Port,
    size::{MemoryLimit, Size},
};

/// What can be chosen about a server. `None` means: not said here.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Options {
    /// HTTP port; 0 picks a free one, `off` disables it
    #[arg(long, value_name = "PORT", help_heading = "Listening")]
    pub(crate) port: Option<Port>,
    /// Redis protocol port; 0 picks a free one, `off` disables it
    #[arg(long, value_name = "PORT", help_heading = "Listening")]
    pub(crate) resp_port: Option<Port>,
    /// Line protocol port; 0 picks a free one, `off` disables it
    #[arg(long, value_name = "PORT", help_heading = "Listening")]
    pub(crate) line_port: Option<Port>,
    /// Address to listen on; repeatable
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', help_heading = "Listening")]
    pub(crate) bind: Option<Vec<IpAddr>>,
    /// Further name that HTTP's Host header may carry; repeatable
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = "Listening")]
    pub(crate) allowed_host: Option<Vec<String>>,
    /// Origin, as in https://app.example, whose web pages may use HTTP; repeatable
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', help_heading = "Listening")]
    pub(crate) cors_origin: Option<Vec<String>>,
    /// File that gets process id and ports, as JSON, once the server accepts
    #[arg(long, value_name = "FILE", help_heading = "Listening")]
    pub(crate) ready_file: Option<PathBuf>,

    /// 0 = memory, 1 = on disk, 2 = on disk with an LRU cache in front; short for --engine and
    /// --cache-capacity
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..=2), help_heading = "Storage")]
    pub(crate) mode: Option<u8>,
    /// Where the data lives: `memory` (with a path: kept in a log and snapshots), `json` (one readable
    /// file), `disk` (tables on disk, for data larger than memory), `sqlite` (one SQLite database) or
    /// `cassandra`
    #[arg(long, value_enum, value_name = "NAME", help_heading = "Storage")]
    pub(crate) engine: Option<EngineName>,
    /// Directory that the store is kept in, or the JSON file or SQLite database; without one it is gone when the server stops
    #[arg(long, value_name = "PATH", help_heading = "Storage")]
    pub(crate) store_path: Option<PathBuf>,
    /// Put an LRU cache in front of the engine: so many entries, or a size as in 64MiB
    #[arg(long, value_name = "NUMBER or SIZE", help_heading = "Storage")]
    pub(crate) cache_capacity: Option<CacheCapacity>,
    /// Compress values by this method where that makes them smaller; `none` still reads what was compressed
    #[arg(long, value_enum, value_name = "METHOD", help_heading = "Storage")]
    pub(crate) compression: Option<CompressionName>,
    /// How much effort compression makes: 1 to 9 for zlib, 1 to 22 for zstd
    #[arg(long, value_name = "LEVEL", help_heading = "Storage")]
    pub(crate) compression_level: Option<i32>,
    /// Values of fewer bytes are not compressed
    #[arg(long, value_name = "SIZE", help_heading = "Storage")]
    pub(crate) compression_threshold_bytes: Option<Size>,
    /// Encrypt values under the first key of this file, one a line (32 bytes as 64 hexadecimal digits); the
    /// others are for reading what is older. Keys of entries stay readable
    #[arg(long, value_name = "FILE", help_heading = "Storage")]
    pub(crate) encryption_key_file: Option<PathBuf>,
    /// The same with the keys in this environment variable
    #[arg(long, value_name = "NAME", help_heading = "Storage")]
    pub(crate) encryption_key_variable: Option<String>,
    /// The cipher
    #[arg(long, value_enum, value_name = "NAME", help_heading = "Storage")]
    pub(crate) encryption_cipher: Option<CipherName>,
    /// What an acknowledged write survives: nothing, a crash of the process, a power cut
    /// [default: always with a path, else none]
    #[arg(long, value_enum, value_name = "LEVEL", help_heading = "Storage")]
    pub(crate) durability: Option<DurabilityName>,
    /// With `--durability interval`: milliseconds of writes that a power cut may take
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Storage")]
    pub(crate) durability_interval_ms: Option<u64>,
    /// With `--engine json`: save after so many writes; more than 1 needs `--durability interval`
    #[arg(long, value_name = "WRITES", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Storage")]
    pub(crate) batch_size: Option<u64>,
    /// With `--engine json`: save this many seconds after a write, if fewer came
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Storage")]
    pub(crate) auto_save_interval: Option<u64>,
    /// With `--engine disk`: what it keeps of its tables in memory for readers
    #[arg(long, value_name = "SIZE", help_heading = "Storage")]
    pub(crate) block_cache_bytes: Option<Size>,
    /// Take a snapshot when the log has grown by this much
    #[arg(long, value_name = "SIZE", help_heading = "Storage")]
    pub(crate) snapshot_log_bytes: Option<Size>,
    /// Take a snapshot at the latest after this many seconds, if anything has changed
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Storage")]
    pub(crate) snapshot_interval_seconds: Option<u64>,
    /// Keep so much of the log that a snapshot has replaced, for readers of changes that come back
    #[arg(long, value_name = "SIZE", help_heading = "Storage")]
    pub(crate) keep_log_bytes: Option<Size>,
    /// With `--engine memory` and no path: keep so much of the latest changes for their readers, once there is one
    #[arg(long, value_name = "SIZE", help_heading = "Storage")]
    pub(crate) change_buffer_bytes: Option<Size>,

    /// Nodes of the Cassandra or ScyllaDB cluster to ask first, as HOST:PORT; repeatable
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', help_heading = "Cassandra")]
    pub(crate) cassandra_contact: Option<Vec<String>>,
    /// Keyspace that the store has to itself; made if it is missing
    #[arg(long, value_name = "NAME", help_heading = "Cassandra")]
    pub(crate) cassandra_keyspace: Option<String>,
    /// What writes promise: each a compare-and-set that every server sees in the same order, or the
    /// latest wins. Kept with the keyspace
    #[arg(long, value_enum, value_name = "MODE", help_heading = "Cassandra")]
    pub(crate) cassandra_writes: Option<WritesName>,
    /// With `eventual`: how many replicas have to answer
    #[arg(long, value_enum, value_name = "LEVEL", help_heading = "Cassandra")]
    pub(crate) cassandra_consistency: Option<ConsistencyName>,
    /// Whether keys can be listed in order, which costs a second write. Kept with the keyspace
    #[arg(long, value_enum, value_name = "STATE", help_heading = "Cassandra")]
    pub(crate) cassandra_order: Option<StateName>,
    /// Partitions of the index by key. Kept with the keyspace
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=4096), help_heading = "Cassandra")]
    pub(crate) cassandra_buckets: Option<u16>,
    /// Whether MSET may set its keys one by one; it is refused otherwise
    #[arg(long, value_enum, value_name = "WAY", help_heading = "Cassandra")]
    pub(crate) cassandra_mset: Option<MsetName>,
    /// Copies in the local datacentre when the keyspace is made [default: 3, or the number of nodes]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..), help_heading = "Cassandra")]
    pub(crate) cassandra_replication: Option<u8>,
    /// Datacentre to talk to [default: that of the first node that answers]
    #[arg(long, value_name = "NAME", help_heading = "Cassandra")]
    pub(crate) cassandra_datacenter: Option<String>,
    /// User of the cluster
    #[arg(long, value_name = "NAME", help_heading = "Cassandra")]
    pub(crate) cassandra_user: Option<String>,
    /// File whose first line is that user's password
    #[arg(long, value_name = "FILE", help_heading = "Cassandra")]
    pub(crate) cassandra_password_file: Option<PathBuf>,
    /// File of certificates that sign those of the nodes; with it connections are encrypted
    #[arg(long, value_name = "FILE", help_heading = "Cassandra")]
    pub(crate) cassandra_tls_ca: Option<PathBuf>,
    /// How long one request to the cluster may take
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Cassandra")]
    pub(crate) cassandra_timeout_ms: Option<u64>,
    /// The largest value that is sent to the cluster
    #[arg(long, value_name = "SIZE", help_heading = "Cassandra")]
    pub(crate) cassandra_max_value_bytes: Option<Size>,

    /// The password that clients have to give; better kept in a file or the environment, since
    /// other users of the machine can see command lines
    #[arg(long, value_name = "TEXT", help_heading = "Security")]
    pub(crate) password: Option<String>,
    /// File whose first line is the password
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    pub(crate) password_file: Option<PathBuf>,
    /// Listen beyond this machine without a password
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = BoolishValueParser::new(), hide_possible_values = true, help_heading = "Security")]
    pub(crate) insecure_no_auth: Option<bool>,
    /// Allow the Redis command DEBUG
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = BoolishValueParser::new(), hide_possible_values = true, help_heading = "Security")]
    pub(crate) enable_debug_command: Option<bool>,

    /// Worker threads [default: one for each core]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=1024), help_heading = "Limits")]
    pub(crate) threads: Option<u64>,
    /// The largest value; sizes are bytes, or a number with KiB, MiB or GiB
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    pub(crate) max_value_bytes: Option<Size>,
    /// Connections at one time
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub(crate) max_clients: Option<u64>,
    /// HTTP requests that an address may send in a second, health checks not counted; more are answered with 429
    #[arg(long, value_name = "REQUESTS_PER_SECOND", help_heading = "Limits")]
    pub(crate) http_rate_limit: Option<NonZeroU32>,
    /// Memory for data and buffers together; `off` for no limit
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    pub(crate) max_memory: Option<MemoryLimit>,
    /// What gives way when that is reached
    #[arg(long, value_enum, value_name = "POLICY", help_heading = "Limits")]
    pub(crate) max_memory_policy: Option<PolicyName>,
    /// How long a command waits for a key that a transaction has locked
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub(crate) lock_timeout_ms: Option<u64>,
    /// How long a transaction may do nothing before it is discarded
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub(crate) transaction_idle_timeout_seconds: Option<u64>,
    /// What one transaction may have written and locked
    #[arg(long, value_name = "SIZE", help_heading = "Limits")]
    pub(crate) max_transaction_bytes: Option<Size>,

    /// Events of keys that are published, in Redis's letters: `KEA` for all but misses and new keys
    #[arg(long, value_name = "LETTERS", help_heading = "Notifications")]
    pub(crate) notify_keyspace_events: Option<String>,

    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Logging")]
    pub(crate) log_format: Option<LogFormat>,
    /// The least important lines that are still logged
    #[arg(long, value_enum, value_name = "LEVEL", help_heading = "Logging")]
    pub(crate) log_level: Option<LogLevel>,

    /// Settings as CONFIG SET takes them; only a file can have them. Last, as TOML wants its tables.
    #[arg(skip)]
    pub(crate) redis: Option<BTreeMap<String, toml::Value>>,
    /// Stores to spread the data over; only a file can name them.
    #[arg(skip)]
    pub(crate) shard: Option<Vec<ShardOption>>,
}

/// A `[[shard]]` table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ShardOption {
    pub(crate) name: String,
    pub(crate) engine: EngineName,
    pub(crate) store_path: Option<PathBuf>,
    #[serde(default = "one")]
    pub(crate) weight: u32,
}

fn one() -> u32 {
    1
}

macro_rules! names {
    ($($(#[$docs:meta])* $type:ident { $($(#[$about:meta])* $variant:ident),* $(,)? })*) => {$(
        $(#[$docs])*
        #[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum $type { $($(#[$about])* $variant),* }
    )*};
}

names! {
    /// `--engine`.
    EngineName { Memory, Json, Disk, Sqlite, Cassandra }
    /// `--durability`.
    DurabilityName { None, Interval, Always }
    /// `--compression`.
    CompressionName { None, Zlib, Lz4, Zstd }
    /// `--encryption-cipher`.
    CipherName {
        #[value(name = "xchacha20-poly1305")]
        #[serde(rename = "xchacha20-poly1305")]
        XChaCha20Poly1305,
        #[value(name = "aes-256-gcm")]
        #[serde(rename = "aes-256-gcm")]
        Aes256Gcm,
    }
    /// `--max-memory-policy`; the names are those of Redis.
    PolicyName {
        #[value(name = "noeviction")]
        #[serde(rename = "noeviction")]
        NoEviction,
        #[value(name = "allkeys-lru")]
        #[serde(rename = "allkeys-lru")]
        AllKeysLru,
        #[value(name = "allkeys-lfu")]
        #[serde(rename = "allkeys-lfu")]
        AllKeysLfu,
        #[value(name = "allkeys-random")]
        #[serde(rename = "allkeys-random")]
        AllKeysRandom,
        VolatileLru,
        VolatileLfu,
        VolatileRandom,
        VolatileTtl,
    }
    /// `--cassandra-writes`.
    WritesName { Linearizable, Eventual }
    /// `--cassandra-consistency`.
    ConsistencyName { LocalOne, LocalQuorum, Quorum, EachQuorum, All }
    /// `--cassandra-order`.
    StateName { On, Off }
    /// `--cassandra-mset`.
    MsetName { Off, PerKey }
    /// `--log-format`.
    LogFormat { Text, Json }
    /// `--log-level`.
    LogLevel { Error, Warn, Info, Debug, Trace }
}

impl Options {
    /// The lowest layer: what holds where nothing was said. What is `None` here depends on other
    /// options, or on the machine, and is settled in `configuration.rs`.
    pub(crate) fn defaults() -> Self {
        Self {
            port: Some(Port::Number(8080)),
            resp_port: Some(Port::Number(6379)),
            line_port: Some(Port::Number(7379)),
            bind: Some(vec![IpAddr::from([127, 0, 0, 1])]),
            allowed_host: Some(Vec::new()),
            cors_origin: Some(Vec::new()),
            engine: None,
            durability_interval_ms: Some(1000),
            batch_size: Some(1),
            auto_save_interval: Some(10),
            compression: Some(CompressionName::None),
            compression_threshold_bytes: Some(Size(256)),
            encryption_cipher: Some(CipherName::XChaCha20Poly1305),
            block_cache_bytes: Some(Size::mebibytes(256)),
            snapshot_log_bytes: Some(Size::mebibytes(256)),
            snapshot_interval_seconds: Some(3600),
            keep_log_bytes: Some(Size::mebibytes(64)),
            change_buffer_bytes: Some(Size::mebibytes(16)),
            cassandra_keyspace: Some("tresor".to_owned()),
            cassandra_writes: Some(WritesName::Linearizable),
            cassandra_consistency: Some(ConsistencyName::LocalQuorum),
            cassandra_order: Some(StateName::On),
            cassandra_buckets: Some(16),
            cassandra_mset: Some(MsetName::Off),
            cassandra_timeout_ms: Some(3000),
            cassandra_max_value_bytes: Some(Size::mebibytes(8)),
            insecure_no_auth: Some(false),
            enable_debug_command: Some(false),
            max_value_bytes: Some(Size::mebibytes(64)),
            max_clients: Some(10_000),
            max_memory: Some(MemoryLimit::Off),
            max_memory_policy: Some(PolicyName::NoEviction),
            lock_timeout_ms: Some(5000),
            transaction_idle_timeout_seconds: Some(60),
            max_transaction_bytes: Some(Size::mebibytes(256)),
            notify_keyspace_events: Some(String::new()),
            log_format: Some(LogFormat::Text),
            log_level: Some(LogLevel::Info),
            ..Self::default()
        }
    }
}
