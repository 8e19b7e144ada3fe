//! How a command line names a store that no server has open, and what kind of store is at a path.
//!
//! A store is a configuration as `tresor serve --config` takes it, whose name ends in `.toml`; or
//! `ENGINE:PATH`; or, where it is there already, its bare path. What is at a path is told from the
//! files alone, and nothing is opened or made to find out: opening a path that holds nothing would
//! begin a store there.

use std::{
    fmt, fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use tresor_server::assemble::{Assembly, EngineChoice};

use crate::{
    failure::{Failure, Outcome},
    serve::{self, EngineName},
};

/// The forms, for messages.
const FORMS: &str =
    "memory:./data, json:store.json, disk:./data, sqlite:store.db, or a configuration as in store.toml";

/// How much of a file is looked at.
const LOOKED_AT_BYTES: u64 = 4096;

/// A store by name, with what would be opened for it.
pub(crate) struct StoreName {
    /// As it was given.
    pub(crate) text: String,
    /// What would be served under it.
    pub(crate) assembly: Assembly,
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StoreName {
    /// The store that `text` names; a bare path has to lead to one.
    pub(crate) fn existing(text: &str) -> Outcome<Self> {
        match Self::spelled_out(text)? {
            Some(name) => Ok(name),
            None => Self::of(text, serve::plain(recognised(Path::new(text))?, Path::new(text))?),
        }
    }

    /// The store that `text` names, there or not; a bare path is wrong usage.
    pub(crate) fn spelled(text: &str) -> Outcome<Self> {
        Self::spelled_out(text)?.ok_or_else(|| {
            Failure::usage(format!("{text} does not say with which engine: write one of {FORMS}"))
        })
    }

    /// A configuration or `ENGINE:PATH`.
    fn spelled_out(text: &str) -> Outcome<Option<Self>> {
        if Path::new(text).extension().is_some_and(|extension| extension == "toml") {
            return Self::of(text, serve::configured(Path::new(text))?).map(Some);
        }
        let Some((word, path)) = text.split_once(':') else { return Ok(None) };
        let engine = EngineName::from_str(word, false).ok();
        match engine.filter(|engine| *engine != EngineName::Cassandra) {
            Some(_) if path.is_empty() => {
                Err(Failure::usage(format!("{text} names no path: write one of {FORMS}")))
            }
            Some(engine) => Self::of(text, serve::plain(engine, Path::new(path))?).map(Some),
            None if Path::new(text).exists() => Ok(None),
            None => Err(Failure::usage(format!("{text} names no engine with a path: write one of {FORMS}"))),
        }
    }

    fn of(text: &str, assembly: Assembly) -> Outcome<Self> {
        if assembly.cassandra.is_none() && assembly.database.store_path.is_none() {
            return Err(Failure::usage(format!(
                "{text} describes a store in memory alone, which nothing is left of: give it a store-path"
            )));
        }
        Ok(Self { text: text.to_owned(), assembly })
    }

    /// Where it lies; `None` for a cluster.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.assembly.database.store_path.as_deref()
    }

    /// Whether there is a store, as far as can be told without opening it: a cluster has to be asked.
    pub(crate) fn is_there(&self) -> bool {
        let Some(path) = self.path() else { return true };
        match self.assembly.engine {
            EngineChoice::Memory | EngineChoice::Disk => is_store_directory(path),
            _ => path.is_file(),
        }
    }

    /// Refuses a path that has something else than such a store.
    pub(crate) fn refuse_others(&self) -> Outcome {
        let Some(path) = self.path() else { return Ok(()) };
        let is_directory = matches!(self.assembly.engine, EngineChoice::Memory | EngineChoice::Disk);
        let what = match (is_directory, path.is_dir(), path.exists()) {
            (true, true, _) if self.is_there() || is_empty(path)? => return Ok(()),
            (true, true, _) => "a directory with other files",
            (true, false, true) => "a file",
            (false, true, _) => "a directory",
            _ => return Ok(()),
        };
        Err(Failure::failed(format!(
            "{} is {what}, and no store of the {} engine: name another path",
            path.display(),
            self.assembly.engine
        )))
    }

    /// Whether two names lead to one place.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        match (self.path(), other.path()) {
            (Some(one), Some(another)) => resolved(one) == resolved(another),
            (None, None) => {
                let place = |name: &Self| {
                    let options = name.assembly.cassandra.as_ref();
                    options.map(|options| (options.contact.clone(), options.keyspace.clone()))
                };
                place(self) == place(other)
            }
            _ => false,
        }
    }
}

/// A path without links and dots, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(whole) = path.canonicalize() {
        return whole;
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    path.file_name().map_or(directory.clone(), |name| directory.join(name))
}

fn is_empty(directory: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(directory)?.next().is_none())
}

/// A store's identity, or the ring of a layer of shards.
fn is_store_directory(path: &Path) -> bool {
    path.join("store").is_file() || path.join("ring").is_file()
}

/// The engine whose store is at a path.
fn recognised(path: &Path) -> Outcome<EngineName> {
    if path.is_dir() && path.join("store").is_file() {
        let has_tables = path.join("tables").is_dir();
        return Ok(if has_tables { EngineName::Disk } else { EngineName::Memory });
    }
    if path.is_file() {
        let mut beginning = Vec::new();
        fs::File::open(path)?.take(LOOKED_AT_BYTES).read_to_end(&mut beginning)?;
        if beginning.starts_with(&tresor_sqlite::MAGIC) {
            return Ok(EngineName::Sqlite);
        }
        if beginning.trim_ascii_start().starts_with(b"{") {
            return Ok(EngineName::Json);
        }
    }
    let shown = path.display();
    Err(Failure::failed(if path.exists() {
        format!("{shown} is no store of a kind that can be told from its files: write one of {FORMS}")
    } else {
        format!("there is no {shown}: name the store that is to be read")
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{StoreName, resolved};
    use crate::failure::Failure;

    fn usage(result: Result<StoreName, Failure>) -> String {
        match result {
            Err(Failure::Usage(message)) => message,
            Err(other) => panic!("not wrong usage: {other:?}"),
            Ok(name) => panic!("{name} is a name"),
        }
    }

    #[test]
    fn an_engine_and_a_path_are_a_name() {
        for (text, engine, path) in [
            ("memory:./data", "memory", "./data"),
            ("json:a:b.json", "json", "a:b.json"),
            ("disk:/data", "disk", "/data"),
            ("sqlite:store.db", "sqlite", "store.db"),
        ] {
            let name = StoreName::spelled(text).expect("it is a name");
            assert_eq!(
                (name.assembly.engine.to_string(), name.path()),
                (engine.to_owned(), Some(Path::new(path)))
            );
        }
        for text in ["./nowhere", "redis:./data", "memory:", "cassandra:node"] {
            assert!(usage(StoreName::spelled(text)).contains("disk:./data"), "{text}");
        }
    }

    #[test]
    fn one_place_has_many_names() {
        let here = std::env::current_dir().expect("there is one");
        for path in ["store", "./store"] {
            assert_eq!(resolved(Path::new(path)), resolved(&here.join("store")));
        }
        let same = |one: &str, other: &str| {
            let name = |text| StoreName::spelled(text).expect("it is a name");
            name(one).is_same_place(&name(other))
        };
        assert!(same("disk:store", "memory:./store"));
        assert!(!same("disk:store", "disk:store2"));
    }
}
