//! Measures the engine against bare rusqlite, in interleaved rounds.
//!
//! `cargo run --release -p tresor-sqlite --example measure_sqlite [DIRECTORY] [KEYS] [ROUNDS]` prints, a
//! line each, ours and the bare figure: nanoseconds a get, and a put in durable batches of 100 and of
//! 1000; then writes a second from 1 and from 16 threads that each wait for the disk. The bare peer is
//! one table of key and value without rowid on one connection, with the same cache and in WAL mode, its
//! statements prepared once; it commits with `synchronous = FULL`, so that both wait for the disk after
//! each batch, and with `OFF` where ours promises nothing.

use std::{
    env,
    hint::black_box,
    path::{Path, PathBuf},
    process,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use tresor::{
    Result,
    clock::SystemClock,
    config::Durability,
    engine::{Batch, Change, Engine, EntryRef, Expires, Guard, Isolation, KeyRef, Kind},
    files::SystemFiles,
};
use tresor_sqlite::{Options, SqliteEngine};

const VALUE_BYTES: usize = 100;
const NOW_MS: u64 = 1;
const GETS: usize = 100_000;

/// Both stores at one durability level, with the same keys.
struct Pair {
    ours: Arc<SqliteEngine>,
    bare: Connection,
    keys: u64,
    random: u64,
}

impl Pair {
    fn make(directory: &Path, keys: u64, durability: Durability) -> Result<Self> {
        let name = if durability == Durability::Always { "always" } else { "none" };
        let ours = open(&directory.join(format!("ours-{name}.db")), durability)?;
        let bare = bare(&directory.join(format!("bare-{name}.db")), durability)
            .map_err(|error| tresor::Error::invalid("the bare database").caused_by(error))?;
        let pair = Self { ours, bare, keys, random: 0x9e37_79b9_7f4a_7c15 };
        for first in (0..keys).step_by(1000) {
            let numbers: Vec<u64> = (first..(first + 1000).min(keys)).collect();
            pair.put_ours(&numbers, &value_of(0))?;
            pair.put_bare(&numbers, &value_of(0));
        }
        Ok(pair)
    }

    fn some(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| next(&mut self.random) % self.keys).collect()
    }

    fn put_ours(&self, numbers: &[u64], value: &[u8]) -> Result<()> {
        let names: Vec<String> = numbers.iter().map(|number| key_of(*number)).collect();
        let changes: Vec<Change<'_>> = names.iter().map(|name| put(name, value)).collect();
        let outcome = self.ours.write(Batch::of(&changes), NOW_MS).wait()?;
        self.ours.durable(outcome.sequence).wait()
    }

    fn put_bare(&self, numbers: &[u64], value: &[u8]) {
        let sql = "INSERT INTO kv (key, value) VALUES (?1, ?2) \
                   ON CONFLICT DO UPDATE SET value = excluded.value";
        let begin = self.bare.unchecked_transaction().expect("a transaction");
        let mut insert = self.bare.prepare_cached(sql).expect("a statement");
        for number in numbers {
            insert.execute(params![key_of(*number), value]).expect("a row is written");
        }
        drop(insert);
        begin.commit().expect("a commit");
    }

    /// Nanoseconds a get of both.
    fn gets(&mut self) -> (f64, f64) {
        let names: Vec<String> = self.some(GETS).into_iter().map(key_of).collect();
        let ours = time_each(&names, |name| {
            let mut found = 0;
            let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
                found = entry.map_or(0, |entry| black_box(entry.value.bytes()).len());
            };
            let keys = [KeyRef::new(0, name.as_bytes())];
            self.ours.read(&keys, Isolation::Each, NOW_MS, &mut visit).wait().expect("a read");
            found
        });
        let bare = time_each(&names, |name| {
            let mut select =
                self.bare.prepare_cached("SELECT value FROM kv WHERE key = ?1").expect("a statement");
            select
                .query_row([name], |row| Ok(black_box(row.get_ref(0)?.as_blob().expect("a blob")).len()))
                .expect("a row")
        });
        (ours, bare)
    }

    /// Nanoseconds a put of both, in durable batches.
    fn puts(&mut self, batch: usize, batches: usize) -> Result<(f64, f64)> {
        let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..batches {
            let (numbers, value) = (self.some(batch), value_of(next(&mut self.random)));
            let started = Instant::now();
            self.put_ours(&numbers, &value)?;
            ours += started.elapsed();
            let started = Instant::now();
            self.put_bare(&numbers, &value);
            theirs += started.elapsed();
        }
        let each = |spent: Duration| spent.as_nanos() as f64 / (batch * batches) as f64;
        Ok((each(ours), each(theirs)))
    }
}

