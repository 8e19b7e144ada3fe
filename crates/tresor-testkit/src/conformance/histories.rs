//! The model test: random operations on the engine under test and on the model, compared at each step.
//!
//! Operations are plain data that name versions by what they meant ("the current one"), so a list of
//! them can be run again on fresh engines; a failing list is cut down to the operations that matter
//! before it is shown. Versions differ between engines: only when they change is compared.

use std::{fmt::Debug, sync::Arc, time::Duration};

use tresor::{
    clock::Clock,
    engine::{
        Applied, Batch, Capabilities, Change, Content, Edited, Effect, Engine, EntryRef, Expires, Guard,
        Isolation, KeyRef, Kind, Order, Position, Scan,
    },
};

use super::{Make, Subject};
use crate::{
    ManualClock, ModelEngine, OwnedEntry,
    random::{Random, seed},
};

const DATABASES: u8 = 3;
const KEYS: usize = 12;
/// The whole store is compared every so many operations, besides after the last.
const COMPARE_EVERY: usize = 25;

/// One step of a model test.
#[derive(Clone, Debug)]
enum Operation {
    Write(Vec<Planned>),
    Update(Address, Planned),
    Read(Vec<Address>),
    Scan { database: u8, order: Order, limit: usize },
    Advance(u64),
}

/// A change, before it is known which version is the current one.
#[derive(Clone, Debug)]
struct Planned {
    address: Address,
    guard: PlannedGuard,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum PlannedGuard {
    None,
    Absent,
    Present,
    Current,
    Stale,
}

#[derive(Clone, Debug)]
enum What {
    Put(Vec<u8>, Kind, PlannedExpiry),
    Patch(usize, Vec<u8>),
    Expire(PlannedExpiry),
    Delete,
    Check,
    Clear,
    Swap(u8),
    Fail,
}

/// An expiry relative to the time of the operation.
#[derive(Clone, Copy, Debug)]
enum PlannedExpiry {
    Never,
    In(u64),
    Keep,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Address {
    database: u8,
    key: usize,
    member: usize,
}

const NAMES: [&[u8]; KEYS] =
    [b"", b"a", b"ab", b"abc", b"b", b"\0", b"\xff\xff", b"key:1", b"key:2", b"key:10", b"zz", &[b'l'; 300]];
const MEMBERS: [&[u8]; 3] = [b"", b"c", b"bc"];

impl Address {
    fn random(random: &mut Random) -> Self {
        let member = if random.one_in(3) { random.index(MEMBERS.len()) } else { 0 };
        Self { database: random.below(u64::from(DATABASES)) as u8, key: random.index(KEYS), member }
    }

