//! What every part of the memory engine shares: keyspaces, the way to a key, and numbers for changes.
//!
//! Logical databases map to physical keyspaces, so that a swap moves nothing. Numbers come from the
//! log where there is one; a volatile store hands them to shards in small blocks, which keeps one hot
//! counter from being everybody's cache line and never gives a number twice.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::{
    MemoryOptions,
    eviction::{Limit, out_of_memory},
    keyspace::{Keyspace, SHARDS, Target, shard_of},
    shard::{Name, Shard},
    table::{Hasher, Place, Table},
};
use crate::{
    engine::{
        DATABASES, DatabaseTable, Eventual, ExpiryLagCounters, KeyRef, Kind, MAX_SEQUENCE, Removal,
        RemovalTeller, Sequence, UNSWAPPED, Version, database_table, step::Step,
    },
    error::{Error, ErrorKind, Result},
    oplog::{ChangeBuffer, Log, Logged, Refused},
};

/// Numbers that a shard of a volatile store takes at a time.
const NUMBERS: u64 = 32;

/// Changes of a batch that need no memory of their own.
pub(super) const FEW: usize = 16;

/// Shards in which eviction looks for a full sample where they hold little.
const SAMPLED_SHARDS: usize = 256;

/// The shared state of a memory engine.
pub(super) struct Store {
    pub(super) hasher: Hasher,
    keyspaces: [OnceLock<Keyspace>; DATABASES as usize],
    /// Four bits for each logical database, so that one load sees the whole table.
    mapping: AtomicU64,
    /// The next number of a volatile store.
    numbers: AtomicU64,
    /// Numbers through this one are not given any more, also where shards have set some aside.
    lifted: AtomicU64,
    /// Numbers that a shard of a volatile store takes at a time; with one they rise in the order of changes.
    pub(super) numbers_at_a_time: u64,
    pub(super) limit: Limit,
    pub(super) removals: RemovalTeller,
    pub(super) log: Option<Arc<Log>>,
    /// The latest changes, where there is no log and somebody reads them.
    pub(super) changes: ChangeBuffer,
    pub(super) store_id: u64,
    pub(super) expired: ExpiryLagCounters,
    pub(super) evicted: AtomicU64,
    /// An entry was of [`Kind::Packed`] at some time.
    pub(super) packed: AtomicBool,
    /// Tables that were emptied as a whole, to be dropped by the background thread.
    pub(super) garbage: Mutex<Vec<Table>>,
    closed: AtomicBool,
}

/// The way to an entry: found before its shard is locked.
#[derive(Clone, Copy)]
pub(super) struct Address<'a> {
    pub(super) physical: u8,
    pub(super) shard: usize,
    pub(super) name: Name<'a>,
}

impl Address<'_> {
    /// The key, as a log names it.
    pub(super) fn physical_key(&self) -> KeyRef<'_> {
        KeyRef { database: self.physical, key: self.name.key, member: self.name.member }
    }

    /// Whether it is the way to the same entry.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.physical == other.physical
            && self.name.spot == other.name.spot
            && self.name.key == other.name.key
            && self.name.member == other.name.member
    }
}

