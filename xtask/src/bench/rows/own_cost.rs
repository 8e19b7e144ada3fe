//! Rows `disk-engine` and `sqlite`: an engine against the bare store that it is made on, in one process
//! and interleaved rounds.
//!
//! The measuring is an example of the engine's crate; both examples print the same lines
//! (`tresor_testkit::own_cost`).

use super::super::{
    example::Told,
    figure::{Bar, Figure},
    setup::Setup,
};
use crate::Outcome;

/// What the examples call each figure, and what the table does.
const CASES: [(&str, &str); 3] = [
    ("get, always", "a get"),
    ("write of 100, always", "a put in durable batches of 100"),
    ("write of 1000, always", "a put in durable batches of 1000"),
];

pub(super) fn of_disk(setup: &Setup) -> Outcome<Vec<Figure>> {
    let grouped = Bar::RatioAtLeast(4.0);
    measure(setup, "disk-engine", ("disk", "bare fjall"), &[(1, None), (16, Some(grouped))])
}

pub(super) fn of_sqlite(setup: &Setup) -> Outcome<Vec<Figure>> {
    measure(setup, "sqlite", ("SQLite", "bare rusqlite"), &[(1, None), (16, None)])
}

fn measure(
    setup: &Setup,
    row: &str,
    (engine, bare): (&str, &str),
    writers: &[(u32, Option<Bar>)],
) -> Outcome<Vec<Figure>> {
    let directory = setup.directory()?;
    let (keys, rounds) = (setup.size(100_000, 5_000), setup.options.rounds() * 2 + 1);
    let path = directory.path().display().to_string();
    let told = setup.examples.run(row, &[path, keys.to_string(), rounds.to_string()])?;
    let figure = |told: &Told, line: &str, what: String, unit| -> Outcome<Figure> {
        Ok(Figure::new(what, unit, vec![told.number(line, "ours ")?])
            .against(bare, vec![told.number(line, "bare ")?]))
    };
    let mut figures = Vec::new();
    for (line, what) in CASES {
        let figure = figure(&told, line, format!("{engine}: {what}"), "ns")?.bar(Bar::RatioAtMost(1.25));
        figures.push(figure.also(format!("{keys} keys, median of {rounds} rounds")));
    }
    for (threads, bar) in writers {
        let line = format!("writes a second, always, {threads} threads");
        let what = format!("{engine}: durable writes a second from {threads} threads");
        let figure = figure(&told, &line, what, "/s")?;
        figures.push(match bar {
            Some(bar) => figure.bar(*bar),
            None => figure,
        });
    }
    Ok(figures)
}
