//! What the cache layer costs beside other caches, and what it gives: the figures of
//! `docs/decisions/0009-cache.md`.
//!
//! `cargo run --profile quick -p xtask --example measure_caches [KEYS]`. Keys have 16 bytes, values 32.
//! Each candidate holds an engine's view of an entry (key, value, version, expiry) and copies the value
//! out at a hit, as a reply does. Times are the threads' processor time, medians of interleaved rounds.

#![allow(clippy::unwrap_used, reason = "a measurement that fails is not taken")]

use std::{
    collections::BTreeMap, env, fs, hash::BuildHasher, hint::black_box, process::Command, sync::Arc, thread,
};

use hashlink::LruCache;
use parking_lot::Mutex;
use siphasher::sip::SipHasher13;
use tresor::{
    engine::{
        Applied, Batch, Capabilities, Change, Edit, Effect, Engine, EntryRef, Eventual, Expires, Guard,
        Isolation, KeyRef, Kind, Outcome, Page, Scan, Seen, Status, Visit,
        memory::{MemoryEngine, MemoryOptions},
    },
    layer::cached::{Cached, Capacity},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Name = [u8; 16];

const VALUE: [u8; 32] = [b'v'; 32];
const ROUNDS: usize = 5;
const READS: usize = 200_000;

/// What a general cache has to keep of an entry.
#[derive(Clone)]
struct Kept {
    value: Box<[u8]>,
    version: u64,
    expires_at_ms: u64,
}

fn kept() -> Kept {
    Kept { value: Box::new(VALUE), version: 1, expires_at_ms: 0 }
}

/// Keyed, as keys come from strangers.
#[derive(Clone)]
struct Keyed(SipHasher13);

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        self.0
    }
}

fn keyed() -> Keyed {
    Keyed(SipHasher13::new_with_keys(1, 2))
}

/// A cache that is measured: reads say whether they hit, and put in what was missing.
trait Candidate: Send + Sync {
    fn get(&self, name: &Name) -> bool;
    fn put(&self, name: &Name);
}

struct Moka(moka::sync::Cache<Name, Arc<Kept>, Keyed>);

impl Candidate for Moka {
    fn get(&self, name: &Name) -> bool {
        self.0
            .get(name)
            .is_some_and(|kept| black_box(kept.version + kept.expires_at_ms) > 0 && copied(&kept.value))
    }

    fn put(&self, name: &Name) {
        self.0.insert(*name, Arc::new(kept()));
    }
}

struct Quick(quick_cache::sync::Cache<Name, Arc<Kept>, quick_cache::UnitWeighter, Keyed>);

impl Candidate for Quick {
    fn get(&self, name: &Name) -> bool {
        self.0.get(name).is_some_and(|kept| copied(&kept.value))
    }

    fn put(&self, name: &Name) {
        self.0.insert(*name, Arc::new(kept()));
    }
}

/// `hashlink`'s map in the order of use, in shards.
struct Linked(Vec<Mutex<LruCache<Name, Kept, Keyed>>>);

impl Linked {
    fn new(capacity: usize) -> Self {
        let shards = (capacity / 4096).clamp(1, 256).next_power_of_two();
        let each = capacity.div_ceil(shards);
        Self((0..shards).map(|_| Mutex::new(LruCache::with_hasher(each, keyed()))).collect())
    }

    fn shard(&self, name: &Name) -> &Mutex<LruCache<Name, Kept, Keyed>> {
        &self.0[(keyed().hash_one(name) >> 40) as usize % self.0.len()]
    }
}

impl Candidate for Linked {
    fn get(&self, name: &Name) -> bool {
        self.shard(name).lock().get(name).is_some_and(|kept| copied(&kept.value))
    }

    fn put(&self, name: &Name) {
        self.shard(name).lock().insert(*name, kept());
    }
}

/// An engine: the memory engine itself, or the cache over it.
struct Through(Arc<dyn Engine>);

impl Candidate for Through {
    fn get(&self, name: &Name) -> bool {
        let mut found = false;
        let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
            found = entry.is_some_and(|entry| copied(entry.value.bytes()));
        };
        self.0.read(&[KeyRef::new(0, name)], Isolation::Each, 1, &mut visit).wait().unwrap();
        found
    }

    fn put(&self, name: &Name) {
        write(&*self.0, name, false);
    }
}

fn copied(value: &[u8]) -> bool {
    let mut reply = [0; 32];
    reply.copy_from_slice(value);
    black_box(reply)[0] == b'v'
}

fn write(engine: &dyn Engine, name: &Name, blind: bool) {
    let (key, guard, expires) = (KeyRef::new(0, name), Guard::None, Expires::Never);
    let changes = [Change::Put { key, guard, value: &VALUE, kind: Kind::Raw, expires }];
    engine.write(Batch { changes: &changes, blind }, 1).wait().unwrap();
}

/// An engine that forgets at once what is written to it: all that is there is in the cache.
struct Forgetful;

