//! Histories while keys are forever being moved: per key numbers rise and never go back, pairs are seen
//! whole, scans and counts see each key once, and in the end everything is there.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use tresor::{
    clock::{Clock, SystemClock},
    engine::{
        Batch, Change, Content, Effect, Engine, EntryRef, Expires, Guard, Isolation, KeyRef, Kind, Order,
        Scan,
        memory::{MemoryEngine, MemoryOptions},
    },
    files::{Files, SystemFiles},
    layer::sharded::{Pace, Shard, Sharded},
    oplog::{Durability, LogOptions},
};
use tresor_testkit::{
    LaterEngine, TemporaryDirectory,
    random::{Random, seed},
};

const WRITERS: u64 = 3;
const KEYS: u64 = 150;
const NOW_MS: u64 = 1_700_000_000_000;
const FASTEST: Pace = Pace { keys_per_second: None, bytes_per_second: None };

fn name(writer: u64, number: u64) -> Vec<u8> {
    format!("{number:03}:{writer}").into_bytes()
}

fn put<'a>(key: KeyRef<'a>, value: &'a [u8]) -> Change<'a> {
    Change::Put { key, guard: Guard::None, value, kind: Kind::Raw, expires: Expires::Never }
}

fn write(engine: &dyn Engine, changes: &[Change<'_>]) -> Vec<Effect> {
    let outcome = engine.write(Batch::of(changes), NOW_MS).wait().unwrap();
    match outcome.applied {
        tresor::engine::Applied::Whole(effects) => effects.to_vec(),
        refused => panic!("{refused:?}"),
    }
}

fn read(engine: &dyn Engine, keys: &[KeyRef<'_>]) -> Vec<Option<u64>> {
    let mut found = Vec::new();
    let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
        found.push(entry.map(|entry| u64::from_be_bytes(entry.value.bytes().try_into().unwrap())));
    };
    engine.read(keys, Isolation::Together, NOW_MS, &mut visit).wait().unwrap();
    found
}

/// One key's history: what was begun last, and what was acknowledged last. Numbers are doubled, and odd
/// for a deletion.
#[derive(Default)]
struct Told {
    begun: AtomicU64,
    done: AtomicU64,
}

struct History {
    sharded: Arc<Sharded>,
    told: Vec<Vec<Told>>,
    stop: AtomicBool,
}

impl History {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// Puts rising numbers, deletes now and then, and checks that versions of a key rise.
    fn write(&self, writer: u64, mut random: Random) {
        let mut versions = vec![0; KEYS as usize];
        let mut turn = 0_u64;
        while self.goes_on() {
            turn += 1;
            let number = random.below(KEYS);
            let name = name(writer, number);
            let key = KeyRef::new((number % 3) as u8, &name);
            let deletes = random.one_in(6);
            let value = turn.to_be_bytes();
            let change = if deletes { Change::Delete { key, guard: Guard::None } } else { put(key, &value) };
            let told = &self.told[writer as usize][number as usize];
            told.begun.store(turn * 2 + u64::from(deletes), Ordering::SeqCst);
            let effect = write(&*self.sharded, &[change])[0];
            told.done.store(turn * 2 + u64::from(deletes), Ordering::SeqCst);
            let last = &mut versions[number as usize];
            if !deletes || effect.existed {
                assert!(effect.version > *last, "key {number}: version {} after {last}", effect.version);
                *last = effect.version;
            }
        }
    }

    /// Reads what others write: never anything older than what was acknowledged before.
    fn read(&self, mut random: Random) {
        while self.goes_on() {
            let (writer, number) = (random.below(WRITERS), random.below(KEYS));
            let told = &self.told[writer as usize][number as usize];
            let done = told.done.load(Ordering::SeqCst);
            let name = name(writer, number);
            let found = read(&*self.sharded, &[KeyRef::new((number % 3) as u8, &name)])[0];
            let begun = told.begun.load(Ordering::SeqCst);
            match found {
                Some(turn) => assert!(turn >= done / 2, "{writer}/{number}: {turn} after {done}"),
                None => {
                    assert!(done == 0 || done % 2 == 1 || begun != done, "{writer}/{number}: {done} is lost")
                }
            }
        }
    }

    /// Pairs on two shards are written and read as one.
    fn pairs(&self, mut random: Random) {
        while self.goes_on() {
            let pair = random.below(7);
            let (one, other) = (format!("pair-{pair}-one"), format!("pair-{pair}-other"));
            let keys = [KeyRef::new(5, one.as_bytes()), KeyRef::new(5, other.as_bytes())];
            let value = random.number().to_be_bytes();
            match random.below(3) {
                0 => drop(write(&*self.sharded, &keys.map(|key| put(key, &value)))),
                1 => {
                    let delete = |key| Change::Delete { key, guard: Guard::None };
                    write(&*self.sharded, &keys.map(delete));
                }
                _ => {
                    let found = read(&*self.sharded, &keys);
                    assert_eq!(found[0], found[1], "half a pair");
                }
            }
        }
    }

    /// What is never touched is in every scan once, and counted once.
    fn scan(&self, still: &BTreeSet<Vec<u8>>, mut random: Random) {
        while self.goes_on() {
            let order = *random.choice(&[Order::Any, Order::Ascending, Order::Descending]);
            let mut scan = Scan::all(9, order, Content::Keys, 1 + random.index(90));
            let mut seen = Vec::new();
            loop {
                let page = self.sharded.scan(&scan, NOW_MS).wait().unwrap();
                seen.extend(page.iter().map(|(key, _)| key.key.to_vec()));
                match page.next {
                    Some(next) => scan.position = next,
                    None => break,
                }
            }
            assert_eq!(seen.len(), still.len(), "{order:?}");
            assert_eq!(&seen.into_iter().collect::<BTreeSet<_>>(), still, "{order:?}");
            assert_eq!(self.sharded.count(9).wait().unwrap().keys, still.len() as u64);
        }
    }

    /// Has a shard come, change weights and go, so many times; then everybody stops.
    fn move_keys(&self, comes: &Arc<dyn Engine>, rounds: u32) {
        let _stop = Stop(&self.stop);
        for _ in 0..rounds {
            self.sharded.add(Shard::new("c", comes.clone())).unwrap();
            self.sharded.wait();
            self.sharded.rebalance(&[("a", 3), ("c", 2)]).unwrap();
            self.sharded.wait();
            self.sharded.rebalance(&[("a", 1), ("c", 0)]).unwrap();
            self.sharded.wait();
            let left = comes.status().wait().unwrap().keys.iter().sum::<u64>();
            assert_eq!(left, 0, "the shard that went is empty");
        }
    }

    fn check_end(&self) {
        for writer in 0..WRITERS {
            for number in 0..KEYS {
                let told = self.told[writer as usize][number as usize].done.load(Ordering::SeqCst);
                let name = name(writer, number);
                let found = read(&*self.sharded, &[KeyRef::new((number % 3) as u8, &name)])[0];
                let expected = (told > 0 && told.is_multiple_of(2)).then_some(told / 2);
                assert_eq!(found, expected, "{writer}/{number}");
            }
        }
    }
}

/// Sets the flag when the thread ends, also by a panic.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn run(sharded: Arc<Sharded>, comes: Arc<dyn Engine>, rounds: u32, test: &str) {
    sharded.set_pace(FASTEST);
    let still: BTreeSet<Vec<u8>> =
        (0..700_u32).map(|number| format!("still {number}").into_bytes()).collect();
    for name in &still {
        write(&*sharded, &[put(KeyRef::new(9, name), &[0; 8])]);
    }
    let new = || (0..KEYS).map(|_| Told::default()).collect();
    let told = (0..WRITERS).map(|_| new()).collect();
    let history = History { sharded, told, stop: AtomicBool::new(false) };
    let seed = seed(test);
    thread::scope(|scope| {
        let (history, still) = (&history, &still);
        for writer in 0..WRITERS {
            scope.spawn(move || history.write(writer, Random::new(seed + writer)));
        }
        scope.spawn(move || history.pairs(Random::new(seed + 20)));
        scope.spawn(move || history.read(Random::new(seed + 10)));
        scope.spawn(move || history.scan(still, Random::new(seed + 30)));
        history.move_keys(&comes, rounds);
    });
    history.check_end();
}

