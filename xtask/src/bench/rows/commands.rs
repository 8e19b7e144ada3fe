//! Row `commands`: the server's processor time of commands beside GET and SET, under redis-benchmark.
//!
//! The keys are 100,000 strings of 32 bytes; INCR counts in keys of its own, BITCOUNT looks at one value of
//! 64 KiB. Pipelines of 16, so that what is measured is the command rather than the socket.

use super::{
    super::{
        figure::{Bar, Figure},
        fill::{Expiry, fill},
        launch::Server,
        redis_benchmark::{self, Operation, Run},
        resp::Client,
        samples::Samples,
        setup::Setup,
    },
    cpu::thousands,
};
use crate::Outcome;

const PIPELINE: u32 = 16;

const BITS_KEY: &str = "bits";

const BITS_BYTES: usize = 64 * 1024;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    redis_benchmark::require()?;
    let keys = setup.size(100_000, 10_000);
    let cases = [
        (Operation::Incr, setup.size(1_000_000, 50_000)),
        (Operation::MgetOfTen, setup.size(300_000, 20_000)),
        (Operation::Setrange, setup.size(1_000_000, 50_000)),
        (Operation::Bitcount(BITS_KEY), setup.size(200_000, 10_000)),
    ];
    let mut servers = Vec::new();
    for program in setup.ours_and_redis() {
        let server = Server::start(setup, program, &[])?;
        fill(server.port, 0..keys, Expiry::Never)?;
        let bits = "U".repeat(BITS_BYTES);
        Client::connect(server.port)?.command(&["SET", BITS_KEY, &bits])?;
        servers.push((program.kind, server));
    }
    let mut samples = vec![Samples::default(); cases.len()];
    for _ in 0..setup.options.rounds() {
        for ((command, requests), samples) in cases.iter().zip(&mut samples) {
            for (kind, server) in &servers {
                let (command, requests) = (*command, *requests);
                let run = Run { port: server.port, command, pipeline: PIPELINE, requests, keys };
                samples.add(*kind, run.measure(server.pid())?.cpu_us);
            }
        }
    }
    let figures = cases.iter().zip(&samples).map(|((command, _), samples)| {
        let what = format!("CPU per {}, pipeline {PIPELINE}, {} keys", command.name(), thousands(keys));
        Figure::against_redis(what, "µs", samples).bar(Bar::RatioAtMost(0.75))
    });
    Ok(figures.collect())
}
