//! What a cache keeps, for how long, and what it tells about that.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

mod commands_client;

use std::sync::Arc;

use commands_client::TestClient;
use tresor::{
    Config, Database,
    engine::{
        Batch, CacheStatus, Engine, EntryRef, Expires, Isolation, KeyRef, Kind, ValueRef,
        memory::{MemoryEngine, MemoryOptions},
    },
    layer::cached::{Cached, Capacity},
};
use tresor_testkit::{
    HeldEngine, ManualClock,
    conformance::{Subject, check, delete, key, put, put_as},
    random::{Random, seed},
};

/// A cache over an engine that counts what it is asked.
struct Bench {
    subject: Subject,
    cached: Arc<Cached>,
    beneath: Arc<HeldEngine>,
}

impl Bench {
    fn new(capacity: Capacity) -> Self {
        let clock = ManualClock::new();
        let memory = MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).unwrap();
        let beneath = HeldEngine::new(memory);
        let cached = Arc::new(Cached::new(beneath.clone(), capacity).unwrap());
        Self { subject: Subject { engine: cached.clone(), clock }, cached, beneath }
    }

    fn cache(&self) -> CacheStatus {
        self.cached.cache_status()
    }

    /// Whether reading a key is answered by the cache alone. Makes it the last used one.
    fn has(&self, name: &[u8]) -> bool {
        let before = self.beneath.keys_read();
        self.subject.entry(key(name));
        self.beneath.keys_read() == before
    }
}

#[test]
fn the_least_recently_used_entry_gives_way() {
    let bench = Bench::new(Capacity::Entries(2));
    bench.subject.put(key(b"a"), b"1");
    bench.subject.put(key(b"b"), b"2");
    assert!(bench.has(b"a"));
    bench.subject.put(key(b"c"), b"3");
    assert!(bench.has(b"a") && bench.has(b"c"));
    assert!(!bench.has(b"b"), "b was used least recently");
    assert!(!bench.has(b"a"), "reading b brought it back, and a gave way");
    assert_eq!(bench.subject.value(key(b"c")), Some(b"3".to_vec()));
}

#[test]
fn the_order_of_use_is_exact_in_a_small_cache() {
    let seed = seed("the_order_of_use_is_exact_in_a_small_cache");
    let mut random = Random::new(seed);
    let bench = Bench::new(Capacity::Entries(50));
    let mut used: Vec<u64> = Vec::new();
    for step in 0..5000 {
        let number = random.below(80);
        let (name, known) = (number.to_be_bytes(), used.iter().position(|used| *used == number));
        if random.one_in(3) || bench.subject.value(key(&name)).is_none() {
            bench.subject.put(key(&name), b"value");
        } else {
            assert!(bench.has(&name));
        }
        if let Some(at) = known {
            used.remove(at);
        }
        used.push(number);
        if used.len() > 50 {
            used.remove(0);
        }
        if step % 1000 == 999 {
            assert_eq!(bench.cache().entries, used.len() as u64);
            // Oldest first, so that the order stays what it is.
            assert!(used.iter().all(|number| bench.has(&number.to_be_bytes())), "step {step}");
        }
    }
    assert!(bench.cache().evictions > 100);
}

#[test]
fn entries_never_exceed_the_capacity() {
    for capacity in [0_u64, 1, 7, 9000] {
        let bench = Bench::new(Capacity::Entries(capacity as usize));
        for number in 0..20_000_u64 {
            bench.subject.put(key(&number.to_be_bytes()), b"value");
            assert!(bench.cache().entries <= capacity);
        }
        assert_eq!(bench.cache().entries, capacity);
        assert_eq!(bench.cache().max_entries, Some(capacity));
    }
}

#[test]
fn everything_fits_that_the_capacity_says() {
    // More than one shard: none of them evicts while another has room.
    let bench = Bench::new(Capacity::Entries(20_000));
    for number in 0..20_000_u64 {
        bench.subject.put(key(&number.to_be_bytes()), b"value");
    }
    assert!((0..20_000_u64).all(|number| bench.has(&number.to_be_bytes())));
    assert_eq!((bench.cache().evictions, bench.cache().hits), (0, 20_000));
}

