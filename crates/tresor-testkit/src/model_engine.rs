//! An engine that is right by being simple: 16 ordered maps behind one lock, no index, no log.
//!
//! It is what other engines are compared with, so it takes the interface's words one by one and
//! spends no line on speed. One number is taken for each change that changes something; expired
//! entries stay in the map, seen by nobody, until they are written over.

use std::{
    collections::BTreeMap,
    ops::{Bound, RangeBounds},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tresor::{
    Error, ErrorKind, Result,
    engine::{
        Applied, Batch, Capabilities, Change, Content, DATABASES, Edit, Edited, Effect, Engine, Eventual,
        Expires, Guard, Isolation, KeyRef, Kind, Order, Outcome, PAGE_BYTES, Page, Position, Scan, Seen,
        Sequence, Status, Version, Visit,
    },
};

use crate::{owned_entry::OwnedEntry, random::mix};

/// The model that other engines are tested against.
pub struct ModelEngine {
    state: Mutex<State>,
}

type Address = (Vec<u8>, Vec<u8>);

/// One numbered database: its entries by key, and the same addresses by their place in a scan in any
/// order.
#[derive(Default)]
struct Database {
    entries: BTreeMap<Address, OwnedEntry>,
    places: BTreeMap<u64, Address>,
}

#[derive(Default)]
struct State {
    databases: [Database; DATABASES as usize],
    sequence: Sequence,
    removed: Sequence,
    closed: bool,
}

impl ModelEngine {
    /// An empty store.
    pub fn new() -> Self {
        Self { state: Mutex::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> Result<T>) -> Eventual<'static, T> {
        let mut state = self.state.lock();
        if state.closed {
            return Eventual::Now(Err(Error::new(ErrorKind::Unavailable, "the model engine is closed")));
        }
        Eventual::Now(work(&mut state))
    }
}

impl Default for ModelEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine for ModelEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "model",
            atomic_batches: true,
            guards: true,
            ordered: true,
            swap: true,
            durable: false,
            shared: false,
            takes_back: false,
            waits: false,
            max_value_bytes: usize::MAX,
        }
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        _isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        self.with(|state| {
            let mut sequence = 0;
            for (index, key) in keys.iter().enumerate() {
                sequence = sequence.max(state.observed(*key));
                visit(index, state.live(*key, now_ms).map(OwnedEntry::as_entry));
            }
            Ok(Seen { sequence })
        })
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        self.with(|state| match scan.order {
            Order::Any => state.page_by_place(scan, now_ms),
            Order::Ascending | Order::Descending => state.page_by_key(scan, now_ms),
        })
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        self.with(|state| Ok(state.write(batch.changes, now_ms)))
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        self.with(|state| {
            let edited = edit(state.live(key, now_ms).map(OwnedEntry::as_entry))?;
            let guard = Guard::None;
            let change = match &edited {
                Edited::Keep => Change::Check { key, guard },
                Edited::Put { value, kind, expires } => {
                    Change::Put { key, guard, value, kind: *kind, expires: *expires }
                }
                Edited::Patch { offset, bytes } => Change::Patch { key, guard, offset: *offset, bytes },
                Edited::Expire(expires_at_ms) => Change::Expire { key, guard, expires_at_ms: *expires_at_ms },
                Edited::Delete => Change::Delete { key, guard },
            };
            Ok(state.write(&[change], now_ms))
        })
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, _now_ms: u64) -> Eventual<'a, Sequence> {
        self.with(|state| {
            let highest = entries.iter().map(|(_, entry)| entry.version).max().unwrap_or(0);
            state.sequence = state.sequence.max(highest).max(above);
            for (key, entry) in entries.iter() {
                if state.entry(key).is_some_and(|there| there.version >= entry.version) {
                    continue;
                }
                // Whoever does not find it any more has seen this number.
                state.removed = state.next();
                let database = &mut state.databases[usize::from(key.database)];
                database.places.insert(place(&address(key)), address(key));
                database.entries.insert(address(key), OwnedEntry::from(entry));
            }
            Ok(state.sequence)
        })
    }

    fn durable(&self, _upto: Sequence) -> Eventual<'_, ()> {
        self.with(|_| Ok(()))
    }

    fn status(&self) -> Eventual<'_, Status> {
        self.with(|state| {
            let mut status = Status { sequence: state.sequence, ..Status::default() };
            for (number, database) in state.databases.iter().enumerate() {
                status.keys[number] = database.entries.len() as u64;
                status.expiring[number] =
                    database.entries.values().filter(|entry| entry.expires_at_ms.is_some()).count() as u64;
                status.data_bytes += database
                    .entries
                    .iter()
                    .map(|((key, member), entry)| (key.len() + member.len() + entry.value.len()) as u64)
                    .sum::<u64>();
            }
            Ok(status)
        })
    }

    fn save(&self) -> Eventual<'_, ()> {
        self.with(|_| Ok(()))
    }

    fn close(&self) -> Eventual<'_, ()> {
        self.state.lock().closed = true;
        Eventual::Now(Ok(()))
    }
}

