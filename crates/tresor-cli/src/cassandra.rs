//! `tresor cassandra`: the tables a store needs on a cluster, and how that cluster is doing.
//!
//! Both take what `tresor serve` takes, so that they speak of the store that a server with the same
//! options would have.

use std::{
    io::{self, Write},
    sync::Arc,
};

use tresor::{clock::SystemClock, engine::Engine};

use crate::{
    failure::{Failure, Outcome},
    serve,
};

/// What to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    chosen: Chosen,
}

#[derive(Debug, clap::Subcommand)]
enum Chosen {
    /// Print the CQL that makes the keyspace and its tables, to be given to cqlsh by hand
    Schema(Box<Schema>),
    /// Connect to the cluster and tell how it is doing
    Status(Box<serve::Arguments>),
}

#[derive(Debug, clap::Args)]
struct Schema {
    /// For Cassandra 6 with Accord: tables whose keys can be changed together
    #[arg(long)]
    transactions: bool,
    #[command(flatten)]
    options: serve::Arguments,
}

/// What the CQL says of a datacentre that nobody named.
const ANY_DATACENTER: &str = "datacenter1";

/// Copies of each partition where nobody said how many.
const COPIES: u8 = 3;

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.chosen {
        Chosen::Schema(schema) => {
            let options = serve::cassandra_options(&schema.options)?;
            let datacenter = options.datacenter.clone().unwrap_or_else(|| ANY_DATACENTER.to_owned());
            let copies = options.replication.unwrap_or(COPIES);
            let mut output = io::stdout().lock();
            for statement in tresor_cassandra::schema(&options, &datacenter, copies, schema.transactions) {
                writeln!(output, "{statement};")?;
            }
            Ok(())
        }
        Chosen::Status(options) => status(serve::cassandra_options(options)?),
    }
}

fn status(options: tresor_cassandra::Options) -> Outcome {
    let (keyspace, writes, order) = (options.keyspace.clone(), options.writes, options.order);
    let engine = tresor_cassandra::open(options, Arc::new(SystemClock::new()))
        .map_err(|error| Failure::failed(error.to_string()))?;
    let status = engine.status().wait().map_err(|error| Failure::failed(error.to_string()))?;
    let cluster = status.cluster.unwrap_or_default();
    let mut output = io::stdout().lock();
    let batches = if engine.capabilities().atomic_batches { "taken" } else { "refused" };
    writeln!(
        output,
        "keyspace {keyspace}: writes {writes}, order {order}, batches over several keys {batches}; it answers"
    )?;
    for node in &cluster.nodes {
        let state = if node.connected { "connected" } else { "not connected" };
        writeln!(output, "node {} in {}: {state}", node.address, node.datacenter)?;
    }
    writeln!(output, "this clock is {} ms ahead of the cluster's", cluster.clock_ahead_ms)?;
    engine.close().wait().map_err(|error| Failure::failed(error.to_string()))
}