#[test]
fn bytes_never_exceed_the_capacity() {
    let seed = seed("bytes_never_exceed_the_capacity");
    let mut random = Random::new(seed);
    let capacity = 9 << 20;
    let bench = Bench::new(Capacity::Bytes(capacity));
    let (mut held, large) = (0, vec![7; 8 << 20]);
    for number in 0..3000_u64 {
        let length = if random.one_in(20) { 300_000 } else { random.index(5000) };
        bench.subject.put(key(&number.to_be_bytes()), &vec![1; length]);
        let cache = bench.cache();
        assert!(cache.bytes <= capacity as u64);
        held = cache.bytes.max(held);
    }
    assert!(held > 8 << 20, "room is used: {held} bytes");
    // More than a shard's share: others make room.
    bench.subject.put(key(b"large"), &large);
    assert!(bench.has(b"large") && bench.cache().bytes <= capacity as u64);
    bench.subject.put(key(b"too large"), &vec![7; 10 << 20]);
    assert!(!bench.has(b"too large"));
    assert!(bench.has(b"large"), "nothing gives way to what cannot fit");
}

#[test]
fn threads_keep_within_the_capacity() {
    let bench = Bench::new(Capacity::Entries(3));
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let bench = &bench;
            scope.spawn(move || {
                for number in 0..3000_u64 {
                    bench.subject.put(key(&(number * 4 + thread).to_be_bytes()), b"value");
                    let entries = bench.cache().entries;
                    // What has taken room but waits for it is counted: at most one a thread.
                    assert!(entries <= 3 + 4, "{entries}");
                }
            });
        }
    });
    assert!(bench.cache().entries <= 3);
}

#[test]
fn what_has_left_gives_its_room_back() {
    let bench = Bench::new(Capacity::Entries(1000));
    for number in 0..100_u64 {
        bench.subject.put(KeyRef::new((number % 2) as u8, &number.to_be_bytes()), b"value");
    }
    bench.subject.one(delete(key(&0_u64.to_be_bytes())));
    assert_eq!(bench.cache().entries, 99);
    bench.subject.one(tresor::engine::Change::Clear { database: 1 });
    assert_eq!(bench.cache().entries, 49);
    bench.subject.one(tresor::engine::Change::Swap { first: 0, second: 5 });
    assert_eq!((bench.cache().entries, bench.cache().bytes), (0, 0));
}

#[test]
fn an_entry_whose_time_has_passed_is_absent() {
    let bench = Bench::new(Capacity::Entries(10));
    let now_ms = bench.subject.now_ms();
    bench.subject.put_until(key(b"k"), b"soon gone", now_ms + 10);
    assert!(bench.has(b"k"));
    bench.subject.advance_ms(9);
    assert_eq!(bench.subject.value(key(b"k")), Some(b"soon gone".to_vec()));
    bench.subject.advance_ms(1);
    assert_eq!(bench.subject.entry(key(b"k")), None);
    let change = put_as(key(b"k"), b"again", Kind::Json, Expires::At(now_ms + 20));
    let version = bench.subject.one(change).version;
    let before = bench.beneath.keys_read();
    let (entries, sequence) = bench.subject.seen(&[key(b"k")], Isolation::Each);
    let entry = entries[0].clone().unwrap();
    assert_eq!((entry.kind, entry.expires_at_ms, entry.version), (Kind::Json, Some(now_ms + 20), version));
    assert_eq!((sequence, bench.beneath.keys_read()), (version, before), "it is the cache that answers");
}

