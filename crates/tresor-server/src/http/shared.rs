//! What all HTTP connections of a server share: who may ask, limits, counters.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use tokio::sync::OnceCell;
use tresor::Database;

use super::{
    access::Hosts, counters::HttpCounters, rate_limit::RateLimit, transaction_table::TransactionTable,
};
use crate::{key_rotation::KeyRotation, line::LineCounters, sharding::ShardControl, stop::Stopper};

/// Shared by all HTTP connections of a server.
pub(crate) struct HttpShared {
    /// The names and addresses that requests may be addressed to.
    pub(super) hosts: Hosts,
    /// Limits of time and size.
    pub(super) limits: HttpLimits,
    /// How often an address may ask, where that is limited.
    pub(super) rate_limit: Option<RateLimit>,
    /// Requests counted by route, method and status.
    pub(super) counters: HttpCounters,
    /// Commands of the line protocol, which `/metrics` shows too.
    pub(crate) line: LineCounters,
    /// Replacing encryption keys, which outlives the request for it.
    pub(super) rotation: Arc<KeyRotation>,
    /// The store's shards, where it is spread over some.
    pub(super) shards: Option<Arc<ShardControl>>,
    /// Transactions that were begun over HTTP.
    pub(super) transactions: TransactionTable,
    /// The first half of every ETag, once somebody has asked for it.
    store_id: OnceCell<u64>,
    /// Tells when the server stops: what would go on for good ends then.
    pub(super) stopper: Stopper,
}

impl HttpShared {
    /// For a server of `workers` workers that answers to `hosts`.
    pub(crate) fn new(
        hosts: Hosts,
        limits: HttpLimits,
        workers: usize,
        (rotation, shards): (Arc<KeyRotation>, Option<Arc<ShardControl>>),
        stopper: Stopper,
    ) -> Self {
        let counters = HttpCounters::new(workers);
        Self {
            hosts,
            rate_limit: limits.requests_per_second.map(RateLimit::new),
            limits,
            counters,
            line: LineCounters::new(workers),
            rotation,
            shards,
            transactions: TransactionTable::default(),
            store_id: OnceCell::new(),
            stopper,
        }
    }

    /// What identifies the store; it stays the same for as long as the store is open.
    pub(super) async fn store_id(&self, database: &Database) -> tresor::Result<u64> {
        let ask = async || database.engine().status().await.map(|status| status.store_id);
        self.store_id.get_or_try_init(ask).await.copied()
    }
}

/// What a client may take of time and memory.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Bytes of a request's head, the request line included. Keys in paths need room: the request
    /// line alone may have 64 KiB.
    pub head_bytes: usize,
    /// Header fields of a request.
    pub headers: usize,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// For a body, on top of the time that the least pace allows for what has arrived.
    pub body_timeout: Duration,
    /// The least pace of a body.
    pub body_bytes_per_second: u64,
    /// How long a client may take nothing of an answer.
    pub stall_timeout: Duration,
    /// How long a connection may do nothing between two requests.
    pub idle_timeout: Duration,
    /// Requests that an address may send in a second; `None` for no limit.
    pub requests_per_second: Option<NonZeroU32>,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_bytes: 128 * 1024,
            headers: 100,
            head_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(20),
            body_bytes_per_second: 16 * 1024,
            stall_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(600),
            requests_per_second: None,
        }
    }
}

impl HttpLimits {
    /// The time in which this many bytes arrive at the least pace.
    pub(super) fn time_for(&self, bytes: usize) -> Duration {
        Duration::from_millis(bytes as u64 * 1000 / self.body_bytes_per_second.max(1))
    }
}
