//! Entries by address and in the order of their last use: the heart of one shard of the cache.
//!
//! Nodes lie in one vector and know their neighbours by number, so the order costs eight bytes an entry
//! and no `unsafe`. A bucket is the number of its first node, and nodes of one bucket are chained: a hit
//! touches the bucket, the node and the entry, which can be fetched ahead step by step. Invariant: a
//! node that has an entry is in exactly one chain and once in the order; any other is in the free chain.

use crate::engine::{
    KeyRef,
    memory::{Entry, prefetch},
};

/// No node.
const NONE: u32 = u32::MAX;

/// The fewest buckets of a table that is not empty.
const MIN_BUCKETS: usize = 16;

/// Bytes of a node and its share of the buckets, which are at most half empty.
pub(super) const NODE_BYTES: usize = size_of::<Node>() + 2 * size_of::<u32>();

struct Node {
    /// `None` for a free node.
    entry: Option<Entry>,
    hash: u32,
    /// The next node of the bucket, or the next free one.
    chained: u32,
    newer: u32,
    older: u32,
    database: u8,
}

/// Entries, each with its place in the order of use.
pub(super) struct Table {
    /// A power of two of them, or none.
    buckets: Vec<u32>,
    nodes: Vec<Node>,
    free: u32,
    newest: u32,
    oldest: u32,
    entries: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { buckets: Vec::new(), nodes: Vec::new(), free: NONE, newest: NONE, oldest: NONE, entries: 0 }
    }
}

impl Table {
    /// The number of an address's node, valid until an entry is taken out.
    #[inline]
    pub(super) fn find(&self, hash: u32, key: &KeyRef<'_>) -> Option<u32> {
        let mut at = *self.buckets.get(self.bucket(hash))?;
        while at != NONE {
            let node = &self.nodes[at as usize];
            if node.hash == hash
                && node.database == key.database
                && node.entry.as_ref().is_some_and(|entry| entry.view().is(key.key, key.member))
            {
                return Some(at);
            }
            at = node.chained;
        }
        None
    }

    #[inline]
    pub(super) fn entry(&self, at: u32) -> Option<&Entry> {
        self.nodes[at as usize].entry.as_ref()
    }

    /// Makes an entry the last used one.
    #[inline]
    pub(super) fn touch(&mut self, at: u32) {
        if self.newest != at {
            self.unlink(at);
            self.link_newest(at);
        }
    }

    /// Adds an entry that is not there yet, as the last used one.
    pub(super) fn insert(&mut self, hash: u32, database: u8, entry: Entry) {
        if self.entries >= self.buckets.len() {
            self.grow();
        }
        let bucket = self.bucket(hash);
        let chained = self.buckets[bucket];
        let node = Node { entry: Some(entry), hash, chained, newer: NONE, older: NONE, database };
        let at = self.keep(node);
        self.buckets[bucket] = at;
        self.link_newest(at);
        self.entries += 1;
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, at: u32) -> Option<Entry> {
        self.unlink(at);
        let (hash, chained) = (self.nodes[at as usize].hash, self.nodes[at as usize].chained);
        let bucket = self.bucket(hash);
        if self.buckets[bucket] == at {
            self.buckets[bucket] = chained;
        } else {
            let mut before = self.buckets[bucket];
            while self.nodes[before as usize].chained != at {
                before = self.nodes[before as usize].chained;
            }
            self.nodes[before as usize].chained = chained;
        }
        self.entries -= 1;
        let node = &mut self.nodes[at as usize];
        node.chained = self.free;
        self.free = at;
        let entry = node.entry.take();
        if self.entries == 0 {
            *self = Self::default();
        }
        entry
    }

    /// Takes out the entry that was not used for the longest time.
    pub(super) fn remove_oldest(&mut self) -> Option<Entry> {
        if self.oldest == NONE { None } else { self.remove(self.oldest) }
    }

    /// The entries of these databases.
    pub(super) fn places_of(&self, databases: &[u8]) -> Vec<u32> {
        let nodes = self.nodes.iter().enumerate();
        let wanted = nodes.filter(|(_, node)| node.entry.is_some() && databases.contains(&node.database));
        wanted.map(|(at, _)| at as u32).collect()
    }

    /// Asks the processor for the bucket where a search begins.
    #[inline]
    pub(super) fn prefetch_bucket(&self, hash: u32) {
        if let Some(bucket) = self.buckets.get(self.bucket(hash)) {
            prefetch(bucket);
        }
    }

    /// Asks the processor for the first node of that bucket.
    #[inline]
    pub(super) fn prefetch_node(&self, hash: u32) {
        if let Some(node) = self.first(hash) {
            prefetch(node);
        }
    }

    /// Asks the processor for that node's entry, and for the nodes that a hit will link anew.
    #[inline]
    pub(super) fn prefetch_entry(&self, hash: u32) {
        let Some(node) = self.first(hash) else { return };
        if let Some(entry) = &node.entry {
            entry.prefetch();
        }
        for neighbour in [node.newer, node.older] {
            if let Some(node) = self.nodes.get(neighbour as usize) {
                prefetch(node);
            }
        }
    }

