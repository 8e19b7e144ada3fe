//! No stale read: what a cache answers while reads and writes beneath it are held up.
//!
//! First the interleavings that could go wrong, one by one, by hand. Then random ones, in one thread
//! with a printed seed, and with many threads. The values of a key are rising numbers: nobody may see
//! one below what was acknowledged, or seen by anybody, before his own read began.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
};

use tresor::{
    ErrorKind, Result,
    engine::{
        Batch, CacheStatus, Change, Edited, Engine, EntryRef, Expires, Guard, Isolation, KeyRef, Kind,
        Sequence,
        memory::{MemoryEngine, MemoryOptions},
    },
    layer::cached::{Cached, Capacity, UNKNOWN_MS},
};
use tresor_testkit::{
    HeldCall, HeldEngine, LaterEngine, ManualClock, Moment,
    random::{Random, seed},
};

const NOW_MS: u64 = 1_700_000_000_000;

fn memory() -> Arc<dyn Engine> {
    MemoryEngine::volatile_at(&MemoryOptions::default(), ManualClock::new()).unwrap()
}

/// A call that has been made, polled once.
struct Started<T>(Pin<Box<dyn Future<Output = Result<T>> + Send>>, Option<Result<T>>);

impl<T> Started<T> {
    fn new(call: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        let mut started = Self(Box::pin(call), None);
        started.poll();
        started
    }

    fn poll(&mut self) -> bool {
        if self.1.is_none()
            && let Poll::Ready(result) = self.0.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        {
            self.1 = Some(result);
        }
        self.1.is_some()
    }

    /// What it answered; it must have.
    fn answer(mut self) -> Result<T> {
        assert!(self.poll(), "it is still held");
        self.1.take().unwrap()
    }
}

/// The numbers that some keys have; 0 for an absent one.
fn read_at(engine: &Arc<dyn Engine>, names: Vec<u8>, isolation: Isolation, now_ms: u64) -> Started<Vec<u64>> {
    let engine = engine.clone();
    Started::new(async move {
        let keys: Vec<_> = names.iter().map(|name| KeyRef::new(0, std::slice::from_ref(name))).collect();
        let mut numbers = Vec::new();
        let mut visit = |index: usize, entry: Option<EntryRef<'_>>| {
            assert_eq!(index, numbers.len(), "keys are visited in order");
            numbers.push(entry.map_or(0, |entry| number_of(&entry)));
        };
        engine.read(&keys, isolation, now_ms, &mut visit).await?;
        Ok(numbers)
    })
}

fn number_of(entry: &EntryRef<'_>) -> u64 {
    u64::from_be_bytes(entry.value.bytes().try_into().unwrap())
}

/// Answers the write's number.
fn put_at(engine: &Arc<dyn Engine>, names: Vec<u8>, number: u64, now_ms: u64) -> Started<Sequence> {
    let engine = engine.clone();
    Started::new(async move {
        let value = number.to_be_bytes();
        let put = |name| Change::Put {
            key: KeyRef::new(0, std::slice::from_ref(name)),
            guard: Guard::None,
            value: &value,
            kind: Kind::Raw,
            expires: Expires::Never,
        };
        let changes: Vec<_> = names.iter().map(put).collect();
        engine.write(Batch::of(&changes), now_ms).await.map(|outcome| outcome.sequence)
    })
}

fn change(engine: &Arc<dyn Engine>, change: Change<'static>) -> Started<()> {
    let engine = engine.clone();
    Started::new(async move { engine.write(Batch::of(&[change]), NOW_MS).await.map(drop) })
}

/// A cache over a held engine.
struct Bench {
    held: Arc<HeldEngine>,
    cached: Arc<dyn Engine>,
}

impl Bench {
    /// In which key 1 has number 1, not yet cached.
    fn new() -> Self {
        let memory = memory();
        put_at(&memory, vec![1], 1, NOW_MS).answer().unwrap();
        let held = HeldEngine::new(memory);
        let cached = Arc::new(Cached::new(held.clone(), Capacity::Entries(100)).unwrap());
        Self { held, cached }
    }

