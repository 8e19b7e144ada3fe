//! Row `engine-interface`: what a get pays for `Arc<dyn Engine>`, `Eventual` and a visitor.
//!
//! The same keys in the same order from the memory engine through its interface, from a plain sharded
//! table called directly (one allocation an entry and SipHash-1-3, as the engine has), and from the
//! pretend remote engine whose every answer comes from another thread.

use std::{hash::Hasher, hint::black_box, sync::Arc, time::Instant};

use hashbrown::HashTable;
use parking_lot::Mutex;
use siphasher::sip::SipHasher13;
use tresor::engine::{
    Batch, Change, Engine, Expires, Guard, Isolation, KeyRef, Kind,
    memory::{MemoryEngine, MemoryOptions},
};
use tresor_testkit::LaterEngine;

use super::super::{
    figure::Figure,
    fill::{Random, key},
    redis_benchmark::VALUE,
    setup::Setup,
};
use crate::Outcome;

/// Shards of the plain table; the engine has as many.
const SHARDS: u64 = 4096;
const KEY_BYTES: usize = 16;
const NOW_MS: u64 = 1;

/// What an afternoon's table would be: shards, a lock each, key and value in one allocation.
struct PlainTable(Vec<Mutex<HashTable<Box<[u8]>>>>);

impl PlainTable {
    fn hash(key: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(1, 2);
        hasher.write(key);
        hasher.finish()
    }

    fn shard(&self, hash: u64) -> &Mutex<HashTable<Box<[u8]>>> {
        &self.0[(hash % SHARDS) as usize]
    }

    fn put(&self, key: &[u8], value: &[u8]) {
        let hash = Self::hash(key);
        let entry = [key, value].concat().into_boxed_slice();
        self.shard(hash).lock().insert_unique(hash, entry, |entry| Self::hash(&entry[..KEY_BYTES]));
    }

    fn get(&self, key: &[u8], value: &mut Vec<u8>) {
        let hash = Self::hash(key);
        let table = self.shard(hash).lock();
        if let Some(entry) = table.find(hash, |entry| entry[..KEY_BYTES] == *key) {
            value.extend_from_slice(&entry[KEY_BYTES..]);
        }
    }
}

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(100_000, 10_000);
    let memory: Arc<dyn Engine> =
        MemoryEngine::volatile(&MemoryOptions::default()).map_err(|error| error.to_string())?;
    let plain = PlainTable((0..SHARDS).map(|_| Mutex::default()).collect());
    for number in 0..keys {
        put(&*memory, &key(number))?;
        plain.put(key(number).as_bytes(), VALUE.as_bytes());
    }
    let later = LaterEngine::new(memory.clone());
    let gets = setup.size(500_000, 50_000);
    let (mut of_memory, mut of_plain, mut of_later) = (Vec::new(), Vec::new(), Vec::new());
    let mut random = Random::new(1);
    for _ in 0..setup.options.rounds() {
        let order: Vec<String> = (0..gets).map(|_| key(random.below(keys))).collect();
        of_memory.push(time_each(&order, |key, value| get(&*memory, key, value)));
        of_plain.push(time_each(&order, |key, value| plain.get(key, value)));
        of_later.push(time_each(&order[..order.len() / 50], |key, value| get(&later, key, value)));
    }
    Ok(vec![
        Figure::new("get through `Arc<dyn Engine>` and `Eventual`, memory", "ns", of_memory)
            .against("plain sharded table", of_plain),
        Figure::new("the same, answered later from another thread", "ns", of_later),
    ])
}

fn put(engine: &dyn Engine, key: &str) -> Outcome {
    let key = KeyRef::new(0, key.as_bytes());
    let (guard, expires) = (Guard::None, Expires::Never);
    let change = Change::Put { key, guard, value: VALUE.as_bytes(), kind: Kind::Raw, expires };
    let written = engine.write(Batch::of(&[change]), NOW_MS).wait();
    written.map(|_| ()).map_err(|error| error.to_string())
}

fn get(engine: &dyn Engine, key: &[u8], value: &mut Vec<u8>) {
    let keys = [KeyRef::new(0, key)];
    let mut visit = |_, entry: Option<tresor::engine::EntryRef<'_>>| {
        if let Some(entry) = entry {
            value.extend_from_slice(entry.value.bytes());
        }
    };
    // A value that is not there shows in the count.
    let _ = black_box(engine.read(&keys, Isolation::Each, NOW_MS, &mut visit).wait());
}

/// Nanoseconds a get.
fn time_each(order: &[String], mut get: impl FnMut(&[u8], &mut Vec<u8>)) -> f64 {
    let (mut value, mut found) = (Vec::with_capacity(64), 0);
    let started = Instant::now();
    for key in order {
        value.clear();
        get(key.as_bytes(), &mut value);
        found += usize::from(value.len() == VALUE.len());
    }
    let spent = started.elapsed();
    assert_eq!(found, order.len(), "every key is there");
    spent.as_nanos() as f64 / order.len() as f64
}
