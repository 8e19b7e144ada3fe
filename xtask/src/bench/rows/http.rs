//! Row `http`: the server's processor time of `GET /keys/{key}`, against a map on Go's net/http.
//!
//! 50 connections that stay open, each with one request at a time, driven by one thread.

use std::{cell::Cell, rc::Rc};

use super::super::{
    figure::{Bar, Figure},
    fill::{Random, key},
    http::{append_get, append_put},
    launch::Server,
    load::{Lane, Pace, Protocol, Requests, drive},
    process::cpu_ns,
    redis_benchmark::VALUE,
    setup::Setup,
};
use crate::Outcome;

const CONNECTIONS: u64 = 50;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(100_000, 5_000);
    let requests = setup.size(200_000, 10_000);
    let servers = [Server::start_http(setup, &["--resp-port", "off"])?, Server::start_http_map(setup)?];
    for server in &servers {
        let next = Rc::new(Cell::new(0));
        run(server, keys, |_| puts(keys, next.clone()))?;
    }
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..setup.options.rounds() {
        for (server, samples) in servers.iter().zip(&mut samples) {
            let left = Rc::new(Cell::new(requests));
            let before = cpu_ns(server.pid())?;
            run(server, requests, |number| gets(keys, left.clone(), number))?;
            samples.push((cpu_ns(server.pid())? - before) as f64 / 1000.0 / requests as f64);
        }
    }
    let [ours, theirs] = samples;
    Ok(vec![
        Figure::new("CPU per HTTP `GET /keys/{key}`, 50 connections", "µs", ours)
            .against(servers[1].name, theirs)
            .bar(Bar::RatioAtMost(0.70)),
    ])
}

/// Sends requests over all connections until none are left, and counts the answers.
fn run(server: &Server, expected: u64, requests: impl Fn(u64) -> Requests) -> Outcome {
    let pace = Pace::Closed { depth: 1 };
    let mut lanes = (0..CONNECTIONS)
        .map(|number| Lane::connect(server.port, Protocol::Http, pace, requests(number)))
        .collect::<Outcome<Vec<_>>>()?;
    let drive = drive(&mut lanes, &mut |_| false)?;
    let answers = drive.latencies_ns[0].len();
    if answers == expected { Ok(()) } else { Err(format!("{answers} answers to {expected} requests")) }
}

fn puts(keys: u64, next: Rc<Cell<u64>>) -> Requests {
    Box::new(move |request| {
        let number = next.replace(next.get() + 1);
        if number < keys {
            append_put(request, &key(number), VALUE);
        }
        number < keys
    })
}

fn gets(keys: u64, left: Rc<Cell<u64>>, seed: u64) -> Requests {
    let mut random = Random::new(seed);
    Box::new(move |request| {
        let Some(rest) = left.get().checked_sub(1) else { return false };
        left.set(rest);
        append_get(request, &key(random.below(keys)));
        true
    })
}
