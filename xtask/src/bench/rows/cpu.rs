//! Rows `cpu` and `cpu-1m`: the server's processor time a command, under redis-benchmark.
//!
//! Processor time rather than throughput, because on two cores the load generator is the slower half.

use super::super::{
    figure::{Bar, Figure},
    fill::{Expiry, fill},
    launch::Server,
    peers::Kind,
    redis_benchmark::{self, Operation, Run},
    samples::Samples,
    setup::Setup,
};
use crate::Outcome;

/// A pipeline depth, the requests of a round, and the bar.
type Depth = (u32, u64, f64);

pub(super) fn of_a_small_store(setup: &Setup) -> Outcome<Vec<Figure>> {
    let depths = [
        (1, setup.size(200_000, 10_000), 0.93),
        (16, setup.size(1_000_000, 100_000), 0.70),
        (64, setup.size(2_000_000, 200_000), 0.48),
    ];
    measure(setup, setup.size(100_000, 10_000), &depths)
}

pub(super) fn of_a_large_store(setup: &Setup) -> Outcome<Vec<Figure>> {
    measure(setup, setup.size(1_000_000, 50_000), &[(16, setup.size(1_000_000, 100_000), 0.70)])
}

fn measure(setup: &Setup, keys: u64, depths: &[Depth]) -> Outcome<Vec<Figure>> {
    redis_benchmark::require()?;
    let servers = start_all(setup, keys)?;
    let cases: Vec<(Depth, Operation)> =
        depths.iter().flat_map(|depth| [(*depth, Operation::Get), (*depth, Operation::Set)]).collect();
    let mut samples = vec![Samples::default(); cases.len()];
    for _ in 0..setup.options.rounds() {
        for (((pipeline, requests, _), command), samples) in cases.iter().zip(&mut samples) {
            for (kind, server) in &servers {
                let (command, pipeline, requests) = (*command, *pipeline, *requests);
                let run = Run { port: server.port, command, pipeline, requests, keys };
                samples.add(*kind, run.measure(server.pid())?.cpu_us);
            }
        }
    }
    let figures = cases.iter().zip(&samples).map(|(((pipeline, _, bar), command), samples)| {
        let what = format!("CPU per {}, pipeline {pipeline}, {} keys", command.name(), thousands(keys));
        Figure::against_redis(what, "µs", samples).bar(Bar::RatioAtMost(*bar))
    });
    Ok(figures.collect())
}

fn start_all(setup: &Setup, keys: u64) -> Outcome<Vec<(Kind, Server)>> {
    let mut servers = Vec::new();
    for program in &setup.programs {
        let server = Server::start(setup, program, &[])?;
        fill(server.port, 0..keys, Expiry::Never)?;
        servers.push((program.kind, server));
    }
    Ok(servers)
}

/// `100 k`, `1 M`.
pub(super) fn thousands(number: u64) -> String {
    if number.is_multiple_of(1_000_000) {
        format!("{} M", number / 1_000_000)
    } else {
        format!("{} k", number / 1000)
    }
}