#[test]
fn a_run_of_reads_asks_once_for_what_is_missing() {
    let bench = Bench::new(Capacity::Entries(100));
    let names: Vec<[u8; 1]> = (0..30).map(|number| [number]).collect();
    let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    let puts: Vec<_> = keys.iter().filter(|key| key.key[0] != 17).map(|key| put(*key, key.key)).collect();
    bench.subject.each(&puts);
    assert_eq!(bench.cache().entries, 0, "their versions were not told");
    for known in [3, 4, 11, 29] {
        assert!(!bench.has(&[known]) && bench.has(&[known]));
    }
    let before = (bench.beneath.keys_read(), bench.cache());
    let (entries, _) = bench.subject.seen(&keys, Isolation::Each);
    for (number, entry) in entries.iter().enumerate() {
        let value = entry.as_ref().map(|entry| entry.value.to_vec());
        assert_eq!(value, (number != 17).then(|| vec![number as u8]));
    }
    let after = (bench.beneath.keys_read(), bench.cache());
    assert_eq!(after.0 - before.0, 26, "each that is missing, once");
    assert_eq!((after.1.hits - before.1.hits, after.1.misses - before.1.misses), (4, 26));
    bench.subject.seen(&keys, Isolation::Each);
    assert_eq!(bench.beneath.keys_read() - after.0, 1, "what is absent is not kept");
}

#[test]
fn large_values_are_shared_and_small_ones_are_not() {
    let bench = Bench::new(Capacity::Entries(100));
    bench.subject.each(&[put(key(b"large"), &vec![1; 100_000]), put(key(b"small"), b"small")]);
    let show = |name: &[u8]| {
        let mut start = None;
        let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
            start = match entry.unwrap().value {
                ValueRef::Shared(bytes) => Some(bytes.as_ptr().addr()),
                ValueRef::Inline(_) => None,
            };
        };
        bench.subject.engine.read(&[key(name)], Isolation::Each, 0, &mut visit).wait().unwrap();
        start
    };
    let beneath = show(b"large");
    assert!(beneath.is_some() && bench.has(b"large"));
    assert_eq!(show(b"large"), beneath, "the bytes are those of the engine beneath");
    assert_eq!((show(b"small"), show(b"small")), (None, None));
}

#[test]
fn a_blind_write_and_a_refused_one_keep_nothing() {
    let bench = Bench::new(Capacity::Entries(100));
    let change = [put(key(b"k"), b"1")];
    bench.subject.engine.write(Batch::blind(&change), 0).wait().unwrap();
    assert_eq!(bench.cache().entries, 0);
    let guarded = tresor_testkit::conformance::guarded(put(key(b"k"), b"2"), tresor::Guard::Absent);
    bench.subject.refused(&[guarded]);
    assert_eq!(bench.cache().entries, 0);
    assert_eq!(bench.subject.value(key(b"k")), Some(b"1".to_vec()));
}

#[test]
fn who_is_refused_for_a_version_reads_the_new_one() {
    let bench = Bench::new(Capacity::Entries(100));
    bench.subject.put(key(b"k"), b"1");
    let version = bench.subject.entry(key(b"k")).unwrap().version;
    // As when a value is encrypted anew: the cache hears nothing of it.
    bench.beneath.write(Batch::of(&[put(key(b"k"), b"1")]), 0).wait().unwrap();
    bench.subject.refused(&[check(key(b"k"), tresor::Guard::Version(version)), put(key(b"other"), b"2")]);
    let version = bench.subject.entry(key(b"k")).unwrap().version;
    bench.subject.apply(&[check(key(b"k"), tresor::Guard::Version(version)), put(key(b"other"), b"2")]);
}

#[test]
fn info_tells_how_the_cache_is_doing() {
    let memory = MemoryEngine::volatile(&MemoryOptions::default()).unwrap();
    let cached = Cached::new(memory.clone(), Capacity::Entries(2)).unwrap();
    let database = Database::over(Arc::new(cached), Config::memory()).unwrap();
    let mut client = TestClient::connect(&database, "127.0.0.1:1");
    for command in ["SET a 1", "GET a", "GET a", "SET b 2", "GET b", "SET c 3", "GET c"] {
        client.reply(command);
    }
    let info = client.text("INFO cache");
    for line in ["cache_enabled:1", "cache_hits:1", "cache_misses:3", "cache_evictions:1", "cache_entries:2"]
    {
        assert!(info.lines().any(|told| told == line), "no {line} in {info}");
    }
    assert!(info.contains("cache_max_entries:2\r\n") && info.contains("cache_max_bytes:0\r\n"));
    let plain = Database::over(memory, Config::memory()).unwrap();
    let info = TestClient::connect(&plain, "127.0.0.1:1").text("INFO");
    assert!(info.contains("# Cache\r\ncache_enabled:0\r\n"));
}
