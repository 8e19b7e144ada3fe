//! A hash table of entries that grows in small steps: the heart of one shard.
//!
//! Groups of eight slots fill one cache line each. An entry's home group is its hash position scaled to
//! the number of groups, so groups lie in hash order: a scan can continue at a position after any
//! growth, and the number of groups need not be a power of two. Growing by a fifth or so keeps tables
//! 70-87 % full where doubling leaves them half empty. A search ends at a group with an empty slot;
//! removing from a group without one leaves a tombstone, so that searches go on past it.

use siphasher::sip::SipHasher13;

use super::entry::{Entry, EntryView, Slot, prefetch};

const SLOTS: usize = 8;

#[repr(align(64))]
struct Group([Slot; SLOTS]);

impl Group {
    fn empty() -> Self {
        Self([const { Slot::EMPTY }; SLOTS])
    }

    fn has_empty(&self) -> bool {
        self.0.iter().any(Slot::is_empty)
    }
}

/// Where an entry belongs, from its hash: 32 bits of position and 8 bits to tell neighbours apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) position: u32,
    pub(super) tag: u8,
}

impl Spot {
    /// The upper 12 bits of a hash choose the shard; these are taken from the rest.
    #[inline]
    pub(super) fn of(hash: u64) -> Self {
        Self { position: (hash >> 20) as u32, tag: hash as u8 }
    }
}

/// Keyed hashing: keys that a client chose cannot be made to meet in one group.
#[derive(Clone, Copy)]
pub(super) struct Hasher {
    sip: SipHasher13,
}

impl Hasher {
    pub(super) fn new(first: u64, second: u64) -> Self {
        Self { sip: SipHasher13::new_with_keys(first, second) }
    }

    /// The hash of a key: chooses the shard, and the spot of a plain entry.
    #[inline]
    pub(super) fn key(&self, key: &[u8]) -> u64 {
        self.sip.hash(key)
    }

    /// The spot of an entry inside its key's shard.
    #[inline]
    pub(super) fn spot(&self, key_hash: u64, member: &[u8]) -> Spot {
        if member.is_empty() {
            return Spot::of(key_hash);
        }
        Spot::of(self.sip.hash(member) ^ key_hash.rotate_left(32))
    }

    fn spot_of(&self, entry: EntryView<'_>) -> Spot {
        let (key, member) = entry.name();
        self.spot(self.key(key), member)
    }
}

/// A place in a table, valid until the table changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    group: u32,
    slot: u8,
}

/// The next size of a table, in groups. Four sizes to a doubling, as general allocators have them, less
/// one group: what comes just under an allocator's size leaves nothing of its block unused.
fn larger(groups: usize) -> usize {
    if groups < SLOTS {
        return groups + 1;
    }
    let step = (groups + 1).next_power_of_two() / 8;
    let step = if (groups + 1).is_power_of_two() { step * 2 } else { step };
    ((groups + 1) / step + 1) * step - 1
}

/// The smallest such size at which so many entries leave the table less than 7/8 full.
fn groups_for(entries: usize) -> usize {
    let needed = (entries * 8).div_ceil(7 * SLOTS);
    let mut groups = 1;
    while groups < needed {
        groups = larger(groups);
    }
    groups
}