    fn key(self) -> KeyRef<'static> {
        KeyRef { database: self.database, key: NAMES[self.key], member: MEMBERS[self.member] }
    }
}

/// A few short histories, new ones with each run.
pub fn random_histories_agree_with_the_model(make: &Make<'_>) {
    let rounds = if Subject::new(make).is_far() { 3 } else { 16 };
    run(make, rounds, 250);
}

/// Puts an engine through `rounds` random histories of `operations` steps; panics with the seed and the
/// shortest history found that the model does not agree with.
pub fn run(make: &Make<'_>, rounds: usize, operations: usize) {
    let first = seed("random histories");
    for round in 0..rounds {
        let seed = first.wrapping_add(round as u64);
        let capabilities = make(&ManualClock::new()).capabilities();
        let mut random = Random::new(seed);
        let history: Vec<_> = (0..operations).map(|_| operation(&mut random, capabilities)).collect();
        if let Err(difference) = replay(make, &history) {
            let (history, difference) = shrink(make, history, difference);
            panic!("TRESOR_SEED={seed}: {difference}\nafter {} operations: {history:#?}", history.len());
        }
    }
}

/// Leaves out operations, ever smaller stretches of them, as long as what is left still fails.
fn shrink(make: &Make<'_>, mut history: Vec<Operation>, mut difference: String) -> (Vec<Operation>, String) {
    let mut stretch = history.len() / 2;
    while stretch > 0 {
        let mut at = 0;
        while at < history.len() {
            let mut shorter = history.clone();
            shorter.drain(at..(at + stretch).min(history.len()));
            match replay(make, &shorter) {
                Err(found) => (history, difference) = (shorter, found),
                Ok(()) => at += stretch,
            }
        }
        stretch /= 2;
    }
    (history, difference)
}

fn operation(random: &mut Random, can: Capabilities) -> Operation {
    match random.below(20) {
        0..7 => {
            let length = if can.atomic_batches && random.one_in(3) { 1 + random.index(6) } else { 1 };
            Operation::Write((0..length).map(|_| planned(random, can, length == 1)).collect())
        }
        7..11 if can.guards => {
            let address = Address::random(random);
            let mut planned = planned(random, can, true);
            if random.one_in(12) {
                planned.what = What::Fail;
            }
            Operation::Update(address, planned)
        }
        15..18 => {
            let orders = [Order::Any, Order::Ascending, Order::Descending];
            let order = if can.ordered { *random.choice(&orders) } else { Order::Any };
            let database = random.below(u64::from(DATABASES)) as u8;
            Operation::Scan { database, order, limit: 1 + random.index(8) }
        }
        18.. => Operation::Advance(random.below(40)),
        _ => {
            let count = 1 + random.index(8);
            Operation::Read((0..count).map(|_| Address::random(random)).collect())
        }
    }
}

fn planned(random: &mut Random, can: Capabilities, alone: bool) -> Planned {
    let guards = [
        PlannedGuard::Absent,
        PlannedGuard::Present,
        PlannedGuard::Current,
        PlannedGuard::Current,
        PlannedGuard::Stale,
    ];
    let guard = if can.guards && random.one_in(3) { *random.choice(&guards) } else { PlannedGuard::None };
    let what = match random.below(40) {
        0..18 => What::Put(value(random), *random.choice(&[Kind::Raw, Kind::Json]), expiry(random)),
        18..24 if can.guards => What::Patch(random.index(40), value(random)),
        24..30 => What::Expire(expiry(random)),
        30..36 => What::Delete,
        36..38 if can.guards => What::Check,
        18..24 | 36..38 => What::Delete,
        38 if can.swap => What::Swap(random.below(u64::from(DATABASES)) as u8),
        _ if alone || can.swap => What::Clear,
        _ => What::Delete,
    };
    Planned { address: Address::random(random), guard, what }
}

fn value(random: &mut Random) -> Vec<u8> {
    // Mostly small, sometimes across a boundary where values are stored otherwise.
    let length = match random.below(30) {
        0 => 16_380 + random.index(10),
        1 => 40_000,
        2..6 => 55 + random.index(20),
        _ => 1 + random.index(12),
    };
    let byte = random.number() as u8;
    vec![byte; length]
}

fn expiry(random: &mut Random) -> PlannedExpiry {
    match random.below(4) {
        0 => PlannedExpiry::In(random.below(100)),
        1 => PlannedExpiry::Keep,
        _ => PlannedExpiry::Never,
    }
}

/// Runs a history on fresh engines; an error says where they differ.
fn replay(make: &Make<'_>, history: &[Operation]) -> Result<(), String> {
    let clock = ManualClock::new();
    let pair = Pair { tested: make(&clock), model: Arc::new(ModelEngine::new()), clock };
    for (number, operation) in history.iter().enumerate() {
        let step = || format!("operation {number}, {operation:?}");
        pair.run(operation).map_err(|difference| format!("{}: {difference}", step()))?;
        if number % COMPARE_EVERY == 0 || number + 1 == history.len() {
            pair.compare_stores().map_err(|difference| format!("after {}: {difference}", step()))?;
        }
    }
    Ok(())
}

/// The engine under test and the model, at one time.
struct Pair {
    tested: Arc<dyn Engine>,
    model: Arc<dyn Engine>,
    clock: Arc<ManualClock>,
}

/// What is compared of an entry.
type Shown = Option<(Vec<u8>, Kind, Option<u64>)>;

impl Pair {
    fn run(&self, operation: &Operation) -> Result<(), String> {
        match operation {
            Operation::Write(planned) => same(self.both(|engine| self.write(engine, planned))),
            Operation::Update(address, planned) => {
                same(self.both(|engine| self.update(engine, *address, planned)))
            }
            Operation::Read(addresses) => same(self.both(|engine| self.read(engine, addresses))),
            Operation::Scan { database, order, limit } => {
                same(self.both(|engine| self.scan(engine, *database, *order, *limit)))
            }
            Operation::Advance(by_ms) => {
                self.clock.advance(Duration::from_millis(*by_ms));
                Ok(())
            }
        }
    }