    fn read(&self) -> Started<Vec<u64>> {
        read_at(&self.cached, vec![1], Isolation::Each, NOW_MS)
    }

    fn now(&self) -> u64 {
        self.read().answer().unwrap()[0]
    }

    fn put(&self, number: u64) -> Started<Sequence> {
        put_at(&self.cached, vec![1], number, NOW_MS)
    }

    fn cache(&self) -> CacheStatus {
        self.cached.status().wait().unwrap().cache.unwrap()
    }
}

#[test]
fn a_read_overtaken_by_a_write_keeps_nothing() {
    for moment in [Moment::Before, Moment::After] {
        let bench = Bench::new();
        let call = bench.held.hold_next(moment);
        let read = bench.read();
        bench.put(2).answer().unwrap();
        assert_eq!(bench.now(), 2);
        call.let_go();
        let seen = read.answer().unwrap()[0];
        assert_eq!(seen, if moment == Moment::Before { 2 } else { 1 });
        assert_eq!(bench.now(), 2, "{moment:?}");
    }
}

#[test]
fn a_read_during_a_write_keeps_nothing() {
    let bench = Bench::new();
    let write_held = bench.held.hold_next(Moment::Before);
    let write = bench.put(2);
    let read_held = bench.held.hold_next(Moment::After);
    let read = bench.read();
    write_held.let_go();
    write.answer().unwrap();
    read_held.let_go();
    assert_eq!(read.answer().unwrap()[0], 1);
    assert_eq!(bench.now(), 2);
}

#[test]
fn what_was_seen_of_an_unanswered_write_stays_seen() {
    let bench = Bench::new();
    let held = bench.held.hold_next(Moment::After);
    let write = bench.put(2);
    assert_eq!(bench.now(), 2);
    assert_eq!(bench.now(), 2);
    held.let_go();
    write.answer().unwrap();
    assert_eq!(bench.now(), 2);
}

#[test]
fn a_write_overtaken_by_another_keeps_nothing() {
    let bench = Bench::new();
    let held = bench.held.hold_next(Moment::After);
    let earlier = bench.put(2);
    bench.put(3).answer().unwrap();
    held.let_go();
    earlier.answer().unwrap();
    assert_eq!(bench.now(), 3);
    assert_eq!(bench.now(), 3);
}

#[test]
fn whole_databases_change_under_reads() {
    let changes = [Change::Clear { database: 0 }, Change::Swap { first: 0, second: 1 }];
    // The second swap brings back what the first took away.
    for (whole, at_last) in changes.into_iter().zip([0, 1]) {
        let bench = Bench::new();
        let call = bench.held.hold_next(Moment::After);
        let read = bench.read();
        change(&bench.cached, whole).answer().unwrap();
        call.let_go();
        assert_eq!(read.answer().unwrap()[0], 1);
        assert_eq!(bench.now(), 0, "{whole:?}");

        bench.put(2).answer().unwrap();
        let held = bench.held.hold_next(Moment::Before);
        let write = change(&bench.cached, whole);
        assert_eq!(bench.now(), 2, "{whole:?} has not happened yet");
        held.let_go();
        write.answer().unwrap();
        assert_eq!(bench.now(), at_last, "{whole:?}");
    }
}

