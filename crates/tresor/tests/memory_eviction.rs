//! The memory limit: kept under load whatever the policy, by letting go of the right entries.
//!
//! Small entries beside large ones and many times the limit, so that a count which drifts or a victim
//! that is not found shows. Which entries survive is judged by numbers far from what chance gives.

#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

use std::{path::Path, sync::Arc};

use tresor::{
    ErrorKind, Result,
    clock::{Clock, SystemClock},
    engine::{
        Batch, Change, Engine, Expires, Guard, Isolation, KeyRef, Kind, Status,
        memory::{BufferShare, Eviction, MemoryEngine, MemoryLimit, MemoryOptions},
    },
    files::Files,
    oplog::{Durability, LogOptions},
};
use tresor_testkit::{
    faulty_files::{FaultyFiles, Survives},
    random::{Random, seed},
};

/// Far enough away that nothing expires by itself.
const FAR_MS: u64 = 4_000_000_000_000;

/// Enough for some thousand small entries.
const LIMIT: u64 = 1_000_000;

struct Store {
    engine: Arc<MemoryEngine>,
    limit: Arc<MemoryLimit>,
}

impl Store {
    fn new(max_bytes: u64, policy: Eviction) -> Self {
        let limit = Arc::new(MemoryLimit::new(Some(max_bytes), policy));
        let options = MemoryOptions { limit: limit.clone(), ..MemoryOptions::default() };
        Self { engine: MemoryEngine::volatile(&options).unwrap(), limit }
    }

    fn put(&self, key: &str, bytes: usize, expires: Expires) -> Result<()> {
        let key = KeyRef::new(0, key.as_bytes());
        let value = &vec![b'v'; bytes];
        self.write(Change::Put { key, guard: Guard::None, value, kind: Kind::Raw, expires })
    }

    fn write(&self, change: Change<'_>) -> Result<()> {
        self.engine.write(Batch::of(&[change]), SystemClock::new().now_ms()).wait().map(drop)
    }

    fn get(&self, key: &str) -> bool {
        let mut found = false;
        let key = [KeyRef::new(0, key.as_bytes())];
        self.engine
            .read(&key, Isolation::Each, SystemClock::new().now_ms(), &mut |_, entry| found = entry.is_some())
            .wait()
            .unwrap();
        found
    }

    fn status(&self) -> Status {
        self.engine.status().wait().unwrap()
    }

    fn survivors(&self, prefix: &str, count: usize) -> usize {
        (0..count).filter(|number| self.get(&format!("{prefix}{number}"))).count()
    }
}

fn is_refused(result: Result<()>) -> bool {
    match result {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::OutOfMemory);
            assert_eq!(error.to_string(), "command not allowed when used memory > 'maxmemory'.");
            true
        }
    }
}

#[test]
fn the_limit_is_kept_under_ten_times_its_load_whatever_the_policy() {
    let mut random = Random::new(seed("ten times the limit"));
    for (name, policy) in Eviction::NAMES {
        let store = Store::new(LIMIT, policy);
        let (mut written, mut number, mut refused, mut most) = (0, 0, 0, 0);
        while written < 10 * LIMIT {
            let largest = *random.choice(&[32, 500, 5_000, 40_000]);
            let bytes = random.below(largest) as usize;
            refused += u64::from(is_refused(store.put(&format!("key:{number}"), bytes, Expires::At(FAR_MS))));
            number += 1;
            written += bytes as u64 + 10;
            most = most.max(store.limit.data_bytes());
        }
        // Room is made before a write, so the last one may stand above the limit.
        assert!(most < LIMIT + 45_000, "{name}: {most} bytes");
        assert!(most > LIMIT * 8 / 10, "{name}: gives way too early, at {most} bytes");
        let status = store.status();
        assert_eq!(status.data_bytes, store.limit.data_bytes(), "{name}");
        assert_eq!(policy == Eviction::None, refused > 0, "{name}: {refused} refused");
        assert_eq!(policy == Eviction::None, status.evicted == 0, "{name}: {} evicted", status.evicted);
    }
}

/// Fills a store beyond its limit with keys that nobody uses again, while 200 others are in use.
fn survivors_of_use(policy: Eviction, keys_before: usize, value_bytes: usize) -> (usize, usize) {
    let store = Store::new(LIMIT, policy);
    let fill = keys_before;
    for number in 0..200 {
        store.put(&format!("hot:{number}"), value_bytes, Expires::At(FAR_MS)).unwrap();
        store.put(&format!("cold:{number}"), value_bytes, Expires::At(FAR_MS)).unwrap();
    }
    for number in 0..fill {
        store.put(&format!("filler:{number}"), value_bytes, Expires::At(FAR_MS)).unwrap();
        store.get(&format!("hot:{}", number % 200));
        store.get(&format!("hot:{}", (number * 7) % 200));
    }
    assert!(store.status().evicted as usize > fill / 4, "{policy:?} had little to do");
    (store.survivors("hot:", 200), store.survivors("cold:", 200))
}

