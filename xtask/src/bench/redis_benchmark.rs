//! Redis's own load generator, for whatever it can do: it is the neutral one.
//!
//! It runs on the client's core with 50 connections, random keys of 16 bytes and values of 32.

use std::process::Command;

use super::{peers, process::cpu_ns};
use crate::Outcome;

/// Connections of every run.
const CONNECTIONS: u32 = 50;

/// A value of 32 bytes.
pub(super) const VALUE: &str = "0123456789abcdef0123456789abcdef";

/// A key by chance.
const KEY: &str = "key:__rand_int__";

/// One run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) port: u16,
    pub(super) command: Operation,
    pub(super) pipeline: u32,
    pub(super) requests: u64,
    /// Keys are drawn from so many.
    pub(super) keys: u64,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Get,
    Set,
    Incr,
    MgetOfTen,
    Setrange,
    /// Of the value under this key.
    Bitcount(&'static str),
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Set => "SET",
            Self::Incr => "INCR",
            Self::MgetOfTen => "MGET of 10",
            Self::Setrange => "SETRANGE",
            Self::Bitcount(_) => "BITCOUNT",
        }
    }

    fn words(self) -> Vec<&'static str> {
        match self {
            Self::Get => vec!["GET", KEY],
            Self::Set => vec!["SET", KEY, VALUE],
            Self::Incr => vec!["INCR", "counter:__rand_int__"],
            Self::MgetOfTen => [&["MGET"][..], &[KEY; 10]].concat(),
            Self::Setrange => vec!["SETRANGE", KEY, "8", "89abcdef"],
            Self::Bitcount(key) => vec!["BITCOUNT", key],
        }
    }
}

/// Whether it can be started; the way out otherwise.
pub(super) fn require() -> Outcome {
    match peers::on_path("redis-benchmark") {
        Some(_) => Ok(()),
        None => Err("redis-benchmark is not on PATH: apt-get install redis-tools".to_owned()),
    }
}

impl Run {
    /// Runs it and answers with requests a second.
    fn throughput(self) -> Outcome<f64> {
        let mut command = Command::new("redis-benchmark");
        command.args(["--csv", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.args(["-c", &CONNECTIONS.to_string(), "-n", &self.requests.to_string()]);
        command.args(["-P", &self.pipeline.to_string(), "-r", &self.keys.to_string()]);
        command.args(self.command.words());
        let output = command.output().map_err(|error| format!("redis-benchmark: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let second = text.lines().last().and_then(|line| line.split(',').nth(1));
        second.and_then(|cell| cell.trim_matches('"').parse().ok()).ok_or_else(|| {
            format!("redis-benchmark: {} {text} {}", output.status, String::from_utf8_lossy(&output.stderr))
        })
    }

    /// Runs it, and says what it took of the server with this process id.
    pub(super) fn measure(self, pid: u32) -> Outcome<Load> {
        let before = cpu_ns(pid)?;
        let a_second = self.throughput()?;
        let cpu_us = (cpu_ns(pid)? - before) as f64 / 1000.0 / self.requests as f64;
        Ok(Load { a_second, cpu_us })
    }
}

/// What a run showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Requests a second.
    pub(super) a_second: f64,
    /// The server's microseconds of processor time a request.
    pub(super) cpu_us: f64,
}
