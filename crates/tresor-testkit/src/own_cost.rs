//! What an engine costs beside the bare store that it is made on: the same calls on both, in turn.
//!
//! Used by the examples that `cargo xtask bench` reads, so figures are printed a line each: ours, the
//! bare one's, and the first divided by the second. Rounds are interleaved and medians told. Both sides
//! get the same keys in the same order, and values that differ from the ones before.

use std::{
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    process,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tresor::{
    Result,
    engine::{Batch, Change, Engine, EntryRef, Expires, Guard, Isolation, KeyRef, Kind},
};

/// Bytes of each value.
pub const VALUE_BYTES: usize = 100;

const NOW_MS: u64 = 1;
const GETS: usize = 100_000;

/// How long writers run who each wait for the disk.
const WRITERS_MS: u64 = 1000;

/// The store beneath an engine, without the engine.
pub trait Bare: Sync {
    /// Puts the same value under each key, in one batch that is as durable as the engine's.
    fn put(&self, keys: &[String], value: &[u8]);

    /// The length of a key's value, which is there.
    fn get(&self, key: &str) -> usize;
}

/// An engine and the bare store, with the same keys.
pub struct Pair<B> {
    ours: Arc<dyn Engine>,
    bare: B,
    keys: u64,
    random: u64,
}

impl<B: Bare> Pair<B> {
    /// Fills both with so many keys.
    pub fn fill(ours: Arc<dyn Engine>, bare: B, keys: u64) -> Result<Self> {
        let pair = Self { ours, bare, keys, random: 0x9e37_79b9_7f4a_7c15 };
        for first in (0..keys).step_by(1000) {
            let names: Vec<String> = (first..(first + 1000).min(keys)).map(key_of).collect();
            put_durably(&*pair.ours, &names, &value_of(0))?;
            pair.bare.put(&names, &value_of(0));
        }
        Ok(pair)
    }

    fn some(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| key_of(next(&mut self.random) % self.keys)).collect()
    }

    /// Nanoseconds a get of both.
    fn gets(&mut self) -> (f64, f64) {
        let names = self.some(GETS);
        (time_each(&names, |name| get(&*self.ours, name)), time_each(&names, |name| self.bare.get(name)))
    }

    /// Nanoseconds a put of both, in batches.
    fn puts(&mut self, batch: usize, batches: usize) -> Result<(f64, f64)> {
        let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..batches {
            let (names, value) = (self.some(batch), value_of(next(&mut self.random)));
            let started = Instant::now();
            put_durably(&*self.ours, &names, &value)?;
            ours += started.elapsed();
            let started = Instant::now();
            self.bare.put(&names, &value);
            theirs += started.elapsed();
        }
        let each = |spent: Duration| spent.as_nanos() as f64 / (batch * batches) as f64;
        Ok((each(ours), each(theirs)))
    }

    /// Prints gets and batched puts, `what` being the durability of both.
    fn report(&mut self, what: &str, rounds: usize) -> Result<()> {
        let (mut gets, mut hundreds, mut thousands) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            gets.push(self.gets());
            hundreds.push(self.puts(100, 30)?);
            thousands.push(self.puts(1000, 5)?);
        }
        tell(&format!("get, {what}"), gets);
        tell(&format!("write of 100, {what}"), hundreds);
        tell(&format!("write of 1000, {what}"), thousands);
        Ok(())
    }

    /// Prints single writes a second from so many threads that each wait until theirs is durable.
    fn report_writers(&self, what: &str, threads: u64, rounds: usize) {
        let mut figures = Vec::new();
        for _ in 0..rounds {
            let ours = writes_a_second(threads, |name, value| {
                put_durably(&*self.ours, &[name], value).expect("a durable write");
            });
            let bare = writes_a_second(threads, |name, value| self.bare.put(&[name], value));
            figures.push((ours, bare));
        }
        tell(&format!("writes a second, {what}, {threads} threads"), figures);
    }

    /// Prints all of it: gets, batched puts, and writers from 1 and from 16 threads; then closes the engine.
    pub fn report_all(mut self, what: &str, rounds: usize) -> Result<()> {
        self.report(what, rounds)?;
        for threads in [1, 16] {
            self.report_writers(what, threads, rounds.min(5));
        }
        self.ours.close().wait()
    }
}

/// The main function of such an example: `[DIRECTORY] [KEYS] [ROUNDS]` from the command line, and a new
/// directory in that one, which is gone afterwards.
pub fn measured_in_a_directory(
    name: &str,
    default_keys: u64,
    measure: impl FnOnce(&Path, u64, usize) -> Result<()>,
) -> Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let number =
        |at: usize, default: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let directory = arguments.get(1).map_or_else(env::temp_dir, PathBuf::from);
    let directory = directory.join(format!("{name}-{}", process::id()));
    fs::create_dir_all(&directory).expect("a directory can be made");
    let measured = measure(&directory, number(2, default_keys), number(3, 5) as usize);
    fs::remove_dir_all(&directory).expect("the directory can be removed");
    measured
}

fn put_durably(engine: &dyn Engine, names: &[String], value: &[u8]) -> Result<()> {
    let changes: Vec<Change<'_>> = names
        .iter()
        .map(|name| Change::Put {
            key: KeyRef::new(0, name.as_bytes()),
            guard: Guard::None,
            value,
            kind: Kind::Raw,
            expires: Expires::Never,
        })
        .collect();
    // As the bare store does it: nobody asks what was there.
    let outcome = engine.write(Batch::blind(&changes), NOW_MS).wait()?;
    engine.durable(outcome.sequence).wait()
}

fn get(engine: &dyn Engine, name: &str) -> usize {
    let mut found = 0;
    let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
        found = entry.map_or(0, |entry| black_box(entry.value.bytes()).len());
    };
    let keys = [KeyRef::new(0, name.as_bytes())];
    engine.read(&keys, Isolation::Each, NOW_MS, &mut visit).wait().expect("a read");
    found
}

fn key_of(number: u64) -> String {
    format!("key:{number:012}")
}

/// A value that differs from the one before: some stores write no page whose bytes stay as they are.
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

fn writes_a_second(threads: u64, put: impl Fn(String, &[u8]) + Sync) -> f64 {
    let started = Instant::now();
    let until = started + Duration::from_millis(WRITERS_MS);
    let write = |thread: u64| {
        let mut number = 0;
        while Instant::now() < until {
            put(key_of(thread * 1_000_000 + number % 1000), &value_of(number));
            number += 1;
        }
        number
    };
    let write = &write;
    let done: u64 = thread::scope(|scope| {
        let writers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || write(thread))).collect();
        writers.into_iter().map(|writer| writer.join().expect("no writer panics")).sum()
    });
    done as f64 / started.elapsed().as_secs_f64()
}

fn tell(what: &str, rounds: Vec<(f64, f64)>) {
    let (ours, bare): (Vec<f64>, Vec<f64>) = rounds.into_iter().unzip();
    let (ours, bare) = (median(ours), median(bare));
    println!("{what}: ours {ours:.0} bare {bare:.0} ratio {:.2}", ours / bare);
}

/// The figure in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Xorshift64 (Marsaglia 2003): the order only has to be the same for both.
pub fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
