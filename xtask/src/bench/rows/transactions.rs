//! Row `transactions`: MULTI and EXEC of 10 SETs beside Redis, and transactions with locks, many at a time.
//!
//! EXEC by the server's processor time, sixteen connections that each send one whole transaction, or several,
//! before they wait for answers. Deadlocks by the time from the request that closes a circle to its answer.
//! Transactions with locks by how many are committed a second: BEGIN, two PUTs and COMMIT sent ahead of their
//! answers, each connection on keys of its own, so that what is measured is the way and not the waiting.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Instant,
};

use super::super::{
    figure::{Bar, Figure},
    launch::{Server, free_port},
    load::{Lane, Pace, Protocol, Requests, drive},
    process::cpu_ns,
    resp,
    samples::Samples,
    setup::Setup,
};
use crate::Outcome;

const CONNECTIONS: u64 = 16;

/// SETs between MULTI and EXEC.
const SETS: u64 = 10;

/// Transactions of the line protocol that a connection sends together.
const TOGETHER: u32 = 16;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let mut figures = Vec::new();
    for together in [1, 8] {
        figures.push(exec(setup, together)?);
    }
    figures.extend([with_locks(setup)?, deadlocks(setup)?]);
    Ok(figures)
}

fn exec(setup: &Setup, together: u32) -> Outcome<Figure> {
    let transactions = setup.size(20_000, 2_000);
    let mut servers = Vec::new();
    for program in setup.ours_and_redis() {
        servers.push((program.kind, Server::start(setup, program, &[])?));
    }
    let mut samples = Samples::default();
    for _ in 0..setup.options.rounds() {
        for (kind, server) in &servers {
            let before_ns = cpu_ns(server.pid())?;
            let lane = |number| {
                let pace = Pace::Closed { depth: together * (SETS as u32 + 2) };
                Lane::connect(server.port, Protocol::Resp, pace, queued(number, transactions))
            };
            let mut lanes = (0..CONNECTIONS).map(lane).collect::<Outcome<Vec<_>>>()?;
            drive(&mut lanes, &mut |_| false)?;
            let spent_ns = cpu_ns(server.pid())? - before_ns;
            samples.add(*kind, spent_ns as f64 / (CONNECTIONS * transactions) as f64 / 1000.0);
        }
    }
    let what =
        format!("CPU per MULTI, {SETS} SETs and EXEC, {CONNECTIONS} clients, {together} sent together");
    Ok(Figure::against_redis(what, "µs", &samples).bar(Bar::RatioAtMost(0.7)))
}

fn queued(lane: u64, transactions: u64) -> Requests {
    let (mut done, mut step) = (0, 0);
    Box::new(move |buffer| {
        if done == transactions {
            return false;
        }
        match step {
            0 => resp::append(buffer, &[b"MULTI"]),
            step if step <= SETS => {
                let key = format!("{lane}:{}", (done * SETS + step) % 1000);
                resp::append(buffer, &[b"SET", key.as_bytes(), b"a value of thirty-two bytes, more"]);
            }
            _ => resp::append(buffer, &[b"EXEC"]),
        }
        step = (step + 1) % (SETS + 2);
        done += u64::from(step == 0);
        true
    })
}

