//! `tresor man`: man pages, made from the same table as the parser.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap_mangen::Man;

use crate::{
    arguments::command,
    failure::{Failure, Outcome},
};

/// What to print, or where to write.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The subcommand to print the page of; without it, that of `tresor` itself
    subcommand: Option<String>,
    /// Write the page of every command to this directory instead
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "subcommand")]
    directory: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if let Some(directory) = &arguments.directory {
        let cannot = |error| Failure::failed(format!("cannot write to {}: {error}", directory.display()));
        fs::create_dir_all(directory).map_err(cannot)?;
        return clap_mangen::generate_to(command(), directory).map_err(cannot);
    }
    let mut all = command();
    all.build();
    let chosen = match &arguments.subcommand {
        None => all,
        Some(name) => all
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Failure::usage(format!("there is no subcommand `{name}`; see tresor --help")))?,
    };
    let mut page = Vec::new();
    Man::new(chosen).render(&mut page)?;
    Ok(io::stdout().write_all(&page)?)
}
