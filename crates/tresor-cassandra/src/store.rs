//! What every part of the engine shares: the cluster, its tables, versions, and turns at a key.
//!
//! Two writers of one server that race for a key would only make each other's compare-and-set fail,
//! which costs four rounds among the replicas each. So within a server they take turns; between
//! servers the versions decide.

use std::{
    hash::Hasher as _,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use siphasher::sip::SipHasher13;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, timeout_at},
};
use tresor::{Error, ErrorKind, Result, engine::Sequence};

use crate::{
    cluster::Cluster,
    failure::{self, Intent},
    lifetime,
    options::Options,
    prepared::Prepared,
    row::{Address, Row},
    settings::Settings,
    statements::Statements,
    tables::Tables,
    versions::Versions,
};

/// Keys that share a turn have nothing else in common, so there are many turns.
const TURNS: usize = 1024;

/// The engine without its threads.
pub(crate) struct Store {
    pub(crate) options: Options,
    pub(crate) settings: Settings,
    pub(crate) cluster: Cluster,
    pub(crate) tables: Tables,
    pub(crate) prepared: Prepared,
    pub(crate) versions: Versions,
    /// How this clock and the cluster's differ; see `clocks.rs`.
    pub(crate) clock_ahead_ms: AtomicI64,
    turns: Box<[Arc<Mutex<()>>]>,
}

impl Store {
    pub(crate) fn new(options: Options, settings: Settings, cluster: Cluster, versions: Versions) -> Self {
        Self {
            tables: Tables::new(settings.transactions),
            prepared: Prepared::default(),
            options,
            settings,
            cluster,
            versions,
            clock_ahead_ms: AtomicI64::new(0),
            turns: (0..TURNS).map(|_| Arc::default()).collect(),
        }
    }

    /// The statements of a database, if it has tables.
    pub(crate) async fn existing(&self, database: u8) -> Result<Option<Arc<Statements>>> {
        self.tables.existing(&self.cluster, &self.options, database).await
    }

    /// The statements of a database, whose tables are made if need be.
    pub(crate) async fn made(&self, database: u8) -> Result<Arc<Statements>> {
        self.tables.made(&self.cluster, &self.options, database).await
    }

    /// When a command that begins now has taken too long.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.options.command_timeout
    }

    /// Waits for the turns at several keys; taken in one order by everyone, nobody waits in a circle.
    pub(crate) async fn turns(
        &self,
        addresses: &[Address],
        deadline: Instant,
    ) -> Result<Vec<OwnedMutexGuard<()>>> {
        let mut places: Vec<usize> = addresses.iter().map(|address| place(&address.key)).collect();
        places.sort_unstable();
        places.dedup();
        let mut taken = Vec::with_capacity(places.len());
        for place in places {
            let turn = timeout_at(deadline, self.turns[place].clone().lock_owned()).await;
            taken.push(turn.map_err(|_| failure::of_time(Intent::Harmless))?);
        }
        Ok(taken)
    }

    /// The time to live of a row, in seconds; 0 is for ever. With transactions there is none: a row with
    /// one is lost to Cassandra 6 as it is now, and none may be given in them.
    pub(crate) fn ttl_s(&self, row: &Row, now_ms: u64) -> i32 {
        if self.settings.transactions { 0 } else { lifetime::ttl_s(row, now_ms) }
    }

    /// The partition of the index that a key belongs to.
    pub(crate) fn bucket(&self, key: &[u8]) -> i16 {
        (hash(key) % u64::from(self.settings.buckets)) as i16
    }

    /// What a reader of absent keys may have observed.
    pub(crate) fn latest(&self) -> Sequence {
        self.versions.latest()
    }

    /// Refuses a value that the cluster would not take.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<()> {
        if bytes <= self.options.max_value_bytes {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "a value of {bytes} bytes is over what the Cassandra engine takes ({} bytes): see --cassandra-max-value-bytes",
                self.options.max_value_bytes
            ),
        ))
    }
}

/// Where a key's turn is.
fn place(key: &[u8]) -> usize {
    hash(key) as usize % TURNS
}

/// A hash that all servers and versions agree on. Chosen keys can crowd a bucket, which makes its
/// scans slower and nothing else.
fn hash(key: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(key);
    hasher.finish()
}

/// How long to wait before a compare-and-set is tried again: longer each time, and not in step with
/// others.
pub(crate) fn pause(tries: u32) -> Duration {
    let longest_us = 1_000_u64 << tries.min(6);
    Duration::from_micros(getrandom::u64().unwrap_or_default() % longest_us)
}
