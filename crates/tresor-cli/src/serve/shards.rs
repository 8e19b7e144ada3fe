//! The `[[shard]]` tables of the configuration file: checked as a whole, and read again when a shard is added.

use std::{
    path::{Path, PathBuf, absolute},
    sync::Arc,
};

use tresor::Error;
use tresor_server::{
    assemble::EngineChoice,
    sharding::{ReadShards, ShardChoice, is_layer_file},
};

use super::{
    configuration,
    options::{EngineName, ShardOption},
};
use crate::failure::{Failure, Outcome};

/// What the tables choose, for a layer whose own files are in this directory.
pub(crate) fn choices(shards: &[ShardOption], directory: Option<&Path>) -> Outcome<Vec<ShardChoice>> {
    let mut chosen: Vec<ShardChoice> = Vec::new();
    for shard in shards {
        let choice = choice(shard)?;
        check_place(&choice, directory)?;
        if let Some(other) = chosen.iter().find(|other| other.name == choice.name) {
            return Err(wrong(&choice, &format!("there is another one of this name, on {}", other.engine)));
        }
        if let Some(other) = chosen.iter().find(|other| is_same_path(other, &choice)) {
            return Err(wrong(&choice, &format!("shard {} has the same store-path", other.name)));
        }
        chosen.push(choice);
    }
    Ok(chosen)
}

/// What reads them again: the file may have changed.
pub(crate) fn reader(config_file: Option<PathBuf>, directory: Option<PathBuf>) -> ReadShards {
    let read = move || match &config_file {
        Some(file) => choices(&configuration::shards_in(file)?, directory.as_deref()),
        None => Ok(Vec::new()),
    };
    Arc::new(move || {
        read().map_err(|failure| match failure {
            Failure::Usage(message) | Failure::Failed(message) => Error::invalid(message),
            Failure::Silent => Error::invalid("the configuration file cannot be read"),
        })
    })
}

fn choice(shard: &ShardOption) -> Outcome<ShardChoice> {
    let engine = match shard.engine {
        EngineName::Memory => EngineChoice::Memory,
        EngineName::Json => EngineChoice::Json,
        EngineName::Disk => EngineChoice::Disk,
        EngineName::Sqlite => EngineChoice::Sqlite,
        EngineName::Cassandra => EngineChoice::Cassandra,
    };
    let choice = ShardChoice {
        name: shard.name.clone(),
        engine,
        store_path: shard.store_path.clone(),
        weight: shard.weight,
    };
    if engine == EngineChoice::Cassandra {
        return Err(wrong(&choice, "this version has no shards on a Cassandra cluster"));
    }
    if engine != EngineChoice::Memory && choice.store_path.is_none() {
        return Err(wrong(
            &choice,
            &format!("the {engine} engine keeps its data on disk and needs store-path"),
        ));
    }
    Ok(choice)
}

fn check_place(choice: &ShardChoice, directory: Option<&Path>) -> Outcome {
    match (&choice.store_path, directory) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(wrong(
            choice,
            "it outlives the server, so the layer has to as well: name a directory for the layer's own files with --store-path",
        )),
        (Some(path), Some(directory)) => {
            let (path, directory) = (absolute(path)?, absolute(directory)?);
            if path == directory || is_layer_file(&directory, &path) {
                return Err(wrong(
                    choice,
                    "its store-path is where the layer's own files are (--store-path)",
                ));
            }
            Ok(())
        }
    }
}

fn is_same_path(one: &ShardChoice, other: &ShardChoice) -> bool {
    let path = |choice: &ShardChoice| choice.store_path.as_deref().and_then(|path| absolute(path).ok());
    path(one).is_some() && path(one) == path(other)
}

fn wrong(choice: &ShardChoice, reason: &str) -> Failure {
    Failure::usage(format!("[[shard]] {}: {reason}", choice.name))
}
