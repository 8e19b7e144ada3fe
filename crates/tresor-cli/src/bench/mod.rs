//! `tresor bench`: a load generator for any server that speaks the Redis protocol.
//!
//! All connections are driven by one thread, so that it can be pinned to a core and leaves the others
//! to the server. A test keeps every connection busy with one batch at a time; latency is that of a
//! batch, from before it is written until its last reply is there, and counts for each request in it.

mod connection;
mod load;
mod report;

use std::rc::Rc;

use tokio::{runtime, task::LocalSet};

use self::{load::Load, report::Figures};
use crate::{
    failure::{Failure, Outcome},
    resp::RespOptions,
};

/// How to load a server.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: RespOptions,
    /// Connections
    #[arg(short, long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    clients: u32,
    /// Requests sent together before their replies are read
    #[arg(short = 'P', long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pipeline: u32,
    /// Requests in each test
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// Bytes of each value
    #[arg(short = 'd', long, value_name = "BYTES", default_value_t = 32, value_parser = clap::value_parser!(u32).range(..=1 << 29))]
    value_bytes: u32,
    /// Different keys, chosen at random; each is 16 bytes long
    #[arg(short = 'r', long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=999_999_999_999))]
    keyspace: u64,
    /// What to run, in this order
    #[arg(short, long, value_enum, value_delimiter = ',', value_name = "NAMES", default_value = "set,get")]
    tests: Vec<Test>,
    /// Write a line of JSON for each test instead of a table
    #[arg(long)]
    json: bool,
    /// Choose the same keys as another run with this seed
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// What a test sends.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    /// GET of a random key.
    Get,
    /// SET of a random key.
    Set,
    /// SET of every key once, in order: fills the store, whatever -n says.
    Fill,
    /// PING.
    Ping,
}

impl Test {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Fill => "fill",
            Self::Ping => "ping",
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let password = arguments.server.credentials.password()?;
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    for test in &arguments.tests {
        let load = Rc::new(Load::new(*test, arguments));
        let figures =
            LocalSet::new().block_on(&runtime, measure(arguments, password.as_deref(), load.clone()))?;
        let line = if arguments.json { figures.to_json()? } else { figures.to_string() };
        report::print(&line)?;
        if let Some(error) = load.first_error() {
            return Err(Failure::failed(format!("{} requests failed; the first: {error}", load.errors())));
        }
    }
    Ok(())
}

/// Connects all clients first, then lets them loose.
async fn measure(arguments: &Arguments, password: Option<&str>, load: Rc<Load>) -> Outcome<Figures> {
    let mut connections = Vec::new();
    for number in 0..arguments.clients {
        connections.push(connection::Connection::open(&arguments.server.resp, password, number).await?);
    }
    let started = std::time::Instant::now();
    let running: Vec<_> = connections
        .into_iter()
        .map(|connection| tokio::task::spawn_local(connection.drive(load.clone())))
        .collect();
    for client in running {
        client.await.map_err(Failure::failed)??;
    }
    Ok(load.figures(started.elapsed()))
}
