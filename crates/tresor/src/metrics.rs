//! Counters and latencies of commands, kept by each worker for itself and added up when read.
//!
//! A worker is the only writer of its row, so counting is a plain load and store, never a locked
//! instruction. Latencies go into log-linear buckets: four to a power of two, at most 19 % off.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use crate::{
    command::{CATALOG, CommandId},
    error::Error,
    reply::error_text,
};

/// Buckets of a latency histogram: 4 for each power of two of nanoseconds up to 2^40 (18 minutes).
pub const BUCKETS: usize = 160;

/// All workers' counters.
pub struct Metrics {
    workers: Box<[WorkerMetrics]>,
    /// Errors answered, by their code. The codes are the library's own, so their number is bounded.
    errors: Mutex<BTreeMap<String, u64>>,
}

/// One worker's counters.
pub struct WorkerMetrics {
    commands: Box<[CommandCounters]>,
    /// Reads that found their key, and that did not.
    pub hits: Counter,
    /// Reads that did not find their key.
    pub misses: Counter,
    /// Bytes that came in over connections.
    pub received_bytes: Counter,
    /// Bytes that went out over connections.
    pub sent_bytes: Counter,
}

/// One worker's figures for one command.
#[derive(Debug)]
struct CommandCounters {
    calls: Counter,
    nanoseconds: Counter,
    rejected: Counter,
    failed: Counter,
    buckets: Box<[Counter]>,
}

/// A number that one thread counts up and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`. Only ever called by the counter's one writer.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// The count.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// What a command has done so far, over all workers.
#[derive(Clone, Debug)]
pub struct CommandFigures {
    /// Calls that were executed.
    pub calls: u64,
    /// Time spent in them.
    pub nanoseconds: u64,
    /// Calls refused before execution (arity, authentication, limits).
    pub rejected: u64,
    /// Calls that answered with an error.
    pub failed: u64,
    /// Calls by latency; see [`bucket_floor_ns`].
    pub buckets: Vec<u64>,
}

impl CommandFigures {
    /// The latency that this share of the calls did not exceed, to the next bucket, in nanoseconds.
    pub fn percentile_ns(&self, share: f64) -> u64 {
        let calls: u64 = self.buckets.iter().sum();
        let wanted = (calls as f64 * share).ceil() as u64;
        let mut counted = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            counted += count;
            if counted >= wanted.max(1) {
                return bucket_floor_ns(bucket + 1);
            }
        }
        0
    }
}

/// The smallest latency that falls into a bucket.
pub fn bucket_floor_ns(bucket: usize) -> u64 {
    let (power, quarter) = (bucket / 4, (bucket % 4) as u64);
    if power < 2 { bucket as u64 } else { (4 + quarter) << (power - 2) }
}

/// The bucket that a latency falls into.
#[inline]
pub fn bucket_of(nanoseconds: u64) -> usize {
    if nanoseconds < 8 {
        return nanoseconds as usize;
    }
    let power = 63 - nanoseconds.leading_zeros() as usize;
    let quarter = (nanoseconds >> (power - 2)) as usize & 3;
    (power * 4 + quarter).min(BUCKETS - 1)
}

impl Metrics {
    /// Counters for `workers` workers; at least one.
    pub fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers.next_power_of_two()).map(|_| WorkerMetrics::new()).collect(),
            errors: Mutex::default(),
        }
    }

    /// The counters of a worker. Two threads may use the same one: then counts can be lost, never torn.
    pub fn worker(&self, number: usize) -> &WorkerMetrics {
        // A power of two, so that finding one costs no division.
        &self.workers[number & (self.workers.len() - 1)]
    }

    /// The figures of one command.
    pub fn command(&self, id: CommandId) -> CommandFigures {
        let mut figures =
            CommandFigures { calls: 0, nanoseconds: 0, rejected: 0, failed: 0, buckets: vec![0; BUCKETS] };
        for worker in &self.workers {
            let counters = &worker.commands[id as usize];
            figures.calls += counters.calls.get();
            figures.nanoseconds += counters.nanoseconds.get();
            figures.rejected += counters.rejected.get();
            figures.failed += counters.failed.get();
            for (sum, bucket) in figures.buckets.iter_mut().zip(&counters.buckets) {
                *sum += bucket.get();
            }
        }
        figures
    }

    /// Reads that found their key, and that did not.
    pub fn hits_and_misses(&self) -> (u64, u64) {
        self.workers
            .iter()
            .fold((0, 0), |(hits, misses), worker| (hits + worker.hits.get(), misses + worker.misses.get()))
    }

    /// Bytes that came in and went out over connections.
    pub fn received_and_sent_bytes(&self) -> (u64, u64) {
        self.workers.iter().fold((0, 0), |(received, sent), worker| {
            (received + worker.received_bytes.get(), sent + worker.sent_bytes.get())
        })
    }

    /// Counts an error that a client was answered.
    #[cold]
    pub fn error(&self, error: &Error) {
        let text = error_text(error);
        let code = text.split(' ').next().unwrap_or("ERR");
        let mut errors = self.errors.lock();
        match errors.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                errors.insert(code.to_owned(), 1);
            }
        }
    }

    /// Errors answered, by their code.
    pub fn errors(&self) -> Vec<(String, u64)> {
        self.errors.lock().iter().map(|(code, count)| (code.clone(), *count)).collect()
    }

    /// Commands executed so far, of every kind.
    pub fn commands_processed(&self) -> u64 {
        self.workers.iter().flat_map(|worker| &worker.commands).map(|counters| counters.calls.get()).sum()
    }

    /// Sets everything back to zero; counts made meanwhile may be lost.
    pub fn reset(&self) {
        self.errors.lock().clear();
        for worker in &self.workers {
            [&worker.hits, &worker.misses, &worker.received_bytes, &worker.sent_bytes]
                .into_iter()
                .for_each(Counter::reset);
            for counters in &worker.commands {
                [&counters.calls, &counters.nanoseconds, &counters.rejected, &counters.failed]
                    .into_iter()
                    .chain(&counters.buckets)
                    .for_each(Counter::reset);
            }
        }
    }
}

impl WorkerMetrics {
    fn new() -> Self {
        let counters = || CommandCounters {
            calls: Counter::default(),
            nanoseconds: Counter::default(),
            rejected: Counter::default(),
            failed: Counter::default(),
            buckets: (0..BUCKETS).map(|_| Counter::default()).collect(),
        };
        Self {
            commands: CATALOG.iter().map(|_| counters()).collect(),
            hits: Counter::default(),
            misses: Counter::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
        }
    }

    /// Counts a run of `calls` commands of one kind that took `nanoseconds` together.
    #[inline]
    pub fn executed(&self, id: CommandId, calls: u64, nanoseconds: u64) {
        let counters = &self.commands[id as usize];
        counters.calls.add(calls);
        counters.nanoseconds.add(nanoseconds);
        counters.buckets[bucket_of(nanoseconds / calls.max(1))].add(calls);
    }

    /// Counts a command that was refused before execution.
    pub fn rejected(&self, id: CommandId) {
        self.commands[id as usize].rejected.add(1);
    }

    /// Counts a command that answered with an error.
    pub fn failed(&self, id: CommandId) {
        self.commands[id as usize].failed.add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, bucket_floor_ns, bucket_of};

    #[test]
    fn every_bucket_begins_at_its_floor() {
        for bucket in (0..8).chain(12..BUCKETS) {
            assert_eq!(bucket_of(bucket_floor_ns(bucket)), bucket, "floor {}", bucket_floor_ns(bucket));
        }
    }
}