fn with_locks(setup: &Setup) -> Outcome<Figure> {
    let transactions = setup.size(20_000, 2_000);
    let (directory, line) = (setup.directory()?, free_port()?);
    let words = ["--line-port", &line.to_string()];
    let server = Server::start_in(setup, setup.ours()?, (directory.path(), &words))?;
    let (mut rates, mut cpu_us) = (Vec::new(), Vec::new());
    for _ in 0..setup.options.rounds() {
        let before_ns = cpu_ns(server.pid())?;
        let lane = |number| {
            let pace = Pace::Closed { depth: 4 * TOGETHER };
            Lane::connect(line, Protocol::Lines, pace, locked(number, transactions))
        };
        let mut lanes = (0..CONNECTIONS).map(lane).collect::<Outcome<Vec<_>>>()?;
        let driven = drive(&mut lanes, &mut |_| false)?;
        let done = (CONNECTIONS * transactions) as f64;
        rates.push(done / driven.elapsed.as_secs_f64());
        cpu_us.push((cpu_ns(server.pid())? - before_ns) as f64 / done / 1000.0);
    }
    let what =
        format!("transactions a second of BEGIN, 2 PUTs, COMMIT on the line protocol, {CONNECTIONS} clients");
    let cpu = format!("{:.2} µs of the server's CPU each", super::super::samples::median(&cpu_us));
    Ok(Figure::new(what, "/s", rates).bar(Bar::AtLeast(100_000.0)).also(cpu))
}

fn deadlocks(setup: &Setup) -> Outcome<Figure> {
    let circles = setup.size(2_000, 100);
    let (directory, port) = (setup.directory()?, free_port()?);
    let words = ["--line-port", &port.to_string()];
    let server = Server::start_in(setup, setup.ours()?, (directory.path(), &words))?;
    let (mut older, mut younger) = (LineClient::connect(port)?, LineClient::connect(port)?);
    let mut resolved_ms = Vec::new();
    for _ in 0..circles {
        for (client, key) in [(&mut older, "one"), (&mut younger, "other")] {
            client.ask("BEGIN")?;
            client.ask(&format!("PUT {key} value @"))?;
        }
        older.send("PUT other value @")?;
        let closed = Instant::now();
        younger.send("PUT one value @")?;
        let (lost, won) = (younger.answer()?, older.answer()?);
        resolved_ms.push(closed.elapsed().as_secs_f64() * 1000.0);
        if !lost.contains("\"Deadlock\"") || !won.contains("\"Ok\"") {
            return Err(format!("the younger is to lose and the older to go on: {lost} {won}"));
        }
        older.ask("COMMIT @")?;
    }
    drop(server);
    resolved_ms.sort_by(f64::total_cmp);
    let at = |share: f64| resolved_ms[((circles - 1) as f64 * share) as usize];
    let what = "a deadlock of two: from the request that closes the circle until both are answered, p99";
    let also = format!("p50 {:.3} ms, longest {:.3} ms of {circles}", at(0.5), at(1.0));
    Ok(Figure::new(what, "ms", vec![at(0.99)]).bar(Bar::AtMost(10.0)).also(also))
}

/// A client of the line protocol that sends a line and reads a line.
struct LineClient(BufReader<TcpStream>);

impl LineClient {
    fn connect(port: u16) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        stream.map(|stream| Self(BufReader::new(stream))).map_err(|error| format!("port {port}: {error}"))
    }

    fn send(&mut self, line: &str) -> Outcome {
        let sent = self.0.get_mut().write_all(format!("{line}\n").as_bytes());
        sent.map_err(|error| format!("{line}: {error}"))
    }

    fn answer(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).map_err(|error| format!("no answer: {error}"))?;
        Ok(line)
    }

    fn ask(&mut self, line: &str) -> Outcome {
        self.send(line)?;
        let answer = self.answer()?;
        if answer.contains("\"Ok\"") { Ok(()) } else { Err(format!("{line}: {answer}")) }
    }
}

fn locked(lane: u64, transactions: u64) -> Requests {
    let (mut done, mut step) = (0, 0);
    Box::new(move |buffer| {
        if done == transactions {
            return false;
        }
        let line = match step {
            0 => "BEGIN\n".to_owned(),
            3 => "COMMIT @\n".to_owned(),
            step => {
                format!("PUT {lane}:{} a-value-of-thirty-two-bytes-or-more @\n", (done * 2 + step) % 1000)
            }
        };
        buffer.extend_from_slice(line.as_bytes());
        step = (step + 1) % 4;
        done += u64::from(step == 0);
        true
    })
}
