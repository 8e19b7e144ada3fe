//! Measures a range of 100 keys from a random one on, in the same process, on memory and on disk.
//!
//! `cargo run --release --example measure_range -- DIRECTORY [KEYS] [ROUNDS]` prints, a line each, the median
//! microseconds of a page of keys, and of keys with their values. The directory must not be there yet.

use std::{env, path::Path, time::Instant};

use tresor::{Config, Database, Error, Query, Result, config::Durability};

const VALUE: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
const RANGE: u64 = 100;
const RANGES_PER_ROUND: u64 = 200;

/// What was measured on one engine, in microseconds a range.
pub(crate) struct Figures {
    pub(crate) engine: &'static str,
    pub(crate) keys_us: f64,
    pub(crate) entries_us: f64,
}

/// Fills a store in memory and one on disk, and reads ranges of both.
pub(crate) fn measure(directory: &Path, keys: u64, rounds: u64) -> Result<Vec<Figures>> {
    let engines =
        [("memory", Config::memory()), ("disk", Config::disk(directory).durability(Durability::None))];
    let measure = |(engine, config)| {
        let store = Database::open(config)?;
        for number in 0..keys {
            store.put(key_of(number), &VALUE)?;
        }
        // In memory the first range makes the index by key.
        store.find_page(&Query::new().limit(1), None)?;
        let figures = Figures {
            engine,
            keys_us: ranges(&store, keys, rounds, &|query| query)?,
            entries_us: ranges(&store, keys, rounds, &|query| query.values())?,
        };
        store.close()?;
        Ok(figures)
    };
    engines.into_iter().map(measure).collect()
}

/// The median time of a range.
fn ranges(store: &Database, keys: u64, rounds: u64, ask: &dyn Fn(Query) -> Query) -> Result<f64> {
    let mut took_us = Vec::new();
    for number in 0..rounds * RANGES_PER_ROUND {
        // A prime far from any power of two: neighbours in time are none in the store.
        let first = number * 104_729 % (keys - RANGE);
        let query = ask(Query::new().from(key_of(first)).limit(RANGE as usize));
        let started = Instant::now();
        let page = store.find_page(&query, None)?;
        took_us.push(started.elapsed().as_secs_f64() * 1e6);
        let last = page.entries.last().map(|found| found.key.clone());
        assert_eq!(last, Some(key_of(first + RANGE - 1).into_bytes()), "a range is whole");
    }
    took_us.sort_by(f64::total_cmp);
    Ok(took_us[took_us.len() / 2])
}

fn key_of(number: u64) -> String {
    format!("key:{number:012}")
}

#[allow(dead_code)] // The tests call `measure`.
fn main() -> Result<()> {
    let number = |position: usize, default: u64| {
        env::args().nth(position).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let directory =
        env::args().nth(1).ok_or_else(|| Error::invalid("name a directory that is not there yet"))?;
    for figures in measure(Path::new(&directory), number(2, 1_000_000), number(3, 5))? {
        println!("{} keys {:.1} us", figures.engine, figures.keys_us);
        println!("{} entries {:.1} us", figures.engine, figures.entries_us);
    }
    Ok(())
}
