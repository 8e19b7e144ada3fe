//! Row `always`: SETs a second when each is on disk before it is answered.
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

/// The words that make a server sync before it answers; `None` for one that cannot.
pub(super) fn words(kind: Kind) -> Option<&'static [&'static str]> {
    match kind {
        Kind::Tresor => Some(&["--store-path", "store", "--durability", "always"]),
        Kind::Redis | Kind::Valkey => Some(&["--appendonly", "yes", "--appendfsync", "always"]),
        Kind::Pogocache => None,
    }
}

/// Starts every program that can sync before it answers.
pub(super) fn start_all<'a>(
    setup: &Setup,
    programs: impl Iterator<Item = &'a Program>,
) -> Outcome<Vec<(Kind, Server)>> {
    let mut servers = Vec::new();
    for program in programs {
        if let Some(words) = words(program.kind) {
            servers.push((program.kind, Server::start(setup, program, words)?));
        }
    }
    Ok(servers)
}

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    redis_benchmark::require()?;
    let servers = start_all(setup, setup.programs.iter())?;
    let round_milliseconds = setup.size(3_000, 300) as f64;
    let mut figures = Vec::new();
    for (pipeline, bar) in [(1, 1.2), (16, 1.5)] {
        let run = |server: &Server, requests| {
            let (port, command) = (server.port, Operation::Set);
            Run { port, command, pipeline, requests, keys: 100_000 }.measure(server.pid())
        };
        let mut requests = Vec::new();
        for (_, server) in &servers {
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
        let what = format!("`always`: SETs a second, 50 clients, pipeline {pipeline}");
        let of = |kind| median(&cpu_us.of(kind));
        let cpu = format!("CPU {:.2} µs a SET, Redis {:.2} µs", of(Kind::Tresor), of(Kind::Redis));
        figures.push(Figure::against_redis(what, "/s", &a_second).bar(Bar::RatioAtLeast(bar)).also(cpu));
    }
    Ok(figures)
}
