//! From a configuration to a running server: engine, layers, database, sockets, in this order.
//!
//! With `sharding/shard_choice.rs` the only file that names every engine. A server whose sockets cannot be
//! had leaves no store open behind it.

use std::{fmt, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};
use tresor::{
    Config, Database, Error, Result,
    clock::{Clock, SystemClock},
    engine::Engine,
    files::{Files, SystemFiles},
    publish::EventClasses,
    shutdown::Saving,
};

use crate::{
    Addresses, Ending, ProgramControl, Server, ServerConfig, Stopper,
    sharding::{ReadShards, ShardChoice, ShardControl},
};

/// Where data can live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// Tables in memory, with a log and snapshots where there is a path.
    Memory,
    /// One readable JSON file.
    Json,
    /// An embedded LSM tree.
    Disk,
    /// An SQLite database.
    Sqlite,
    /// A Cassandra or ScyllaDB cluster.
    Cassandra,
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Json => "json",
            Self::Disk => "disk",
            Self::Sqlite => "sqlite",
            Self::Cassandra => "cassandra",
        })
    }
}

/// All that a server is made of.
#[derive(Clone)]
pub struct Assembly {
    /// Where the data lives, unless it is spread over shards.
    pub engine: EngineChoice,
    /// The shards over which it is spread; none for one engine.
    pub shards: Vec<ShardChoice>,
    /// Reads the shards of the configuration file again when one is added.
    pub configured_shards: ReadShards,
    /// The cluster, for [`EngineChoice::Cassandra`].
    pub cassandra: Option<tresor_cassandra::Options>,
    /// The database over it.
    pub database: Config,
    /// What clients have to prove that they know.
    pub password: Option<String>,
    /// Whether DEBUG may be used.
    pub enable_debug_command: bool,
    /// The file that the configuration came from, for INFO.
    pub config_file: Option<PathBuf>,
    /// Which events of keys are published.
    pub notify: EventClasses,
    /// Further settings, by the names and with the values that CONFIG SET takes.
    pub parameters: Vec<(String, String)>,
    /// What the program does for CONFIG; `None` where it is not the server's own.
    pub program: Option<ProgramControl>,
    /// The front doors.
    pub server: ServerConfig,
}

impl Assembly {
    /// The engine in words, as in `disk` or `sharded(memory, disk)`.
    pub fn engine_in_words(&self) -> String {
        if self.shards.is_empty() {
            return self.engine.to_string();
        }
        let engines: Vec<String> = self.shards.iter().map(|shard| shard.engine.to_string()).collect();
        format!("sharded({})", engines.join(", "))
    }
}

/// A running server with its database.
pub struct Assembled {
    server: Server,
    database: Database,
    shards: Option<Arc<ShardControl>>,
}

/// Opens the store, then serves it.
///
/// # Errors
/// What opening the store or binding the ports answers. Nothing is left open or running then.
pub fn assemble(assembly: Assembly) -> Result<Assembled> {
    let OpenStore { database, shards } = open_store(&assembly, Arc::new(SystemClock::new()))
        .map_err(|error| naming_the_option(&assembly, error))?;
    if let Err(error) = set_up(&assembly, &database) {
        database.close()?;
        return Err(error);
    }
    let config = ServerConfig { shards: shards.clone(), ..assembly.server };
    match Server::start(database.clone(), config) {
        Ok(server) => Ok(Assembled { server, database, shards }),
        Err(error) => {
            database.close()?;
            Err(error)
        }
    }
}

/// An open store that nobody serves yet.
pub struct OpenStore {
    /// The database with all its layers.
    pub database: Database,
    /// What changes its shards, where it is spread over some.
    pub shards: Option<Arc<ShardControl>>,
}

