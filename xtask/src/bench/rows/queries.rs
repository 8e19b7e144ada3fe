//! Row `queries`: patterns and ranges over a million keys, and what they do to everyone else.
//!
//! Passes are timed at the client, page after page over one connection. The glob is asked with SCAN beside Redis,
//! the regex with TRESOR.FIND, in any order as SCAN; both match one key of a hundred. What a pass adds to others'
//! GETs is measured as in row `keys`, and told beside what KEYS adds on Redis.

use std::time::Instant;

use super::{
    super::{
        core_pinning::on_the_servers_core,
        figure::{Bar, Figure},
        fill::{Expiry, Random, fill, fill_with, key},
        launch::Server,
        peers::Kind,
        resp::Client,
        samples::{Samples, median},
        setup::{Pinned, Setup},
    },
    cpu::thousands,
    keys,
};
use crate::Outcome;

/// Keys that SCAN looks at in a step.
const COUNT: &str = "1000";

/// Keys of a range that is read.
const RANGE: &str = "100";

/// The most that a range may take on memory, and on disk.
const RANGE_BARS_US: [f64; 2] = [100.0, 1000.0];

/// Ranges that are read in a round.
const RANGES: u64 = 200;

/// Vectors among which the nearest are looked for, and their dimensions.
const VECTORS: u64 = 100_000;
const DIMENSIONS: u64 = 128;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(1_000_000, 50_000);
    let mut figures = passes(setup, keys)?;
    figures.extend(ranges(setup, keys)?);
    let disk = &["--engine", "disk", "--store-path", "store"];
    for (engine, arguments, bar_us) in
        [("memory", &[][..], RANGE_BARS_US[0]), ("disk", disk, RANGE_BARS_US[1])]
    {
        figures.push(ranges_over_a_socket(setup, (keys, engine, arguments), bar_us)?);
    }
    figures.push(nearest(setup)?);
    Ok(figures)
}

fn passes(setup: &Setup, keys: u64) -> Outcome<Vec<Figure>> {
    let mut servers = Vec::new();
    for program in setup.ours_and_redis() {
        let server = Server::start(setup, program, &[])?;
        fill(server.port, 0..keys, Expiry::Never)?;
        servers.push((program.kind, server));
    }
    let (mut globs, mut regexes) = (Samples::default(), Vec::new());
    for _ in 0..setup.options.rounds() {
        for (kind, server) in &servers {
            let mut client = server.client()?;
            globs.add(*kind, milliseconds(|| scan(&mut client))?);
            if *kind == Kind::Tresor {
                regexes.push(milliseconds(|| find(&mut client))?);
            }
        }
    }
    let over = format!("over {} keys", thousands(keys));
    let glob = Figure::against_redis(format!("SCAN with a glob {over}, whole pass"), "ms", &globs);
    let regex = Figure::new(format!("TRESOR.FIND with a regex {over}, whole pass"), "ms", regexes);
    let (others, _) = keys::what_it_adds(setup, &servers, keys, |kind| match kind {
        Kind::Tresor => &FIND,
        _ => &["KEYS", "*"],
    })?;
    let what = format!("what a regex {over} adds to p99.9 of others' GETs, KEYS on Redis");
    Ok(vec![
        glob.bar(Bar::RatioAtMost(0.7)),
        regex.against("the glob", globs.of(Kind::Tresor)).bar(Bar::RatioAtMost(2.0)),
        Figure::against_redis(what, "µs", &others).bar(Bar::RatioAtMost(0.1)),
    ])
}

/// One key of a hundred: keys end in twelve digits.
const GLOB: &str = "*77";

/// The same as a regex.
const FIND: [&str; 7] = ["TRESOR.FIND", "REGEX", "77$", "ORDER", "ANY", "LIMIT", "10000"];

fn milliseconds(pass: impl FnOnce() -> Outcome) -> Outcome<f64> {
    let started = Instant::now();
    pass()?;
    Ok(started.elapsed().as_secs_f64() * 1000.0)
}

fn scan(client: &mut Client) -> Outcome {
    let mut cursor = "0".to_owned();
    loop {
        let reply = client.command(&["SCAN", &cursor, "MATCH", GLOB, "COUNT", COUNT])?;
        cursor = bulk(&reply, 1)?.ok_or("SCAN answers no cursor")?;
        if cursor == "0" {
            return Ok(());
        }
    }
}

