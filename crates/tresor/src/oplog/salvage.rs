//! Keeping what is whole of a damaged store: a new store beside it, made of everything that has a
//! right checksum.
//!
//! The damaged store is not touched. What was lost cannot be known from the inside: an entry may come
//! back older than it was, or come back although it was deleted. So the result is for people to look
//! at, takes a new id, and says how many changes are missing. Holds the whole store in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bytes::Bytes;

use super::{
    check::find,
    identity::{self, Identity},
    layout::{self, failed},
    reader::Loaded,
    record::{Logged, Replayed},
    segment,
    snapshot_file::{Input, Output},
};
use crate::{
    engine::{DatabaseTable, EntryRef, KeyRef, Kind, Sequence, UNSWAPPED, ValueRef, Version},
    error::{Error, ErrorKind, Result},
    files::Files,
};

/// What was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Entries in the new store.
    pub entries: u64,
    /// Whole records found in the log.
    pub records: u64,
    /// Changes that should be in the log and are not.
    pub missing_changes: u64,
    /// The latest number found; the new store goes on after it.
    pub latest: Sequence,
    /// What could not be read, by file.
    pub problems: Vec<String>,
}

type Address = (u8, Vec<u8>, Vec<u8>);

struct Entry {
    value: Vec<u8>,
    kind: Kind,
    version: Version,
    expires_at_ms: Option<u64>,
}

/// Makes a store in `into`, which must not hold one, of what is whole of the store in `directory`.
pub fn salvage(files: &dyn Files, directory: &Path, into: &Path) -> Result<Salvaged> {
    let listing = find(files, directory)?;
    let _lock = identity::lock(files, directory)?;
    files.create_directory(into).map_err(|error| failed("create the directory", into, error))?;
    if find(files, into).is_ok() {
        return Err(Error::new(ErrorKind::Exists, format!("there is a store in {} already", into.display())));
    }
    let mut found = Found::default();
    // The newest of which anything can be read; an older one would bring back what is long gone.
    for &end in listing.snapshots.iter().rev() {
        if found.take_snapshot(files, directory, end) {
            break;
        }
    }
    for &first in &listing.segments {
        match Loaded::load(files, directory, first) {
            Ok(loaded) => found.take_segment(&loaded),
            Err(error) => found.salvaged.problems.push(error.to_string()),
        }
    }
    found.write(files, into)
}

#[derive(Default)]
struct Found {
    entries: BTreeMap<Address, Entry>,
    mapping: Option<DatabaseTable>,
    /// Everything up to here is in the snapshot.
    start: Sequence,
    /// The number after the last change found.
    next: Sequence,
    time_ms: u64,
    salvaged: Salvaged,
}

fn address(key: KeyRef<'_>) -> Address {
    (key.database, key.key.to_vec(), key.member.to_vec())
}

impl Found {
    fn take_snapshot(&mut self, files: &dyn Files, directory: &Path, end: Sequence) -> bool {
        let mut problems = Vec::new();
        let input = match Input::open(files, directory, end) {
            Ok(input) => Ok(input),
            Err(error) => {
                problems.push(error.to_string());
                Input::open_without_trailer(files, directory, end)
            }
        };
        if let Ok(input) = &input {
            problems.extend(input.load_whole_blocks(&mut |replayed| self.replay(replayed)));
            self.start = input.summary.start;
            self.next = self.next.max(end + 1);
            self.time_ms = input.summary.time_ms;
        }
        self.salvaged.problems.append(&mut problems);
        input.is_ok()
    }