/// Opens the store that an assembly describes, layers included, and serves it to nobody.
///
/// # Errors
/// What opening the store answers.
pub fn open_store(assembly: &Assembly, clock: Arc<dyn Clock>) -> Result<OpenStore> {
    let config = &assembly.database;
    if !assembly.shards.is_empty() {
        let configured = assembly.configured_shards.clone();
        let (database, shards) = ShardControl::open(config, (&assembly.shards, configured), clock)?;
        return Ok(OpenStore { database, shards: Some(Arc::new(shards)) });
    }
    let database = match &assembly.cassandra {
        Some(options) => open_cassandra(options, config, clock)?,
        None if assembly.engine == EngineChoice::Sqlite => {
            Database::with_clock(open_sqlite(config, clock.clone())?, config.clone(), clock)?
        }
        None => Database::open_with_clock(config.clone(), clock)?,
    };
    Ok(OpenStore { database, shards: None })
}

/// Names the option beside what went wrong with the path.
fn naming_the_option(assembly: &Assembly, error: Error) -> Error {
    match &assembly.database.store_path {
        // An error of a shard names the shard.
        Some(path) if assembly.shards.is_empty() && !error.message().contains("--store-path") => {
            Error::new(error.kind(), format!("cannot open --store-path {}", path.display())).caused_by(error)
        }
        _ => error,
    }
}

/// A database without a store of its own: any number of servers may have the same one.
fn open_cassandra(
    options: &tresor_cassandra::Options,
    config: &Config,
    clock: Arc<dyn Clock>,
) -> Result<Database> {
    let engine = tresor_cassandra::open(options.clone(), clock.clone())?;
    Database::with_clock(engine, config.clone(), clock)
}

/// An engine in one file; the configuration's other words about memory and logs do not concern it.
pub(crate) fn open_sqlite(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<dyn Engine>> {
    let Some(path) = &config.store_path else {
        return Err(Error::invalid("the sqlite engine needs a file: name it with --store-path"));
    };
    let options = tresor_sqlite::Options::at(path).durability(config.durability);
    let seams = (Arc::new(SystemFiles) as Arc<dyn Files>, clock);
    Ok(tresor_sqlite::SqliteEngine::open(options, seams)?)
}

/// Before the first client: what it has to prove, and what CONFIG and INFO will show.
fn set_up(assembly: &Assembly, database: &Database) -> Result<()> {
    let settings = database.settings();
    settings.set_password(assembly.password.as_deref().map(str::as_bytes));
    let bind = &assembly.server.bind;
    if assembly.password.is_some() && !bind.iter().all(|address| address.to_canonical().is_loopback()) {
        settings.require_password();
    }
    let addresses: Vec<String> = bind.iter().map(ToString::to_string).collect();
    settings.set_fact("bind", addresses.join(" "));
    settings.set_fact("client-query-buffer-limit", assembly.server.limits.input_bytes.to_string());
    settings.set_fact("enable-debug-command", if assembly.enable_debug_command { "yes" } else { "no" });
    if let Some(file) = &assembly.config_file {
        settings.set_fact("config_file", file.display().to_string());
    }
    if let Some(program) = &assembly.program {
        settings.set_program(program.for_database());
    }
    for (name, value) in &assembly.parameters {
        database.set_parameter(name, value)?;
    }
    database.notify(assembly.notify)
}

impl Assembled {
    /// Where the server can be reached.
    pub fn addresses(&self) -> &Addresses {
        self.server.addresses()
    }

    /// A handle that stops it.
    pub fn stopper(&self) -> Stopper {
        self.server.stopper()
    }

    /// Blocks until it is told to stop, and says why.
    pub fn wait(&self) -> Arc<Ending> {
        self.server.wait()
    }

    /// Waits until it is told to stop, ends every connection in good order, then saves and closes the store.
    pub fn finish(self) -> Result<()> {
        let ending = self.server.wait();
        self.server.shutdown();
        if let Some(shards) = &self.shards {
            shards.forget()?;
        }
        if matches!(*ending, Ending::Asked(Saving::Always)) {
            self.database.engine().save().wait()?;
        }
        self.database.close()
    }
}