impl Engine for Forgetful {
    fn capabilities(&self) -> Capabilities {
        memory().capabilities()
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        _: Isolation,
        _: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        (0..keys.len()).for_each(|index| visit(index, None));
        Eventual::Now(Ok(Seen::default()))
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, _: u64) -> Eventual<'a, Page> {
        Eventual::Now(Ok(Page::new(scan.database)))
    }

    fn write<'a>(&'a self, batch: Batch<'a>, _: u64) -> Eventual<'a, Outcome> {
        let effects = batch.changes.iter().map(|_| Effect { existed: false, version: 1 });
        Eventual::Now(Ok(Outcome { sequence: 1, applied: Applied::Whole(effects.collect()) }))
    }

    fn update<'a>(&'a self, _: KeyRef<'a>, _: u64, _: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        self.write(Batch::of(&[]), 0)
    }

    fn durable(&self, _: u64) -> Eventual<'_, ()> {
        Eventual::Now(Ok(()))
    }

    fn status(&self) -> Eventual<'_, Status> {
        Eventual::Now(Ok(Status::default()))
    }

    fn save(&self) -> Eventual<'_, ()> {
        Eventual::Now(Ok(()))
    }

    fn close(&self) -> Eventual<'_, ()> {
        Eventual::Now(Ok(()))
    }
}

fn memory() -> Arc<dyn Engine> {
    MemoryEngine::volatile(&MemoryOptions::default()).unwrap()
}

fn cached(inner: Arc<dyn Engine>, capacity: usize) -> Arc<Cached> {
    Arc::new(Cached::new(inner, Capacity::Entries(capacity)).unwrap())
}

fn candidate(name: &str, capacity: usize) -> Box<dyn Candidate> {
    match name {
        "memory engine" => Box::new(Through(memory())),
        "cache layer" => Box::new(Through(cached(Arc::new(Forgetful), capacity))),
        "moka" => Box::new(Moka(
            moka::sync::Cache::builder()
                .max_capacity(capacity as u64)
                .eviction_policy(moka::policy::EvictionPolicy::lru())
                .build_with_hasher(keyed()),
        )),
        "quick_cache" => Box::new(Quick(quick_cache::sync::Cache::with(
            capacity,
            capacity as u64,
            quick_cache::UnitWeighter,
            keyed(),
            quick_cache::sync::DefaultLifecycle::default(),
        ))),
        "hashlink" => Box::new(Linked::new(capacity)),
        _ => unreachable!("not a candidate: {name}"),
    }
}

const CANDIDATES: [&str; 5] = ["memory engine", "cache layer", "hashlink", "quick_cache", "moka"];

fn name_of(number: u64) -> Name {
    let mut name = *b"key:000000000000";
    name[4..].copy_from_slice(format!("{number:012}").as_bytes());
    name
}

/// Xorshift64 (Marsaglia 2003).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Numbers of which the n-th comes with a probability of 1 / n^0.99, as YCSB draws them: by the inverse
/// of the continuous distribution, which is close enough for any but the first few.
fn zipf_rank(state: &mut u64, keys: u64) -> u64 {
    let uniform = (next(state) >> 11) as f64 / (1_u64 << 53) as f64;
    let top = (keys as f64).powf(0.01) - 1.0;
    ((1.0 + uniform * top).powf(100.0) as u64).min(keys - 1)
}