#[test]
fn what_is_used_stays() {
    use Eviction::{AllKeysLfu, AllKeysLru, VolatileLfu, VolatileLru};
    // Many entries a shard, and so few that most shards are empty.
    for (count, bytes) in [(20_000, 30), (2_000, 1_500)] {
        for policy in [AllKeysLru, VolatileLru, AllKeysLfu, VolatileLfu] {
            let (hot, cold) = survivors_of_use(policy, count, bytes);
            assert!(
                hot >= 150 && cold * 3 <= hot * 2,
                "{policy:?}, {bytes} bytes: {hot} hot, {cold} cold of 200"
            );
        }
        let (hot, _) = survivors_of_use(Eviction::AllKeysRandom, count, bytes);
        assert!(hot < 120, "random spares what is used: {hot} of 200");
    }
}

#[test]
fn writing_is_using() {
    for policy in [Eviction::AllKeysLru, Eviction::AllKeysLfu] {
        let store = Store::new(LIMIT, policy);
        for number in 0..6_000 {
            store.put(&format!("hot:{}", number % 100), 1_000, Expires::Never).unwrap();
            store.put(&format!("filler:{number}"), 1_000, Expires::Never).unwrap();
        }
        assert!(store.status().evicted > 3_000, "{policy:?}");
        // A hot key that was evicted came back cheaply: so look at how many are there at one moment.
        let hot = store.survivors("hot:", 100);
        assert!(hot >= 97, "{policy:?}: {hot} of 100");
    }
}

#[test]
fn what_has_no_expiry_is_never_evicted_by_a_volatile_policy() {
    for (name, policy) in Eviction::NAMES.into_iter().filter(|(name, _)| name.starts_with("volatile")) {
        let store = Store::new(LIMIT, policy);
        for number in 0..300 {
            store.put(&format!("kept:{number}"), 1_000, Expires::Never).unwrap();
        }
        for number in 0..5_000 {
            store.put(&format!("volatile:{number}"), 1_000, Expires::At(FAR_MS)).unwrap();
        }
        assert_eq!(store.survivors("kept:", 300), 300, "{name}");
        assert!(store.status().evicted > 3_000, "{name}");
        // What is volatile goes to the last entry, and then writes are refused.
        let accepted = (0..5_000)
            .take_while(|number| !is_refused(store.put(&format!("more:{number}"), 1_000, Expires::Never)))
            .count();
        assert!(accepted < 5_000, "{name} took more than there is room for");
        assert_eq!(store.status().expiring[0], 0, "{name}: refused although something could go");
        assert_eq!(store.survivors("kept:", 300), 300, "{name}");
        assert_eq!(store.survivors("more:", accepted), accepted, "{name}");
    }
}

#[test]
fn the_only_entry_that_may_go_is_found() {
    // In a store with less than an entry a shard, and in one with dozens.
    for (keys, rounds) in [(1_000, 50), (120_000, 20)] {
        let store = Store::new(u64::MAX - 1, Eviction::VolatileLru);
        for number in 0..keys {
            store.put(&format!("kept:{number}"), 10, Expires::Never).unwrap();
        }
        for round in 0..rounds {
            store.limit.set(Some(store.limit.data_bytes() + 10_000), Eviction::VolatileLru);
            let key = format!("the one:{round}");
            store.put(&key, 20_000, Expires::At(FAR_MS)).unwrap();
            assert!(store.limit.is_exceeded());
            let another = store.put(&format!("kept:{}", keys + round), 10, Expires::Never);
            assert!(!is_refused(another), "not found among {keys} in round {round}");
            assert!(!store.get(&key));
        }
    }
}

#[test]
fn what_expires_first_goes_first() {
    let store = Store::new(LIMIT, Eviction::VolatileTtl);
    for number in 0..10_000 {
        // Shuffled, so that order of writing and order of expiry have nothing in common.
        let expires_at_ms = FAR_MS + (number * 7_919) % 10_000;
        store.put(&format!("key:{}", (number * 7_919) % 10_000), 1_000, Expires::At(expires_at_ms)).unwrap();
    }
    let there: Vec<u64> = (0..10_000).filter(|number| store.get(&format!("key:{number}"))).collect();
    let mean = there.iter().sum::<u64>() / there.len() as u64;
    // By chance the mean would be 5,000.
    assert!(mean > 8_000, "of {} keys left the mean expiry is {mean} of 10,000", there.len());
}