fn open(path: &Path, durability: Durability) -> Result<Arc<SqliteEngine>> {
    let options = Options::at(path).durability(durability);
    SqliteEngine::open(options, (Arc::new(SystemFiles), Arc::new(SystemClock::new())))
}

fn bare(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    let synchronous = if durability == Durability::Always { "FULL" } else { "OFF" };
    // A checkpoint as often as ours has one: after 16 MiB of log.
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -8192;
         PRAGMA wal_autocheckpoint = 4096;
         CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;"
    ))?;
    Ok(connection)
}

fn put<'a>(name: &'a str, value: &'a [u8]) -> Change<'a> {
    let key = KeyRef::new(0, name.as_bytes());
    Change::Put { key, guard: Guard::None, value, kind: Kind::Raw, expires: Expires::Never }
}

fn key_of(number: u64) -> String {
    format!("key:{number:012}")
}

/// A value that differs from the one before: SQLite writes no page whose bytes stay as they are.
fn value_of(number: u64) -> Vec<u8> {
    format!("{number:020}").into_bytes().repeat(VALUE_BYTES / 20)
}

fn time_each(names: &[String], mut get: impl FnMut(&str) -> usize) -> f64 {
    let started = Instant::now();
    let found: usize = names.iter().map(|name| get(name)).sum();
    let spent = started.elapsed();
    assert_eq!(found, names.len() * VALUE_BYTES, "every key is there");
    spent.as_nanos() as f64 / names.len() as f64
}

/// Xorshift64 (Marsaglia 2003): the order only has to be the same for both.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Single writes a second, each waited for, from so many threads.
fn writes_a_second(engine: &SqliteEngine, threads: u64, for_ms: u64) -> f64 {
    let started = Instant::now();
    let until = started + Duration::from_millis(for_ms);
    let done: u64 = thread::scope(|scope| {
        let writers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let mut number = 0;
                    while Instant::now() < until {
                        let name = key_of(thread * 1_000_000 + number % 1000);
                        let outcome = engine
                            .write(Batch::of(&[put(&name, &value_of(number))]), NOW_MS)
                            .wait()
                            .expect("a write");
                        engine.durable(outcome.sequence).wait().expect("a sync");
                        number += 1;
                    }
                    number
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().expect("no writer panics")).sum()
    });
    done as f64 / started.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn report(what: &str, rounds: Vec<(f64, f64)>) {
    let (ours, bare): (Vec<f64>, Vec<f64>) = rounds.into_iter().unzip();
    let (ours, bare) = (median(ours), median(bare));
    println!("{what}: ours {ours:.0} bare {bare:.0} ratio {:.2}", ours / bare);
}

fn measure(directory: &Path, keys: u64, rounds: usize) -> Result<()> {
    for (durability, name) in [(Durability::Always, "always"), (Durability::None, "none")] {
        let mut pair = Pair::make(directory, keys, durability)?;
        let (mut gets, mut hundreds, mut thousands) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            gets.push(pair.gets());
            hundreds.push(pair.puts(100, 30)?);
            thousands.push(pair.puts(1000, 5)?);
        }
        report(&format!("get, {name}"), gets);
        report(&format!("write of 100, {name}"), hundreds);
        report(&format!("write of 1000, {name}"), thousands);
        for threads in [1, 16] {
            let figures = (0..rounds.min(5)).map(|_| writes_a_second(&pair.ours, threads, 1000)).collect();
            println!("writes a second, {name}, {threads} threads: ours {:.0}", median(figures));
        }
        pair.ours.close().wait()?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let number =
        |at: usize, default: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let directory = arguments.get(1).map_or_else(env::temp_dir, PathBuf::from);
    let directory = directory.join(format!("measure-sqlite-{}", process::id()));
    std::fs::create_dir_all(&directory).expect("a directory can be made");
    let measured = measure(&directory, number(2, 100_000), number(3, 5) as usize);
    std::fs::remove_dir_all(&directory).expect("the directory can be removed");
    measured
}
