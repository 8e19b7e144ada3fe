//! What a batch is about to change, kept until a file has the change, to take it back if none ever does.

use bytes::Bytes;

use super::put;
use crate::{
    engine::{
        Batch, Change, Content, Engine, EntryRef, Guard, Isolation, KeyRef, Kind, Order, Page, Scan,
        memory::MemoryEngine,
    },
    error::Result,
};

/// Entries of a page when whole databases are read.
pub(super) const PAGE: usize = 4096;

/// The beginning of time, when nothing has expired: what has since is kept and taken back as it is.
const EVER: u64 = 0;

/// The state before a batch.
pub(super) enum Undo {
    /// Of the entries that it names.
    Entries(Vec<Before>),
    /// Of whole databases, where it empties or swaps some.
    Databases(Vec<(u8, Vec<Page>)>),
}

/// An entry before a batch; no value where there was none.
pub(super) struct Before {
    database: u8,
    key: Vec<u8>,
    member: Vec<u8>,
    entry: Option<(Bytes, Kind, Option<u64>)>,
}

impl Undo {
    /// What these changes may change.
    pub(super) fn of(memory: &MemoryEngine, changes: &[Change<'_>]) -> Result<Self> {
        let mut databases: Vec<u8> = changes.iter().flat_map(whole).collect();
        if databases.is_empty() {
            let keys: Vec<KeyRef<'_>> = changes.iter().filter_map(Change::key).collect();
            return Self::of_keys(memory, &keys);
        }
        // Changes of entries may stand on either side of a swap: all that is named is kept whole.
        databases.extend(changes.iter().filter_map(Change::key).map(|key| key.database));
        databases.sort_unstable();
        databases.dedup();
        let kept = databases.into_iter().map(|database| Ok((database, pages(memory, database, EVER)?)));
        kept.collect::<Result<_>>().map(Self::Databases)
    }

    /// What these entries are.
    pub(super) fn of_keys(memory: &MemoryEngine, keys: &[KeyRef<'_>]) -> Result<Self> {
        let mut before = Vec::with_capacity(keys.len());
        let mut visit = |index: usize, entry: Option<EntryRef<'_>>| {
            let key: KeyRef<'_> = keys[index];
            before.push(Before {
                database: key.database,
                key: key.key.to_vec(),
                member: key.member.to_vec(),
                entry: entry.map(|entry| (entry.value.to_bytes(), entry.kind, entry.expires_at_ms)),
            });
        };
        memory.read(keys, Isolation::Together, EVER, &mut visit).wait()?;
        Ok(Self::Entries(before))
    }

    /// Makes the entries what they were, with new versions.
    pub(super) fn take_back(&self, memory: &MemoryEngine) -> Result<()> {
        let mut changes = Vec::new();
        match self {
            Self::Entries(before) => changes.extend(before.iter().map(Before::change)),
            Self::Databases(databases) => {
                for (database, pages) in databases {
                    changes.push(Change::Clear { database: *database });
                    let entries = pages.iter().flat_map(Page::iter);
                    changes.extend(
                        entries.map(|(key, entry)| {
                            put(key, entry.value.bytes(), entry.kind, entry.expires_at_ms)
                        }),
                    );
                }
            }
        }
        memory.write(Batch::of(&changes), EVER).wait().map(drop)
    }
}

impl Before {
    fn change(&self) -> Change<'_> {
        let key = KeyRef { database: self.database, key: &self.key, member: &self.member };
        match &self.entry {
            Some((value, kind, expires_at_ms)) => put(key, value, *kind, *expires_at_ms),
            None => Change::Delete { key, guard: Guard::None },
        }
    }
}

fn whole(change: &Change<'_>) -> impl Iterator<Item = u8> + use<> {
    let (first, second) = match *change {
        Change::Clear { database } => (Some(database), None),
        Change::Swap { first, second } => (Some(first), Some(second)),
        _ => (None, None),
    };
    first.into_iter().chain(second)
}

/// All of a database, in key order.
pub(super) fn pages(memory: &MemoryEngine, database: u8, now_ms: u64) -> Result<Vec<Page>> {
    let mut scan = Scan::all(database, Order::Ascending, Content::Entries, PAGE);
    let mut pages = Vec::new();
    loop {
        let page = memory.scan(&scan, now_ms).wait()?;
        let next = page.next.clone();
        pages.push(page);
        match next {
            Some(next) => scan.position = next,
            None => return Ok(pages),
        }
    }
}
