//! The tables on disk: one for the entries of each physical database, one of expiries, one of facts.
//!
//! They are fjall keyspaces in one database, never synced by a write: the op log has what they may lose.
//! A database is emptied by giving it a new table and dropping the old one, which takes the same short
//! time however much is in it; the number of each database's table is a fact. Tables are made when
//! something is first written to them.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use super::{DiskOptions, failure::failed, stored::Stored};
use crate::{
    engine::DATABASES,
    error::{Error, ErrorKind, Result},
};

const GENERATIONS: &str = "generations";
const PACKED: &str = "packed";

/// Bytes before an entry's address in the table of expiries: moment, database.
const DUE_BYTES: usize = 9;

/// Journals on disk that are not yet in tables, in bytes.
const JOURNAL_BYTES: u64 = 256 << 20;

/// All tables of a store.
pub(super) struct Tables {
    path: PathBuf,
    database: Database,
    options: KeyspaceOptions,
    entries: [Option<Keyspace>; DATABASES as usize],
    generations: [u32; DATABASES as usize],
    expiries: Keyspace,
    /// No row of the expiries is due before this. What a sweep has removed leaves marks in the table that a
    /// look from the beginning would have to pass, all of them each time.
    due_from_ms: AtomicU64,
    facts: Keyspace,
}

/// What every table is made with.
#[derive(Clone, Copy)]
struct KeyspaceOptions {
    write_buffer_bytes: u64,
}

impl KeyspaceOptions {
    fn create(self) -> KeyspaceCreateOptions {
        KeyspaceCreateOptions::default()
            .manual_journal_persist(true)
            .max_memtable_size(self.write_buffer_bytes)
    }
}

/// Changes of tables that become visible together.
pub(super) struct Changes<'t> {
    tables: &'t Tables,
    batch: OwnedWriteBatch,
    /// When the first of its entries is due.
    due_ms: Option<u64>,
}

impl Tables {
    /// Opens the tables in a directory that exists; empty ones where there are none.
    pub(super) fn open(path: &Path, options: &DiskOptions) -> Result<Self> {
        let wrong = |error| failed("open the tables in", path, error);
        let database = Database::builder(path)
            .cache_size(options.block_cache_bytes)
            .manual_journal_persist(true)
            .max_journaling_size(JOURNAL_BYTES)
            .open()
            .map_err(wrong)?;
        let keyspace_options = KeyspaceOptions { write_buffer_bytes: options.write_buffer_bytes };
        let small = || keyspace_options.create().max_memtable_size(4 << 20);
        let facts = database.keyspace("facts", small).map_err(wrong)?;
        let expiries = database.keyspace("expiries", small).map_err(wrong)?;
        let generations = match facts.get(GENERATIONS).map_err(wrong)? {
            Some(bytes) => generations(&bytes).ok_or_else(|| wrong(fjall::Error::Unrecoverable))?,
            None => [0; DATABASES as usize],
        };
        let mut tables = Self {
            path: path.to_path_buf(),
            database,
            options: keyspace_options,
            entries: Default::default(),
            generations,
            expiries,
            due_from_ms: AtomicU64::new(0),
            facts,
        };
        tables.find()?;
        Ok(tables)
    }

    /// Opens the tables that there are, and drops those that a crash left half dropped.
    fn find(&mut self) -> Result<()> {
        for name in self.database.list_keyspace_names() {
            let Some(rest) = name.strip_prefix("entries-") else { continue };
            let current = (0..DATABASES).find(|physical| *rest == self.suffix(*physical));
            let table = self.keyspace(&name)?;
            match current {
                Some(physical) => self.entries[usize::from(physical)] = Some(table),
                None => {
                    self.database.delete_keyspace(table).map_err(|error| self.failed("clean up", error))?
                }
            }
        }
        Ok(())
    }

    fn suffix(&self, physical: u8) -> String {
        format!("{physical}-{}", self.generations[usize::from(physical)])
    }

