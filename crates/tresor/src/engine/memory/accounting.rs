//! What the memory limit counts, compared with what is there, after whatever can happen to an entry.
//!
//! The count is kept by differences, change by change; these tests add everything up from scratch.
//! They look inside, because a drift of a few bytes a change shows through no public door in time.

#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Eviction, MemoryEngine, MemoryLimit, MemoryOptions, keyspace::SHARDS};
use crate::{
    clock::Clock,
    engine::{Batch, Change, Content, Engine, Expires, Guard, KeyRef, Kind, Order, Scan},
};

struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now_ns(&self) -> u64 {
        self.monotonic_ns()
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.load(Relaxed) * 1_000_000
    }
}

struct Subject {
    engine: Arc<MemoryEngine>,
    limit: Arc<MemoryLimit>,
    clock: Arc<TestClock>,
    random: u64,
}

impl Subject {
    fn new(limit: Arc<MemoryLimit>) -> Self {
        let clock = Arc::new(TestClock(AtomicU64::new(1_000_000)));
        let options = MemoryOptions { limit: limit.clone(), ..MemoryOptions::default() };
        let engine = MemoryEngine::volatile_at(&options, clock.clone()).unwrap();
        Self { engine, limit, clock, random: 11 }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % end
    }

    /// Entries, tables and deadlines, each looked at.
    fn added_up(&self) -> u64 {
        let mut bytes = 0;
        for (_, keyspace) in self.engine.store.all() {
            for number in 0..SHARDS {
                let shard = keyspace.lock(number);
                let entries: usize = shard.table().iter().map(|entry| entry.size()).sum();
                bytes += entries + shard.side_bytes();
            }
        }
        bytes as u64
    }

    fn assert_exact(&self, when: &str) {
        // The sweep may be between a change and its count.
        let started = Instant::now();
        while self.limit.data_bytes() != self.added_up() {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "{when}: counted {}, there are {}",
                self.limit.data_bytes(),
                self.added_up()
            );
            thread::yield_now();
        }
    }

    fn write(&self, changes: &[Change<'_>]) {
        self.engine.write(Batch::of(changes), self.clock.now_ms()).wait().unwrap();
    }

    fn step(&mut self) {
        let text = self.below(400).to_string();
        let member: &[u8] = if self.below(8) == 0 { b"member" } else { b"" };
        let key = KeyRef { database: self.below(3) as u8, key: text.as_bytes(), member };
        // Short, long, and shared values.
        let size = [self.below(60), 60 + self.below(500), 16 * 1024 + self.below(3)][self.below(3) as usize];
        let value = vec![b'v'; size as usize];
        let soon = self.clock.now_ms() + self.below(3_000);
        let expires = [Expires::Never, Expires::Keep, Expires::At(soon)][self.below(3) as usize];
        let guard = Guard::None;
        let change = match self.below(1_000) / 5 {
            0 if self.below(4) == 0 => Change::Clear { database: key.database },
            1 => Change::Swap { first: key.database, second: (key.database + 1) % 3 },
            2..60 => Change::Put { key, guard, value: &value, kind: Kind::Raw, expires },
            60..80 => Change::Put { key, guard, value: &value, kind: Kind::Json, expires },
            80..120 => Change::Patch {
                key,
                guard,
                offset: self.below(20_000) as usize,
                bytes: &value[..value.len() / 2],
            },
            120..140 => Change::Expire { key, guard, expires_at_ms: Some(soon) },
            140..160 => Change::Expire { key, guard, expires_at_ms: None },
            _ => Change::Delete { key, guard },
        };
        if self.below(4) == 0 {
            let put = Change::Put { key, guard, value: b"first", kind: Kind::Raw, expires: Expires::Never };
            self.write(&[put, change]);
        } else {
            self.write(&[change]);
        }
        if self.below(20) == 0 {
            let passed_ms = self.below(500);
            self.clock.0.fetch_add(passed_ms, Relaxed);
        }
    }
}

fn walk(subject: &mut Subject, policy: Eviction) {
    for step in 0..6_000 {
        subject.step();
        if step % 500 == 499 {
            subject.assert_exact(&format!("{} after {step} steps", policy.name()));
        }
    }
    let start = subject.below(2);
    for database in [start, 1 - start, 2] {
        subject.write(&[Change::Clear { database: database as u8 }]);
    }
    assert_eq!(subject.limit.data_bytes(), 0, "{}: something was left", policy.name());
}

#[test]
fn the_count_is_exact_whatever_happens() {
    let mut subject = Subject::new(Arc::default());
    walk(&mut subject, Eviction::None);
}

#[test]
fn the_count_is_exact_while_entries_are_evicted() {
    for policy in [Eviction::AllKeysLru, Eviction::AllKeysLfu, Eviction::AllKeysRandom] {
        let mut subject = Subject::new(Arc::new(MemoryLimit::new(Some(300_000), policy)));
        walk(&mut subject, policy);
        assert!(subject.engine.status().wait().unwrap().evicted > 100, "{}", policy.name());
    }
}

#[test]
fn an_index_is_counted_while_it_is_there() {
    let mut subject = Subject::new(Arc::default());
    (0..1_000).for_each(|_| subject.step());
    subject.assert_exact("without an index");
    let scan = Scan::all(0, Order::Ascending, Content::Keys, 100);
    subject.engine.scan(&scan, subject.clock.now_ms()).wait().unwrap();
    let started = Instant::now();
    while subject.limit.data_bytes() <= subject.added_up() {
        assert!(started.elapsed() < Duration::from_secs(10), "the index is not counted");
        thread::yield_now();
    }
    subject.clock.0.fetch_add(3_600_000, Relaxed);
    // Whatever expires goes, and the index that nobody uses.
    subject.assert_exact("after the index");
}

#[test]
fn a_store_that_is_closed_gives_its_share_of_the_limit_back() {
    let mut subject = Subject::new(Arc::default());
    (0..1_000).for_each(|_| subject.step());
    let limit = subject.limit.clone();
    assert!(limit.data_bytes() > 0);
    drop(subject);
    assert_eq!(limit.data_bytes(), 0);
}