    #[inline]
    fn first(&self, hash: u32) -> Option<&Node> {
        let at = *self.buckets.get(self.bucket(hash))?;
        self.nodes.get(at as usize)
    }

    /// Out of bounds while there are no buckets.
    #[inline]
    fn bucket(&self, hash: u32) -> usize {
        hash as usize & self.buckets.len().wrapping_sub(1)
    }

    /// Puts a node into a free place.
    fn keep(&mut self, node: Node) -> u32 {
        if self.free != NONE {
            let at = self.free;
            self.free = self.nodes[at as usize].chained;
            self.nodes[at as usize] = node;
            return at;
        }
        if self.nodes.len() == self.nodes.capacity() {
            // Doubling would leave half of it empty in a cache that is full for most of its life.
            self.nodes.reserve_exact((self.nodes.len() / 4).max(MIN_BUCKETS));
        }
        self.nodes.push(node);
        let at = self.nodes.len() - 1;
        u32::try_from(at).ok().filter(|at| *at != NONE).expect("a shard has far less than 2^32 entries")
    }

    fn grow(&mut self) {
        self.buckets = vec![NONE; (self.buckets.len() * 2).max(MIN_BUCKETS)];
        for at in 0..self.nodes.len() {
            if self.nodes[at].entry.is_some() {
                let bucket = self.bucket(self.nodes[at].hash);
                self.nodes[at].chained = std::mem::replace(&mut self.buckets[bucket], at as u32);
            }
        }
    }

    #[inline]
    fn unlink(&mut self, at: u32) {
        let (newer, older) = (self.nodes[at as usize].newer, self.nodes[at as usize].older);
        match newer {
            NONE => self.newest = older,
            newer => self.nodes[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.nodes[older as usize].newer = newer,
        }
    }

    #[inline]
    fn link_newest(&mut self, at: u32) {
        let before = std::mem::replace(&mut self.newest, at);
        let node = &mut self.nodes[at as usize];
        (node.newer, node.older) = (NONE, before);
        match before {
            NONE => self.oldest = at,
            before => self.nodes[before as usize].newer = at,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::Table;
    use crate::engine::{EntryRef, KeyRef, Kind, ValueRef, memory::Entry};

    fn entry(key: &[u8]) -> Entry {
        let value = ValueRef::Inline(key);
        Entry::copy(key, b"", &EntryRef { value, kind: Kind::Raw, version: 1, expires_at_ms: None })
    }

    fn next_random(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    /// The key of an entry, which is its value here.
    fn name(entry: &Entry) -> Vec<u8> {
        entry.view().read().value.bytes().to_vec()
    }

    #[test]
    fn behaves_like_a_queue_that_is_searched() {
        let (mut table, mut model, mut random) = (Table::default(), VecDeque::<Vec<u8>>::new(), 42);
        for step in 0..40_000 {
            let range = if step % 10_000 < 8_000 { 600 } else { 4 };
            let key = (next_random(&mut random) % range).to_string().into_bytes();
            // Few hashes: chains are long.
            let hash = u32::from(key[key.len() - 1]) * 0x101;
            let found = table.find(hash, &KeyRef::new(0, &key));
            let place = model.iter().position(|known| *known == key);
            assert_eq!(found.is_some(), place.is_some(), "step {step}");
            match (found, place, next_random(&mut random) % 4) {
                (Some(at), Some(place), 0) => {
                    assert_eq!(table.remove(at).map(|entry| name(&entry)), model.remove(place));
                }
                (Some(at), Some(place), _) => {
                    table.touch(at);
                    let key = model.remove(place).expect("it was found");
                    model.push_back(key);
                }
                (_, _, 1) => {
                    assert_eq!(table.remove_oldest().map(|entry| name(&entry)), model.pop_front());
                }
                _ => {
                    table.insert(hash, 0, entry(&key));
                    model.push_back(key);
                }
            }
            assert_eq!(table.entries, model.len());
        }
        while let Some(entry) = table.remove_oldest() {
            assert_eq!(Some(name(&entry)), model.pop_front());
        }
        assert!(model.is_empty());
    }

    #[test]
    fn entries_of_a_database_are_found() {
        let mut table = Table::default();
        for number in 0..100_u8 {
            table.insert(7, number % 3, entry(&[number]));
        }
        let mut places = table.places_of(&[0, 2]);
        assert_eq!(places.len(), 67);
        places.drain(..).for_each(|at| drop(table.remove(at)));
        assert!(table.find(7, &KeyRef::new(0, &[0])).is_none());
        assert!(table.find(7, &KeyRef::new(1, &[1])).is_some());
        assert_eq!(table.places_of(&[0, 1, 2]).len(), 33);
    }
}
