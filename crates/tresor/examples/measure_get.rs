//! Measures `Database::get` against a hash map behind a mutex, one thread, in interleaved rounds.
//!
//! `cargo run --release --example measure_get [KEYS] [ROUNDS]` prints the median nanoseconds a get of
//! both, and their ratio. The peer is the standard library's map, which is hashbrown with SipHash-1-3,
//! behind `parking_lot`'s mutex, and answers a copy of the value as `get` does.

use std::{collections::HashMap, env, hint::black_box, time::Instant};

use parking_lot::Mutex;
use tresor::{Config, Database, Result};

const VALUE: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
const GETS_PER_ROUND: usize = 500_000;

/// What was measured, in nanoseconds a get.
pub(crate) struct Figures {
    pub(crate) store_ns: f64,
    pub(crate) map_ns: f64,
}

/// Fills both with as many keys of 16 bytes, and reads them in the same random order.
pub(crate) fn measure(keys: u64, rounds: usize) -> Result<Figures> {
    let store = Database::open(Config::memory())?;
    let map: Mutex<HashMap<[u8; 16], Vec<u8>>> = Mutex::default();
    for number in 0..keys {
        store.put(key_of(number), &VALUE)?;
        map.lock().insert(key_of(number), VALUE.to_vec());
    }
    let (mut of_store, mut of_map) = (Vec::new(), Vec::new());
    let mut random = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..rounds {
        let order: Vec<[u8; 16]> =
            (0..GETS_PER_ROUND.min(keys as usize * 4)).map(|_| key_of(next(&mut random) % keys)).collect();
        of_store.push(time_each(&order, |key| store.get(key).is_ok_and(|value| black_box(value).is_some())));
        of_map.push(time_each(&order, |key| black_box(map.lock().get(key).cloned()).is_some()));
    }
    Ok(Figures { store_ns: median(of_store), map_ns: median(of_map) })
}

fn time_each(order: &[[u8; 16]], get: impl Fn(&[u8; 16]) -> bool) -> f64 {
    let started = Instant::now();
    let found = order.iter().filter(|key| get(key)).count();
    let spent = started.elapsed();
    assert_eq!(found, order.len(), "every key is there");
    spent.as_nanos() as f64 / order.len() as f64
}

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

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[allow(dead_code)] // The tests call `measure`.
fn main() -> Result<()> {
    let number = |position: usize, default: usize| {
        env::args().nth(position).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let figures = measure(number(1, 1_000_000) as u64, number(2, 11))?;
    println!("tresor get {:.1} ns", figures.store_ns);
    println!("mutex and hash map {:.1} ns", figures.map_ns);
    println!("ratio {:.2}", figures.store_ns / figures.map_ns);
    Ok(())
}
