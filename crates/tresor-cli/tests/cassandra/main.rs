//! The real server with its data on real Cassandra nodes: several servers on one store, nodes and servers
//! that fail, and more entries than anybody looks at by hand.
//!
//! The fast run has one node and small numbers; with `TRESOR_FULL` set there are three nodes where
//! they matter, and the numbers that Tresor promises.

mod linearizability;
mod outage;
mod status;
mod transfer;

use std::env;

use tresor_testkit::{Server, cassandra::Cluster};

/// Whether this is the long run.
fn is_full() -> bool {
    env::var_os("TRESOR_FULL").is_some()
}

/// A server on a keyspace of a cluster, with further arguments.
fn server(cluster: &Cluster, keyspace: &str, arguments: &[&str]) -> Server {
    let contact = cluster.contact_points().join(",");
    let own = ["--engine", "cassandra", "--cassandra-contact", &contact, "--cassandra-keyspace", keyspace];
    Server::start(&[&own, arguments].concat())
}
