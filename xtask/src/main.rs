//! The project's own chores: `cargo xtask test|ci|fix|docs|bench|clients|cassandra`.
//!
//! One file a chore. Each prints what it runs, so that anyone can run it by hand, and ends with exit
//! code 1 at the first thing that is not as it should be.

mod bench;
mod cargo;
mod cassandra;
mod ci;
mod docs;
mod fix;
mod programs;
mod test;
mod tidy;

use std::{env, process::ExitCode};

/// What a chore answers: nothing, or what is wrong and the way out.
type Outcome<T = ()> = Result<T, String>;

const USAGE: &str = "\
usage: cargo xtask <chore>

  test [--full] [-- ARGUMENTS]  run every test; installs the programs they need where it may
                                (--full: with all the rounds that take longer)
  ci                            everything a change must pass: test, clippy, fmt, docs, style
  fix                           let rustfmt and clippy repair what they can
  docs [--check]                write the generated pages (or only compare them)
  bench [--only NAME,...] [--quick] [--rounds N] [--json FILE] [--write]
                                measure every promised figure beside its peers
  clients                       install the client libraries that tests use, under target/clients
  cassandra start [--nodes 1|2|3] [--version VERSION] [--directory DIR]
  cassandra stop [--directory DIR]
                                run real Cassandra nodes in the background, and end them";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let (chore, arguments) = match words.split_first() {
        Some((chore, arguments)) => (chore.as_str(), arguments),
        None => ("", &[][..]),
    };
    let outcome = match chore {
        "test" => test::run(arguments),
        "ci" => ci::run(arguments),
        "fix" => fix::run(arguments),
        "docs" => docs::run(arguments),
        "bench" => bench::run(arguments),
        "clients" => programs::clients(arguments),
        "cassandra" => cassandra::run(arguments),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask {chore}: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Refuses arguments that a chore does not know.
fn only(arguments: &[String], known: &[&str]) -> Outcome {
    match arguments.iter().find(|argument| !known.contains(&argument.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(format!("unknown argument {unknown}\n{USAGE}")),
    }
}