impl Store {
    pub(super) fn new(options: &MemoryOptions, hasher: Hasher, store_id: u64, opened_ms: u64) -> Self {
        Self {
            hasher,
            keyspaces: [const { OnceLock::new() }; DATABASES as usize],
            mapping: AtomicU64::new(database_table::pack(&UNSWAPPED)),
            numbers: AtomicU64::new(1),
            lifted: AtomicU64::new(0),
            numbers_at_a_time: NUMBERS,
            limit: Limit::new(options.limit.clone(), hasher),
            removals: RemovalTeller::default(),
            log: None,
            changes: ChangeBuffer::new(store_id, options.change_buffer_bytes),
            store_id,
            expired: ExpiryLagCounters::new(opened_ms),
            evicted: AtomicU64::new(0),
            packed: AtomicBool::new(false),
            garbage: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// The physical keyspace of a logical database.
    #[inline]
    pub(super) fn physical(&self, database: u8) -> u8 {
        (self.mapping.load(Ordering::Acquire) >> (u32::from(database) * 4)) as u8 & 15
    }

    pub(super) fn mapping(&self) -> DatabaseTable {
        database_table::unpack(self.mapping.load(Ordering::Acquire))
    }

    /// Changes the table. With every shard of the keyspaces concerned locked.
    pub(super) fn set_mapping(&self, mapping: DatabaseTable) {
        self.mapping.store(database_table::pack(&mapping), Ordering::Release);
    }

    /// A keyspace, if anything was ever written to it.
    #[inline]
    pub(super) fn existing(&self, physical: u8) -> Option<&Keyspace> {
        self.keyspaces[usize::from(physical)].get()
    }

    #[inline]
    pub(super) fn keyspace(&self, physical: u8) -> &Keyspace {
        self.keyspaces[usize::from(physical)].get_or_init(Keyspace::new)
    }

    /// Every keyspace that exists, with its physical number.
    pub(super) fn all(&self) -> impl Iterator<Item = (u8, &Keyspace)> {
        (0..DATABASES).filter_map(|physical| Some((physical, self.existing(physical)?)))
    }

    #[inline]
    pub(super) fn address<'a>(&self, key: KeyRef<'a>) -> Address<'a> {
        let hash = self.hasher.key(key.key);
        Address {
            physical: self.physical(key.database),
            shard: shard_of(hash),
            name: Name { key: key.key, member: key.member, spot: self.hasher.spot(hash, key.member) },
        }
    }

