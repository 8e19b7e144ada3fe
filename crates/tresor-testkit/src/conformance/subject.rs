//! The engine under test with the words that the cases are written in.
//!
//! Keys without a database are in database 0. Every call blocks, so a case reads top to bottom, and
//! takes its time from the clock that the engine was made with, so the engine's own removal of
//! expired entries agrees with the case.

use std::{sync::Arc, time::Duration};

use tresor::{
    Result,
    clock::Clock,
    engine::{
        Applied, Batch, Capabilities, Change, Content, Edited, Effect, Engine, EntryRef, Expires, Guard,
        Isolation, KeyRef, Kind, Order, Outcome, Page, Position, Scan, Sequence, Version,
    },
};

use super::Make;
use crate::{ManualClock, OwnedEntry};

/// No scan of a case takes more pages than this: one that does is going in circles.
const MAX_PAGES: usize = 200_000;

/// One row of a scan: key, member, entry.
pub type Row = (Vec<u8>, Vec<u8>, OwnedEntry);

/// An engine and the clock it was made with.
#[derive(Clone)]
pub struct Subject {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// Its time.
    pub clock: Arc<ManualClock>,
}

impl Subject {
    /// A new, empty engine.
    pub fn new(make: &Make<'_>) -> Self {
        let clock = ManualClock::new();
        Self { engine: make(&clock), clock }
    }

    /// A new engine if it can do what the case is about; says so when it cannot.
    pub fn able(make: &Make<'_>, able: fn(&Capabilities) -> bool) -> Option<Self> {
        let subject = Self::new(make);
        let capabilities = subject.engine.capabilities();
        if able(&capabilities) {
            return Some(subject);
        }
        println!("not for this engine: {capabilities:?}");
        None
    }

    /// Whether the engine is far away and slow, as those are that cannot swap databases: cases that repeat
    /// a thing many times do with fewer then.
    pub fn is_far(&self) -> bool {
        !self.engine.capabilities().swap
    }

    /// Whether a version may come twice, for different keys: several stores that each number by themselves
    /// are one.
    pub fn numbers_by_key(&self) -> bool {
        self.engine.capabilities().name == "sharded"
    }

    /// The time, in Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Moves the time on.
    pub fn advance_ms(&self, by_ms: u64) {
        self.clock.advance(Duration::from_millis(by_ms));
    }

    /// Reads several entries, with the highest sequence number observed.
    pub fn seen(&self, keys: &[KeyRef<'_>], isolation: Isolation) -> (Vec<Option<OwnedEntry>>, Sequence) {
        let mut entries = Vec::new();
        let mut visit = |index: usize, entry: Option<EntryRef<'_>>| {
            assert_eq!(index, entries.len(), "keys are visited in order, each once");
            entries.push(entry.map(OwnedEntry::from));
        };
        let seen = self.engine.read(keys, isolation, self.now_ms(), &mut visit).wait().expect("a read works");
        assert_eq!(entries.len(), keys.len(), "every key is visited");
        (entries, seen.sequence)
    }

    /// Reads one entry.
    pub fn entry(&self, key: KeyRef<'_>) -> Option<OwnedEntry> {
        self.seen(&[key], Isolation::Each).0.remove(0)
    }

    /// Reads one value.
    pub fn value(&self, key: KeyRef<'_>) -> Option<Vec<u8>> {
        self.entry(key).map(|entry| entry.value.to_vec())
    }

    /// The version of an entry that is there.
    pub fn version(&self, key: KeyRef<'_>) -> Version {
        self.entry(key).expect("the entry is there").version
    }

