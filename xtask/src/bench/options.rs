//! What `cargo xtask bench` can be told.
//!
//! Unknown words and unknown row names are refused before anything is built, because a whole run takes
//! long enough to regret a typing error.

use std::path::PathBuf;

use super::rows;
use crate::Outcome;

pub(super) const USAGE: &str = "\
usage: cargo xtask bench [--only NAME,...] [--quick] [--rounds N] [--json FILE] [--write]
                         [--tresor PATH] [--profile NAME]

  --only NAME,...  measure only these rows; --list names them
  --quick          small stores and one round: shows that everything runs, not how fast
  --rounds N       rounds of each comparison (5; with --quick 1)
  --json FILE      write every figure with all its rounds
  --write          put the table into docs/benchmarks.md and README.md
  --tresor PATH    measure this program instead of building one
  --profile NAME   the cargo profile to build with (release)";

/// The parsed arguments.
#[derive(Debug)]
pub(super) struct Options {
    only: Vec<String>,
    pub(super) scale: Scale,
    rounds: Option<usize>,
    pub(super) json: Option<PathBuf>,
    pub(super) write: bool,
    pub(super) tresor: Option<PathBuf>,
    pub(super) profile: String,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Whole,
    Quick,
}

impl Options {
    pub(super) fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut options = Self {
            only: Vec::new(),
            scale: Scale::Whole,
            rounds: None,
            json: None,
            write: false,
            tresor: None,
            profile: "release".to_owned(),
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().cloned().ok_or_else(|| format!("{word} needs a value\n{USAGE}"));
            match word.as_str() {
                "--only" => options.only = row_names(&value()?)?,
                "--quick" => options.scale = Scale::Quick,
                "--rounds" => options.rounds = Some(rounds(&value()?)?),
                "--json" => options.json = Some(PathBuf::from(value()?)),
                "--write" => options.write = true,
                "--tresor" => options.tresor = Some(PathBuf::from(value()?)),
                "--profile" => options.profile = value()?,
                "--list" => return Err(format!("the rows are {}", rows::names())),
                unknown => return Err(format!("unknown argument {unknown}\n{USAGE}")),
            }
        }
        Ok(options)
    }

    /// Whether a row is to be measured.
    pub(super) fn selects(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == row)
    }

    /// How many interleaved rounds a comparison has.
    pub(super) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(match self.scale {
            Scale::Whole => 5,
            Scale::Quick => 1,
        })
    }
}

fn row_names(list: &str) -> Outcome<Vec<String>> {
    let names: Vec<String> = list.split(',').map(str::to_owned).collect();
    match names.iter().find(|name| !rows::ROWS.iter().any(|row| row.name == name.as_str())) {
        None => Ok(names),
        Some(unknown) => Err(format!("there is no row {unknown}; the rows are {}", rows::names())),
    }
}

fn rounds(text: &str) -> Outcome<usize> {
    match text.parse() {
        Ok(rounds) if rounds > 0 => Ok(rounds),
        _ => Err(format!("--rounds {text}: not a number above 0")),
    }
}
