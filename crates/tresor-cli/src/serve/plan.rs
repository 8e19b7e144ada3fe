//! What the user typed, lifted once into what the server needs.
//!
//! Whatever can be refused without touching the machine is refused here: options that contradict each
//! other, a path that is missing, an address that would be open to strangers.

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use tresor::{
    Config,
    config::{Durability, EncryptionOptions, Storage, TransactionLimits},
    engine::memory::Eviction,
    layer::{Cipher, CompressionOptions, EncryptionKeys, MAX_DECODED_BYTES, Method, cached::Capacity},
    publish::EventClasses,
};
use tresor_cassandra::{Level, Mset, OrderKept, Writes};
use tresor_server::{
    HttpLimits, KeySource, Limits, ServerConfig,
    assemble::{Assembly, EngineChoice},
};

use super::{
    options::{
        CipherName, CompressionName, ConsistencyName, DurabilityName, EngineName, MsetName, Options,
        PolicyName, ShardOption, StateName, WritesName,
    },
    rewrite, shards,
};
use crate::{
    failure::{Failure, Outcome},
    password,
};

/// What to assemble, from options in which everything is settled.
pub(crate) fn assembly(options: &Options, config_file: Option<PathBuf>) -> Outcome<Assembly> {
    let shards =
        shards::choices(options.shard.as_deref().unwrap_or_default(), options.store_path.as_deref())?;
    let engine = if shards.is_empty() { engine(options)? } else { EngineChoice::Memory };
    let password = password::from(options.password.as_deref(), options.password_file.as_deref())?;
    refuse_strangers(options, password.is_some())?;
    let max_value_bytes = usize::try_from(said(options.max_value_bytes, "max-value-bytes")?.0)
        .map_err(|_| Failure::usage("--max-value-bytes: this machine cannot address that much"))?;
    Ok(Assembly {
        engine,
        configured_shards: shards::reader(config_file.clone(), options.store_path.clone()),
        shards,
        cassandra: cassandra(options, engine)?,
        database: database(options, max_value_bytes)?,
        password,
        enable_debug_command: said(options.enable_debug_command, "enable-debug-command")?,
        config_file,
        notify: notify(options)?,
        parameters: parameters(options)?,
        program: None,
        server: server(options, max_value_bytes)?,
    })
}

/// The table `[redis]`, in the words of CONFIG SET.
fn parameters(options: &Options) -> Outcome<Vec<(String, String)>> {
    let words = |(name, value): (&String, &toml::Value)| {
        if let Some(option) = rewrite::option_of(name) {
            return Err(Failure::usage(format!(
                "[redis] {name}: the option {option} decides this; set that"
            )));
        }
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Boolean(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            other => other.to_string(),
        };
        Ok((name.clone(), text))
    };
    options.redis.iter().flatten().map(words).collect()
}

fn engine(options: &Options) -> Outcome<EngineChoice> {
    let name = said(options.engine, "engine")?;
    let choice = match name {
        EngineName::Memory => EngineChoice::Memory,
        EngineName::Json => EngineChoice::Json,
        EngineName::Disk => EngineChoice::Disk,
        EngineName::Sqlite => EngineChoice::Sqlite,
        EngineName::Cassandra => EngineChoice::Cassandra,
    };
    let needs_path = matches!(name, EngineName::Json | EngineName::Disk | EngineName::Sqlite);
    if needs_path && options.store_path.is_none() {
        return Err(Failure::usage(format!(
            "the {choice} engine keeps its data on disk and needs --store-path: name {}",
            match name {
                EngineName::Json => "a file, as in --store-path store.json",
                EngineName::Sqlite => "a file, as in --store-path store.db",
                _ => "a directory, as in --store-path ./data",
            }
        )));
    }
    Ok(choice)
}

/// The cluster's options, where the engine is on one; else nobody must have given any contact.
fn cassandra(options: &Options, engine: EngineChoice) -> Outcome<Option<tresor_cassandra::Options>> {
    let contact = options.cassandra_contact.clone().unwrap_or_default();
    if engine != EngineChoice::Cassandra {
        if contact.is_empty() {
            return Ok(None);
        }
        return Err(Failure::usage("--cassandra-contact: this needs --engine cassandra"));
    }
    cluster(options).map(Some)
}

