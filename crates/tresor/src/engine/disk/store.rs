//! What every part of the disk engine shares: the tables, the log, and the locks that order changes.
//!
//! A change goes: lock its key's stripe -> look -> log -> tables -> unlock, so that tables and log agree
//! on the order of changes to a key. Emptying and swapping databases hold the one lock that all other
//! calls share. A change that is in the log and cannot get into the tables poisons the store: its next
//! start finds it in the log.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::{
    MappedRwLockReadGuard, MappedRwLockWriteGuard, Mutex, MutexGuard, RwLock, RwLockReadGuard,
    RwLockWriteGuard,
};
use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use super::{
    space::Space,
    stored::Stored,
    tables::{Changes, Tables},
};
use crate::{
    engine::{
        Change, DATABASES, DatabaseTable, ExpiryLagCounters, KeyRef, RemovalTeller, Sequence,
        random::random_word,
    },
    error::{Error, ErrorKind, Result},
    oplog::Log,
};

/// Locks for keys: so many that two writers seldom meet on one.
const STRIPES: usize = 1024;

/// The shared state of a disk engine.
pub(super) struct Store {
    /// Gone once the store is closed.
    whole: RwLock<Option<Whole>>,
    stripes: Box<[Stripe]>,
    hasher: SipHasher13,
    pub(super) log: Arc<Log>,
    pub(super) store_id: u64,
    pub(super) space: Space,
    pub(super) expired: ExpiryLagCounters,
    pub(super) removals: RemovalTeller,
    /// The number of the latest Clear or Swap: whoever reads anything has seen it.
    pub(super) turned: AtomicU64,
    pub(super) packed: AtomicBool,
    pub(super) counted: Mutex<[Counted; DATABASES as usize]>,
    poison: Mutex<Option<Error>>,
    stopped: AtomicBool,
}

/// What a Clear or a Swap changes.
pub(super) struct Whole {
    pub(super) tables: Tables,
    pub(super) mapping: DatabaseTable,
}

/// The keys of a physical database when they were last counted, and the latest change then.
#[derive(Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) keys: u64,
    pub(super) expiring: u64,
    pub(super) at: Sequence,
}

/// A lock for the keys whose hash leads to it.
#[derive(Default)]
struct Stripe {
    lock: Mutex<()>,
    /// The number of the latest removal of such a key.
    removed: AtomicU64,
}

pub(super) type Locked<'s> = SmallVec<[MutexGuard<'s, ()>; 4]>;

/// The hold of the whole that a call has: together with others, or alone.
pub(super) enum Hold<'s> {
    Shared(MappedRwLockReadGuard<'s, Whole>),
    Alone(MappedRwLockWriteGuard<'s, Whole>),
}

impl Hold<'_> {
    pub(super) fn whole(&self) -> &Whole {
        match self {
            Self::Shared(whole) => whole,
            Self::Alone(whole) => whole,
        }
    }
}

impl Whole {
    /// The physical number of a logical database.
    #[inline]
    pub(super) fn physical(&self, database: u8) -> u8 {
        self.mapping[usize::from(database)]
    }

    /// An entry as it is, expired or not.
    #[inline]
    pub(super) fn get(&self, physical: u8, address: &[u8]) -> Result<Option<Stored>> {
        self.tables.get(physical, address)
    }
}

impl Store {
    pub(super) fn new(
        whole: Whole,
        log: Arc<Log>,
        (store_id, opened_ms): (u64, u64),
        space: Space,
    ) -> Result<Self> {
        let packed = AtomicBool::new(whole.tables.is_packed()?);
        Ok(Self {
            whole: RwLock::new(Some(whole)),
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            hasher: SipHasher13::new_with_keys(random_word()?, random_word()?),
            log,
            store_id,
            space,
            expired: ExpiryLagCounters::new(opened_ms),
            removals: RemovalTeller::default(),
            turned: AtomicU64::new(0),
            packed,
            counted: Mutex::default(),
            poison: Mutex::default(),
            stopped: AtomicBool::new(false),
        })
    }

    #[inline]
    fn stripe(&self, key: &[u8]) -> usize {
        self.hasher.hash(key) as usize % STRIPES
    }