impl State {
    fn entry(&self, key: KeyRef<'_>) -> Option<&OwnedEntry> {
        self.databases[usize::from(key.database)].entries.get(&address(key))
    }

    fn live(&self, key: KeyRef<'_>, now_ms: u64) -> Option<&OwnedEntry> {
        self.entry(key).filter(|entry| !entry.expired(now_ms))
    }

    fn observed(&self, key: KeyRef<'_>) -> Sequence {
        self.entry(key).map_or(self.removed, |entry| entry.version)
    }

    fn next(&mut self) -> Sequence {
        self.sequence += 1;
        self.sequence
    }

    fn write(&mut self, changes: &[Change<'_>], now_ms: u64) -> Outcome {
        let mut sequence = 0;
        for (index, change) in changes.iter().enumerate() {
            let Some(key) = change.key() else { continue };
            sequence = sequence.max(self.observed(key));
            let version = self.live(key, now_ms).map(|entry| entry.version);
            if !holds(change.guard(), version) {
                return Outcome { sequence, applied: Applied::Refused { index, version } };
            }
        }
        let before = self.sequence;
        let effects = changes.iter().map(|change| self.apply(change, now_ms)).collect();
        if self.sequence > before {
            sequence = self.sequence;
        }
        Outcome { sequence, applied: Applied::Whole(effects) }
    }

    fn apply(&mut self, change: &Change<'_>, now_ms: u64) -> Effect {
        match *change {
            Change::Put { key, value, kind, expires, .. } => {
                let expires_at_ms = match expires {
                    Expires::Never => None,
                    Expires::At(at) => Some(at),
                    Expires::Keep => self.live(key, now_ms).and_then(|entry| entry.expires_at_ms),
                };
                let value = Bytes::copy_from_slice(value);
                self.store(key, now_ms, OwnedEntry { value, kind, version: 0, expires_at_ms })
            }
            Change::Patch { key, offset, bytes, .. } => {
                let before = self.live(key, now_ms);
                let expires_at_ms = before.and_then(|entry| entry.expires_at_ms);
                let mut value = before.map_or(Vec::new(), |entry| entry.value.to_vec());
                let end = offset + bytes.len();
                if value.len() < end {
                    value.resize(end, 0);
                }
                value[offset..end].copy_from_slice(bytes);
                let (value, kind) = (value.into(), Kind::Raw);
                self.store(key, now_ms, OwnedEntry { value, kind, version: 0, expires_at_ms })
            }
            Change::Expire { key, expires_at_ms, .. } => match self.live(key, now_ms).cloned() {
                Some(entry) => self.store(key, now_ms, OwnedEntry { expires_at_ms, ..entry }),
                None => Effect { existed: false, version: 0 },
            },
            Change::Delete { key, .. } => self.delete(key, now_ms),
            Change::Check { key, .. } => match self.live(key, now_ms) {
                Some(entry) => Effect { existed: true, version: entry.version },
                None => Effect { existed: false, version: 0 },
            },
            Change::Clear { database } => {
                self.databases[usize::from(database)] = Database::default();
                self.removal()
            }
            Change::Swap { first, second } => {
                self.databases.swap(usize::from(first), usize::from(second));
                self.removal()
            }
        }
    }

    fn store(&mut self, key: KeyRef<'_>, now_ms: u64, entry: OwnedEntry) -> Effect {
        let existed = self.live(key, now_ms).is_some();
        let version = self.next();
        let database = &mut self.databases[usize::from(key.database)];
        database.places.insert(place(&address(key)), address(key));
        database.entries.insert(address(key), OwnedEntry { version, ..entry });
        Effect { existed, version }
    }

    fn delete(&mut self, key: KeyRef<'_>, now_ms: u64) -> Effect {
        let existed = self.live(key, now_ms).is_some();
        let database = &mut self.databases[usize::from(key.database)];
        database.places.remove(&place(&address(key)));
        if database.entries.remove(&address(key)).is_none() {
            return Effect { existed, version: 0 };
        }
        let version = self.removal().version;
        Effect { existed, version: if existed { version } else { 0 } }
    }

    fn removal(&mut self) -> Effect {
        self.removed = self.next();
        Effect { existed: false, version: self.removed }
    }

    fn page_by_key(&self, scan: &Scan<'_>, now_ms: u64) -> Result<Page> {
        let behind = match &scan.position {
            Position::Start => Bound::Unbounded,
            Position::Behind { key, member } => Bound::Excluded((key.clone(), member.clone())),
            Position::Cursor(_) | Position::Anywhere(_) => {
                return Err(Error::invalid("a scan in key order has no cursor"));
            }
        };
        let within = |key: &[u8]| RangeBounds::<[u8]>::contains(&(scan.lower, scan.upper), key);
        let shown = |row: &(&Address, &OwnedEntry)| within(&row.0.0) && !row.1.expired(now_ms);
        let entries = &self.databases[usize::from(scan.database)].entries;
        let (mut page, last) = if scan.order == Order::Ascending {
            self.fill(scan, entries.range((behind, Bound::Unbounded)).filter(shown))
        } else {
            self.fill(scan, entries.range((Bound::Unbounded, behind)).rev().filter(shown))
        };
        page.next = last.map(|(key, member)| Position::Behind { key, member });
        Ok(page)
    }

    fn page_by_place(&self, scan: &Scan<'_>, now_ms: u64) -> Result<Page> {
        let behind = match scan.position {
            Position::Start => 0,
            Position::Cursor(cursor) | Position::Anywhere(cursor) => cursor,
            Position::Behind { .. } => return Err(Error::invalid("a scan in any order needs a cursor")),
        };
        let database = &self.databases[usize::from(scan.database)];
        let rows = database
            .places
            .range((Bound::Excluded(behind), Bound::Unbounded))
            .map(|(_, address)| (address, &database.entries[address]))
            .filter(|(_, entry)| !entry.expired(now_ms));
        let (mut page, last) = self.fill(scan, rows);
        page.next = last.map(|address| Position::Cursor(place(&address)));
        Ok(page)
    }

    /// A page of these rows, and the address that it ends with unless it is the last.
    fn fill<'s>(
        &self,
        scan: &Scan<'_>,
        rows: impl Iterator<Item = (&'s Address, &'s OwnedEntry)>,
    ) -> (Page, Option<Address>) {
        let mut page = Page::new(scan.database);
        page.sequence = self.sequence;
        let (mut last, mut bytes) = (None, 0);
        for (address, entry) in rows {
            if page.len() == scan.limit.max(1) || bytes >= PAGE_BYTES {
                return (page, last);
            }
            page.push(&address.0, &address.1, &entry.as_entry(), scan.content);
            last = Some(address.clone());
            if scan.content == Content::Entries {
                bytes += entry.value.len();
            }
        }
        (page, None)
    }
}

fn address(key: KeyRef<'_>) -> Address {
    (key.key.to_vec(), key.member.to_vec())
}

/// Where an entry stands in a scan in any order: the same as long as it is there, and never 0. Two
/// entries at one place would need equal 64-bit hashes.
fn place((key, member): &Address) -> u64 {
    let mut hash = mix(key.len() as u64 + 1);
    for byte in key.iter().chain(member) {
        hash = mix(hash ^ u64::from(*byte)).wrapping_add(hash);
    }
    hash.max(1)
}

fn holds(guard: Guard, version: Option<Version>) -> bool {
    match guard {
        Guard::None => true,
        Guard::Absent => version.is_none(),
        Guard::Present => version.is_some(),
        Guard::Version(wanted) => version == Some(wanted),
    }
}