#[test]
fn keys_read_together_are_of_one_moment() {
    let bench = Bench::new();
    put_at(&bench.cached, vec![1, 2], 2, NOW_MS).answer().unwrap();
    let together = || read_at(&bench.cached, vec![1, 2], Isolation::Together, NOW_MS).answer().unwrap();
    assert_eq!(together(), [2, 2]);
    let before = bench.held.keys_read();
    assert_eq!(together(), [2, 2]);
    assert_eq!(bench.held.keys_read(), before, "all from the cache");
    let held = bench.held.hold_next(Moment::After);
    let write = put_at(&bench.cached, vec![1, 2], 3, NOW_MS);
    assert_eq!(together(), [3, 3]);
    held.let_go();
    write.answer().unwrap();
    // One of them alone comes back into the cache: it is not mixed with the other as it is later.
    assert_eq!(bench.now(), 3);
    let held = bench.held.hold_next(Moment::Before);
    let read = read_at(&bench.cached, vec![1, 2], Isolation::Together, NOW_MS);
    put_at(&bench.cached, vec![1, 2], 4, NOW_MS).answer().unwrap();
    held.let_go();
    assert_eq!(read.answer().unwrap(), [4, 4]);
}

#[test]
fn a_dropped_read_leaves_nothing_behind() {
    let bench = Bench::new();
    let held = bench.held.hold_next(Moment::After);
    drop(bench.read());
    held.let_go();
    assert_eq!((bench.now(), bench.cache().entries), (1, 1));
    assert_eq!((bench.now(), bench.cache().hits), (1, 1));
}

/// Puts 2 without hearing what became of it; it is done when the call is let go.
fn unheard(bench: &Bench, give_up: impl Fn(Started<Sequence>, &HeldCall)) -> Arc<HeldCall> {
    assert_eq!(bench.now(), 1);
    let held = bench.held.hold_next(Moment::Before);
    give_up(bench.put(2), &held);
    held
}

#[test]
fn a_write_that_nobody_hears_of_is_waited_out() {
    let dropped = |write: Started<Sequence>, _: &HeldCall| drop(write);
    let lost = |write: Started<Sequence>, held: &HeldCall| {
        held.lose();
        assert_eq!(write.answer().unwrap_err().kind(), ErrorKind::UnknownOutcome);
    };
    for give_up in [&dropped as &dyn Fn(Started<Sequence>, &HeldCall), &lost] {
        let bench = Bench::new();
        let held = unheard(&bench, give_up);
        assert_eq!((bench.now(), bench.now()), (1, 1));
        assert_eq!(bench.cache().entries, 0, "it may change at any moment");
        held.let_go();
        assert_eq!(bench.now(), 2);
        // Later than any engine waits: the key is cached again.
        let later = || read_at(&bench.cached, vec![1], Isolation::Each, NOW_MS + UNKNOWN_MS);
        assert_eq!(later().answer().unwrap(), [2]);
        assert_eq!(bench.cache().entries, 1);
    }
}

#[test]
fn a_failed_save_takes_back_what_the_cache_has() {
    use std::{path::Path, time::Duration};
    use tresor::engine::json_file::{JsonFileEngine, JsonFileOptions};
    use tresor_testkit::faulty_files::FaultyFiles;

    let files = FaultyFiles::new();
    let options = JsonFileOptions { batch_size: 1, auto_save_interval: Duration::from_secs(10), waits: true };
    let seams = (Arc::new(files.clone()) as Arc<_>, ManualClock::new() as Arc<_>);
    let path = Path::new("/store/data.json");
    let file = JsonFileEngine::open(&MemoryOptions::default(), seams, path, options).unwrap();
    let cached: Arc<dyn Engine> = Arc::new(Cached::new(file, Capacity::Entries(100)).unwrap());
    let put = |number| cached.durable(put_at(&cached, vec![1], number, NOW_MS).answer().unwrap()).wait();
    put(1).unwrap();
    files.limit_space(Some(files.used_space()));
    assert_eq!(put(2).unwrap_err().kind(), ErrorKind::DiskFull);
    let read = || read_at(&cached, vec![1], Isolation::Each, NOW_MS).answer().unwrap();
    assert_eq!(read(), [1]);
    files.limit_space(None);
    put(3).unwrap();
    assert_eq!(read(), [3]);
}

/// A read of some keys, and what it must at least see of each.
type Read = (Vec<u8>, Vec<u64>, Started<Vec<u64>>);

/// Keys of the random tests.
const KEYS: u8 = 3;

