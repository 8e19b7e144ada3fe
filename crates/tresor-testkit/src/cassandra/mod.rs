//! Real Apache Cassandra nodes: for tests, for tests of faults, and for whoever develops.
//!
//! A node is the plain Java program from Maven's jars ([`Artifacts`]), without a container or an
//! installation. A test has a [`Cluster`] of its own or the one that its binary shares ([`shared()`]),
//! and asks first whether there is what it needs ([`require`]); `cargo xtask cassandra` leaves nodes
//! running ([`background`]). A node holds about 1.2 GB of memory.

mod artifacts;
pub mod background;
mod certificates;
mod cluster;
mod configuration;
mod cql_probe;
mod launch;
mod network;
mod node;
mod requirements;
mod shared;

pub use artifacts::Artifacts;
pub use cluster::Cluster;
pub use configuration::CommitLog;
pub use cql_probe::answers;
pub use network::{CQL_PORT, Network};
pub use requirements::{missing, require};
pub use shared::{Shared, SharedAlone, shared, shared_alone, shared_of};

use network::STORAGE_PORT;

/// The version that tests run against.
pub const VERSION: &str = "5.0.8";

/// The version with transactions over several partitions that tests run against.
pub const VERSION_WITH_ACCORD: &str = "6.0-alpha2";

/// The most nodes that a cluster has.
pub const MOST_NODES: usize = 3;

/// What can be chosen about a cluster.
#[derive(Debug)]
pub struct Options {
    /// A version of `org.apache.cassandra:cassandra-all`, 5.0 or later; from 6 on with Accord.
    pub version: String,
    /// Its addresses.
    pub network: Network,
    /// What a node may lose when it is killed.
    pub commit_log: CommitLog,
    /// Whether it wants a user (`cassandra`, whose password is the same) and takes encrypted connections
    /// too; see [`Cluster::authorities`].
    pub secured: bool,
}

impl Default for Options {
    /// [`VERSION`] on 127.0.0.1 and on, with the commit log as Cassandra ships it.
    fn default() -> Self {
        Self {
            version: VERSION.to_owned(),
            network: Network::default(),
            commit_log: CommitLog::default(),
            secured: false,
        }
    }
}
