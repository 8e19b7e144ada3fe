//! `tresor client`: the line protocol for people, and for scripts.
//!
//! On a terminal it is a prompt with line editing; anything else that standard input may be is a script,
//! whose answers are lines of JSON for the next program and whose first error ends it.

mod colours;
mod completion;
mod history;
mod interactive;
mod open_transactions;
mod script;

use std::io::{self, IsTerminal};

use tresor_client::{Client, ErrorKind, Options};

use crate::{
    arguments::Credentials,
    failure::{Failure, Outcome},
};

/// Where a server listens if nothing else was said.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:7379";

/// Whom to talk to.
#[derive(Debug, clap::Args)]
#[command(after_help = "On a terminal this is a prompt: Tab completes, HELP lists the commands, Ctrl-C \
clears the line, Ctrl-D leaves. Otherwise standard input is a script: a command a line, its answer as a \
line of JSON. Empty lines and lines that start with # are skipped; the first error ends it with exit \
code 1.")]
pub(crate) struct Arguments {
    /// The server's address for the line protocol
    #[arg(value_name = "HOST:PORT", default_value = DEFAULT_ADDRESS)]
    address: String,
    #[command(flatten)]
    credentials: Credentials,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let client = connect(&arguments.address, arguments.credentials.password()?)?;
    if is_terminal() { interactive::run(client) } else { script::run(client, io::stdin().lock()) }
}

/// A prompt at this address, without a password; the user can give one with AUTH.
pub(crate) fn run_at(address: &str) -> Outcome {
    interactive::run(connect(address, None)?)
}

/// Whether somebody is there who reads and writes.
pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

fn connect(address: &str, password: Option<String>) -> Outcome<Client> {
    if !address.contains(':') {
        let message = format!("{address}: name the port too, as in {DEFAULT_ADDRESS}");
        return Err(Failure::usage(message));
    }
    let options = Options { password, ..Options::default() };
    Client::connect_with(address, &options).map_err(|error| match error.kind() {
        ErrorKind::Unavailable => {
            Failure::failed(format!("{error}. Start a server with `tresor serve`, or name another HOST:PORT"))
        }
        ErrorKind::Unauthorized => {
            Failure::failed(format!("{address}: {error}; look at --password or --password-file"))
        }
        _ => Failure::failed(format!("{address}: {error}")),
    })
}

/// Whether a line is there for people alone: empty, or a comment.
fn is_skipped(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// The command word of a line, in capitals.
fn command_word(line: &str) -> String {
    line.split_ascii_whitespace().next().unwrap_or_default().to_ascii_uppercase()
}
