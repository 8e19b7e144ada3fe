//! Rows `cached`, `sharded` and `compression`: what a layer adds to a GET, beside the memory engine.
//!
//! Two servers with the same keys, one with the layer. Processor time, as in row `cpu`. Where the layer
//! keeps something after the first read, every key is read once before anything counts.

use std::fs;

use super::{
    super::{
        figure::{Bar, Figure},
        fill::{Expiry, fill, fill_with, read_all},
        launch::Server,
        redis_benchmark::{self, Operation, Run},
        setup::{Directory, Setup},
    },
    cpu::thousands,
};
use crate::Outcome;
use tresor_testkit::documents;

/// A server and the directory that its files are in.
type Started = (Server, Directory);

pub(super) fn cached(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(100_000, 5_000);
    let capacity = (keys * 2).to_string();
    let words = ["--mode", "2", "--store-path", "store", "--cache-capacity", &capacity];
    let servers = [start(setup, &words)?, start(setup, &[])?];
    for (server, _) in &servers {
        fill(server.port, 0..keys, Expiry::Never)?;
        read_all(server.port, 0..keys)?;
    }
    let what = "every key in the cache, disk below";
    compare(setup, &servers, (what, keys), &[(1, Some(1.3)), (16, Some(1.3)), (64, None)])
}

pub(super) fn sharded(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(100_000, 5_000);
    let servers = [start_shards(setup, 4, &[])?, start(setup, &[])?];
    for (server, _) in &servers {
        fill(server.port, 0..keys, Expiry::Never)?;
    }
    compare(setup, &servers, ("4 shards in memory", keys), &[(1, Some(1.25)), (16, None), (64, None)])
}

pub(super) fn compression(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(20_000, 2_000);
    let servers = [start(setup, &["--compression", "zstd"])?, start(setup, &[])?];
    for (server, _) in &servers {
        let mut seed = 1;
        fill_with(server.port, 0..keys, move || documents::order(&mut seed).into_bytes())?;
    }
    let arguments = [keys.to_string(), "1".to_owned()];
    let told = setup.examples.run("compression", &arguments)?;
    // Two blanks: other lines tell of its levels.
    let kept = told.number("zstd  ", " ")?;
    let mut figures = vec![
        Figure::new("zstd: bytes kept for each byte of JSON values of about 1 KB", "", vec![kept])
            .bar(Bar::AtMost(0.5)),
    ];
    figures.extend(compare(
        setup,
        &servers,
        ("zstd, JSON values of about 1 KB", keys),
        &[(1, Some(1.5)), (16, None)],
    )?);
    Ok(figures)
}

/// Starts our server with further words.
fn start(setup: &Setup, words: &[&str]) -> Outcome<Started> {
    let directory = setup.directory()?;
    let server = Server::start_in(setup, setup.ours()?, (directory.path(), words))?;
    Ok((server, directory))
}

/// Starts our server over so many shards in memory, called `a`, `b` and so on.
pub(super) fn start_shards(setup: &Setup, shards: u8, words: &[&str]) -> Outcome<Started> {
    let directory = setup.directory()?;
    let path = directory.path().join("shards.toml");
    let shard =
        |number| format!("[[shard]]\nname = \"{}\"\nengine = \"memory\"\n", char::from(b'a' + number));
    fs::write(&path, (0..shards).map(shard).collect::<String>())
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let words = [&["--config", "shards.toml"], words].concat();
    let server = Server::start_in(setup, setup.ours()?, (directory.path(), &words))?;
    Ok((server, directory))
}

fn compare(
    setup: &Setup,
    [(layered, _), (plain, _)]: &[Started; 2],
    (what, keys): (&str, u64),
    depths: &[(u32, Option<f64>)],
) -> Outcome<Vec<Figure>> {
    redis_benchmark::require()?;
    let mut figures = Vec::new();
    for (pipeline, bar) in depths.iter().copied() {
        let requests = setup.size(200_000, 10_000) * if pipeline == 1 { 1 } else { 4 };
        let run = |server: &Server| {
            let (port, command) = (server.port, Operation::Get);
            Run { port, command, pipeline, requests, keys }.measure(server.pid())
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..setup.options.rounds() {
            ours.push(run(layered)?.cpu_us);
            theirs.push(run(plain)?.cpu_us);
        }
        let name = format!("CPU per GET, {what}, pipeline {pipeline}, {} keys", thousands(keys));
        let figure = Figure::new(name, "µs", ours).against("memory", theirs);
        figures.push(match bar {
            Some(bar) => figure.bar(Bar::RatioAtMost(bar)),
            None => figure,
        });
    }
    Ok(figures)
}