    fn take_segment(&mut self, loaded: &Loaded) {
        let mut offset = segment::HEADER_BYTES;
        let mut seen = BTreeSet::new();
        let mut expected = loaded.header.first.max(self.start + 1);
        while offset < loaded.bytes.len() {
            let Some(record) = loaded.record_at(offset) else {
                offset += 8;
                continue;
            };
            offset += record.framed_bytes();
            if record.first <= self.start || !seen.insert(record.first) {
                continue;
            }
            if record.first > expected {
                let what = format!("changes {expected} to {} are broken or missing", record.first - 1);
                self.salvaged.problems.push(format!("{}: {what}", loaded.path.display()));
                self.salvaged.missing_changes += record.first - expected;
            }
            expected = record.next();
            self.next = self.next.max(expected);
            self.time_ms = self.time_ms.max(record.time_ms);
            self.salvaged.records += u64::from(record.count > 0);
            // What cannot be read is of a newer version: the rest of the record is lost with it.
            if !matches!(record.changes(|replayed| self.replay(replayed)), Ok(true)) {
                let what = format!("change {} cannot be read", record.first);
                self.salvaged.problems.push(format!("{}: {what}", loaded.path.display()));
            }
        }
    }

    fn replay(&mut self, replayed: Replayed<'_>) -> Result<()> {
        match replayed {
            Replayed::Snapshot { mapping, .. } => self.mapping = Some(mapping),
            Replayed::Entries(entries) => {
                for (key, entry) in entries {
                    let EntryRef { value, kind, version, expires_at_ms } = *entry;
                    let value = value.bytes().to_vec();
                    self.entries.insert(address(*key), Entry { value, kind, version, expires_at_ms });
                }
            }
            Replayed::Change { version, change, .. } => self.apply(version, change),
        }
        Ok(())
    }

    fn apply(&mut self, version: Version, change: Logged<'_>) {
        match change {
            Logged::Put { key, kind, expires_at_ms, value } => {
                let value = value.to_vec();
                self.entries.insert(address(key), Entry { value, kind, version, expires_at_ms });
            }
            Logged::Patch { key, offset, bytes } => {
                // An offset that no value can have: only a record of another program could hold it.
                let end = offset.saturating_add(bytes.len()).min(u32::MAX as usize);
                if let Some(entry) = self.older(key, version).filter(|_| end == offset + bytes.len()) {
                    entry.value.resize(entry.value.len().max(end), 0);
                    entry.value[offset..end].copy_from_slice(bytes);
                    (entry.kind, entry.version) = (Kind::Raw, version);
                }
            }
            Logged::Expire { key, expires_at_ms } => {
                if let Some(entry) = self.older(key, version) {
                    (entry.expires_at_ms, entry.version) = (expires_at_ms, version);
                }
            }
            Logged::Delete { key, .. } => {
                self.entries.remove(&address(key));
            }
            Logged::Clear { database } => self.entries.retain(|(of, _, _), _| *of != database),
            Logged::Mapping(mapping) => self.mapping = Some(mapping),
            Logged::Adopt { key, version, kind, expires_at_ms, value } => {
                let value = value.to_vec();
                self.entries.insert(address(key), Entry { value, kind, version, expires_at_ms });
            }
            Logged::Lift { .. } => {}
        }
    }

    fn older(&mut self, key: KeyRef<'_>, version: Version) -> Option<&mut Entry> {
        self.entries.get_mut(&address(key)).filter(|entry| entry.version < version)
    }

    fn write(mut self, files: &dyn Files, into: &Path) -> Result<Salvaged> {
        let identity = Identity::random()?;
        let latest = self.next.saturating_sub(1);
        let mut output = Output::create(files, into, identity.directory_id, latest)?;
        for ((database, key, member), entry) in self.entries {
            let value = Bytes::from(entry.value);
            let Entry { kind, version, expires_at_ms, .. } = entry;
            let entry = EntryRef { value: ValueRef::Shared(&value), kind, version, expires_at_ms };
            output.entry(KeyRef { database, key: &key, member: &member }, &entry)?;
        }
        let mapping = self.mapping.unwrap_or(UNSWAPPED);
        output.finish(latest, self.time_ms, &mapping)?;
        self.salvaged.entries = output.entries;
        self.salvaged.latest = latest;
        identity.save(files, into)?;
        let path = into.join(layout::snapshot_name(latest));
        files.rename(&output.path, &path).map_err(|error| failed("rename", &output.path, error))?;
        identity::sync_directory(files, into)?;
        Ok(self.salvaged)
    }
}
