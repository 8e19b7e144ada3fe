//! Measures what shards cost: `get` and `put` of one store in memory against four behind a ring, one
//! thread, in interleaved rounds.
//!
//! `cargo run --release --example measure_shards [KEYS] [ROUNDS]` prints the nanoseconds of CPU time a call
//! of both and their ratio, then how long a fifth shard takes to get its part.

use std::{env, sync::Arc};

use tresor::{
    Config, Database, Result,
    engine::{
        Engine, EntryRef, Isolation, KeyRef,
        memory::{MemoryEngine, MemoryOptions},
    },
    layer::sharded::{Pace, Shard, Sharded},
    process::ProcessFigures,
};

const VALUE: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
const CALLS_PER_ROUND: usize = 500_000;

fn key_of(number: u64) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    key[4..].copy_from_slice(&format!("{number:012}").as_bytes()[..12]);
    key
}

/// Xorshift64 (Marsaglia 2003): the order only has to be the same for both.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// CPU seconds that this many calls take.
fn time_each(order: &[[u8; 16]], call: impl Fn(&[u8; 16]) -> bool) -> f64 {
    let started = ProcessFigures::now();
    let done = order.iter().filter(|key| call(key)).count();
    let ended = ProcessFigures::now();
    assert_eq!(done, order.len(), "every call works");
    ended.user_seconds + ended.system_seconds - started.user_seconds - started.system_seconds
}

/// The same for reads of 64 keys, each on its own, as a pipeline asks.
fn time_runs(order: &[[u8; 16]], engine: &dyn Engine) -> f64 {
    let mut found = 0;
    let started = ProcessFigures::now();
    for keys in order.chunks(64) {
        let keys: Vec<KeyRef<'_>> = keys.iter().map(|key| KeyRef::new(0, key)).collect();
        let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
            found += usize::from(entry.is_some_and(|entry| entry.value.bytes().len() == VALUE.len()));
        };
        engine.read(&keys, Isolation::Each, 0, &mut visit).wait().expect("memory answers");
    }
    let ended = ProcessFigures::now();
    assert_eq!(found, order.len(), "every key is there");
    ended.user_seconds + ended.system_seconds - started.user_seconds - started.system_seconds
}

fn memory() -> Result<Arc<MemoryEngine>> {
    MemoryEngine::volatile(&MemoryOptions::default())
}

fn main() -> Result<()> {
    let number = |position: usize, default: u64| {
        env::args().nth(position).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (keys, rounds) = (number(1, 1_000_000), number(2, 11));
    let mut shards = Vec::new();
    for name in ["a", "b", "c", "d"] {
        shards.push(Shard::new(name, memory()?));
    }
    let sharded = Sharded::new(shards)?;
    let over = |engine: Arc<dyn Engine>| Database::over(engine, Config::memory());
    let plain = memory()?;
    let (one, four) = (over(plain.clone())?, over(sharded.clone())?);
    for number in 0..keys {
        one.put(key_of(number), &VALUE)?;
        four.put(key_of(number), &VALUE)?;
    }
    let mut random = 0x9e37_79b9_7f4a_7c15;
    let (mut gets, mut runs, mut puts) = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0));
    for _ in 0..rounds {
        let order: Vec<[u8; 16]> = (0..CALLS_PER_ROUND).map(|_| key_of(next(&mut random) % keys)).collect();
        let get = |store: &Database, key: &[u8; 16]| store.get(key).is_ok_and(|value| value.is_some());
        gets.0 += time_each(&order, |key| get(&one, key));
        gets.1 += time_each(&order, |key| get(&four, key));
        runs.0 += time_runs(&order, &*plain);
        runs.1 += time_runs(&order, &*sharded);
        puts.0 += time_each(&order, |key| one.put(key, &VALUE).is_ok());
        puts.1 += time_each(&order, |key| four.put(key, &VALUE).is_ok());
    }
    for (what, (one, four)) in [("get", gets), ("get in runs of 64", runs), ("put", puts)] {
        let each = |seconds: f64| seconds * 1e9 / (rounds as f64 * CALLS_PER_ROUND as f64);
        let (one, four) = (each(one), each(four));
        println!("{what}: one store {one:.1} ns, four shards {four:.1} ns, ratio {:.2}", four / one);
    }
    sharded.set_pace(Pace { keys_per_second: None, bytes_per_second: None });
    sharded.add(Shard::new("e", memory()?))?;
    println!("a fifth shard: {:?}", sharded.wait());
    Ok(())
}