/// A random history in one thread: calls are made, held, let go, polled and dropped in any order.
struct History {
    held: Arc<HeldEngine>,
    cached: Arc<dyn Engine>,
    random: Random,
    now_ms: u64,
    calls: Vec<Arc<HeldCall>>,
    reads: Vec<Read>,
    writes: Vec<(Vec<u8>, u64, Started<Sequence>)>,
    /// Of each key, the greatest number acknowledged or seen.
    floor: [u64; KEYS as usize],
    /// Keys with a write of which nobody knows whether it was done.
    unsure: [bool; KEYS as usize],
    last: u64,
}

impl History {
    fn new(seed: u64) -> Self {
        let held = HeldEngine::new(memory());
        let capacity = Capacity::Entries(1 + seed as usize % 4);
        let cached = Arc::new(Cached::new(held.clone(), capacity).unwrap());
        Self {
            held,
            cached,
            random: Random::new(seed),
            now_ms: NOW_MS,
            calls: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            floor: [0; KEYS as usize],
            unsure: [false; KEYS as usize],
            last: 0,
        }
    }

    fn step(&mut self) {
        match self.random.below(24) {
            0..7 => self.start_read(),
            7..11 => self.start_write(),
            11..14 => {
                let moment = *self.random.choice(&[Moment::Before, Moment::After]);
                self.calls.push(self.held.hold_next(moment));
            }
            14..18 if !self.calls.is_empty() => {
                let at = self.random.index(self.calls.len());
                self.calls.swap_remove(at).let_go();
            }
            18 if !self.reads.is_empty() => {
                let at = self.random.index(self.reads.len());
                self.reads.swap_remove(at);
            }
            19 if !self.writes.is_empty() => {
                let at = self.random.index(self.writes.len());
                let (names, _, _) = self.writes.swap_remove(at);
                names.iter().for_each(|name| self.unsure[usize::from(*name)] = true);
            }
            20 => self.settle(),
            _ => {}
        }
        self.poll();
    }

    fn names(&mut self) -> Vec<u8> {
        let mut names: Vec<u8> = (0..KEYS).filter(|_| self.random.one_in(2)).collect();
        if names.is_empty() {
            names.push(self.random.below(u64::from(KEYS)) as u8);
        }
        names
    }

    fn start_read(&mut self) {
        let names = self.names();
        let isolation = *self.random.choice(&[Isolation::Each, Isolation::Together]);
        let floor = names.iter().map(|name| self.floor[usize::from(*name)]).collect();
        let read = read_at(&self.cached, names.clone(), isolation, self.now_ms);
        self.reads.push((names, floor, read));
    }

    /// One write of a key at a time: only then is it known which number is the newer one.
    fn start_write(&mut self) {
        let mut names = self.names();
        let busy: Vec<u8> = self.writes.iter().flat_map(|(names, _, _)| names.clone()).collect();
        names.retain(|name| !busy.contains(name) && !self.unsure[usize::from(*name)]);
        if names.is_empty() {
            return;
        }
        self.last += 1;
        let write = put_at(&self.cached, names.clone(), self.last, self.now_ms);
        self.writes.push((names, self.last, write));
    }

    fn poll(&mut self) {
        let mut at = 0;
        while at < self.writes.len() {
            if !self.writes[at].2.poll() {
                at += 1;
                continue;
            }
            let (names, number, write) = self.writes.swap_remove(at);
            write.answer().unwrap();
            names.iter().for_each(|name| self.note(*name, number));
        }
        let mut at = 0;
        while at < self.reads.len() {
            if !self.reads[at].2.poll() {
                at += 1;
                continue;
            }
            let (names, floor, read) = self.reads.swap_remove(at);
            for ((name, floor), number) in names.iter().zip(floor).zip(read.answer().unwrap()) {
                assert!(number >= floor, "key {name} has {number}, and {floor} was there before");
                self.note(*name, number);
            }
        }
    }

