//! From layers to what holds: flags over environment over file over defaults.
//!
//! A layer is an [`Options`] with gaps. Laying one over another works on their TOML tables, so no
//! option's name is repeated here. clap has already laid flags over the environment.

use std::{fs, path::Path, thread};

use tresor::settings::is_secret;

use super::{
    cache_capacity::CacheCapacity,
    options::{DurabilityName, EngineName, Options, ShardOption},
};
use crate::failure::{Failure, Outcome};

/// What stands where a secret would.
const MASK: &str = "********";

/// Entries of the cache that mode 2 means.
const MODE_2_CACHE_CAPACITY: u64 = 100;

/// What holds, from what was told and a file; whatever depends on other options is settled.
pub(crate) fn effective(told: &Options, file: Option<&Path>) -> Outcome<Options> {
    let mut table = table_of(&Options::defaults())?;
    if let Some(path) = file {
        table.extend(table_of(&read(path)?)?);
    }
    table.extend(table_of(told)?);
    let layered = table.try_into().map_err(|error| Failure::usage(format!("configuration: {error}")))?;
    settle(layered)
}

/// The configuration as a TOML file that says the same, secrets masked.
pub(crate) fn to_toml(effective: &Options) -> Outcome<String> {
    let password = effective.password.as_ref().map(|_| MASK.to_owned());
    let mut redis = effective.redis.clone();
    let secrets = redis.iter_mut().flatten().filter(|(name, _)| is_secret(name));
    secrets.for_each(|(_, secret)| *secret = MASK.into());
    toml::to_string(&Options { password, redis, ..effective.clone() })
        .map_err(|error| Failure::failed(format!("cannot print the configuration: {error}")))
}

/// The `[[shard]]` tables of a file as it is now.
pub(crate) fn shards_in(file: &Path) -> Outcome<Vec<ShardOption>> {
    Ok(read(file)?.shard.unwrap_or_default())
}

pub(crate) fn table_of(options: &Options) -> Outcome<toml::Table> {
    toml::Table::try_from(options).map_err(|error| Failure::usage(format!("configuration: {error}")))
}

fn read(path: &Path) -> Outcome<Options> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("--config: cannot read {}: {error}", path.display())))?;
    toml::from_str(&text).map_err(|error| {
        Failure::usage(format!("--config {}: {}", path.display(), without_source(&error, &text)))
    })
}

/// The message with its line, but without the line itself, which may hold the password.
fn without_source(error: &toml::de::Error, text: &str) -> String {
    let line =
        error.span().map(|span| text.as_bytes()[..span.start].iter().filter(|b| **b == b'\n').count() + 1);
    line.map_or_else(|| error.message().to_owned(), |line| format!("line {line}: {}", error.message()))
}

/// Turns `mode` into an engine and fills in the defaults that depend on other options.
fn settle(layered: Options) -> Outcome<Options> {
    if let (Some(mode), Some(_)) = (layered.mode, layered.engine) {
        return Err(Failure::usage(format!(
            "--mode {mode} is short for an --engine, so the two exclude each other: give one of them"
        )));
    }
    let has_shards = layered.shard.as_ref().is_some_and(|shards| !shards.is_empty());
    if has_shards && (layered.mode.is_some() || layered.engine.is_some()) {
        return Err(Failure::usage(
            "--engine and --mode: with [[shard]] tables in the configuration file each shard says its own engine; leave them out",
        ));
    }
    let engine = match layered.mode {
        Some(1 | 2) => EngineName::Disk,
        _ => layered.engine.unwrap_or(EngineName::Memory),
    };
    let cache_capacity = layered
        .cache_capacity
        .or((layered.mode == Some(2)).then_some(CacheCapacity::Entries(MODE_2_CACHE_CAPACITY)));
    let durability = layered.durability.unwrap_or(match layered.store_path {
        Some(_) => DurabilityName::Always,
        None => DurabilityName::None,
    });
    let cores = || thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    Ok(Options {
        mode: None,
        engine: (!has_shards).then_some(engine),
        cache_capacity,
        durability: Some(durability),
        threads: Some(layered.threads.unwrap_or_else(cores)),
        ..layered
    })
}
