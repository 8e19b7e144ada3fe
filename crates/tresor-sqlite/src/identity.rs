//! What a store is for good: its id, whether a layer ever wrote to it, whether it may have forgotten.
//!
//! Versions are part of what clients keep (ETags), together with the store's id. Below durability
//! `always` a power cut may take back changes whose versions were seen, so such a store carries a mark
//! from its first write to its clean close, and one that is found with the mark gets a new id.

use std::path::Path;

use rusqlite::{Connection, params};
use tresor::{Error, ErrorKind, Result};

use crate::failure;

/// The one row of the table `store`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) store_id: u64,
    pub(crate) packed: bool,
    pub(crate) unsynced: bool,
}

impl Identity {
    /// That of a new store.
    pub(crate) fn new() -> Result<Self> {
        let store_id = getrandom::u64().map_err(|error| {
            Error::new(ErrorKind::Internal, "the system gives no random numbers").caused_by(error)
        })?;
        Ok(Self { store_id, packed: false, unsynced: false })
    }

    pub(crate) fn read(connection: &Connection, path: &Path) -> Result<Self> {
        let select = "SELECT store_id, packed, unsynced, checksum FROM store WHERE only = 1";
        let read = |row: &rusqlite::Row<'_>| {
            let identity = Self {
                store_id: row.get::<_, i64>(0)? as u64,
                packed: row.get::<_, i64>(1)? != 0,
                unsynced: row.get::<_, i64>(2)? != 0,
            };
            Ok((identity, row.get::<_, i64>(3)?))
        };
        match connection.query_row(select, [], read) {
            Ok((identity, checksum)) if identity.checksum() == checksum => Ok(identity),
            Ok(_) | Err(rusqlite::Error::QueryReturnedNoRows) => {
                Err(failure::damaged(path, "the store's identity"))
            }
            Err(error) => Err(failure::error(path, error)),
        }
    }

    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut insert =
            connection.prepare_cached("INSERT OR REPLACE INTO store VALUES (1, ?1, ?2, ?3, ?4)")?;
        let (packed, unsynced) = (i64::from(self.packed), i64::from(self.unsynced));
        insert.execute(params![self.store_id as i64, packed, unsynced, self.checksum()]).map(drop)
    }

    fn checksum(&self) -> i64 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.store_id.to_le_bytes());
        hasher.update(&[u8::from(self.packed), u8::from(self.unsynced)]);
        i64::from(hasher.finalize())
    }
}
