//! The `tresor` program: a server, clients for it, and tools for its files.
//!
//! One file a subcommand. `main` alone prints errors and picks the exit code: 0 for done, 1 for an
//! operation that failed, 2 for wrong usage.

mod arguments;
mod argv;
mod bench;
mod cassandra;
mod check;
mod client;
mod completions;
mod compress;
mod copy;
mod dump;
mod failure;
mod load;
mod man;
mod menu;
mod password;
mod progress;
mod prompt;
mod resp;
mod serve;
mod stopped_store;
mod store_name;

use std::process::ExitCode;

use arguments::Chosen;
use failure::{Failure, Outcome};

/// The allocator belongs to the program, never to the library; why this one: docs/decisions/0002.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = if std::env::args_os().len() <= 1 && prompt::is_terminal() {
        menu::run()
    } else {
        match arguments::parse(std::env::args_os()) {
            Ok(arguments) => run(arguments.subcommand),
            Err(error) => error.exit(),
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Failure::Usage(message) | Failure::Failed(message) = &failure {
                eprintln!("tresor: {message}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(chosen: Chosen) -> Outcome {
    match chosen {
        Chosen::Serve(arguments) => serve::run(*arguments),
        Chosen::Get(arguments) => client::get::run(&arguments),
        Chosen::Put(arguments) => client::put::run(&arguments),
        Chosen::Delete(arguments) => client::delete::run(&arguments),
        Chosen::List(arguments) => client::list::run(&arguments),
        Chosen::Find(arguments) => client::find::run(&arguments),
        Chosen::Index(arguments) => client::index::run(&arguments),
        Chosen::Client(arguments) => prompt::run(&arguments),
        Chosen::Health(arguments) => client::health::run(&arguments),
        Chosen::RotateKeys(arguments) => client::rotate_keys::run(&arguments),
        Chosen::Shards(arguments) => client::shards::run(&arguments),
        Chosen::Check(arguments) => check::run(&arguments),
        Chosen::Dump(arguments) => dump::run(&arguments),
        Chosen::Load(arguments) => load::run(&arguments),
        Chosen::Copy(arguments) => copy::run(&arguments),
        Chosen::Compress(arguments) => compress::run(&arguments),
        Chosen::Bench(arguments) => bench::run(&arguments),
        Chosen::Cassandra(arguments) => cassandra::run(&arguments),
        Chosen::Completions(arguments) => completions::run(&arguments),
        Chosen::Man(arguments) => man::run(&arguments),
    }
}
