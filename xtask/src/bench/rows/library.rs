//! Row `library`: `Database::get` against a hash map behind a mutex, one thread.
//!
//! The measuring is an example of the library, where anyone can read and run it; here its output is
//! read.

use std::process::Command;

use super::super::{
    figure::{Bar, Figure},
    setup::Setup,
};
use crate::Outcome;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let example = setup.library_example.as_ref().ok_or("the example was not built")?;
    let keys = setup.size(1_000_000, 20_000);
    let rounds = setup.options.rounds() * 2 + 1;
    let output = Command::new(example)
        .args([keys.to_string(), rounds.to_string()])
        .output()
        .map_err(|error| format!("{}: {error}", example.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let figure = |name: &str| {
        let of_line = |line: &str| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok();
        text.lines().find_map(of_line).ok_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            format!("measure_get says nothing of {name:?}: {} {text} {errors}", output.status)
        })
    };
    Ok(vec![
        Figure::new("library `get`, 1 thread", "ns", vec![figure("tresor get ")?])
            .against("hashbrown behind a mutex", vec![figure("mutex and hash map ")?])
            .bar(Bar::RatioAtMost(1.5))
            .also(format!("{keys} keys, median of {rounds} rounds")),
    ])
}