/// The cluster's options.
pub(crate) fn cluster(options: &Options) -> Outcome<tresor_cassandra::Options> {
    let contact = options.cassandra_contact.clone().unwrap_or_default();
    if contact.is_empty() {
        return Err(Failure::usage(
            "the cassandra engine needs --cassandra-contact: name a node of the cluster, as in --cassandra-contact 127.0.0.1:9042",
        ));
    }
    if options.store_path.is_some() {
        return Err(Failure::usage("--store-path: with the cassandra engine the cluster has all the data"));
    }
    if options.durability.is_some_and(|durability| durability != DurabilityName::None) {
        return Err(Failure::usage(
            "--durability: with the cassandra engine the cluster's own commit log decides what survives; leave it out",
        ));
    }
    let file = options.cassandra_password_file.as_deref();
    let password = file.map(|path| password::in_file("--cassandra-password-file", path)).transpose()?;
    let credentials = match (&options.cassandra_user, password) {
        (Some(user), Some(password)) => Some((user.clone(), password)),
        (None, None) => None,
        _ => return Err(Failure::usage("--cassandra-user and --cassandra-password-file go together")),
    };
    let request_timeout = Duration::from_millis(said(options.cassandra_timeout_ms, "cassandra-timeout-ms")?);
    let defaults = tresor_cassandra::Options::at(contact);
    Ok(tresor_cassandra::Options {
        keyspace: said(options.cassandra_keyspace.clone(), "cassandra-keyspace")?,
        writes: match said(options.cassandra_writes, "cassandra-writes")? {
            WritesName::Linearizable => Writes::Linearizable,
            WritesName::Eventual => Writes::Eventual,
        },
        order: match said(options.cassandra_order, "cassandra-order")? {
            StateName::On => OrderKept::Kept,
            StateName::Off => OrderKept::Off,
        },
        buckets: said(options.cassandra_buckets, "cassandra-buckets")?,
        mset: match said(options.cassandra_mset, "cassandra-mset")? {
            MsetName::Off => Mset::Refused,
            MsetName::PerKey => Mset::PerKey,
        },
        consistency: match said(options.cassandra_consistency, "cassandra-consistency")? {
            ConsistencyName::LocalOne => Level::LocalOne,
            ConsistencyName::LocalQuorum => Level::LocalQuorum,
            ConsistencyName::Quorum => Level::Quorum,
            ConsistencyName::EachQuorum => Level::EachQuorum,
            ConsistencyName::All => Level::All,
        },
        replication: options.cassandra_replication,
        datacenter: options.cassandra_datacenter.clone(),
        credentials,
        tls_authorities: options.cassandra_tls_ca.clone(),
        request_timeout,
        command_timeout: defaults.command_timeout.max(request_timeout * 2),
        max_value_bytes: said(options.cassandra_max_value_bytes, "cassandra-max-value-bytes")?.0 as usize,
        ..defaults
    })
}

fn database(options: &Options, max_value_bytes: usize) -> Outcome<Config> {
    let durability = match said(options.durability, "durability")? {
        DurabilityName::None => Durability::None,
        DurabilityName::Always => Durability::Always,
        DurabilityName::Interval => {
            Durability::Interval { ms: said(options.durability_interval_ms, "durability-interval-ms")? }
        }
    };
    if options.store_path.is_none() && durability != Durability::None {
        return Err(Failure::usage(
            "--durability: without --store-path there is nothing on disk that could survive; name a directory, or leave it out",
        ));
    }
    let batch_size = said(options.batch_size, "batch-size")?;
    if batch_size > 1 && durability == Durability::Always {
        return Err(Failure::usage(
            "--batch-size: more than 1 leaves writes unsaved, so it needs --durability interval",
        ));
    }
    Ok(Config {
        storage: match options.engine {
            Some(EngineName::Json) => Storage::JsonFile,
            Some(EngineName::Disk) => Storage::Disk,
            _ => Storage::Memory,
        },
        batch_size,
        auto_save_interval: Duration::from_secs(said(options.auto_save_interval, "auto-save-interval")?),
        store_path: options.store_path.clone(),
        shards: Vec::new(),
        durability,
        max_memory_bytes: max_memory(options)?,
        eviction: eviction(said(options.max_memory_policy, "max-memory-policy")?),
        max_value_bytes,
        snapshot_log_bytes: said(options.snapshot_log_bytes, "snapshot-log-bytes")?.0,
        snapshot_interval: Duration::from_secs(said(
            options.snapshot_interval_seconds,
            "snapshot-interval-seconds",
        )?),
        keep_log_bytes: said(options.keep_log_bytes, "keep-log-bytes")?.0,
        change_buffer_bytes: said(options.change_buffer_bytes, "change-buffer-bytes")?.0 as usize,
        cache: cache(options)?,
        compression: compression(options)?,
        encryption: encryption(options)?,
        block_cache_bytes: said(options.block_cache_bytes, "block-cache-bytes")?.0,
        transactions: transactions(options)?,
        workers: said(options.threads, "threads")? as usize,
    })
}

