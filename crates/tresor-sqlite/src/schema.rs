//! The tables: what a person with the sqlite3 shell sees, and what says that a file is such a store.
//!
//! Entries stand in `stored`, by place and not by database, so that swapping and clearing databases
//! are changes of `databases` alone; the view `entries` puts the two together. Keys are TEXT whatever
//! their bytes: SQLite compares TEXT byte by byte, and `WHERE key = 'x'` finds its row by the index.
//! `docs/formats.md` describes every column.

use rusqlite::Connection;

use crate::{databases::Databases, identity::Identity};

/// "Tres", at byte 68 of the file.
pub(crate) const APPLICATION_ID: u32 = 0x5472_6573;

/// The version of the tables, at byte 60 of the file.
pub(crate) const FORMAT: u32 = 1;

/// The first 16 bytes of every SQLite database.
pub const MAGIC: [u8; 16] = *b"SQLite format 3\0";

const TABLES: &str = "
CREATE TABLE stored (
  place INTEGER NOT NULL DEFAULT 0,
  key TEXT NOT NULL,
  member TEXT NOT NULL DEFAULT '',
  version INTEGER NOT NULL DEFAULT 0,
  kind INTEGER NOT NULL DEFAULT 0,
  expires_at_ms INTEGER,
  checksum INTEGER NOT NULL DEFAULT 0,
  value ANY NOT NULL,
  PRIMARY KEY (place, key, member)
) STRICT, WITHOUT ROWID;
CREATE INDEX stored_by_expiry ON stored (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE TABLE databases (
  database INTEGER PRIMARY KEY,
  place INTEGER NOT NULL UNIQUE,
  keys INTEGER NOT NULL,
  expiring INTEGER NOT NULL,
  latest INTEGER NOT NULL,
  checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE store (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  store_id INTEGER NOT NULL,
  packed INTEGER NOT NULL,
  unsynced INTEGER NOT NULL,
  checksum INTEGER NOT NULL
) STRICT;
CREATE VIEW entries AS
SELECT database, key, member, value,
  CASE kind WHEN 0 THEN 'raw' WHEN 1 THEN 'json' ELSE 'packed' END AS kind,
  version, expires_at_ms
FROM databases JOIN stored USING (place);
";

/// Makes the tables in an empty file, in one transaction, and leaves the file in WAL mode.
pub(crate) fn make(connection: &Connection, identity: Identity) -> rusqlite::Result<()> {
    // Before the first table, or it would need a rewrite of the file.
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = FULL; BEGIN;")?;
    connection.execute_batch(TABLES)?;
    Databases::make(connection)?;
    identity.write(connection)?;
    connection.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
    ))?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
}