    fn keyspace(&self, name: &str) -> Result<Keyspace> {
        let options = self.options;
        self.database
            .keyspace(name, || options.create())
            .map_err(|error| self.failed("make a table in", error))
    }

    pub(super) fn failed(&self, what: &str, error: fjall::Error) -> Error {
        failed(what, &self.path, error)
    }

    /// The table of a database's entries, if anything was ever written to it.
    #[inline]
    pub(super) fn entries(&self, physical: u8) -> Option<&Keyspace> {
        self.entries[usize::from(physical)].as_ref()
    }

    /// Makes a database's table if it is missing.
    pub(super) fn make(&mut self, physical: u8) -> Result<()> {
        if self.entries(physical).is_none() {
            let name = format!("entries-{}", self.suffix(physical));
            self.entries[usize::from(physical)] = Some(self.keyspace(&name)?);
        }
        Ok(())
    }

    /// Empties a database. Its expiries stay, and are dropped when they come due.
    pub(super) fn clear(&mut self, physical: u8) -> Result<()> {
        let Some(old) = self.entries[usize::from(physical)].take() else { return Ok(()) };
        self.generations[usize::from(physical)] += 1;
        let bytes: Vec<u8> = self.generations.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.facts.insert(GENERATIONS, bytes).map_err(|error| self.failed("write to", error))?;
        self.database.delete_keyspace(old).map_err(|error| self.failed("drop a table in", error))
    }

    /// An entry, expired or not.
    #[inline]
    pub(super) fn get(&self, physical: u8, address: &[u8]) -> Result<Option<Stored>> {
        let Some(table) = self.entries(physical) else { return Ok(None) };
        let found = table.get(address).map_err(|error| self.failed("read from", error))?;
        found.map(|bytes| Stored::decode(Bytes::from(bytes))).transpose()
    }

    /// Changes to fill in and commit.
    pub(super) fn changes(&self) -> Changes<'_> {
        Changes { tables: self, batch: self.database.batch(), due_ms: None }
    }

    /// Entries that were due at a moment, as far as the table of expiries knows: at most `limit`, the
    /// first due first. What stays of them is asked for again with [`due_again`](Self::due_again).
    pub(super) fn due(&self, now_ms: u64, limit: usize) -> Result<Vec<Due>> {
        let end_ms = now_ms.saturating_add(1);
        // Before the look: whoever puts a row afterwards that it misses lowers this again.
        let from_ms = self.due_from_ms.swap(end_ms, Ordering::AcqRel);
        let due = self.rows_between(from_ms, end_ms, limit);
        match &due {
            Ok(due) if due.len() < limit => {}
            Ok(due) => self.due_again(due.last().map_or(from_ms, |last| last.at_ms)),
            Err(_) => self.due_again(from_ms),
        }
        due
    }

    /// Lets rows that are due from this moment on be found again.
    pub(super) fn due_again(&self, at_ms: u64) {
        self.due_from_ms.fetch_min(at_ms, Ordering::AcqRel);
    }

    fn rows_between(&self, from_ms: u64, end_ms: u64, limit: usize) -> Result<Vec<Due>> {
        if from_ms >= end_ms {
            return Ok(Vec::new());
        }
        let rows = self.expiries.range(from_ms.to_be_bytes()..end_ms.to_be_bytes()).take(limit);
        rows.map(|row| {
            let key = row.key().map_err(|error| self.failed("read from", error))?;
            Due::decode(&key).ok_or_else(|| self.failed("read from", fjall::Error::Unrecoverable))
        })
        .collect()
    }

    fn all(&self) -> impl Iterator<Item = &Keyspace> {
        self.entries.iter().flatten().chain([&self.expiries, &self.facts])
    }

    /// Begins to write out what is only in memory and in journals. A journal that is damaged in its middle
    /// is taken for one that ends there (fjall issue 311); what a checkpoint vouches for must not rest on
    /// one.
    pub(super) fn write_out(&self) -> Result<()> {
        self.all().try_for_each(|table| {
            table.rotate_memtable().map(drop).map_err(|error| self.failed("write out", error))
        })
    }

    /// Whether that is still going on.
    pub(super) fn is_writing_out(&self) -> Result<bool> {
        // Fails once writing out has failed, and then nothing would ever be written out.
        self.database.persist(PersistMode::Buffer).map_err(|error| self.failed("write out", error))?;
        Ok(self.all().any(|table| table.sealed_memtable_count() > 0))
    }

    /// Makes everything that was written so far durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.database.persist(PersistMode::SyncAll).map_err(|error| self.failed("sync", error))
    }

    /// Every entry of a database, by address, until one cannot be read.
    pub(super) fn all_entries(&self, physical: u8) -> impl Iterator<Item = Result<(Vec<u8>, Stored)>> {
        self.entries(physical).into_iter().flat_map(|table| table.iter()).map(|row| {
            let (address, value) = row.into_inner().map_err(|error| self.failed("read from", error))?;
            Ok((address.to_vec(), Stored::decode(Bytes::from(value))?))
        })
    }

    /// Whether an entry was packed at some time.
    pub(super) fn is_packed(&self) -> Result<bool> {
        let fact = self.facts.get(PACKED).map_err(|error| self.failed("read from", error))?;
        Ok(fact.is_some())
    }

    /// Bytes on disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.database.disk_space().unwrap_or(0)
    }
}