    /// Locks the shard of an address, which a swap may have changed meanwhile.
    #[inline]
    pub(super) fn lock<'s>(
        &'s self,
        address: &mut Address<'_>,
        database: u8,
    ) -> (&'s Keyspace, MutexGuard<'s, Shard>) {
        loop {
            let keyspace = self.keyspace(address.physical);
            let shard = keyspace.lock(address.shard);
            // A swap holds every shard of both keyspaces, so under this lock the table stays.
            let physical = self.physical(database);
            if physical == address.physical {
                return (keyspace, shard);
            }
            address.physical = physical;
        }
    }

    /// A number for one change of a locked shard, logged where there is a log.
    #[inline]
    pub(super) fn number(
        &self,
        shard: &mut Shard,
        now_ms: u64,
        change: Logged<'_>,
    ) -> Result<Version, Refused> {
        if let Some(log) = &self.log {
            return log.append(now_ms, &[change]);
        }
        if self.changes.is_kept() {
            return Ok(self.changes.append(&self.numbers, now_ms, &[change]));
        }
        let (next, end) = shard.numbers;
        if next < end && next > self.lifted.load(Ordering::Relaxed) {
            shard.numbers.0 += 1;
            return Ok(next);
        }
        let first = self.numbers.fetch_add(self.numbers_at_a_time, Ordering::Relaxed);
        shard.numbers = (first + 1, first + self.numbers_at_a_time);
        Ok(first)
    }

    /// Numbers for so many changes of a batch, logged as one record; returns the last.
    #[inline]
    pub(super) fn number_all<'c>(
        &self,
        now_ms: u64,
        count: usize,
        changes: impl Iterator<Item = Logged<'c>> + Clone,
    ) -> Result<Sequence, Refused> {
        let listed = || changes.clone().collect::<SmallVec<[Logged<'_>; FEW]>>();
        match &self.log {
            Some(log) => log.append(now_ms, &listed()),
            None if self.changes.concern(changes.clone()) => {
                Ok(self.changes.append(&self.numbers, now_ms, &listed()))
            }
            None => Ok(self.numbers.fetch_add(count as u64, Ordering::Relaxed) + count as u64 - 1),
        }
    }

    /// Keeps changes for readers from now on. Afterwards every change that is not kept can be seen.
    pub(super) fn keep_changes(&self) {
        if self.changes.is_kept() {
            return;
        }
        self.changes.begin();
        // Numbers that shards have set aside are lower than those to come: they must not be used any more.
        self.lifted.fetch_max(self.latest(), Ordering::Relaxed);
        // Whoever has not seen the flag holds a shard's lock.
        for (_, keyspace) in self.all() {
            (0..SHARDS).for_each(|number| drop(keyspace.lock(number)));
        }
        self.changes.is_whole_from(self.latest() + 1);
    }

    /// Lets later changes have numbers above `upto`; the latest number by then.
    pub(super) fn lift(&self, now_ms: u64, upto: Sequence) -> Result<Sequence, Refused> {
        if let Some(log) = &self.log {
            return log.lift(now_ms, upto);
        }
        if upto >= MAX_SEQUENCE {
            let message = format!("a store has no numbers above {upto}");
            return Err(Refused::Failed(Error::invalid(message)));
        }
        let before = self.numbers.fetch_max(upto + 1, Ordering::Relaxed);
        self.lifted.fetch_max(upto, Ordering::Relaxed);
        Ok(before.max(upto + 1) - 1)
    }

    /// The latest number given.
    pub(super) fn latest(&self) -> Sequence {
        match &self.log {
            Some(log) => log.latest(),
            None => self.numbers.load(Ordering::Relaxed) - 1,
        }
    }

    /// Notes what the status says of the values that a step leaves behind.
    #[inline]
    pub(super) fn note(&self, step: &Step<'_>) {
        if let Step::Put { kind: Kind::Packed, .. } = step {
            self.packed.store(true, Ordering::Relaxed);
        }
    }

    /// Applies a step to a locked shard and keeps the counts: of bytes, and of what had expired and goes now.
    #[inline]
    pub(super) fn apply(
        &self,
        keyspace: &Keyspace,
        shard: &mut Shard,
        to: (&Address<'_>, Option<Place>),
        step: &Step<'_>,
        (version, now_ms): (Version, u64),
    ) {
        let (address, place) = to;
        self.note(step);
        let expired = place.and_then(|place| shard.entry(place)).filter(|entry| entry.is_expired(now_ms));
        if let Some(due_ms) = expired.and_then(|entry| entry.expires_at_ms()) {
            self.expired.note(due_ms, now_ms);
        }
        let target = Target {
            number: address.shard,
            name: address.name,
            place,
            access: self.limit.first_access(),
            hasher: &self.hasher,
        };
        let before = shard.bytes();
        if let (Some(place), false) = (place, matches!(step, Step::Delete)) {
            // Writing is using; an entry written over keeps its mark.
            self.limit.touch(shard, place);
        }
        keyspace.apply(target, shard, step, version);
        self.limit.count(before, shard.bytes());
    }

    /// Removes one entry, expired or evicted, as a change of its own.
    pub(super) fn remove(
        &self,
        (physical, number): (u8, usize),
        shard: &mut Shard,
        (place, why): (Place, Removal),
        now_ms: u64,
    ) -> Result<(), Refused> {
        let Some(entry) = shard.entry(place) else { return Ok(()) };
        let (key, member) = entry.name();
        let (key, member) = (key.to_vec(), member.to_vec());
        let hash = self.hasher.key(&key);
        let name = Name { key: &key, member: &member, spot: self.hasher.spot(hash, &member) };
        let address = Address { physical, shard: number, name };
        let logged = Logged::Delete { key: address.physical_key(), removal: Some(why) };
        let version = self.number(shard, now_ms, logged)?;
        self.apply(self.keyspace(physical), shard, (&address, Some(place)), &Step::Delete, (version, now_ms));
        if self.removals.are_told()
            && let Some(database) = self.mapping().iter().position(|mapped| *mapped == physical)
        {
            let key = KeyRef { database: database as u8, key: &key, member: &member };
            self.removals.note(why, key, version);
        }
        Ok(())
    }

    /// Removes an entry that somebody has found expired, where that is told of; whether it did. Else it stays,
    /// absent to everybody, until the sweep.
    #[inline]
    pub(super) fn bury(
        &self,
        address: &Address<'_>,
        shard: &mut Shard,
        place: Option<Place>,
        now_ms: u64,
    ) -> bool {
        self.removals.are_told() && self.bury_expired(address, shard, place, now_ms)
    }

    #[cold]
    fn bury_expired(
        &self,
        address: &Address<'_>,
        shard: &mut Shard,
        place: Option<Place>,
        now_ms: u64,
    ) -> bool {
        let Some(place) = place else { return false };
        if !shard.entry(place).is_some_and(|entry| entry.is_expired(now_ms)) {
            return false;
        }
        let place = (place, Removal::Expired);
        self.remove((address.physical, address.shard), shard, place, now_ms).is_ok()
    }

    /// Evicts until the limit is kept. Before a change that may need memory, without any lock held.
    #[inline]
    pub(super) fn make_room(&self, now_ms: u64) -> Result<(), Refused> {
        if !self.limit.is_set() || !self.limit.is_exceeded() {
            return Ok(());
        }
        self.evict(now_ms)
    }

    #[cold]
    fn evict(&self, now_ms: u64) -> Result<(), Refused> {
        while self.limit.is_exceeded() {
            if !self.limit.evicts() || !self.evict_one(now_ms)? {
                return Err(Refused::Failed(out_of_memory()));
            }
        }
        Ok(())
    }

    /// Evicts the worst entry of a sample; false when there is none at all that may go.
    fn evict_one(&self, now_ms: u64) -> Result<bool, Refused> {
        let seed = self.limit.random();
        let Some((physical, number)) = self.find_victim(seed) else { return Ok(false) };
        let mut shard = self.keyspace(physical).lock(number);
        if let Some((_, victim)) = self.limit.worst(&shard, seed).worst {
            self.limit.spare(&mut shard, seed, victim);
            self.remove((physical, number), &mut shard, (victim, Removal::Evicted), now_ms)?;
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(true)
    }

    /// The shard with the worst entry of a sample. Walks from shard to shard until the sample is large
    /// enough, and past [`SAMPLED_SHARDS`] only while it has nothing; never locks two at a time.
    fn find_victim(&self, seed: u64) -> Option<(u8, usize)> {
        let mut keyspaces: SmallVec<[(u8, &Keyspace); 4]> = self.all().collect();
        let first = seed as usize % keyspaces.len().max(1);
        keyspaces.rotate_left(first);
        let (mut seen, mut worst) = (0, None);
        for step in 0..SHARDS {
            let number = ((seed >> 32) as usize + step) % SHARDS;
            for (physical, keyspace) in keyspaces.iter().copied() {
                let shard = keyspace.lock(number);
                if shard.len() == 0 {
                    continue;
                }
                let sample = self.limit.worst(&shard, seed);
                seen += sample.seen;
                if let Some((badness, _)) = sample.worst
                    && worst.is_none_or(|(other, _)| badness > other)
                {
                    worst = Some((badness, (physical, number)));
                }
            }
            if self.limit.is_enough(seen) || (step >= SAMPLED_SHARDS && worst.is_some()) {
                break;
            }
        }
        worst.map(|(_, place)| place)
    }

    /// Counts the bytes of the indexes, which change by themselves.
    pub(super) fn count_indexes(&self) {
        self.limit.count_indexes(self.all().map(|(_, keyspace)| keyspace.index.bytes()).sum());
    }

    /// Waits until the log may have room, or says why there will be none.
    pub(super) fn room(&self, bytes: usize) -> Eventual<'_, ()> {
        match &self.log {
            Some(log) => log.room(bytes),
            None => Eventual::Now(Ok(())),
        }
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Unavailable, "the store is closed: open it again"));
        }
        Ok(())
    }

    pub(super) fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Whoever shares the limit goes on without this store's data.
        for (_, keyspace) in self.all() {
            for number in 0..SHARDS {
                self.limit.count(keyspace.lock(number).bytes(), 0);
            }
        }
        self.limit.count_indexes(0);
    }
}