/// Entries by spot.
#[derive(Default)]
pub(super) struct Table {
    groups: Box<[Group]>,
    full: u32,
    tombstones: u32,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.full as usize
    }

    /// Bytes of the table itself, without the entries.
    pub(super) fn table_bytes(&self) -> usize {
        size_of_val(&*self.groups)
    }

    #[inline]
    fn home(&self, position: u32) -> usize {
        ((u64::from(position) * self.groups.len() as u64) >> 32) as usize
    }

    #[inline]
    fn next(&self, group: usize) -> usize {
        if group + 1 == self.groups.len() { 0 } else { group + 1 }
    }

    /// The groups in which an entry of this position may be, home first.
    fn probe(&self, position: u32) -> impl Iterator<Item = usize> {
        let mut group = if self.groups.is_empty() { None } else { Some(self.home(position)) };
        let mut left = self.groups.len();
        std::iter::from_fn(move || {
            let current = group?;
            left -= 1;
            group = (left > 0 && !self.groups[current].has_empty()).then(|| self.next(current));
            Some(current)
        })
    }

    /// Finds the entry of a key and member.
    #[inline]
    pub(super) fn find(&self, spot: Spot, key: &[u8], member: &[u8]) -> Option<Place> {
        if self.groups.is_empty() {
            return None;
        }
        let mut group = self.home(spot.position);
        for _ in 0..self.groups.len() {
            for (slot, candidate) in self.groups[group].0.iter().enumerate() {
                if candidate.has_tag(spot.tag) && candidate.entry().is_some_and(|entry| entry.is(key, member))
                {
                    return Some(Place { group: group as u32, slot: slot as u8 });
                }
            }
            if self.groups[group].has_empty() {
                return None;
            }
            group = self.next(group);
        }
        None
    }

    /// Asks the processor for the group where an entry's search begins.
    #[inline]
    pub(super) fn prefetch_group(&self, spot: Spot) {
        if !self.groups.is_empty() {
            prefetch(&raw const self.groups[self.home(spot.position)]);
        }
    }

    /// Asks the processor for the entries of that group that may be the one.
    #[inline]
    pub(super) fn prefetch_entry(&self, spot: Spot) {
        if !self.groups.is_empty() {
            let slots = &self.groups[self.home(spot.position)].0;
            slots.iter().filter(|slot| slot.has_tag(spot.tag)).for_each(Slot::prefetch);
        }
    }

    #[inline]
    pub(super) fn slot(&self, place: Place) -> &Slot {
        &self.groups[place.group as usize].0[usize::from(place.slot)]
    }

    #[inline]
    pub(super) fn slot_mut(&mut self, place: Place) -> &mut Slot {
        &mut self.groups[place.group as usize].0[usize::from(place.slot)]
    }

    /// Adds an entry that is not there yet.
    pub(super) fn insert(&mut self, spot: Spot, entry: Entry, access: u8, hasher: &Hasher) {
        let slots = self.groups.len() * SLOTS;
        if (self.full + self.tombstones + 1) as usize * 8 > slots * 7 {
            // Mostly tombstones: the same size again is enough.
            let groups = if (self.full as usize) * 8 < slots * 5 {
                self.groups.len().max(1)
            } else {
                larger(self.groups.len())
            };
            self.resize(groups, hasher);
        }
        self.place(spot, Slot::full(entry, spot.tag, access));
        self.full += 1;
    }

    /// Puts a full slot into the first free one on its way.
    fn place(&mut self, spot: Spot, full: Slot) {
        let mut group = self.home(spot.position);
        loop {
            if let Some(free) = self.groups[group].0.iter_mut().find(|slot| !slot.is_full()) {
                if !free.is_empty() {
                    self.tombstones -= 1;
                }
                *free = full;
                return;
            }
            group = self.next(group);
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, place: Place) -> Option<Entry> {
        let group = &mut self.groups[place.group as usize];
        let instead = if group.has_empty() {
            Slot::EMPTY
        } else {
            self.tombstones += 1;
            Slot::tombstone()
        };
        let taken = group.0[usize::from(place.slot)].take(instead);
        self.full -= u32::from(taken.is_some());
        taken
    }

    /// Makes room for so many entries in all, so that it need not grow on the way there.
    pub(super) fn reserve(&mut self, entries: usize, hasher: &Hasher) {
        let groups = groups_for(entries);
        if groups > self.groups.len() {
            self.resize(groups, hasher);
        }
    }

    /// Gives memory back when most of the table is empty. After removals.
    pub(super) fn shrink(&mut self, hasher: &Hasher) {
        let slots = self.groups.len() * SLOTS;
        if self.full == 0 {
            *self = Self::default();
        } else if slots > 2 * SLOTS && self.full as usize * 4 < slots {
            self.resize((self.full as usize * 2).div_ceil(SLOTS), hasher);
        }
    }

    fn resize(&mut self, groups: usize, hasher: &Hasher) {
        let mut old = std::mem::replace(&mut self.groups, (0..groups).map(|_| Group::empty()).collect());
        self.tombstones = 0;
        for group in &mut old {
            // Their keys have to be hashed again: fetch the eight entries together.
            group.0.iter().for_each(Slot::prefetch);
            for slot in &mut group.0 {
                let Some(entry) = slot.entry() else { continue };
                let spot = hasher.spot_of(entry);
                let full = std::mem::replace(slot, Slot::EMPTY);
                self.place(spot, full);
            }
        }
    }

    /// Every entry.
    pub(super) fn iter(&self) -> impl Iterator<Item = EntryView<'_>> {
        self.groups.iter().flat_map(|group| group.0.iter().filter_map(Slot::entry))
    }

    /// The places of the entries that may have this position.
    pub(super) fn places_near(&self, position: u32) -> impl Iterator<Item = Place> {
        self.probe(position).flat_map(|group| self.places_in(group))
    }

    /// The places of a group chosen by `random`, for sampling.
    pub(super) fn places_sampled(&self, random: u32) -> impl Iterator<Item = Place> {
        let group = if self.groups.is_empty() { None } else { Some(self.home(random)) };
        group.into_iter().flat_map(|group| self.places_in(group))
    }

    fn places_in(&self, group: usize) -> impl Iterator<Item = Place> {
        (0..SLOTS)
            .filter(move |slot| self.groups[group].0[*slot].is_full())
            .map(move |slot| Place { group: group as u32, slot: slot as u8 })
    }

    /// Shows entries whose position is at least `from`, in runs of whole groups, until `enough` says so.
    /// Returns the position to go on from; `None` at the end. Every entry belongs to exactly one run,
    /// wherever pages are cut and however the table grows between them.
    pub(super) fn scan(
        &self,
        from: u32,
        hasher: &Hasher,
        show: &mut dyn FnMut(EntryView<'_>),
        enough: &mut dyn FnMut() -> bool,
    ) -> Option<u32> {
        if self.groups.is_empty() {
            return None;
        }
        let last = self.groups.len() - 1;
        for group in self.home(from)..=last {
            self.show_group(group, |home, position| position >= from && home <= group, hasher, show);
            // Only a group with an empty slot proves that nothing homed so far lies further on.
            if group < last && self.groups[group].has_empty() && enough() {
                return Some(self.first_position(group + 1));
            }
        }
        // Entries that found the last groups full went on at the front.
        let mut group = last;
        while !self.groups[group].has_empty() {
            group = self.next(group);
            if group == last {
                break;
            }
            self.show_group(group, |home, position| position >= from && home > group, hasher, show);
        }
        None
    }

    fn show_group(
        &self,
        group: usize,
        wanted: impl Fn(usize, u32) -> bool,
        hasher: &Hasher,
        show: &mut dyn FnMut(EntryView<'_>),
    ) {
        let slots = &self.groups[group].0;
        slots.iter().for_each(Slot::prefetch);
        for entry in slots.iter().filter_map(Slot::entry) {
            let position = hasher.spot_of(entry).position;
            if wanted(self.home(position), position) {
                show(entry);
            }
        }
    }

    /// The smallest position whose home is `group`.
    fn first_position(&self, group: usize) -> u32 {
        ((group as u64) << 32).div_ceil(self.groups.len() as u64) as u32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Hasher, Table};
    use crate::engine::{
        Kind,
        memory::entry::{Entry, Parts},
    };

    fn entry(key: &[u8], value: &[u8], version: u64) -> Entry {
        Entry::new(&Parts { key, member: &[], value, kind: Kind::Raw, version, expires_at_ms: None })
    }

    fn next_random(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    #[test]
    fn tables_grow_by_at_most_a_quarter() {
        let mut groups = 8;
        while groups < 1_000_000 {
            let next = super::larger(groups);
            assert!(next > groups && (next - groups) * 4 <= groups + 4, "{groups} to {next}");
            groups = next;
        }
    }

    #[test]
    fn behaves_like_a_map_through_growth_and_churn() {
        let hasher = Hasher::new(1, 2);
        let (mut table, mut model, mut random) = (Table::default(), BTreeMap::new(), 42);
        for step in 0..60_000u64 {
            let range = if step < 30_000 { 3_000 } else { 50 };
            let key = (next_random(&mut random) % range).to_string().into_bytes();
            let spot = hasher.spot(hasher.key(&key), &[]);
            let found = table.find(spot, &key, &[]);
            assert_eq!(found.is_some(), model.contains_key(&key), "step {step}");
            match (found, next_random(&mut random) % 3) {
                (Some(place), 0) => {
                    table.remove(place);
                    table.shrink(&hasher);
                    model.remove(&key);
                }
                (Some(place), _) => {
                    let version = table.slot(place).entry().map(|entry| entry.version());
                    assert_eq!(version, model.get(&key).copied());
                }
                (None, _) => {
                    table.insert(spot, entry(&key, b"value", step), 0, &hasher);
                    model.insert(key, step);
                }
            }
            assert_eq!(table.len(), model.len());
        }
    }

    #[test]
    fn a_scan_sees_every_entry_once_while_the_table_grows() {
        for page in [1, 3, 10, 100] {
            let hasher = Hasher::new(3, page);
            let mut table = Table::default();
            let add = |table: &mut Table, number: u64| {
                let key = number.to_string().into_bytes();
                table.insert(hasher.spot(hasher.key(&key), &[]), entry(&key, b"", number), 0, &hasher);
            };
            (0..500).for_each(|number| add(&mut table, number));
            let (mut seen, mut from, mut added) = (BTreeSet::new(), Some(0), 500);
            while let Some(position) = from {
                let shown = std::cell::Cell::new(0);
                from = table.scan(
                    position,
                    &hasher,
                    &mut |entry| {
                        shown.set(shown.get() + 1);
                        assert!(seen.insert(entry.version()), "{} came twice", entry.version());
                    },
                    &mut || shown.get() >= page,
                );
                if added < 2_000 {
                    (added..added + 40).for_each(|number| add(&mut table, number));
                    added += 40;
                }
            }
            assert!((0..500).all(|number| seen.contains(&number)));
        }
    }
}
