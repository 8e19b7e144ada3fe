//! Row `cassandra`: a server on a cluster of one node, against the bare driver with the same statements.
//!
//! The node has all cores; the server has core 0 and redis-benchmark core 1, as everywhere. The bare
//! driver runs on core 0 in the server's place. The node is the one that tests use: small, and with the
//! first of Java's compilers only.

use std::{fs, path::Path, process::Command};

use tresor_testkit::cassandra::{self, Cluster, Network};

use super::super::{
    core_pinning::{SERVER_PREFIX, on_all_cores},
    figure::{Bar, Figure},
    fill::{Expiry, fill},
    launch::Server,
    redis_benchmark::{self, Operation, Run},
    setup::{Pinned, Setup},
};
use crate::Outcome;

/// What a server is asked and what the bare driver does in its place.
struct Case {
    keyspace: &'static str,
    operation: Operation,
    bare: &'static str,
    what: &'static str,
}

const CASES: [Case; 3] = [
    Case { keyspace: EVENTUAL, operation: Operation::Get, bare: "get", what: "`eventual` GET" },
    Case { keyspace: EVENTUAL, operation: Operation::Set, bare: "set", what: "`eventual` SET" },
    Case { keyspace: LINEARIZABLE, operation: Operation::Set, bare: "compare", what: "`linearizable` SET" },
];

const EVENTUAL: &str = "bench_eventual";
const LINEARIZABLE: &str = "bench_linearizable";

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    redis_benchmark::require()?;
    let bare = setup.examples.of_row("cassandra")?;
    let directory = setup.directory()?;
    let cluster = start(directory.path())?;
    let contact = cluster.contact_points().first().cloned().ok_or("the node has no address")?;
    let keys = setup.size(20_000, 1_000);
    let server = |keyspace: &str, writes: &str| -> Outcome<Server> {
        let arguments = ["--engine", "cassandra", "--cassandra-contact", &contact];
        let own = ["--cassandra-keyspace", keyspace, "--cassandra-writes", writes];
        let server = Server::start(setup, setup.ours()?, &[&arguments[..], &own[..]].concat())?;
        fill(server.port, 0..keys, Expiry::Never)?;
        Ok(server)
    };
    let servers =
        [(EVENTUAL, server(EVENTUAL, "eventual")?), (LINEARIZABLE, server(LINEARIZABLE, "linearizable")?)];
    let mut figures = Vec::new();
    for case in &CASES {
        let server = &servers.iter().find(|(keyspace, _)| *keyspace == case.keyspace).ok_or("no server")?.1;
        figures.extend(compare(setup, (server, bare, &contact), case, keys)?);
    }
    let [(_, server), _] = &servers;
    figures.push(list(setup, (server, bare, &contact))?);
    Ok(figures)
}

fn start(directory: &Path) -> Outcome<Cluster> {
    if let Some(missing) = cassandra::missing(cassandra::VERSION) {
        return Err(missing);
    }
    let options = cassandra::Options { network: Network::reserve()?, ..cassandra::Options::default() };
    let data = directory.join("cassandra");
    fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
    on_all_cores(|| Cluster::start_with(1, &data, options))?
}

fn compare(
    setup: &Setup,
    (server, bare, contact): (&Server, &Path, &str),
    case: &Case,
    keys: u64,
) -> Outcome<Vec<Figure>> {
    let requests = match case.keyspace {
        LINEARIZABLE => setup.size(10_000, 500),
        _ => setup.size(40_000, 1_000),
    };
    let (mut ours, mut theirs, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    let run = Run { port: server.port, command: case.operation, pipeline: 1, requests, keys };
    let request = [contact, case.keyspace, case.bare, &requests.to_string(), &keys.to_string()];
    // The first of each warms the node's compiler up.
    for round in 0..=setup.options.rounds() {
        let load = run.measure(server.pid())?;
        let a_second = bare_driver(setup, bare, &request)?;
        if round > 0 {
            ours.push(load.a_second);
            cpu.push(load.cpu_us);
            theirs.push(a_second);
        }
    }
    let mut figures = vec![
        Figure::new(format!("Cassandra, {} a second, 50 connections", case.what), "/s", ours)
            .against("bare driver", theirs)
            .bar(Bar::RatioAtLeast(0.8)),
    ];
    if case.operation == Operation::Get {
        let what = format!("the server's own CPU per {}", case.what);
        figures.push(Figure::new(what, "µs", cpu).bar(Bar::AtMost(40.0)));
    }
    Ok(figures)
}

/// All keys in order, through the engine.
fn list(setup: &Setup, (server, bare, contact): (&Server, &Path, &str)) -> Outcome<Figure> {
    let keys = setup.size(1_000_000, 5_000);
    fill(server.port, 0..keys, Expiry::Never)?;
    let mut rates = Vec::new();
    for _ in 0..setup.options.rounds().min(3) {
        rates.push(bare_driver(setup, bare, &[contact, EVENTUAL, "list", "0", "0"])?);
    }
    Ok(Figure::new("Cassandra, `eventual`: keys listed in order, 1 M keys", "/s", rates)
        .bar(Bar::AtLeast(50_000.0)))
}

/// Runs the example on the server's core, and answers how much it did a second.
fn bare_driver(setup: &Setup, program: &Path, arguments: &[&str]) -> Outcome<f64> {
    let mut command = match setup.pinned {
        Pinned::NotAtAll => Command::new(program),
        Pinned::Apart => {
            let mut command = Command::new(SERVER_PREFIX[0]);
            command.args(&SERVER_PREFIX[1..]).arg(program);
            command
        }
    };
    let output =
        command.args(arguments).output().map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rate = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    rate.ok_or_else(|| {
        format!("{}: {} {text} {}", program.display(), output.status, String::from_utf8_lossy(&output.stderr))
    })
}
