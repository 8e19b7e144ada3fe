//! `cargo xtask bench`: every figure that Tresor promises, measured beside its peers.
//!
//! The server has core 0 to itself and the load core 1. Peers run in the same interleaved rounds, a
//! figure is the median of its rounds, and a bar that is missed is told, never asserted: the exit code
//! is 1 only where something could not be measured. `docs/benchmarks.md` says how each row is measured.

mod core_pinning;
mod document;
mod example;
mod figure;
mod fill;
mod http;
mod launch;
mod load;
mod options;
mod peers;
mod process;
mod redis_benchmark;
mod resp;
mod rows;
mod samples;
mod setup;
mod wait;

use std::{fs, time::Instant};

use self::{figure::Figure, options::Options, setup::Setup};
use crate::Outcome;

/// Measures what the arguments name, everything by default.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let options = Options::parse(arguments)?;
    if cfg!(debug_assertions) {
        // The load generator would otherwise be what is measured.
        return setup::run_optimised(&options, arguments);
    }
    let setup = Setup::prepare(options)?;
    let (figures, failures) = measure(&setup);
    let table = document::table(&setup, &figures);
    println!("{table}");
    if let Some(path) = &setup.options.json {
        let json = figure::to_json(&setup.machine, &figures);
        fs::write(path, json).map_err(|error| format!("--json {}: {error}", path.display()))?;
    }
    if setup.options.write {
        document::replace_tables(&setup, &figures)?;
    }
    if failures.is_empty() { Ok(()) } else { Err(format!("not measured:\n  {}", failures.join("\n  "))) }
}

fn measure(setup: &Setup) -> (Vec<Figure>, Vec<String>) {
    let (mut figures, mut failures) = (Vec::new(), Vec::new());
    for row in rows::ROWS.iter().filter(|row| setup.options.selects(row.name)) {
        eprintln!("{}: {}", row.name, row.summary);
        let started = Instant::now();
        match (row.measure)(setup) {
            Ok(measured) => {
                for figure in &measured {
                    eprintln!("  {figure}");
                }
                figures.extend(measured.into_iter().map(|figure| figure.of_row(row.name)));
            }
            Err(error) => {
                eprintln!("  not measured: {error}");
                failures.push(format!("{}: {error}", row.name));
            }
        }
        eprintln!("  ({:.0} s)", started.elapsed().as_secs_f64());
    }
    (figures, failures)
}