fn transactions(options: &Options) -> Outcome<TransactionLimits> {
    let idle = said(options.transaction_idle_timeout_seconds, "transaction-idle-timeout-seconds")?;
    Ok(TransactionLimits {
        lock_wait: Duration::from_millis(said(options.lock_timeout_ms, "lock-timeout-ms")?),
        idle: Duration::from_secs(idle),
        max_bytes: said(options.max_transaction_bytes, "max-transaction-bytes")?.0 as usize,
        ..TransactionLimits::default()
    })
}

/// How values are compressed.
fn compression(options: &Options) -> Outcome<CompressionOptions> {
    let method = match said(options.compression, "compression")? {
        CompressionName::None => Method::None,
        CompressionName::Zlib => Method::Zlib,
        CompressionName::Lz4 => Method::Lz4,
        CompressionName::Zstd => Method::Zstd,
    };
    if method != Method::None && options.engine == Some(EngineName::Cassandra) {
        return Err(Failure::usage(NO_CODING_ON_A_CLUSTER));
    }
    let most = said(options.max_value_bytes, "max-value-bytes")?.0;
    if method != Method::None && most > MAX_DECODED_BYTES as u64 {
        return Err(Failure::usage("--max-value-bytes: with --compression a value has at most 1GiB"));
    }
    Ok(CompressionOptions {
        level: options.compression_level,
        threshold_bytes: said(options.compression_threshold_bytes, "compression-threshold-bytes")?.0 as usize,
        ..CompressionOptions::with(method)
    })
}

/// Compression and encryption stand in front of what only this server changes, so far.
const NO_CODING_ON_A_CLUSTER: &str =
    "--compression and --encryption-key-file: this version does not have them in front of a cluster";

/// How values are encrypted, if they are.
fn encryption(options: &Options) -> Outcome<Option<EncryptionOptions>> {
    let keys = match (&options.encryption_key_file, &options.encryption_key_variable) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(Failure::usage(
                "--encryption-key-file and --encryption-key-variable exclude each other: give one of them",
            ));
        }
        _ if options.engine == Some(EngineName::Cassandra) => {
            return Err(Failure::usage(NO_CODING_ON_A_CLUSTER));
        }
        (Some(file), None) => EncryptionKeys::from_file(file)
            .map_err(|error| Failure::failed(format!("--encryption-key-file: {error}")))?,
        (None, Some(variable)) => EncryptionKeys::from_variable(variable)
            .map_err(|error| Failure::failed(format!("--encryption-key-variable: {error}")))?,
    };
    let cipher = match said(options.encryption_cipher, "encryption-cipher")? {
        CipherName::XChaCha20Poly1305 => Cipher::XChaCha20Poly1305,
        CipherName::Aes256Gcm => Cipher::Aes256Gcm,
    };
    Ok(Some(EncryptionOptions { keys: Arc::new(keys), cipher }))
}

/// Where the encryption keys can be read again while the server runs.
fn key_source(options: &Options) -> Option<KeySource> {
    let variable = options.encryption_key_variable.clone().map(KeySource::Variable);
    options.encryption_key_file.clone().map(KeySource::File).or(variable)
}

/// The LRU layer. It has to hear of every write, so it stands in front of what only this server changes.
fn cache(options: &Options) -> Outcome<Option<Capacity>> {
    let refuse = |reason: &str| Err(Failure::usage(format!("--cache-capacity: {reason}")));
    match options.cache_capacity {
        None => Ok(None),
        Some(_) if options.engine == Some(EngineName::Cassandra) => {
            refuse("other servers write to the cluster too, and a cache would not hear of it")
        }
        Some(_) if max_memory(options)?.is_some() => {
            refuse("with --max-memory the engine evicts entries, and a cache would not hear of it")
        }
        Some(capacity) => Ok(Some(capacity.capacity())),
    }
}