/// Numbers some of which come far more often than others.
fn zipf(state: &mut u64, keys: u64) -> u64 {
    // Scattered, so that neighbours in rank are not neighbours in number.
    zipf_rank(state, keys) * 7919 % keys
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn time_each(order: &[Name], work: impl Fn(&Name)) -> f64 {
    let started_ns = thread_ns();
    order.iter().for_each(work);
    (thread_ns() - started_ns) / order.len() as f64
}

/// Processor time of this thread: what else the machine does counts less.
fn thread_ns() -> f64 {
    let figures = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    figures.split_whitespace().next().unwrap().parse().unwrap()
}

fn resident_bytes() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

fn order(state: &mut u64, keys: u64) -> Vec<Name> {
    (0..READS).map(|_| name_of(next(state) % keys)).collect()
}

/// Nanoseconds a hit from one thread and from two, with every key there.
fn hits(keys: u64) {
    println!("\nns a hit, {keys} keys, all of them there: one thread, two threads");
    let spare = (keys + keys / 8) as usize;
    let caches: Vec<_> = CANDIDATES.iter().map(|name| (*name, candidate(name, spare))).collect();
    for (_, cache) in &caches {
        (0..keys).for_each(|number| cache.put(&name_of(number)));
    }
    let (mut figures, mut state) = (BTreeMap::<&str, [Vec<f64>; 2]>::new(), 42);
    for _ in 0..ROUNDS {
        let orders = [order(&mut state, keys), order(&mut state, keys)];
        for (name, cache) in &caches {
            let get = |name: &Name| assert!(cache.get(name), "every key is there");
            let figures = figures.entry(name).or_default();
            figures[0].push(time_each(&orders[0], get));
            let both = thread::scope(|scope| {
                let threads: Vec<_> =
                    orders.iter().map(|order| scope.spawn(move || time_each(order, get))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum::<f64>() / 2.0
            });
            figures[1].push(both);
        }
    }
    for name in CANDIDATES {
        let [one, two] = figures.remove(name).unwrap();
        println!("  {name:14} {:6.1} {:6.1}", median(one), median(two));
    }
}

/// Nanoseconds a hit in runs of 16 keys, as a pipeline asks.
fn runs(keys: u64) {
    println!("\nns a hit in runs of 16, {keys} keys, all of them there");
    let spare = (keys + keys / 8) as usize;
    let engines: [(&str, Arc<dyn Engine>); 2] =
        [("memory engine", memory()), ("cache layer", cached(memory(), spare))];
    for (_, engine) in &engines {
        (0..keys).for_each(|number| write(&**engine, &name_of(number), false));
    }
    let (mut figures, mut state) = ([Vec::new(), Vec::new()], 43);
    for _ in 0..ROUNDS {
        let order = order(&mut state, keys);
        for ((_, engine), figures) in engines.iter().zip(&mut figures) {
            let started_ns = thread_ns();
            for run in order.chunks(16) {
                let keys: Vec<_> = run.iter().map(|name| KeyRef::new(0, name)).collect();
                let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
                    black_box(entry.is_some_and(|entry| copied(entry.value.bytes())));
                };
                engine.read(&keys, Isolation::Each, 1, &mut visit).wait().unwrap();
            }
            figures.push((thread_ns() - started_ns) / order.len() as f64);
        }
    }
    for ((name, _), figures) in engines.iter().zip(figures) {
        println!("  {name:14} {:6.1}", median(figures));
    }
}

/// Nanoseconds to put an entry into a full cache, and bytes an entry once it is full: each candidate in
/// a process of its own, whose memory nobody had before.
fn inserts(keys: u64) {
    println!("\nns to put an entry into a full cache of {} entries; resident bytes an entry", keys / 10);
    for name in CANDIDATES {
        let program = env::current_exe().unwrap();
        let status = Command::new(program).args([&keys.to_string(), name]).status().unwrap();
        assert!(status.success(), "{name}");
    }
}

fn insert_into(name: &str, keys: u64) {
    let before = resident_bytes();
    let cache = candidate(name, (keys / 10) as usize);
    (0..keys / 10).for_each(|number| cache.put(&name_of(number)));
    let bytes = (resident_bytes() - before) / (keys / 10) as f64;
    let names: Vec<Name> = (keys / 10..keys).map(name_of).collect();
    let figures = names.chunks(names.len() / 9).map(|names| time_each(names, |name| cache.put(name)));
    println!("  {name:14} {:6.1} ns {bytes:6.1} bytes", median(figures.collect()));
}

/// Shares of reads that hit, when what was missing is put in.
fn ratios(keys: u64) {
    println!("\nhit ratio on a Zipf trace (0.99) over {keys} keys: capacity 1 %, 10 %");
    for name in &CANDIDATES[1..] {
        let ratio = |share: u64| {
            let cache = candidate(name, (keys / share) as usize);
            let mut state = 44;
            let mut hits = 0;
            let reads = keys * 4;
            for number in 0..reads {
                let name = name_of(zipf(&mut state, keys));
                let hit = cache.get(&name);
                if !hit {
                    cache.put(&name);
                }
                hits += u64::from(hit && number >= reads / 2);
            }
            hits as f64 / (reads / 2) as f64
        };
        println!("  {name:14} {:.3} {:.3}", ratio(100), ratio(10));
    }
}

/// Whether what is written should be put into the cache: shares of reads that hit.
fn writes(keys: u64) {
    println!("\nhit ratio of reads at a capacity of 10 %, writes only take out / are put in");
    let latest = |state: &mut u64, written: u64| written.saturating_sub(1 + zipf_rank(state, written));
    for (mix, share, newest) in
        [("95 % reads", 20, false), ("50 % reads", 2, false), ("95 % reads of the latest", 20, true)]
    {
        let ratio = |blind: bool| {
            let beneath = memory();
            (0..keys).for_each(|number| write(&*beneath, &name_of(number), true));
            let cache = cached(beneath, (keys / 10) as usize);
            let (mut state, mut written) = (45, keys);
            let engine = Through(cache.clone());
            for _ in 0..keys * 3 {
                let number = if newest { latest(&mut state, written) } else { zipf(&mut state, keys) };
                if next(&mut state).is_multiple_of(share) {
                    let number = if newest { written } else { number };
                    written += u64::from(newest);
                    write(&*cache, &name_of(number), blind);
                } else {
                    engine.get(&name_of(number));
                }
            }
            let status = cache.cache_status();
            status.hits as f64 / (status.hits + status.misses) as f64
        };
        println!("  {mix:26} {:.3} {:.3}", ratio(true), ratio(false));
    }
}

fn main() {
    let keys: u64 = env::args().nth(1).map_or(1_000_000, |keys| keys.parse().unwrap());
    if let Some(name) = env::args().nth(2) {
        return insert_into(&name, keys);
    }
    hits(keys / 10);
    hits(keys);
    runs(keys / 10);
    runs(keys);
    inserts(keys);
    ratios(keys);
    writes(keys / 2);
}