#[test]
fn without_eviction_only_what_needs_memory_is_refused() {
    let store = Store::new(LIMIT, Eviction::None);
    let mut number = 0;
    while !is_refused(store.put(&format!("key:{number}"), 1_000, Expires::Never)) {
        number += 1;
    }
    let (key, guard) = (KeyRef::new(0, b"key:0"), Guard::None);
    assert!(store.get("key:0"));
    assert!(is_refused(store.write(Change::Patch { key, guard, offset: 0, bytes: b"v" })));
    store.write(Change::Expire { key, guard, expires_at_ms: Some(FAR_MS) }).unwrap();
    store.write(Change::Expire { key, guard, expires_at_ms: None }).unwrap();
    // Moving an entry frees what it needs.
    let to = Change::Put {
        key: KeyRef::new(0, b"moved"),
        guard,
        value: &[b'v'; 1_000],
        kind: Kind::Raw,
        expires: Expires::Never,
    };
    let changes = [Change::Delete { key, guard }, to];
    store.engine.write(Batch::of(&changes), 1).wait().unwrap();
    assert!(is_refused(store.engine.write(Batch::of(&changes[1..]), 1).wait().map(drop)));
    for number in 1..10 {
        store
            .write(Change::Delete { key: KeyRef::new(0, format!("key:{number}").as_bytes()), guard })
            .unwrap();
    }
    store.put("new", 1_000, Expires::Never).unwrap();
}

#[test]
fn buffers_count_against_the_limit() {
    let store = Store::new(LIMIT, Eviction::AllKeysLru);
    for number in 0..500 {
        store.put(&format!("key:{number}"), 1_000, Expires::Never).unwrap();
    }
    assert_eq!(store.status().evicted, 0);
    let share = BufferShare::new(store.limit.clone());
    share.set(700_000);
    assert_eq!(store.limit.buffer_bytes(), 700_000);
    store.put("another", 10, Expires::Never).unwrap();
    assert!(store.status().data_bytes <= 301_000, "{}", store.status().data_bytes);
    share.set(500);
    assert_eq!(store.limit.buffer_bytes(), 500);
    drop(share);
    assert_eq!(store.limit.buffer_bytes(), 0);
}

#[test]
fn a_limit_that_is_lowered_is_kept_from_the_next_write_on() {
    let store = Store::new(LIMIT, Eviction::None);
    for number in 0..500 {
        store.put(&format!("key:{number}"), 1_000, Expires::Never).unwrap();
    }
    store.limit.set(Some(300_000), Eviction::None);
    assert!(is_refused(store.put("key:0", 1_000, Expires::Never)));
    for policy in [Eviction::AllKeysLfu, Eviction::AllKeysRandom, Eviction::AllKeysLru] {
        store.limit.set(Some(store.limit.data_bytes() / 2), policy);
        store.put("key:0", 1_000, Expires::Never).unwrap();
        assert!(store.limit.data_bytes() <= store.limit.max_bytes().unwrap() + 1_100, "{policy:?}");
    }
    store.limit.set(None, Eviction::None);
    for number in 0..500 {
        store.put(&format!("key:{number}"), 1_000, Expires::Never).unwrap();
    }
    assert_eq!(store.status().keys[0], 500);
}

#[test]
fn clearing_gives_everything_back() {
    let store = Store::new(LIMIT, Eviction::None);
    let mut number = 0;
    while !is_refused(store.put(&format!("key:{number}"), 100, Expires::At(FAR_MS))) {
        number += 1;
    }
    store.write(Change::Clear { database: 0 }).unwrap();
    assert_eq!(store.status().data_bytes, 0);
    for number in 0..number {
        store.put(&format!("key:{number}"), 100, Expires::At(FAR_MS)).unwrap();
    }
    for number in 0..number {
        store
            .write(Change::Delete {
                key: KeyRef::new(0, format!("key:{number}").as_bytes()),
                guard: Guard::None,
            })
            .unwrap();
    }
    assert_eq!(store.status().data_bytes, 0);
}

#[test]
fn what_was_evicted_stays_away_after_a_crash() {
    let files = FaultyFiles::new();
    let open = |files: FaultyFiles, limit: Arc<MemoryLimit>| {
        let options = MemoryOptions { limit: limit.clone(), ..MemoryOptions::default() };
        let seams = (Arc::new(files) as Arc<dyn Files>, Arc::new(SystemClock::new()) as Arc<dyn Clock>);
        let log = LogOptions { durability: Durability::Always, ..LogOptions::default() };
        let (engine, _) = MemoryEngine::open(&options, seams, Path::new("store"), log).unwrap();
        Store { engine, limit }
    };
    let limit = Arc::new(MemoryLimit::new(Some(300_000), Eviction::AllKeysLru));
    let store = open(files.clone(), limit);
    for number in 0..2_000 {
        store.put(&format!("key:{number}"), 1_000, Expires::Never).unwrap();
    }
    let status = store.status();
    assert!(status.evicted > 1_500);
    store.engine.durable(status.sequence).wait().unwrap();
    let there: Vec<bool> = (0..2_000).map(|number| store.get(&format!("key:{number}"))).collect();
    let store = open(files.reboot(Survives::Synced), Arc::default());
    let after: Vec<bool> = (0..2_000).map(|number| store.get(&format!("key:{number}"))).collect();
    assert!(there == after, "an evicted key came back, or another went");
    assert_eq!(store.status().data_bytes, store.limit.data_bytes());
}