fn generations(bytes: &[u8]) -> Option<[u32; DATABASES as usize]> {
    let numbers: Vec<u32> =
        bytes.chunks(4).map(|four| Some(u32::from_le_bytes(four.try_into().ok()?))).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

impl Changes<'_> {
    /// Puts an entry; its table has been made.
    pub(super) fn put(&mut self, physical: u8, address: &[u8], encoded: Vec<u8>, expires_at_ms: Option<u64>) {
        let Some(table) = self.tables.entries(physical) else { return };
        self.batch.insert(table, address, encoded);
        if let Some(at_ms) = expires_at_ms {
            self.batch.insert(&self.tables.expiries, due_key(at_ms, physical, address), Vec::new());
            self.due_ms = Some(self.due_ms.map_or(at_ms, |due_ms| due_ms.min(at_ms)));
        }
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, physical: u8, address: &[u8]) {
        if let Some(table) = self.tables.entries(physical) {
            self.batch.remove(table, address);
        }
    }

    /// Forgets that an entry is due at a moment.
    pub(super) fn forget_due(&mut self, at_ms: u64, physical: u8, address: &[u8]) {
        self.batch.remove(&self.tables.expiries, due_key(at_ms, physical, address));
    }

    /// Notes that an entry is packed.
    pub(super) fn note_packed(&mut self) {
        self.batch.insert(&self.tables.facts, PACKED, Vec::new());
    }

    /// Makes all of it visible at once.
    pub(super) fn commit(self) -> Result<()> {
        self.batch.commit().map_err(|error| self.tables.failed("write to", error))?;
        if let Some(due_ms) = self.due_ms {
            self.tables.due_again(due_ms);
        }
        Ok(())
    }
}

/// An entry that may have expired.
pub(super) struct Due {
    pub(super) at_ms: u64,
    pub(super) physical: u8,
    pub(super) address: Vec<u8>,
}

impl Due {
    fn decode(key: &[u8]) -> Option<Self> {
        let at_ms = u64::from_be_bytes(key.get(..8)?.try_into().ok()?);
        Some(Self { at_ms, physical: *key.get(8)?, address: key.get(DUE_BYTES..)?.to_vec() })
    }
}

/// Moments in the order of their bytes, so that what is due stands first.
fn due_key(at_ms: u64, physical: u8, address: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(DUE_BYTES + address.len());
    key.extend_from_slice(&at_ms.to_be_bytes());
    key.push(physical);
    key.extend_from_slice(address);
    key
}

/// A store whose tables are missing.
pub(super) fn missing(path: &Path) -> Error {
    Error::new(
        ErrorKind::Invalid,
        format!(
            "{} holds a store of the memory engine: start with --engine memory, or copy it with `tresor copy`",
            path.display()
        ),
    )
}