    fn both<T>(&self, run: impl Fn(&dyn Engine) -> T) -> (T, T) {
        (run(&*self.tested), run(&*self.model))
    }

    fn compare_stores(&self) -> Result<(), String> {
        for database in 0..DATABASES {
            same(self.both(|engine| self.scan(engine, database, Order::Any, 100)))?;
        }
        Ok(())
    }

    fn entry(&self, engine: &dyn Engine, key: KeyRef<'_>) -> Option<OwnedEntry> {
        let mut found = None;
        let mut visit = |_: usize, entry: Option<EntryRef<'_>>| found = entry.map(OwnedEntry::from);
        engine.read(&[key], Isolation::Each, self.clock.now_ms(), &mut visit).wait().expect("a read works");
        found
    }

    fn read(&self, engine: &dyn Engine, addresses: &[Address]) -> Vec<Shown> {
        let keys: Vec<_> = addresses.iter().map(|address| address.key()).collect();
        let mut found = vec![None; keys.len()];
        let mut visit = |index: usize, entry: Option<EntryRef<'_>>| found[index] = entry.map(shown);
        engine
            .read(&keys, Isolation::Together, self.clock.now_ms(), &mut visit)
            .wait()
            .expect("a read works");
        found
    }

    fn scan(
        &self,
        engine: &dyn Engine,
        database: u8,
        order: Order,
        limit: usize,
    ) -> Vec<(Vec<u8>, Vec<u8>, Shown)> {
        let mut scan = Scan::all(database, order, Content::Entries, limit);
        let mut rows = Vec::new();
        loop {
            let page = engine.scan(&scan, self.clock.now_ms()).wait().expect("a scan works");
            rows.extend(
                page.iter().map(|(key, entry)| (key.key.to_vec(), key.member.to_vec(), Some(shown(entry)))),
            );
            match page.next {
                Some(next) => scan.position = next,
                None => break,
            }
            assert!(rows.len() <= KEYS * MEMBERS.len() && scan.position != Position::Start, "a scan repeats");
        }
        if order == Order::Any {
            rows.sort_by(|first, second| (&first.0, &first.1).cmp(&(&second.0, &second.1)));
        }
        rows
    }

