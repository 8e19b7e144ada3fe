//! The programs that are measured: ours, Redis, and whichever other peers are installed.
//!
//! Redis is what the bars speak of and has to be there. Valkey and Pogocache are shown beside it where
//! an environment variable or PATH leads to them, and named as missing otherwise. An earlier build of ours
//! is one more peer, so that what a change costs is measured in the same rounds.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Outcome;

/// A kind of server that speaks the Redis protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Tresor,
    Redis,
    Valkey,
    Pogocache,
    /// An earlier build of ours.
    Before,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tresor => "Tresor",
            Self::Redis => "Redis",
            Self::Valkey => "Valkey",
            Self::Pogocache => "Pogocache",
            Self::Before => "Tresor before",
        }
    }

    /// Whether it takes our arguments.
    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Tresor | Self::Before)
    }

    /// The environment variable that names its program, and what it is called on PATH.
    fn sources(self) -> (&'static str, &'static str) {
        match self {
            Self::Tresor => ("TRESOR_BIN", "tresor"),
            Self::Redis => ("REDIS_SERVER", "redis-server"),
            Self::Valkey => ("VALKEY_SERVER", "valkey-server"),
            Self::Pogocache => ("POGOCACHE", "pogocache"),
            Self::Before => ("TRESOR_BEFORE", ""),
        }
    }

    fn find(self) -> Option<PathBuf> {
        let (variable, name) = self.sources();
        env::var_os(variable).map(PathBuf::from).or_else(|| on_path(name))
    }
}

/// A program of a kind.
#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
}

/// Ours, Redis and the optional ones that are there, in the order of the table.
pub(super) fn find(tresor: PathBuf) -> Outcome<Vec<Program>> {
    let mut programs = vec![Program { kind: Kind::Tresor, path: tresor }];
    for kind in [Kind::Redis, Kind::Valkey, Kind::Pogocache, Kind::Before] {
        let (variable, name) = kind.sources();
        match kind.find() {
            Some(path) => programs.push(Program { kind, path }),
            None if kind == Kind::Redis => {
                return Err(format!("{name} is what the bars compare with: install it, or set {variable}"));
            }
            None if kind == Kind::Before => {}
            None => eprintln!("{} is left out: no {name} on PATH, and {variable} is not set", kind.name()),
        }
    }
    Ok(programs)
}

/// What a program says when asked for its version, on one line.
pub(super) fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned()
}

/// A program of this name in the directories of PATH.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file())
}
