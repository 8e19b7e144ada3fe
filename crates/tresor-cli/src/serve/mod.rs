//! `tresor serve`: from options to a running server, and to its orderly end.

mod cache_capacity;
mod configuration;
mod logging;
mod options;
mod plan;
mod port;
mod ready_file;
mod rewrite;
mod running;
mod shards;
mod size;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) use self::options::EngineName;
use self::{logging::LogControl, options::Options};
use crate::failure::Outcome;
use tresor::layer;
use tresor_server::{ProgramControl, assemble::Assembly};

/// What `tresor serve` takes: where its options come from, and the options.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// TOML file with any of the options below, each under its name without the dashes, and with
    /// `[[shard]]` tables, which spread the data over several stores, and a table `[redis]` of settings as
    /// CONFIG SET takes them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the configuration that holds, secrets masked, and exit
    #[arg(long)]
    check_config: bool,
    #[command(flatten)]
    options: Options,
}

/// Each option's default as help shows it.
pub(crate) fn defaults_in_words() -> BTreeMap<String, String> {
    let table = configuration::table_of(&Options::defaults()).unwrap_or_default();
    let words = |value: &toml::Value| match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(several) => {
            several.iter().map(|each| each.as_str().unwrap_or_default()).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    };
    table
        .iter()
        .filter(|(_, value)| !matches!(value, toml::Value::Boolean(_)))
        .map(|(name, value)| (name.clone(), words(value)))
        .filter(|(_, words)| !words.is_empty())
        .collect()
}

/// The cluster that a server with these options would have its data on.
pub(crate) fn cassandra_options(arguments: &Arguments) -> Outcome<tresor_cassandra::Options> {
    let told = Options { engine: Some(options::EngineName::Cassandra), ..arguments.options.clone() };
    let effective = configuration::effective(&told, arguments.config.as_deref())?;
    plan::cluster(&effective)
}

/// What `tresor serve --config FILE` would serve, the environment left aside.
pub(crate) fn configured(file: &Path) -> Outcome<Assembly> {
    let effective = configuration::effective(&Options::default(), Some(file))?;
    plan::assembly(&effective, Some(file.to_owned()))
}

/// What a server would serve of this engine at this path, all else as it is by default.
pub(crate) fn plain(engine: EngineName, path: &Path) -> Outcome<Assembly> {
    let told = Options { engine: Some(engine), store_path: Some(path.to_owned()), ..Options::default() };
    plan::assembly(&configuration::effective(&told, None)?, None)
}

/// What CONFIG can change outside of the database.
fn program(log: LogControl, config: Option<PathBuf>) -> ProgramControl {
    let read = log.clone();
    ProgramControl {
        log_level: Arc::new(move || read.level()),
        set_log_level: Arc::new(move |level| log.set_level(level)),
        rewrite: config.map(|path| Arc::new(move |settings: &[_]| rewrite::rewrite(&path, settings)) as _),
    }
}

pub(crate) fn run(arguments: Arguments) -> Outcome {
    let effective = configuration::effective(&arguments.options, arguments.config.as_deref())?;
    let mut assembly = plan::assembly(&effective, arguments.config.clone())?;
    if arguments.check_config {
        let stack = layer::describe(&assembly.database, &assembly.engine_in_words());
        let text = format!("# {stack}\n{}", configuration::to_toml(&effective)?);
        return Ok(io::stdout().write_all(text.as_bytes())?);
    }
    if let (Some(format), Some(level)) = (effective.log_format, effective.log_level) {
        let log = logging::start(format, level);
        assembly.program = Some(program(log, arguments.config));
    }
    running::run(assembly, &effective)
}