    fn note(&mut self, name: u8, number: u64) {
        let floor = &mut self.floor[usize::from(name)];
        *floor = number.max(*floor);
    }

    /// Lets everything go on to its end, and some time pass.
    fn settle(&mut self) {
        self.calls.drain(..).for_each(|call| call.let_go());
        self.poll();
        if self.random.one_in(2) {
            self.now_ms += UNKNOWN_MS;
        }
        self.unsure = [false; KEYS as usize];
    }
}

#[test]
fn no_order_of_calls_makes_a_stale_read() {
    let first = seed("no_order_of_calls_makes_a_stale_read");
    let mut hits = 0;
    for round in 0..300 {
        let seed = first.wrapping_add(round);
        println!("TRESOR_SEED={seed}");
        let mut history = History::new(seed);
        (0..300).for_each(|_| history.step());
        history.settle();
        assert!(history.reads.is_empty() && history.writes.is_empty(), "everything has ended");
        let names: Vec<u8> = (0..KEYS).collect();
        history.reads.push((
            names.clone(),
            history.floor.to_vec(),
            read_at(&history.cached, names, Isolation::Each, history.now_ms),
        ));
        history.poll();
        let cache = history.cached.status().wait().unwrap().cache.unwrap();
        assert!(cache.entries <= cache.max_entries.unwrap());
        hits += cache.hits;
    }
    assert!(hits > 1000, "the cache was of use: {hits} hits");
}

/// Threads that read and write `keys` keys until each has done its rounds.
fn threads_see_numbers_rise(inner: Arc<dyn Engine>, capacity: usize) {
    const KEYS: u8 = 4;
    let cached: Arc<dyn Engine> = Arc::new(Cached::new(inner, Capacity::Entries(capacity)).unwrap());
    let floors: [AtomicU64; KEYS as usize] = std::array::from_fn(|_| AtomicU64::new(0));
    let seed = seed("threads_see_numbers_rise");
    thread::scope(|scope| {
        for thread in 0..4 {
            let (cached, floors) = (&cached, &floors);
            scope.spawn(move || {
                let mut random = Random::new(seed + thread);
                for _ in 0..3000 {
                    let name = random.below(u64::from(KEYS)) as u8;
                    let before = floors[usize::from(name)].load(Ordering::SeqCst);
                    let number =
                        if random.one_in(4) { increment(&**cached, name) } else { read_one(&**cached, name) };
                    assert!(number >= before, "key {name} has {number}, and {before} was there before");
                    floors[usize::from(name)].fetch_max(number, Ordering::SeqCst);
                }
            });
        }
    });
    assert!(cached.status().wait().unwrap().cache.unwrap().hits > 0);
}

fn read_one(engine: &dyn Engine, name: u8) -> u64 {
    let (mut number, keys) = (0, [name]);
    let mut visit =
        |_: usize, entry: Option<EntryRef<'_>>| number = entry.map_or(0, |entry| number_of(&entry));
    engine.read(&[KeyRef::new(0, &keys)], Isolation::Each, NOW_MS, &mut visit).wait().unwrap();
    number
}

fn increment(engine: &dyn Engine, name: u8) -> u64 {
    let (mut number, keys) = (0, [name]);
    let mut edit = |entry: Option<EntryRef<'_>>| {
        number = entry.map_or(0, |entry| number_of(&entry)) + 1;
        let value = number.to_be_bytes().to_vec().into();
        Ok(Edited::Put { value, kind: Kind::Raw, expires: Expires::Never })
    };
    engine.update(KeyRef::new(0, &keys), NOW_MS, &mut edit).wait().unwrap();
    number
}

#[test]
fn threads_see_numbers_rise_over_an_engine_that_answers_at_once() {
    threads_see_numbers_rise(memory(), 4);
}

#[test]
fn threads_see_numbers_rise_over_an_engine_that_answers_later() {
    threads_see_numbers_rise(Arc::new(LaterEngine::new(memory())), 3);
}
