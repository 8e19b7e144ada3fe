//! Requests counted by route, method and class of status, with their latencies.
//!
//! Each worker counts in a row of its own, as the commands' counters do, so that counting is a plain
//! load and store; the rows are added up when `/metrics` is read.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use http::{Method, StatusCode};
use tresor::metrics::{BUCKETS, Counter, bucket_of};

use super::route::Route;

/// Methods with a counter of their own; all others share one.
pub(super) const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "DELETE", "POST", "other"];

/// Classes of status with a counter each.
pub(super) const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// All workers' counters.
pub(super) struct HttpCounters {
    workers: Box<[WorkerCounters]>,
    opened: AtomicU64,
    closed: AtomicU64,
}

struct WorkerCounters {
    routes: Box<[RouteCounters]>,
}

struct RouteCounters {
    requests: [[Counter; CLASSES.len()]; METHODS.len()],
    nanoseconds: Counter,
    buckets: Box<[Counter]>,
}

/// One route's figures over all workers.
pub(super) struct RouteFigures {
    /// Requests by method and class of status.
    pub(super) requests: [[u64; CLASSES.len()]; METHODS.len()],
    /// Time from head to answer, streamed bodies not included.
    pub(super) nanoseconds: u64,
    /// Requests by latency.
    pub(super) buckets: Vec<u64>,
}

impl HttpCounters {
    /// Counters for `workers` workers; at least one.
    pub(super) fn new(workers: usize) -> Self {
        let route = || RouteCounters {
            requests: Default::default(),
            nanoseconds: Counter::default(),
            buckets: (0..BUCKETS).map(|_| Counter::default()).collect(),
        };
        let worker = || WorkerCounters { routes: Route::ALL.iter().map(|_| route()).collect() };
        Self {
            workers: (0..workers.max(1)).map(|_| worker()).collect(),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
        }
    }

    /// Counts an answer.
    #[inline]
    pub(super) fn answered(&self, worker: usize, seen: &Answered) {
        let counters = &self.workers[worker % self.workers.len()].routes[seen.route as usize];
        let class = usize::from(seen.status.as_u16() / 100).clamp(2, 5) - 2;
        counters.requests[seen.method][class].add(1);
        let nanoseconds = seen.took.as_nanos() as u64;
        counters.nanoseconds.add(nanoseconds);
        counters.buckets[bucket_of(nanoseconds)].add(1);
    }

    pub(super) fn route(&self, route: Route) -> RouteFigures {
        let mut figures =
            RouteFigures { requests: Default::default(), nanoseconds: 0, buckets: vec![0; BUCKETS] };
        for worker in &self.workers {
            let counters = &worker.routes[route as usize];
            figures.nanoseconds += counters.nanoseconds.get();
            let counted = counters.requests.iter().flatten();
            for (sum, counter) in figures.requests.iter_mut().flatten().zip(counted) {
                *sum += counter.get();
            }
            for (sum, bucket) in figures.buckets.iter_mut().zip(&counters.buckets) {
                *sum += bucket.get();
            }
        }
        figures
    }

    /// Counts a connection, until what is returned is dropped.
    pub(super) fn connection(&self) -> OpenConnection<'_> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self)
    }

    /// Connections so far, and those open now.
    pub(super) fn connections(&self) -> (u64, u64) {
        let closed = self.closed.load(Ordering::Relaxed);
        let opened = self.opened.load(Ordering::Relaxed);
        (opened, opened.saturating_sub(closed))
    }
}

/// What is counted of an answer.
pub(super) struct Answered {
    pub(super) route: Route,
    /// A place in [`METHODS`].
    pub(super) method: usize,
    pub(super) status: StatusCode,
    pub(super) took: Duration,
}

/// A connection that counts as open.
pub(super) struct OpenConnection<'a>(&'a HttpCounters);

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// A method's place in [`METHODS`].
pub(super) fn method_index(method: &Method) -> usize {
    METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1)
}