    /// What a batch did: refused, or for each change whether the entry existed and its version changed.
    fn write(&self, engine: &dyn Engine, planned: &[Planned]) -> Option<Vec<(bool, bool)>> {
        let now_ms = self.clock.now_ms();
        let before: Vec<_> =
            planned.iter().map(|planned| self.entry(engine, planned.address.key())).collect();
        let changes: Vec<_> = planned
            .iter()
            .zip(&before)
            .map(|(planned, entry)| planned.change(entry.as_ref(), now_ms))
            .collect();
        match engine.write(Batch::of(&changes), now_ms).wait().expect("a write works").applied {
            Applied::Refused { index, .. } => {
                assert!(changes[index].guard() != Guard::None, "a change without a guard was refused");
                None
            }
            Applied::Whole(effects) => {
                let seen =
                    |(change, (effect, entry)): (&Change<'_>, (&Effect, &Option<OwnedEntry>))| match change
                        .key()
                    {
                        Some(_) => existed_and_changed(effect, entry.as_ref()),
                        None => (effect.existed, true),
                    };
                Some(changes.iter().zip(effects.iter().zip(&before)).map(seen).collect())
            }
        }
    }

    fn update(
        &self,
        engine: &dyn Engine,
        address: Address,
        planned: &Planned,
    ) -> Result<(Shown, (bool, bool)), String> {
        let now_ms = self.clock.now_ms();
        let before = self.entry(engine, address.key());
        let mut seen = None;
        let mut edit = |entry: Option<EntryRef<'_>>| {
            seen = entry.map(shown);
            planned.edited(now_ms)
        };
        let outcome =
            engine.update(address.key(), now_ms, &mut edit).wait().map_err(|error| error.to_string())?;
        let effect = outcome.effect().ok_or("an update was refused")?;
        Ok((seen, existed_and_changed(&effect, before.as_ref())))
    }
}

fn shown(entry: EntryRef<'_>) -> (Vec<u8>, Kind, Option<u64>) {
    (entry.value.bytes().to_vec(), entry.kind, entry.expires_at_ms)
}

fn existed_and_changed(effect: &Effect, before: Option<&OwnedEntry>) -> (bool, bool) {
    (effect.existed, effect.version != before.map_or(0, |entry| entry.version))
}

fn same<T: PartialEq + Debug>((tested, model): (T, T)) -> Result<(), String> {
    if tested == model { Ok(()) } else { Err(format!("\n tested: {tested:?}\n  model: {model:?}")) }
}

impl Planned {
    fn change(&self, before: Option<&OwnedEntry>, now_ms: u64) -> Change<'_> {
        let key = self.address.key();
        let version = before.map(|entry| entry.version);
        let guard = match self.guard {
            PlannedGuard::None => Guard::None,
            PlannedGuard::Absent => Guard::Absent,
            PlannedGuard::Present => Guard::Present,
            PlannedGuard::Current => version.map_or(Guard::Absent, Guard::Version),
            PlannedGuard::Stale => Guard::Version(version.unwrap_or(0) + 1),
        };
        let database = self.address.database;
        match &self.what {
            What::Put(value, kind, expiry) => {
                Change::Put { key, guard, value, kind: *kind, expires: expiry.expires(now_ms) }
            }
            What::Patch(offset, bytes) => Change::Patch { key, guard, offset: *offset, bytes },
            What::Expire(expiry) => Change::Expire { key, guard, expires_at_ms: expiry.moment(now_ms) },
            What::Delete => Change::Delete { key, guard },
            What::Check | What::Fail => Change::Check { key, guard },
            What::Clear => Change::Clear { database },
            What::Swap(second) => Change::Swap { first: database, second: *second },
        }
    }

    fn edited(&self, now_ms: u64) -> tresor::Result<Edited<'_>> {
        Ok(match &self.what {
            What::Put(value, kind, expiry) => {
                Edited::Put { value: value.into(), kind: *kind, expires: expiry.expires(now_ms) }
            }
            What::Patch(offset, bytes) => Edited::Patch { offset: *offset, bytes: bytes.into() },
            What::Expire(expiry) => Edited::Expire(expiry.moment(now_ms)),
            What::Delete => Edited::Delete,
            What::Check | What::Clear | What::Swap(_) => Edited::Keep,
            What::Fail => return Err(tresor::Error::invalid("the edit fails")),
        })
    }
}

impl PlannedExpiry {
    fn expires(self, now_ms: u64) -> Expires {
        match self {
            Self::Never => Expires::Never,
            Self::In(ms) => Expires::At(now_ms + ms),
            Self::Keep => Expires::Keep,
        }
    }

    fn moment(self, now_ms: u64) -> Option<u64> {
        match self {
            Self::In(ms) => Some(now_ms + ms),
            Self::Never | Self::Keep => None,
        }
    }
}
