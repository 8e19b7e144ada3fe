//! Row `json-file`: how long a store in one JSON file takes to be saved and to be loaded.
//!
//! The peer is what a program without a store does: serde_json on a map in memory, and a file that is
//! synced. The measuring is an example of the library; here its output is read.

use super::{
    super::{
        figure::{Bar, Figure},
        setup::Setup,
    },
    cpu::thousands,
};
use crate::Outcome;

pub(super) fn measure(setup: &Setup) -> Outcome<Vec<Figure>> {
    let directory = setup.directory()?;
    let (keys, rounds) = (setup.size(100_000, 5_000), setup.options.rounds());
    let path = directory.path().display().to_string();
    let told = setup.examples.run("json-file", &[path, keys.to_string(), rounds.to_string()])?;
    ["save", "load"]
        .into_iter()
        .map(|what| {
            let figure = Figure::new(
                format!("JSON file of {} keys: {what}", thousands(keys)),
                "ms",
                vec![told.number(what, "ours ")?],
            );
            let peer = vec![told.number(what, "bare ")?];
            Ok(figure.against("serde_json and a file", peer).bar(Bar::AtMost(500.0)))
        })
        .collect()
}