fn find(client: &mut Client) -> Outcome {
    let mut cursor: Option<String> = None;
    loop {
        let mut words = FIND.to_vec();
        if let Some(cursor) = &cursor {
            words.extend(["CURSOR", cursor]);
        }
        let reply = client.command(&words)?;
        cursor = bulk(&reply, 3)?;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// The bulk whose length stands in this line of a reply; `None` for null.
fn bulk(reply: &[u8], line: usize) -> Outcome<Option<String>> {
    let text = String::from_utf8_lossy(&reply[..reply.len().min(1000)]);
    let mut lines = text.split("\r\n").skip(line);
    match (lines.next(), lines.next()) {
        (Some("$-1"), _) => Ok(None),
        (Some(length), Some(bulk)) if length.starts_with('$') => Ok(Some(bulk.to_owned())),
        _ => Err(format!("not the reply that was expected: {}", text.chars().take(80).collect::<String>())),
    }
}

/// Ranges in one process with the store, where nothing but the engine and the query are measured.
fn ranges(setup: &Setup, keys: u64) -> Outcome<Vec<Figure>> {
    let directory = setup.directory()?;
    let path = directory.path().join("store").display().to_string();
    let rounds = setup.options.rounds();
    let told = setup.examples.run("queries", &[path, keys.to_string(), rounds.to_string()])?;
    let figure = |(engine, bar_us)| {
        let what = format!("{engine}: {RANGE} keys of {} from a random one on, in process", thousands(keys));
        let with_values = told.number(&format!("{engine} entries"), " ")?;
        let figure = Figure::new(what, "µs", vec![told.number(&format!("{engine} keys"), " ")?]);
        Ok(figure.bar(Bar::AtMost(bar_us)).also(format!("with values {with_values:.1} µs")))
    };
    ["memory", "disk"].into_iter().zip(RANGE_BARS_US).map(figure).collect()
}

/// The median time of one range at a random place, one at a time, to the last byte of the answer; beside that of
/// PING, which is what the way takes. Also with the client on the server's core, where the way wakes no other core.
fn ranges_over_a_socket(
    setup: &Setup,
    (keys, engine, arguments): (u64, &str, &[&str]),
    bar_us: f64,
) -> Outcome<Figure> {
    let server = Server::start(setup, setup.ours()?, arguments)?;
    fill(server.port, 0..keys, Expiry::Never)?;
    let mut client = server.client()?;
    // In memory the first one makes the index by key.
    client.command(&["TRESOR.FIND", "LIMIT", "1"])?;
    let mut round = |number: u64| -> Outcome<(f64, f64)> {
        let (mut ranges_us, mut pings_us) = (Vec::new(), Vec::new());
        for at in 0..RANGES {
            let from = key((number * RANGES + at) * 7919 % keys);
            let mut timed = |words: &[&str]| {
                let started = Instant::now();
                client.command(words).map(|_| started.elapsed().as_secs_f64() * 1e6)
            };
            ranges_us.push(timed(&["TRESOR.FIND", "FROM", &from, "LIMIT", RANGE])?);
            pings_us.push(timed(&["PING"])?);
        }
        Ok((median(&ranges_us), median(&pings_us)))
    };
    let (mut apart, mut together) = (Vec::new(), Vec::new());
    for number in 0..setup.options.rounds() as u64 {
        apart.push(round(number)?);
        if setup.pinned == Pinned::Apart {
            together.push(on_the_servers_core(|| round(number))??);
        }
    }
    let (ranges, pings): (Vec<_>, Vec<_>) = apart.into_iter().unzip();
    let what = format!("{engine}: {RANGE} keys of {} over a socket, to the last byte", thousands(keys));
    let figure = Figure::new(what, "µs", ranges).against("PING", pings).bar(Bar::AtMost(bar_us));
    if together.is_empty() {
        return Ok(figure);
    }
    let (ranges, pings): (Vec<_>, Vec<_>) = together.into_iter().unzip();
    let also = format!("on one core {:.1} µs, PING {:.1} µs", median(&ranges), median(&pings));
    Ok(figure.also(also))
}

fn nearest(setup: &Setup) -> Outcome<Figure> {
    let vectors = setup.size(VECTORS, 2_000);
    let server = Server::start(setup, setup.ours()?, &[])?;
    let mut random = Random::new(1);
    fill_with(server.port, 0..vectors, move || {
        (0..DIMENSIONS).flat_map(|_| (random.below(2_000_000) as f32 / 1e6 - 1.0).to_le_bytes()).collect()
    })?;
    let mut client = server.client()?;
    let wanted = format!("[{}]", vec!["0.5"; DIMENSIONS as usize].join(","));
    let mut samples = Vec::new();
    for _ in 0..setup.options.rounds() {
        samples.push(milliseconds(|| {
            client.command(&["TRESOR.FIND", "NEAREST", &wanted, "LIMIT", "10"]).map(drop)
        })?);
    }
    let what = format!("10 nearest of {} vectors of {DIMENSIONS} dimensions, exactly", thousands(vectors));
    Ok(Figure::new(what, "ms", samples))
}
