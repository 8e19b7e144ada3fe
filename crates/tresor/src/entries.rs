//! Going through many entries in key order, a page at a time.
//!
//! An iterator holds one page (at most a few hundred entries or about 4 MiB) and no gate between
//! pages, so it may be as slow as it likes and a store of any size fits through it. An entry that is
//! there from beginning to end is seen exactly once; one that comes or goes meanwhile may be seen or not.

use std::{
    ops::{Bound, RangeBounds},
    vec,
};

use crate::{
    database::Database,
    engine::{Content, Order, Page, Position, Scan, behind_prefix},
    error::Result,
    key::Key,
    value::Value,
};

/// Entries a page: enough that a page's cost is spread, few enough to be held.
const PAGE_ENTRIES: usize = 256;

/// Where to go, and how far it has come.
struct Pages {
    database: Database,
    order: Order,
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
    /// `None` once the last page is read, or an error has ended it.
    next: Option<Position>,
}

impl Pages {
    fn new(database: &Database, lower: Bound<Vec<u8>>, upper: Bound<Vec<u8>>) -> Self {
        let next = possible(&lower, &upper).then_some(Position::Start);
        Self { database: database.clone(), order: Order::Ascending, lower, upper, next }
    }

    fn turn(&mut self, content: Content) -> Option<Result<Page>> {
        let scan = Scan {
            database: self.database.number,
            order: self.order,
            position: self.next.take()?,
            lower: self.lower.as_ref().map(Vec::as_slice),
            upper: self.upper.as_ref().map(Vec::as_slice),
            content,
            limit: PAGE_ENTRIES,
        };
        let mut page = match self.database.page(&scan) {
            Ok(page) => page,
            Err(error) => return Some(Err(error)),
        };
        self.next = page.next.take();
        Some(Ok(page))
    }

    fn turn_around(&mut self) {
        self.order = Order::Descending;
        self.next = possible(&self.lower, &self.upper).then_some(Position::Start);
    }
}

/// Whether any key can lie between two bounds.
pub(crate) fn possible(lower: &Bound<Vec<u8>>, upper: &Bound<Vec<u8>>) -> bool {
    match (lower, upper) {
        (Bound::Included(lower), Bound::Included(upper)) => lower <= upper,
        (Bound::Included(lower) | Bound::Excluded(lower), Bound::Excluded(upper))
        | (Bound::Excluded(lower), Bound::Included(upper)) => lower < upper,
        _ => true,
    }
}

/// Entries in key order; after an error it ends. Made by [`Database::entries`], [`Database::range`]
/// and [`Database::with_prefix`].
pub struct Entries {
    pages: Pages,
    ready: vec::IntoIter<(Key, Value)>,
}

impl Entries {
    fn new(pages: Pages) -> Self {
        Self { pages, ready: Vec::new().into_iter() }
    }

    /// Starts anew from the greatest key towards the smallest.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.pages.turn_around();
        Self::new(self.pages)
    }
}

impl Iterator for Entries {
    type Item = Result<(Key, Value)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.ready.next() {
                return Some(Ok(entry));
            }
            match self.pages.turn(Content::Entries)? {
                Ok(page) => self.ready = kept(&page, |key, value| (key, value)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Keys in their order; after an error it ends. Made by [`Database::keys`].
pub struct Keys {
    pages: Pages,
    ready: vec::IntoIter<Key>,
}

impl Iterator for Keys {
    type Item = Result<Key>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(key) = self.ready.next() {
                return Some(Ok(key));
            }
            match self.pages.turn(Content::Keys)? {
                Ok(page) => self.ready = kept(&page, |key, _| key),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

fn kept<T>(page: &Page, keep: impl Fn(Key, Value) -> T) -> vec::IntoIter<T> {
    let keep = |(key, entry): (crate::engine::KeyRef<'_>, crate::engine::EntryRef<'_>)| {
        keep(Key::kept(key.key), Value::kept(entry.value, entry.kind))
    };
    page.iter().map(keep).collect::<Vec<_>>().into_iter()
}

/// Going through entries. On an engine without an order the iterators answer
/// [`Unsupported`](crate::ErrorKind::Unsupported).
impl Database {
    /// Every key, in order.
    pub fn keys(&self) -> Keys {
        Keys { pages: Pages::new(self, Bound::Unbounded, Bound::Unbounded), ready: Vec::new().into_iter() }
    }

    /// Every entry, in key order.
    pub fn entries(&self) -> Entries {
        Entries::new(Pages::new(self, Bound::Unbounded, Bound::Unbounded))
    }

    /// The entries whose keys lie within bounds (`"a".."b"`), in key order, compared byte by byte.
    /// Bounds that nothing lies between give nothing.
    pub fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Entries {
        let owned = |bound: Bound<&K>| bound.map(|key| key.as_ref().to_vec());
        Entries::new(Pages::new(self, owned(bounds.start_bound()), owned(bounds.end_bound())))
    }

    /// The entries whose keys begin with these bytes, in key order.
    pub fn with_prefix(&self, prefix: impl AsRef<[u8]>) -> Entries {
        let prefix = prefix.as_ref();
        Entries::new(Pages::new(self, Bound::Included(prefix.to_vec()), behind_prefix(prefix)))
    }
}
