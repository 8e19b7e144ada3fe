//! From a configuration to a running server: engine, layers, database, sockets, in this order.
//!
//! The only file that names every engine. What this version cannot make is refused before anything is
//! opened, and a server whose sockets cannot be had leaves no store open behind it.

use std::{fmt, sync::Arc};

use tresor::{Config, Database, Error, ErrorKind, Result, shutdown::Saving};

use crate::{Addresses, Ending, Server, ServerConfig, Stopper};

/// Where data can live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Where the data lives.
    pub engine: EngineChoice,
    /// Entries of an LRU cache in front of it; `None` for no cache.
    pub cache_capacity: Option<u64>,
    /// The database over it.
    pub database: Config,
    /// What clients have to prove that they know.
    pub password: Option<String>,
    /// Whether DEBUG may be used.
    pub enable_debug_command: bool,
    /// The front doors.
    pub server: ServerConfig,
}

/// A running server with its database.
pub struct Assembled {
    server: Server,
    database: Database,
}

/// Opens the store, then serves it.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for an engine or layer that this version does not have; what
/// opening the store or binding the ports answers otherwise. Nothing is left open or running then.
pub fn assemble(assembly: Assembly) -> Result<Assembled> {
    refuse_what_is_missing(&assembly)?;
    let database = Database::open(assembly.database)?;
    let server = Server::start(database.clone(), assembly.server);
    match server {
        Ok(server) => Ok(Assembled { server, database }),
        Err(error) => {
            database.close()?;
            Err(error)
        }
    }
}

fn refuse_what_is_missing(assembly: &Assembly) -> Result<()> {
    let missing = |what: String| {
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{what} is not in this version of Tresor: use --engine memory, which with --store-path keeps every acknowledged write"
            ),
        ))
    };
    if assembly.password.is_some() {
        return missing("a password".to_owned());
    }
    match (assembly.engine, assembly.cache_capacity) {
        (EngineChoice::Memory, None) => Ok(()),
        (EngineChoice::Memory, Some(_)) => missing("the LRU cache (--cache-capacity)".to_owned()),
        (engine, _) => missing(format!("the {engine} engine")),
    }
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
        if matches!(*ending, Ending::Asked(Saving::Always)) {
            self.database.engine().save().wait()?;
        }
        self.database.close()
    }
}
