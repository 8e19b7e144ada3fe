//! `tresor completions`: a script for a shell, made from the same table as the parser.

use std::io::{self, Write};

use clap_complete::Shell;

use crate::{arguments::command, failure::Outcome};

/// What to print.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "tresor", &mut script);
    Ok(io::stdout().write_all(&script)?)
}