fn memory() -> Arc<dyn Engine> {
    MemoryEngine::volatile(&MemoryOptions::default()).unwrap()
}

#[test]
fn nothing_is_lost_or_goes_back_while_keys_move_in_memory() {
    let sharded = Sharded::new(["a", "b"].map(|name| Shard::new(name, memory()))).unwrap();
    run(sharded, memory(), 6, "in memory");
}

#[test]
fn nothing_is_lost_or_goes_back_while_keys_move_far_away() {
    let far = || Arc::new(LaterEngine::new(memory())) as Arc<dyn Engine>;
    let sharded = Sharded::new(["a", "b"].map(|name| Shard::new(name, far()))).unwrap();
    run(sharded, far(), 12, "far away");
}

#[test]
fn nothing_is_lost_or_goes_back_while_keys_move_between_logs() {
    let directory = TemporaryDirectory::new("moves");
    let seams = || (Arc::new(SystemFiles) as Arc<dyn Files>, Arc::new(SystemClock::new()) as Arc<dyn Clock>);
    let open = |path: &Path| -> Arc<dyn Engine> {
        let log = LogOptions { durability: Durability::None, ..LogOptions::default() };
        MemoryEngine::open(&MemoryOptions::default(), seams(), path, log).unwrap().0
    };
    let shards = ["a", "b"].map(|name| Shard::new(name, open(&directory.join(name))));
    let sharded = Sharded::open(Some(&directory.join("shards")), seams(), shards.into()).unwrap();
    run(sharded.clone(), open(&directory.join("c")), 3, "between logs");
    let count = |sharded: &Sharded| sharded.count(9).wait().unwrap().keys;
    sharded.wait();
    assert_eq!(count(&sharded), 700);
    sharded.close().wait().unwrap();
    let shards = ["a", "b"].map(|name| Shard::new(name, open(&directory.join(name))));
    let again = Sharded::open(Some(&directory.join("shards")), seams(), shards.into()).unwrap();
    assert_eq!(count(&again), 700);
}
