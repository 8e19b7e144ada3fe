//! Row `indexes`: what an index makes of a range of values, and of the nearest of many vectors.
//!
//! The same questions before there is an index and after, to the last byte of the answer over one connection. Vectors
//! are drawn around 1,000 centres with a fixed seed; what is recalled is how many of the exact answer's keys the
//! index finds.

use std::time::{Duration, Instant};

use super::{
    super::{
        figure::{Bar, Figure},
        fill::{Random, fill_with},
        launch::Server,
        resp::Client,
        samples::median,
        setup::Setup,
        wait,
    },
    cpu::thousands,
};
use crate::Outcome;

/// Entries of which a range of values is asked.
const ENTRIES: u64 = 1_000_000;

/// Entries that a range finds, about.
const FOUND: u64 = 100;

/// Questions with an index in a round; without one it is one.
const ASKED: u64 = 50;

const VECTORS: u64 = 100_000;
const DIMENSIONS: usize = 128;
const CENTRES: u64 = 1000;

/// Of the nearest.
const NEAREST: usize = 10;

/// How long an index may take to be built.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let mut figures = ranges(setup)?;
    figures.extend(nearest(setup)?);
    Ok(figures)
}

fn ranges(setup: &Setup) -> Outcome<Vec<Figure>> {
    let entries = setup.size(ENTRIES, 20_000);
    let server = Server::start(setup, setup.ours()?, &[])?;
    let mut random = Random::new(1);
    fill_with(server.port, 0..entries, move || random.below(entries * 1000).to_string().into_bytes())?;
    let mut client = server.client()?;
    let mut random = Random::new(2);
    let mut ask = |client: &mut Client| {
        let from = random.below((entries - FOUND) * 1000);
        let (from, to) = (from.to_string(), (from + FOUND * 1000).to_string());
        microseconds(client, &["TRESOR.FIND", "VALUE_FROM", &from, "VALUE_TO", &to, "LIMIT", "1000"])
    };
    let mut without = Vec::new();
    for _ in 0..setup.options.rounds() {
        without.push(ask(&mut client)?);
    }
    let build_s = build(&mut client, &["TRESOR.INDEX", "CREATE", "numbers"])?;
    let mut with = Vec::new();
    for _ in 0..setup.options.rounds() {
        let asked: Outcome<Vec<f64>> = (0..ASKED).map(|_| ask(&mut client)).collect();
        with.push(median(&asked?));
    }
    let what = format!("a range of values that finds {FOUND} of {}, with an index", thousands(entries));
    let built = format!("index of {} numbers built", thousands(entries));
    Ok(vec![
        Figure::new(what, "µs", with).against("without", without).bar(Bar::RatioAtMost(0.01)),
        Figure::new(built, "s", vec![build_s]),
    ])
}

/// Vectors around centres: those are the same in each run, and so is what lies around them.
struct Cloud {
    centres: Vec<Vec<f32>>,
    random: Random,
}

impl Cloud {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(7);
        let mut centre = || (0..DIMENSIONS).map(|_| unit(&mut random)).collect();
        let centres = (0..CENTRES).map(|_| centre()).collect();
        Self { centres, random: Random::new(seed) }
    }

    fn draw(&mut self) -> Vec<f32> {
        let centre = self.random.below(CENTRES) as usize;
        let random = &mut self.random;
        // The sum of some is nearly of a normal distribution.
        self.centres[centre].iter().map(|at| at + (0..6).map(|_| unit(random)).sum::<f32>() * 0.1).collect()
    }
}

/// A number from -1 to 1.
fn unit(random: &mut Random) -> f32 {
    random.below(2_000_001) as f32 / 1e6 - 1.0
}

fn nearest(setup: &Setup) -> Outcome<Vec<Figure>> {
    let vectors = setup.size(VECTORS, 2_000);
    let server = Server::start(setup, setup.ours()?, &[])?;
    let mut cloud = Cloud::new(11);
    fill_with(server.port, 0..vectors, move || {
        cloud.draw().iter().flat_map(|number| number.to_le_bytes()).collect()
    })?;
    let mut client = server.client()?;
    let mut cloud = Cloud::new(13);
    let wanted: Vec<String> = (0..ASKED)
        .map(|_| format!("[{}]", cloud.draw().iter().map(f32::to_string).collect::<Vec<_>>().join(",")))
        .collect();
    let (exact, exactly) = ask_all(&mut client, &wanted)?;
    let dimensions = DIMENSIONS.to_string();
    let build_s = build(&mut client, &["TRESOR.INDEX", "CREATE", "near", "DIMENSIONS", &dimensions])?;
    let (mut recalls, mut took_us) = (Vec::new(), Vec::new());
    for _ in 0..setup.options.rounds() {
        let (near, took) = ask_all(&mut client, &wanted)?;
        let both = exact.iter().zip(&near);
        let hits: usize =
            both.map(|(exact, near)| exact.iter().filter(|key| near.contains(key)).count()).sum();
        recalls.push(hits as f64 / exact.iter().map(Vec::len).sum::<usize>() as f64);
        took_us.push(took);
    }
    let of = format!("{NEAREST} nearest of {} vectors of {DIMENSIONS} dimensions", thousands(vectors));
    Ok(vec![
        Figure::new(format!("{of}, with an index"), "µs", took_us)
            .against("exactly", vec![exactly])
            .bar(Bar::RatioAtMost(0.05)),
        Figure::new(format!("{of}: recall"), "", recalls).bar(Bar::AtLeast(0.95)),
        Figure::new(format!("index of {} vectors built", thousands(vectors)), "s", vec![build_s])
            .bar(Bar::AtMost(60.0)),
    ])
}

/// The keys that each question finds, and the median of what one took.
fn ask_all(client: &mut Client, wanted: &[String]) -> Outcome<(Vec<Vec<String>>, f64)> {
    let (mut keys, mut took_us) = (Vec::new(), Vec::new());
    for vector in wanted {
        let started = Instant::now();
        let reply = client.command(&["TRESOR.FIND", "NEAREST", vector])?;
        took_us.push(started.elapsed().as_secs_f64() * 1e6);
        let text = String::from_utf8_lossy(&reply);
        keys.push(text.lines().filter(|line| line.starts_with("key:")).map(str::to_owned).collect());
    }
    Ok((keys, median(&took_us)))
}

fn microseconds(client: &mut Client, words: &[&str]) -> Outcome<f64> {
    let started = Instant::now();
    client.command(words)?;
    Ok(started.elapsed().as_secs_f64() * 1e6)
}

/// Creates an index; the seconds until it is ready.
fn build(client: &mut Client, words: &[&str]) -> Outcome<f64> {
    let started = Instant::now();
    client.command(words)?;
    wait::until("the index", PATIENCE, || {
        let reply = client.command(&["TRESOR.INDEX", "LIST"])?;
        Ok(String::from_utf8_lossy(&reply).contains("ready").then_some(()))
    })?;
    Ok(started.elapsed().as_secs_f64())
}
