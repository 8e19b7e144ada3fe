//! Row `keys`: what one client's `KEYS *` over a large store does to everyone else's GETs.
//!
//! GETs come at a fixed rate and their latency counts from when they were due, so a server that stands
//! still is charged for all of them. The figure is the p99.9 with KEYS less the one without.

use std::time::Duration;

use super::{
    super::{
        figure::{Bar, Figure},
        fill::{Expiry, fill, random_gets},
        launch::Server,
        load::{Drive, Lane, Pace, Protocol, drive},
        peers::Kind,
        resp::append,
        samples::{Samples, median},
        setup::Setup,
    },
    cpu::thousands,
};
use crate::Outcome;

/// Connections that send GETs, and how often each does: 10,000 a second together.
const READERS: u64 = 10;
const INTERVAL: Duration = Duration::from_millis(1);

/// Groups of the load.
const GETS: usize = 0;
const KEYS: usize = 1;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(1_000_000, 50_000);
    let mut servers = Vec::new();
    for program in setup.ours_and_redis() {
        let server = Server::start(setup, program, &[])?;
        fill(server.port, 0..keys, Expiry::Never)?;
        servers.push((program.kind, server));
    }
    let (added, took) = what_it_adds(setup, &servers, keys, |_| &["KEYS", "*"])?;
    let of = |kind| median(&took.of(kind));
    let what = format!("what `KEYS *` over {} keys adds to p99.9 of others' GETs", thousands(keys));
    Ok(vec![Figure::against_redis(what, "µs", &added).bar(Bar::RatioAtMost(0.1)).also(format!(
        "KEYS takes {:.0} ms, Redis {:.0} ms",
        of(Kind::Tresor),
        of(Kind::Redis)
    ))])
}

/// What a long command adds to the p99.9 of GETs beside it, in microseconds, and how many milliseconds it takes.
pub(super) fn what_it_adds(
    setup: &Setup,
    servers: &[(Kind, Server)],
    keys: u64,
    command: impl Fn(Kind) -> &'static [&'static str],
) -> Outcome<(Samples, Samples)> {
    let time = Duration::from_millis(setup.size(5_000, 500));
    let (mut added, mut took) = (Samples::default(), Samples::default());
    let mut reply_bytes = Vec::new();
    for (kind, server) in servers {
        reply_bytes.push(server.client()?.command(command(*kind))?.len());
    }
    for _ in 0..setup.options.rounds() {
        for ((kind, server), reply_bytes) in servers.iter().zip(&reply_bytes) {
            let mut lanes = readers(server.port, keys)?;
            let quiet = drive(&mut lanes, &mut |elapsed| elapsed >= time)?;
            lanes.push(twice(server.port, command(*kind), *reply_bytes, time)?);
            let busy = drive(&mut lanes, &mut |elapsed| elapsed >= time)?;
            let p999 = |drive: &Drive| drive.microseconds(GETS, 0.999);
            added.add(*kind, (p999(&busy) - p999(&quiet)).max(0.0));
            took.add(*kind, busy.microseconds(KEYS, 0.5) / 1000.0);
        }
    }
    Ok((added, took))
}

fn readers(port: u16, keys: u64) -> Outcome<Vec<Lane>> {
    (0..READERS)
        .map(|number| {
            let first = INTERVAL * number as u32 / READERS as u32;
            let pace = Pace::Every { interval: INTERVAL, first };
            Lane::connect(port, Protocol::Resp, pace, random_gets(keys, number))
        })
        .collect()
}

/// The long command twice in a drive. Its replies are counted, not decoded: the load has only one thread, and
/// what it takes over them is no server's fault.
fn twice(port: u16, command: &'static [&'static str], reply_bytes: usize, time: Duration) -> Outcome<Lane> {
    let pace = Pace::Every { interval: time / 2, first: time / 50 };
    let requests = Box::new(|request: &mut Vec<u8>| {
        let words: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
        append(request, &words);
        true
    });
    Ok(Lane::connect(port, Protocol::Bytes(reply_bytes), pace, requests)?.in_group(KEYS))
}