/// The limit of an engine that has its data in memory.
fn max_memory(options: &Options) -> Outcome<Option<u64>> {
    let bytes = said(options.max_memory, "max-memory")?.bytes();
    let refuse = |reason: &str| Err(Failure::usage(format!("--max-memory: {reason}")));
    let is_in_memory = |shard: &ShardOption| matches!(shard.engine, EngineName::Memory | EngineName::Json);
    match options.engine {
        None if bytes.is_some() && !options.shard.iter().flatten().any(is_in_memory) => {
            refuse("none of the shards has its data in memory")
        }
        Some(EngineName::Disk) if bytes.is_some() => {
            refuse("the disk engine's data is not in memory; --block-cache-bytes limits what it keeps there")
        }
        Some(EngineName::Sqlite) if bytes.is_some() => refuse("the sqlite engine's data is not in memory"),
        _ => Ok(bytes),
    }
}

fn notify(options: &Options) -> Outcome<EventClasses> {
    let letters = said(options.notify_keyspace_events.clone(), "notify-keyspace-events")?;
    EventClasses::parse(&letters).ok_or_else(|| {
        Failure::usage(format!(
            "--notify-keyspace-events: {letters:?} has a letter that is none of Ag$lshzxeKEtmdn"
        ))
    })
}

fn server(options: &Options, max_value_bytes: usize) -> Outcome<ServerConfig> {
    Ok(ServerConfig {
        bind: said(options.bind.clone(), "bind")?,
        resp_port: said(options.resp_port, "resp-port")?.number(),
        http_port: said(options.port, "port")?.number(),
        line_port: said(options.line_port, "line-port")?.number(),
        workers: said(options.threads, "threads")? as usize,
        max_clients: said(options.max_clients, "max-clients")? as usize,
        limits: Limits::for_values(max_value_bytes),
        http_limits: HttpLimits { requests_per_second: options.http_rate_limit, ..HttpLimits::default() },
        allowed_hosts: said(options.allowed_host.clone(), "allowed-host")?,
        cors_origins: cors_origins(options)?,
        encryption_keys: key_source(options),
        ..ServerConfig::default()
    })
}

/// Origins as browsers write them: anything else would never be met.
fn cors_origins(options: &Options) -> Outcome<Vec<String>> {
    let origins = said(options.cors_origin.clone(), "cors-origin")?;
    let is_origin = |origin: &str| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '?', '#', '@', '*', ' ']))
    };
    match origins.iter().find(|origin| !is_origin(origin)) {
        None => Ok(origins),
        Some(origin) => Err(Failure::usage(format!(
            "--cors-origin {origin:?} is no origin: give scheme, host and port alone, as in https://app.example"
        ))),
    }
}

/// Binding where strangers are, without a password, is refused unless it was asked for by name.
fn refuse_strangers(options: &Options, has_password: bool) -> Outcome {
    if has_password || options.insecure_no_auth == Some(true) {
        return Ok(());
    }
    let is_open = |address: &&IpAddr| !address.to_canonical().is_loopback();
    match options.bind.iter().flatten().find(is_open) {
        None => Ok(()),
        Some(address) => Err(Failure::usage(format!(
            "--bind {address} lets other machines in, and there is no password: give --password-file, or --insecure-no-auth if everyone who can reach it may read and change everything"
        ))),
    }
}

fn eviction(policy: PolicyName) -> Eviction {
    match policy {
        PolicyName::NoEviction => Eviction::None,
        PolicyName::AllKeysLru => Eviction::AllKeysLru,
        PolicyName::AllKeysLfu => Eviction::AllKeysLfu,
        PolicyName::AllKeysRandom => Eviction::AllKeysRandom,
        PolicyName::VolatileLru => Eviction::VolatileLru,
        PolicyName::VolatileLfu => Eviction::VolatileLfu,
        PolicyName::VolatileRandom => Eviction::VolatileRandom,
        PolicyName::VolatileTtl => Eviction::VolatileTtl,
    }
}

/// An option that has a default, and so was said by someone.
fn said<T>(option: Option<T>, name: impl fmt::Display) -> Outcome<T> {
    option.ok_or_else(|| Failure::usage(format!("--{name} has no value")))
}
