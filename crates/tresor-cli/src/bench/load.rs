//! What all connections of a test share: the requests that are left, the keys, the latencies.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use hdrhistogram::Histogram;

use super::{Arguments, Test, report::Figures};
use crate::resp::request;

/// Latencies up to a minute are told apart; longer ones count as a minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// A test in progress.
pub(crate) struct Load {
    test: Test,
    clients: u32,
    pipeline: u64,
    keyspace: u64,
    value: Vec<u8>,
    requests: u64,
    claimed: Cell<u64>,
    random: Cell<u64>,
    latencies_ns: RefCell<Histogram<u64>>,
    errors: Cell<u64>,
    first_error: RefCell<Option<String>>,
}

impl Load {
    pub(crate) fn new(test: Test, arguments: &Arguments) -> Self {
        let requests = if test == Test::Fill { arguments.keyspace } else { arguments.requests };
        Self {
            test,
            clients: arguments.clients,
            pipeline: u64::from(arguments.pipeline),
            keyspace: arguments.keyspace,
            value: vec![b'x'; arguments.value_bytes as usize],
            requests,
            claimed: Cell::new(0),
            // The state must not be 0, and near seeds should not begin alike.
            random: Cell::new(arguments.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            latencies_ns: RefCell::new(
                Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are valid constants"),
            ),
            errors: Cell::new(0),
            first_error: RefCell::new(None),
        }
    }

    /// Writes the next batch into `buffer` and says how many requests it has; 0 when all are sent.
    pub(crate) fn next_batch(&self, buffer: &mut Vec<u8>) -> u64 {
        let first = self.claimed.get();
        let count = self.pipeline.min(self.requests - first);
        self.claimed.set(first + count);
        for number in first..first + count {
            let key = match self.test {
                Test::Fill => number,
                _ => self.random_below(self.keyspace),
            };
            let key = format!("key:{key:012}");
            match self.test {
                Test::Get => request::append(buffer, &[b"GET", key.as_bytes()]),
                Test::Set | Test::Fill => request::append(buffer, &[b"SET", key.as_bytes(), &self.value]),
                Test::Ping => request::append(buffer, &[b"PING"]),
            }
        }
        count
    }

    /// Xorshift64: quick, and as random as keys of a benchmark have to be.
    fn random_below(&self, limit: u64) -> u64 {
        let mut state = self.random.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random.set(state);
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit
    }

    /// Counts a batch that took `latency`.
    pub(crate) fn finished(&self, requests: u64, latency: Duration) {
        self.latencies_ns.borrow_mut().saturating_record_n(latency.as_nanos() as u64, requests);
    }

    /// Counts an error reply.
    pub(crate) fn failed(&self, text: &[u8]) {
        self.errors.set(self.errors.get() + 1);
        self.first_error.borrow_mut().get_or_insert_with(|| {
            String::from_utf8_lossy(text).trim_start_matches('-').trim_end().to_owned()
        });
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.get()
    }

    pub(crate) fn first_error(&self) -> Option<String> {
        self.first_error.borrow().clone()
    }

    /// The figures of a finished test.
    pub(crate) fn figures(&self, elapsed: Duration) -> Figures {
        let latencies_ns = self.latencies_ns.borrow();
        let us = |ns: u64| ns as f64 / 1000.0;
        let at = |quantile| us(latencies_ns.value_at_quantile(quantile));
        Figures {
            test: self.test.name(),
            clients: self.clients,
            pipeline: self.pipeline,
            requests: self.requests,
            errors: self.errors(),
            seconds: elapsed.as_secs_f64(),
            requests_per_second: self.requests as f64 / elapsed.as_secs_f64(),
            p50_us: at(0.5),
            p95_us: at(0.95),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: us(latencies_ns.max()),
        }
    }
}
