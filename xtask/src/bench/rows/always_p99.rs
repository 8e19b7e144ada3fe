//! Row `always-p99`: how long readers wait beside writers that wait for the disk.
//!
//! A server with one thread for everything keeps readers waiting while it syncs; ours should not.

use std::time::Duration;

use super::{
    super::{
        figure::{Bar, Figure},
        fill::{Expiry, fill, random_gets, random_sets},
        load::{Lane, Pace, Protocol, drive},
        peers::Kind,
        samples::{Samples, median},
        setup::Setup,
    },
    always::start_all,
};
use crate::Outcome;

/// Clients of each sort.
const CLIENTS: u64 = 8;

/// Groups of the load.
const WRITES: usize = 0;
const READS: usize = 1;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(100_000, 10_000);
    let time = Duration::from_millis(setup.size(3_000, 300));
    let servers = start_all(setup, setup.ours_and_redis())?;
    for (_, server) in &servers {
        fill(server.port, 0..keys, Expiry::Never)?;
    }
    let (mut p99, mut p50, mut writes) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..setup.options.rounds() {
        for (kind, server) in &servers {
            let mut lanes = lanes(server.port, keys)?;
            let drive = drive(&mut lanes, &mut |elapsed| elapsed >= time)?;
            p99.add(*kind, drive.microseconds(READS, 0.99));
            p50.add(*kind, drive.microseconds(READS, 0.5));
            writes.add(*kind, drive.latencies_ns[WRITES].len() as f64 / drive.elapsed.as_secs_f64());
        }
    }
    let medians = |samples: &Samples| {
        let of = |kind| median(&samples.of(kind));
        format!("{:.0} against {:.0}", of(Kind::Tresor), of(Kind::Redis))
    };
    Ok(vec![
        Figure::against_redis("`always`: p99 of GET beside 8 SET clients", "µs", &p99)
            .bar(Bar::RatioAtMost(0.5))
            .also(format!("p50 {} µs", medians(&p50)))
            .also(format!("SETs a second meanwhile {}", medians(&writes))),
    ])
}

fn lanes(port: u16, keys: u64) -> Outcome<Vec<Lane>> {
    let mut lanes = Vec::new();
    for number in 0..CLIENTS {
        let pace = Pace::Closed { depth: 1 };
        let sets = random_sets(keys, number);
        lanes.push(Lane::connect(port, Protocol::Resp, pace, sets)?.in_group(WRITES));
        let gets = random_gets(keys, CLIENTS + number);
        lanes.push(Lane::connect(port, Protocol::Resp, pace, gets)?.in_group(READS));
    }
    Ok(lanes)
}
