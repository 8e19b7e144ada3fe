//! The file of shards that were added while a server ran: `docs/formats.md` says what is in it.
//!
//! It is replaced as a whole before a shard is added, and after one has gone: a start finds every shard that
//! has keys, and perhaps one more, which has none and is dropped then.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tresor::{
    Error, ErrorKind, Result,
    files::{self, Files},
};

use super::ShardChoice;
use crate::assemble::EngineChoice;

const NAME: &str = "added-shards.toml";

/// More than all shards take.
const MOST_BYTES: usize = 1 << 20;
const MAGIC: &str = "# tresor-added-shards 1 ";

/// A shard that was added; its store lies in the layer's directory under its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Added {
    name: String,
    engine: EngineChoice,
    weight: u32,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    shard: Vec<Added>,
}

/// The shards that were added, and the directory that remembers them; nothing does where there is none.
pub(super) struct AddedShards {
    files: Arc<dyn Files>,
    directory: Option<PathBuf>,
    table: Table,
}

impl AddedShards {
    /// What the directory remembers. [`Invalid`](ErrorKind::Invalid) for a damaged file.
    pub(super) fn read(files: Arc<dyn Files>, directory: Option<&Path>) -> Result<Self> {
        let mut table = Table::default();
        if let Some(directory) = directory {
            let path = directory.join(NAME);
            match files::read_small(&*files, &path, MOST_BYTES) {
                Ok(bytes) => {
                    table = decode(&bytes)
                        .map_err(|error| Error::new(error.kind(), format!("{}: {error}", path.display())))?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed("read", &path, &error)),
            }
        }
        Ok(Self { files, directory: directory.map(Path::to_owned), table })
    }

    /// The shards as choices.
    pub(super) fn choices(&self) -> Result<Vec<ShardChoice>> {
        let directory = self.directory.as_deref();
        let choice = |added: &Added| ShardChoice::within(directory, &added.name, added.engine, added.weight);
        self.table.shard.iter().map(choice).collect()
    }

    /// Remembers one more, durably.
    pub(super) fn remember(&mut self, choice: &ShardChoice) -> Result<()> {
        let added = Added { name: choice.name.clone(), engine: choice.engine, weight: choice.weight };
        let others = self.table.shard.iter().filter(|other| other.name != choice.name);
        let shard = others.cloned().chain([added]).collect();
        self.replace(Table { shard })
    }

    /// Forgets all that are not to be kept, durably.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) -> Result<()> {
        let shard: Vec<Added> = self.table.shard.iter().filter(|added| keep(&added.name)).cloned().collect();
        if shard.len() == self.table.shard.len() {
            return Ok(());
        }
        self.replace(Table { shard })
    }

    fn replace(&mut self, table: Table) -> Result<()> {
        if let Some(directory) = &self.directory {
            let path = directory.join(NAME);
            files::replace(&*self.files, &path, &encode(&table)?)
                .map_err(|error| failed("write", &path, &error))?;
        }
        self.table = table;
        Ok(())
    }
}

fn encode(table: &Table) -> Result<Vec<u8>> {
    let body = toml::to_string(table).map_err(|error| {
        Error::new(ErrorKind::Internal, "the added shards cannot be written").caused_by(error)
    })?;
    Ok(format!("{MAGIC}{:08x}\n{body}", crc32fast::hash(body.as_bytes())).into_bytes())
}

fn decode(bytes: &[u8]) -> Result<Table> {
    let damaged = || {
        Error::invalid(
            "it is damaged, or was edited; restore it from a copy, or remove it and name its shards as [[shard]] \
             tables of the configuration file",
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
    let (first, body) = text.split_once('\n').ok_or_else(damaged)?;
    let checksum = first.strip_prefix(MAGIC).ok_or_else(damaged)?;
    if checksum != format!("{:08x}", crc32fast::hash(body.as_bytes())) {
        return Err(damaged());
    }
    toml::from_str(body).map_err(|error| damaged().caused_by(error))
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let added = |name: &str, engine, weight| Added { name: name.to_owned(), engine, weight };
        Table { shard: vec![added("a", EngineChoice::Disk, 1), added("b-2", EngineChoice::Sqlite, 7)] }
    }

    #[test]
    fn what_is_encoded_is_decoded_and_damage_is_found() {
        for table in [table(), Table::default()] {
            let bytes = encode(&table).unwrap();
            assert_eq!(decode(&bytes).unwrap(), table);
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1;
                assert_eq!(decode(&damaged).unwrap_err().kind(), ErrorKind::Invalid, "bit of byte {at}");
            }
            for end in 0..bytes.len() {
                assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
            }
        }
    }

    #[test]
    fn a_client_cannot_name_a_path() {
        let within = |name: &str| ShardChoice::within(Some(Path::new("/d")), name, EngineChoice::Disk, 1);
        for name in ["", ".", "..", "a/b", "a.b", "ring", "intents", "ä", "a b", "\\"] {
            assert_eq!(within(name).unwrap_err().kind(), ErrorKind::Invalid, "{name:?}");
        }
        assert_eq!(within("a-B_9").unwrap().store_path, Some(PathBuf::from("/d/a-B_9")));
    }
}
