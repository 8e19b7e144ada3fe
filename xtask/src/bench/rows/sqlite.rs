//! Row `sqlite`: the SQLite engine against bare rusqlite, in one process and interleaved rounds.
//!
//! The measuring is an example of the engine's crate, where anyone can read and run it; here its output
//! is read.

use std::process::Command;

use super::super::{
    core_pinning::on_all_cores,
    figure::{Bar, Figure},
    setup::Setup,
};
use crate::Outcome;

/// What the example calls each figure, and what the table does.
const CASES: [(&str, &str); 3] = [
    ("get, always", "SQLite, a get"),
    ("write of 100, always", "SQLite, a put in durable batches of 100"),
    ("write of 1000, always", "SQLite, a put in durable batches of 1000"),
];

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let example = setup.sqlite_example.as_ref().ok_or("the example was not built")?;
    let directory = setup.directory()?;
    let (keys, rounds) = (setup.size(100_000, 5_000), setup.options.rounds() * 2 + 1);
    let mut command = Command::new(example);
    command.arg(directory.path()).args([keys.to_string(), rounds.to_string()]);
    // Callers, the thread that syncs and the one that checkpoints are meant to run beside each other.
    let output = on_all_cores(|| command.output())?;
    let output = output.map_err(|error| format!("{}: {error}", example.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = |line: &str, word: &str| -> Outcome<f64> {
        let rest = text.lines().find_map(|other| other.strip_prefix(line));
        let number = rest.and_then(|rest| rest.split_once(word)?.1.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            format!("measure_sqlite says nothing of {line:?}: {} {text} {errors}", output.status)
        })
    };
    let mut figures = Vec::new();
    for (line, what) in CASES {
        let figure = Figure::new(what, "ns", vec![told(line, "ours ")?])
            .against("bare rusqlite", vec![told(line, "bare ")?])
            .bar(Bar::RatioAtMost(1.25));
        figures.push(figure.also(format!("{keys} keys, median of {rounds} rounds")));
    }
    for threads in [1, 16] {
        let line = format!("writes a second, always, {threads} threads");
        let what = format!("SQLite, durable writes a second from {threads} threads");
        figures.push(Figure::new(what, "/s", vec![told(&line, "ours ")?]));
    }
    Ok(figures)
}