    /// Writes a batch.
    pub fn write(&self, changes: &[Change<'_>]) -> Outcome {
        self.engine.write(Batch::of(changes), self.now_ms()).wait().expect("a write works")
    }

    /// How many keys a database has.
    pub fn count(&self, database: u8) -> u64 {
        self.engine.count(database).wait().expect("a count").keys
    }

    /// Writes a batch whose guards hold.
    pub fn apply(&self, changes: &[Change<'_>]) -> Vec<Effect> {
        match self.write(changes).applied {
            Applied::Whole(effects) => {
                assert_eq!(effects.len(), changes.len(), "one effect for each change");
                effects.to_vec()
            }
            refused => panic!("{changes:?} was not applied: {refused:?}"),
        }
    }

    /// Writes changes each for itself, which a far engine does many of at a time.
    pub fn each(&self, changes: &[Change<'_>]) {
        let each = self.engine.write_each(changes, self.now_ms()).wait().expect("a write works");
        assert!(each.failures.is_empty(), "{:?}", each.failures);
    }

    /// Writes one change whose guard holds.
    pub fn one(&self, change: Change<'_>) -> Effect {
        self.apply(&[change])[0]
    }

    /// Puts raw bytes that never expire.
    pub fn put(&self, key: KeyRef<'_>, value: &[u8]) -> Version {
        self.one(put(key, value)).version
    }

    /// Puts raw bytes that expire.
    pub fn put_until(&self, key: KeyRef<'_>, value: &[u8], at_ms: u64) -> Version {
        self.one(put_as(key, value, Kind::Raw, Expires::At(at_ms))).version
    }

    /// Writes a batch of which a guard fails: its index and the version it met.
    pub fn refused(&self, changes: &[Change<'_>]) -> (usize, Option<Version>) {
        match self.write(changes).applied {
            Applied::Refused { index, version } => (index, version),
            whole => panic!("{changes:?} was applied: {whole:?}"),
        }
    }

    /// Updates an entry.
    pub fn update(
        &self,
        key: KeyRef<'_>,
        mut edit: impl FnMut(Option<EntryRef<'_>>) -> Result<Edited<'static>> + Send,
    ) -> Result<Effect> {
        // The closure shortens the lifetime of what the edit returns to that of the call.
        let mut edit = |entry: Option<EntryRef<'_>>| edit(entry);
        let outcome = self.engine.update(key, self.now_ms(), &mut edit).wait()?;
        Ok(outcome.effect().expect("an update is never refused"))
    }

    /// One page.
    pub fn page(&self, scan: &Scan<'_>) -> Page {
        self.engine.scan(scan, self.now_ms()).wait().expect("a scan works")
    }

    /// All pages of a scan, calling `between` after each.
    pub fn rows_between(&self, mut scan: Scan<'_>, mut between: impl FnMut()) -> Vec<Row> {
        let mut rows = Vec::new();
        for _ in 0..MAX_PAGES {
            let page = self.page(&scan);
            if scan.order != Order::Any {
                assert!(page.len() <= scan.limit, "a page of {} for a limit of {}", page.len(), scan.limit);
            }
            rows.extend(page.iter().map(|(key, entry)| {
                assert_eq!(key.database, scan.database, "a page names its own database");
                (key.key.to_vec(), key.member.to_vec(), OwnedEntry::from(entry))
            }));
            match page.next {
                None => return rows,
                Some(next) => {
                    assert_ne!(next, scan.position, "a scan gets on with every page");
                    assert_ne!(next, Position::Cursor(0), "a cursor is never 0");
                    scan.position = next;
                }
            }
            between();
        }
        panic!("the scan does not end");
    }

    /// All pages of a scan.
    pub fn rows(&self, scan: Scan<'_>) -> Vec<Row> {
        self.rows_between(scan, || {})
    }

    /// Everything in a database, in this order.
    pub fn all(&self, database: u8, order: Order, limit: usize) -> Vec<Row> {
        self.rows(Scan::all(database, order, Content::Entries, limit))
    }

    /// The keys in a database, sorted.
    pub fn keys(&self, database: u8) -> Vec<Vec<u8>> {
        let mut keys: Vec<_> = self.all(database, Order::Any, 100).into_iter().map(|row| row.0).collect();
        keys.sort();
        keys
    }
}

/// A plain key of database 0.
pub fn key(key: &[u8]) -> KeyRef<'_> {
    KeyRef::new(0, key)
}

/// A member's address in database 0.
pub fn member<'a>(key: &'a [u8], member: &'a [u8]) -> KeyRef<'a> {
    KeyRef { database: 0, key, member }
}

/// A put of raw bytes that never expire.
pub fn put<'a>(key: KeyRef<'a>, value: &'a [u8]) -> Change<'a> {
    put_as(key, value, Kind::Raw, Expires::Never)
}

/// A put of any kind and expiry.
pub fn put_as<'a>(key: KeyRef<'a>, value: &'a [u8], kind: Kind, expires: Expires) -> Change<'a> {
    Change::Put { key, guard: Guard::None, value, kind, expires }
}

/// A patch.
pub fn patch<'a>(key: KeyRef<'a>, offset: usize, bytes: &'a [u8]) -> Change<'a> {
    Change::Patch { key, guard: Guard::None, offset, bytes }
}

/// A change of expiry.
pub fn expire(key: KeyRef<'_>, expires_at_ms: Option<u64>) -> Change<'_> {
    Change::Expire { key, guard: Guard::None, expires_at_ms }
}

/// A deletion.
pub fn delete(key: KeyRef<'_>) -> Change<'_> {
    Change::Delete { key, guard: Guard::None }
}

/// A change that only guards.
pub fn check(key: KeyRef<'_>, guard: Guard) -> Change<'_> {
    Change::Check { key, guard }
}

/// The same change with a guard.
pub fn guarded<'a>(change: Change<'a>, wanted: Guard) -> Change<'a> {
    let mut change = change;
    match &mut change {
        Change::Put { guard, .. }
        | Change::Patch { guard, .. }
        | Change::Expire { guard, .. }
        | Change::Delete { guard, .. }
        | Change::Check { guard, .. } => *guard = wanted,
        Change::Clear { .. } | Change::Swap { .. } => panic!("whole databases have no guard"),
    }
    change
}
