//! `tresor delete`: exit code 1 when the key was not there.

use super::http::{Answer, Client, key_path};
use crate::{
    arguments::ServerOptions,
    failure::{Failure, Outcome},
};

/// What to delete, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The key
    key: String,
    #[command(flatten)]
    server: ServerOptions,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match Client::new(&arguments.server)?.send("DELETE", &key_path(&arguments.key)?, &[], b"")? {
        Answer::Done(_) => Ok(()),
        Answer::Absent => Err(Failure::failed(format!("there is no key `{}`", arguments.key))),
    }
}
