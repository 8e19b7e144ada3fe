//! Row `library`: `Database::get` against a hash map behind a mutex, one thread.
//!
//! The measuring is an example of the library, where anyone can read and run it; here its output is
//! read.

use super::super::{
    figure::{Bar, Figure},
    setup::Setup,
};
use crate::Outcome;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let keys = setup.size(1_000_000, 20_000);
    let rounds = setup.options.rounds() * 2 + 1;
    let told = setup.examples.run("library", &[keys.to_string(), rounds.to_string()])?;
    Ok(vec![
        Figure::new("library `get`, 1 thread", "ns", vec![told.number("tresor get", " ")?])
            .against("hashbrown behind a mutex", vec![told.number("mutex and hash map", " ")?])
            .bar(Bar::RatioAtMost(1.5))
            .also(format!("{keys} keys, median of {rounds} rounds")),
    ])
}
