//! Row `index`: what scans in key order cost, since their index is only there while somebody uses it.
//!
//! Two servers with the same keys; one of them is listed in key order over HTTP. Its first listing
//! builds the index: the wait for its first key, what it adds to memory, and what new keys cost from
//! then on, against the server that nobody has listed.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::{
    super::{
        figure::Figure,
        fill::{Expiry, fill},
        launch::{Server, free_port},
        process::resident_bytes,
        redis_benchmark::{Operation, Run},
        setup::Setup,
    },
    cpu::thousands,
};
use crate::Outcome;

/// Keys drawn from so many are new, nearly all.
const NEW_KEYS: u64 = 2_000_000_000;

/// How long a listing took to its first key, and to its end.
struct Listing {
    first: Duration,
    whole: Duration,
}

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(1_000_000, 50_000);
    let (plain, plain_resp) = started(setup, keys)?;
    let (indexed, indexed_resp) = started(setup, keys)?;
    let before = resident_bytes(indexed.pid())? as f64;
    let first = list(indexed.port)?;
    let added = (resident_bytes(indexed.pid())? as f64 - before) / keys as f64;
    let mut again = Vec::new();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let requests = setup.size(200_000, 10_000);
    let run = |port| Run { port, command: Operation::Set, pipeline: 16, requests, keys: NEW_KEYS };
    for _ in 0..setup.options.rounds() {
        // Also keeps the index from being dropped for want of use.
        again.push(list(indexed.port)?.first.as_secs_f64() * 1000.0);
        with.push(run(indexed_resp).measure(indexed.pid())?.cpu_us);
        without.push(run(plain_resp).measure(plain.pid())?.cpu_us);
    }
    let beside = format!("{} keys", thousands(keys));
    Ok(vec![
        Figure::new(
            format!("first listing in key order, {beside}: to its first key"),
            "ms",
            vec![first.first.as_secs_f64() * 1000.0],
        )
        .against("a later one", again)
        .also(format!("the whole first listing {:.0} ms", first.whole.as_secs_f64() * 1000.0)),
        Figure::new("what the index adds to memory a key while it lives", "bytes", vec![added]),
        Figure::new("CPU per SET of a new key, pipeline 16, with the index", "µs", with)
            .against("without", without),
    ])
}

/// A filled server, and its port of the Redis protocol.
fn started(setup: &Setup, keys: u64) -> Outcome<(Server, u16)> {
    let resp = free_port()?;
    let server = Server::start_http(setup, &["--resp-port", &resp.to_string()])?;
    fill(resp, 0..keys, Expiry::Never)?;
    Ok((server, resp))
}

/// Reads `GET /keys`, which answers in key order.
fn list(port: u16) -> Outcome<Listing> {
    let read = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let started = Instant::now();
        stream.write_all(b"GET /keys HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let (mut chunk, mut seen, mut first) = (vec![0; 256 * 1024], Vec::new(), None);
        loop {
            let length = stream.read(&mut chunk)?;
            if length == 0 {
                return Ok((seen, first, started.elapsed()));
            }
            if first.is_none() {
                seen.extend_from_slice(&chunk[..length]);
                first = memchr::memmem::find(&seen, b"\"key:").map(|_| started.elapsed());
            }
        }
    };
    let (seen, first, whole) = read().map_err(|error: std::io::Error| format!("GET /keys: {error}"))?;
    let answer = || String::from_utf8_lossy(&seen[..seen.len().min(300)]).into_owned();
    let first = first.ok_or_else(|| format!("GET /keys lists no key: {}", answer()))?;
    Ok(Listing { first, whole })
}
