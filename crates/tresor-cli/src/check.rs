//! `tresor check`: what is on disk, and keeping what is whole of it.

use std::path::PathBuf;

use crate::failure::{Failure, Outcome};

/// What to examine.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The store's directory; its server must not be running
    path: PathBuf,
    /// Keep what is whole and set the rest aside
    #[arg(long)]
    salvage: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    Err(Failure::failed(format!("{}: {}", arguments.path.display(), arguments.salvage)))
}
