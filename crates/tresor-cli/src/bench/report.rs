//! What a test showed, for people and for programs.

use std::{
    fmt,
    io::{self, Write},
};

use serde::Serialize;

use crate::failure::{Failure, Outcome};

/// The figures of one test; latencies are microseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) test: &'static str,
    pub(crate) clients: u32,
    pub(crate) pipeline: u64,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p95_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
}

impl Figures {
    /// One line of JSON.
    pub(crate) fn to_json(&self) -> Outcome<String> {
        serde_json::to_string(self).map_err(Failure::failed)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} requests in {:.2} s, {:.0} a second ({} clients, pipeline {})",
            self.test, self.requests, self.seconds, self.requests_per_second, self.clients, self.pipeline
        )?;
        write!(
            f,
            "  latency in microseconds: p50 {:.0}, p95 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0}",
            self.p50_us, self.p95_us, self.p99_us, self.p999_us, self.max_us
        )
    }
}

/// Prints a report at once, so that whoever reads along sees it.
pub(crate) fn print(text: &str) -> Outcome {
    let mut output = io::stdout().lock();
    writeln!(output, "{text}")?;
    Ok(output.flush()?)
}
