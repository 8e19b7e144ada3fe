//! Rows `always` and `disk`: SETs a second when each is on disk before it is answered, for the memory
//! engine and for the disk engine.
//!
//! All servers write to the same disk, in turn. How fast a disk syncs differs a hundredfold between
//! machines, so a short run first finds how many requests fill the time of a round.

use super::super::{
    figure::{Bar, Figure},
    launch::Server,
    peers::{Kind, Program},
    redis_benchmark::{self, Operation, Run},
    samples::{Samples, median},
    setup::Setup,
};
use crate::Outcome;

/// Requests of the run that finds the pace.
const TRIAL: u64 = 2_000;

/// The memory engine with a log.
const IN_MEMORY: &[&str] = &["--store-path", "store", "--durability", "always"];

/// The disk engine with little memory for what it reads.
const ON_DISK: &[&str] =
    &["--engine", "disk", "--store-path", "store", "--durability", "always", "--block-cache-bytes", "16MiB"];

/// The words that make a server sync before it answers; `None` for one that cannot.
fn words(kind: Kind, ours: &'static [&'static str]) -> Option<&'static [&'static str]> {
    match kind {
        Kind::Tresor | Kind::Before => Some(ours),
        Kind::Redis | Kind::Valkey => Some(&["--appendonly", "yes", "--appendfsync", "always"]),
        Kind::Pogocache => None,
    }
}

/// Starts every program that can sync before it answers.
pub(super) fn start_all<'a>(
    setup: &Setup,
    programs: impl Iterator<Item = &'a Program>,
) -> Outcome<Vec<(Kind, Server)>> {
    start_with(setup, programs, IN_MEMORY)
}

fn start_with<'a>(
    setup: &Setup,
    programs: impl Iterator<Item = &'a Program>,
    ours: &'static [&'static str],
) -> Outcome<Vec<(Kind, Server)>> {
    let mut servers = Vec::new();
    for program in programs {
        if let Some(words) = words(program.kind, ours) {
            servers.push((program.kind, Server::start(setup, program, words)?));
        }
    }
    Ok(servers)
}

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let servers = start_all(setup, setup.programs.iter())?;
    compare(setup, &servers, ("`always`", 100_000), &[(1, 1.2), (16, 1.5)])
}

/// On so many keys that they do not fit into the cache.
pub(super) fn on_disk(setup: &Setup) -> Outcome<Vec<Figure>> {
    let servers = start_with(setup, setup.programs.iter(), ON_DISK)?;
    let keys = setup.size(5_000_000, 100_000);
    compare(setup, &servers, ("disk engine, `always`", keys), &[(1, 0.5), (16, 0.5)])
}

fn compare(
    setup: &Setup,
    servers: &[(Kind, Server)],
    (name, keys): (&str, u64),
    depths: &[(u32, f64)],
) -> Outcome<Vec<Figure>> {
    redis_benchmark::require()?;
    let round_milliseconds = setup.size(3_000, 300) as f64;
    let mut figures = Vec::new();
    for (pipeline, bar) in depths.iter().copied() {
        let run = |server: &Server, requests| {
            let (port, command) = (server.port, Operation::Set);
            Run { port, command, pipeline, requests, keys }.measure(server.pid())
        };
        let mut requests = Vec::new();
        for (_, server) in servers {
            let a_second = run(server, TRIAL * u64::from(pipeline))?.a_second;
            requests.push((a_second * round_milliseconds / 1000.0) as u64 + TRIAL);
        }
        let (mut a_second, mut cpu_us) = (Samples::default(), Samples::default());
        for _ in 0..setup.options.rounds() {
            for ((kind, server), requests) in servers.iter().zip(&requests) {
                let load = run(server, *requests)?;
                a_second.add(*kind, load.a_second);
                cpu_us.add(*kind, load.cpu_us);
            }
        }
        let what = format!("{name}: SETs a second, 50 clients, pipeline {pipeline}");
        let of = |kind| median(&cpu_us.of(kind));
        let cpu = format!("CPU {:.2} µs a SET, Redis {:.2} µs", of(Kind::Tresor), of(Kind::Redis));
        figures.push(Figure::against_redis(what, "/s", &a_second).bar(Bar::RatioAtLeast(bar)).also(cpu));
    }
    Ok(figures)
}
