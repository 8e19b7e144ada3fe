//! The examples that measure from inside a process: built for the rows that want them, run, and read.
//!
//! An example is where anyone can read and run a measurement by itself. It prints a line a figure; here
//! a figure is found again by how its line begins and by the word before it.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use super::{core_pinning::on_all_cores, options::Options, setup::build};
use crate::Outcome;

/// A row, the package of its example, and the example.
const EXAMPLES: [(&str, &str, &str); 7] = [
    ("library", "tresor", "measure_get"),
    ("cassandra", "tresor-cassandra", "measure_cluster"),
    ("sqlite", "tresor-sqlite", "measure_sqlite"),
    ("disk-engine", "tresor", "measure_disk"),
    ("json-file", "tresor", "measure_json_file"),
    ("compression", "tresor", "measure_layers"),
    ("queries", "tresor", "measure_range"),
];

/// The examples that were built, by row.
pub(super) struct Examples(BTreeMap<&'static str, PathBuf>);

/// What an example printed.
pub(super) struct Told(String);

impl Examples {
    /// Builds those that the chosen rows want.
    pub(super) fn build(options: &Options) -> Outcome<Self> {
        let mut built = BTreeMap::new();
        for (row, package, name) in EXAMPLES {
            if options.selects(row) {
                let what = format!("-p {package} --all-features --example {name}");
                built.insert(row, build(&options.profile, &what)?.join("examples").join(name));
            }
        }
        Ok(Self(built))
    }

    /// The program of a row.
    pub(super) fn of_row(&self, row: &str) -> Outcome<&PathBuf> {
        self.0.get(row).ok_or_else(|| format!("the example of row {row} was not built"))
    }

    /// Runs a row's example. Its callers and background threads are meant to run beside each other, so it
    /// has all cores.
    pub(super) fn run(&self, row: &str, arguments: &[String]) -> Outcome<Told> {
        let program = self.of_row(row)?;
        let output = on_all_cores(|| Command::new(program).args(arguments).output())?;
        let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(Told(text));
        }
        Err(format!("{row}: {} {text} {}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}

impl Told {
    /// The number after a word, in the line that begins so.
    pub(super) fn number(&self, line: &str, word: &str) -> Outcome<f64> {
        let rest = self.0.lines().find_map(|other| other.strip_prefix(line));
        let number = rest.and_then(|rest| rest.split_once(word)?.1.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| format!("the example says nothing of {line:?}:\n{}", self.0))
    }
}
