//! The simplest engine that can stand over the log: a map, and the rules for replaying into it.
//!
//! It applies exactly what `tresor::oplog` asks of an engine, so that what the tests compare is what
//! a user would see.
#![allow(dead_code)] // Each test binary uses its own part.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tresor::{
    Result,
    clock::SystemClock,
    engine::{EntryRef, KeyRef, Kind, Sequence, ValueRef},
    files::Files,
    oplog::{Log, LogOptions, Logged, Recovery, Refused, Replayed},
};

/// One entry as the model keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) value: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) version: u64,
    pub(crate) expires_at_ms: Option<u64>,
}

pub(crate) type Address = (u8, Vec<u8>, Vec<u8>);

/// A store in a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) entries: BTreeMap<Address, Entry>,
    pub(crate) mapping: [u8; 16],
}

impl Default for Model {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), mapping: std::array::from_fn(|number| number as u8) }
    }
}

fn address(key: KeyRef<'_>) -> Address {
    (key.database, key.key.to_vec(), key.member.to_vec())
}

impl Model {
    pub(crate) fn replay(&mut self, replayed: Replayed<'_>) {
        match replayed {
            Replayed::Snapshot { mapping, .. } => self.mapping = mapping,
            Replayed::Entries(entries) => {
                for (key, entry) in entries {
                    let value = entry.value.bytes().to_vec();
                    let EntryRef { kind, version, expires_at_ms, .. } = *entry;
                    self.entries.insert(address(*key), Entry { value, kind, version, expires_at_ms });
                }
            }
            Replayed::Change { version, change, .. } => self.apply(version, change),
        }
    }

    pub(crate) fn apply(&mut self, version: u64, change: Logged<'_>) {
        match change {
            Logged::Put { key, kind, expires_at_ms, value } => {
                let value = value.to_vec();
                self.entries.insert(address(key), Entry { value, kind, version, expires_at_ms });
            }
            Logged::Patch { key, offset, bytes } => {
                if let Some(entry) = self.older(key, version) {
                    let end = offset + bytes.len();
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
            Logged::Mapping(mapping) => self.mapping = mapping,
            Logged::Adopt { key, version, kind, expires_at_ms, value } => {
                let value = value.to_vec();
                self.entries.insert(address(key), Entry { value, kind, version, expires_at_ms });
            }
            Logged::Lift { .. } => {}
        }
    }

    fn older(&mut self, key: KeyRef<'_>, version: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&address(key)).filter(|entry| entry.version < version)
    }
}

/// Opens a log and replays it into a new model.
pub(crate) fn open(
    files: &Arc<dyn Files>,
    directory: &Path,
    options: LogOptions,
) -> Result<(Arc<Log>, Recovery, Model)> {
    let mut model = Model::default();
    let clock = Arc::new(SystemClock::new());
    let (log, recovery) = Log::open(Arc::clone(files), clock, directory, options, &mut |replayed| {
        model.replay(replayed);
        Ok(())
    })?;
    Ok((log, recovery, model))
}

/// A plain put into database 0.
pub(crate) fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Logged<'a> {
    Logged::Put { key: KeyRef::new(0, key), kind: Kind::Raw, expires_at_ms: None, value }
}

/// Appends, waiting for room where there is none.
pub(crate) fn append(log: &Log, now_ms: u64, changes: &[Logged<'_>]) -> Result<Sequence> {
    loop {
        match log.append(now_ms, changes) {
            Ok(last) => return Ok(last),
            Err(Refused::NoRoom { bytes }) => log.room(bytes).wait()?,
            Err(Refused::Failed(error)) => return Err(error),
        }
    }
}

/// Appends, waits until the change is durable, and applies it to the model.
pub(crate) fn change(log: &Log, model: &mut Model, now_ms: u64, changes: &[Logged<'_>]) -> Result<Sequence> {
    let last = append(log, now_ms, changes)?;
    for (index, change) in changes.iter().enumerate() {
        model.apply(last + 1 + index as u64 - changes.len() as u64, *change);
    }
    log.durable(last).wait()?;
    Ok(last)
}

/// Writes a snapshot of a model that nobody changes meanwhile.
pub(crate) fn snapshot(log: &Log, model: &Model) -> Result<Sequence> {
    let mut writer = log.begin_snapshot()?;
    for ((database, key, member), entry) in &model.entries {
        let key = KeyRef { database: *database, key, member };
        let bytes = bytes::Bytes::copy_from_slice(&entry.value);
        let value = ValueRef::Shared(&bytes);
        let Entry { kind, version, expires_at_ms, .. } = *entry;
        writer.entry(key, &EntryRef { value, kind, version, expires_at_ms })?;
    }
    writer.finish(model.mapping)
}