    /// Holds what these changes need: the whole alone if they concern whole databases, else the whole
    /// with others and the keys' stripes, in ascending order.
    pub(super) fn hold(&self, changes: &[Change<'_>]) -> Result<(Hold<'_>, Locked<'_>)> {
        if changes.iter().any(|change| change.key().is_none()) {
            return Ok((Hold::Alone(self.write()?), Locked::new()));
        }
        let whole = self.hold_with_tables(changes.iter().filter_map(Change::key))?;
        Ok((Hold::Shared(whole), self.lock_all(changes.iter().filter_map(Change::key))))
    }

    /// Holds what one key needs.
    pub(super) fn hold_key(&self, key: KeyRef<'_>) -> Result<(Hold<'_>, MutexGuard<'_, ()>)> {
        let whole = self.hold_with_tables(iter::once(key))?;
        Ok((Hold::Shared(whole), self.lock(key.key)))
    }

    /// Locks the stripes of several keys, in ascending order: no writer is in the middle of any of them.
    pub(super) fn lock_all<'k>(&self, keys: impl Iterator<Item = KeyRef<'k>>) -> Locked<'_> {
        let mut stripes: SmallVec<[usize; 4]> = keys.map(|key| self.stripe(key.key)).collect();
        stripes.sort_unstable();
        stripes.dedup();
        stripes.into_iter().map(|stripe| self.stripes[stripe].lock.lock()).collect()
    }

    /// Holds the whole with others, with the tables of these keys' databases made.
    fn hold_with_tables<'k>(
        &self,
        keys: impl Iterator<Item = KeyRef<'k>> + Clone,
    ) -> Result<MappedRwLockReadGuard<'_, Whole>> {
        loop {
            let whole = self.read()?;
            let missing = keys.clone().map(|key| whole.physical(key.database));
            let mut missing = missing.filter(|physical| whole.tables.entries(*physical).is_none());
            let Some(physical) = missing.next() else { return Ok(whole) };
            drop(missing);
            drop(whole);
            self.write()?.tables.make(physical)?;
        }
    }

    /// Locks one key's stripe.
    #[inline]
    pub(super) fn lock(&self, key: &[u8]) -> MutexGuard<'_, ()> {
        self.stripes[self.stripe(key)].lock.lock()
    }

    /// The number that whoever does not find a key has seen.
    #[inline]
    pub(super) fn removed(&self, key: &[u8]) -> Sequence {
        self.stripes[self.stripe(key)].removed.load(Ordering::Acquire).max(self.turned())
    }

    /// Notes a key's removal. Before the tables have it, so that whoever misses the key finds this.
    pub(super) fn note_removal(&self, key: &[u8], number: Sequence) {
        self.stripes[self.stripe(key)].removed.fetch_max(number, Ordering::AcqRel);
    }

    #[inline]
    pub(super) fn turned(&self) -> Sequence {
        self.turned.load(Ordering::Acquire)
    }

    /// The whole, held together with others.
    #[inline]
    pub(super) fn read(&self) -> Result<MappedRwLockReadGuard<'_, Whole>> {
        RwLockReadGuard::try_map(self.whole.read(), Option::as_ref).map_err(|_| self.why_stopped())
    }

    /// The whole, held alone.
    fn write(&self) -> Result<MappedRwLockWriteGuard<'_, Whole>> {
        RwLockWriteGuard::try_map(self.whole.write(), Option::as_mut).map_err(|_| self.why_stopped())
    }

    /// Notes that an entry is packed, once.
    pub(super) fn note_packed(&self, changes: &mut Changes<'_>) {
        if !self.packed.swap(true, Ordering::Relaxed) {
            changes.note_packed();
        }
    }

    /// Waits until the calls that are under way are done.
    pub(super) fn settle(&self) -> Result<DatabaseTable> {
        Ok(self.write()?.mapping)
    }

    /// Lets go of the tables, once nobody will ask for them any more.
    pub(super) fn release(&self) {
        let whole = self.whole.write().take();
        drop(whole);
    }

    /// What a failure after the log had the change means: the tables lack it until the next start.
    #[cold]
    pub(super) fn poisoned(&self, cause: &Error) -> Error {
        let message = "a change is in the log and could not be made on disk; see to the disk, then start \
             again: the log has it";
        let poison = Error::new(ErrorKind::Poisoned, message).caused_by(cause.to_string());
        self.stopped.store(true, Ordering::Release);
        self.poison.lock().get_or_insert(poison).again()
    }

    /// Why calls are refused, if they are.
    #[inline]
    pub(super) fn check_open(&self) -> Result<()> {
        if self.stopped.load(Ordering::Acquire) { Err(self.why_stopped()) } else { Ok(()) }
    }

    #[cold]
    fn why_stopped(&self) -> Error {
        match &*self.poison.lock() {
            Some(poison) => poison.again(),
            None => Error::new(ErrorKind::Unavailable, "the store is closed: open it again"),
        }
    }

    /// Makes later calls fail.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }
}
