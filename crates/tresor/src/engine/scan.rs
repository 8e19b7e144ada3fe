//! Paged reading of a whole database: what to ask for, and the page that comes back.
//!
//! A page owns what it holds in one arena, so a million keys cost a few hundred allocations.
//! An entry that is there from a scan's start to its end is seen exactly once; one that comes or
//! goes meanwhile may be seen or not.

use std::ops::Bound;

use bytes::Bytes;

use super::entry::{EntryRef, KeyRef, Kind, Sequence, ValueRef, Version};

/// The order in which a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Whatever costs least; needs no index. Bounds are not looked at.
    Any,
    /// By key, then member, smallest first.
    Ascending,
    /// By key, then member, greatest first.
    Descending,
}

/// Where a page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// At the beginning.
    #[default]
    Start,
    /// Where the page before ended, in [`Order::Any`]. Opaque and never 0.
    Cursor(u64),
    /// At a place that this number picks, in [`Order::Any`]: random numbers pick random places.
    Anywhere(u64),
    /// Behind this entry, in key order.
    Behind {
        /// Its key.
        key: Vec<u8>,
        /// Its member.
        member: Vec<u8>,
    },
}

/// What a page shows of each entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Everything but the value, which is empty, and a kind that stands inside the value: such an
    /// entry is of [`Kind::Packed`].
    Keys,
    /// Everything.
    Entries,
}

/// A request for one page.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    /// Which database.
    pub database: u8,
    /// In which order.
    pub order: Order,
    /// From where.
    pub position: Position,
    /// The smallest key (ordered scans only).
    pub lower: Bound<&'a [u8]>,
    /// The greatest key (ordered scans only).
    pub upper: Bound<&'a [u8]>,
    /// What to show.
    pub content: Content,
    /// The page ends after about this many entries: at least one if there is any, more where
    /// several share a position.
    pub limit: usize,
}

impl Scan<'_> {
    /// A page of everything in a database.
    pub fn all(database: u8, order: Order, content: Content, limit: usize) -> Self {
        Self {
            database,
            order,
            position: Position::Start,
            lower: Bound::Unbounded,
            upper: Bound::Unbounded,
            content,
            limit,
        }
    }
}

/// The bound behind every key that begins with a prefix.
pub fn behind_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    let Some(last) = prefix.iter().rposition(|byte| *byte < u8::MAX) else { return Bound::Unbounded };
    let mut bound = prefix[..=last].to_vec();
    bound[last] += 1;
    Bound::Excluded(bound)
}

/// A page's values end it early once they are this many bytes together.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// One page of a scan.
#[derive(Clone, Debug, Default)]
pub struct Page {
    arena: Vec<u8>,
    items: Vec<Item>,
    shared_bytes: usize,
    database: u8,
    /// Where the next page begins; `None` when this was the last.
    pub next: Option<Position>,
    /// The log's latest sequence number: hold replies until it is durable.
    pub sequence: Sequence,
}

#[derive(Clone, Debug)]
struct Item {
    start: usize,
    key_bytes: u32,
    member_bytes: u32,
    value_bytes: u32,
    kind: Kind,
    shared: Option<Bytes>,
    version: Version,
    expires_at_ms: Option<u64>,
}

impl Page {
    /// An empty page of a database.
    pub fn new(database: u8) -> Self {
        Self { database, ..Self::default() }
    }

    /// Adds an entry.
    pub fn push(&mut self, key: &[u8], member: &[u8], entry: &EntryRef<'_>, content: Content) {
        let start = self.arena.len();
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(member);
        let (value_bytes, shared) = match (content, entry.value) {
            (Content::Keys, _) => (0, None),
            (Content::Entries, ValueRef::Inline(bytes)) => {
                self.arena.extend_from_slice(bytes);
                (bytes.len(), None)
            }
            (Content::Entries, ValueRef::Shared(bytes)) => {
                self.shared_bytes += bytes.len();
                (0, Some(bytes.clone()))
            }
        };
        self.items.push(Item {
            start,
            key_bytes: key.len() as u32,
            member_bytes: member.len() as u32,
            value_bytes: value_bytes as u32,
            kind: entry.kind,
            shared,
            version: entry.version,
            expires_at_ms: entry.expires_at_ms,
        });
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it holds none. The scan may still go on: see `next`.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many bytes of keys and values it holds, shared values included.
    pub fn bytes(&self) -> usize {
        self.arena.len() + self.shared_bytes
    }

    /// The entries in the order of the scan.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (KeyRef<'_>, EntryRef<'_>)> {
        self.items.iter().map(|item| {
            let member_at = item.start + item.key_bytes as usize;
            let value_at = member_at + item.member_bytes as usize;
            let key = KeyRef {
                database: self.database,
                key: &self.arena[item.start..member_at],
                member: &self.arena[member_at..value_at],
            };
            let value = match &item.shared {
                Some(bytes) => ValueRef::Shared(bytes),
                None => ValueRef::Inline(&self.arena[value_at..value_at + item.value_bytes as usize]),
            };
            let entry =
                EntryRef { value, kind: item.kind, version: item.version, expires_at_ms: item.expires_at_ms };
            (key, entry)
        })
    }
}
