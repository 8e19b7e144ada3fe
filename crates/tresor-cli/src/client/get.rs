//! `tresor get`: a value's bytes on standard output, exit code 1 when the key is absent.

use std::io;

use super::http::{Answer, Client, key_path};
use crate::{
    arguments::ServerOptions,
    failure::{Failure, Outcome},
};

/// What to read, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The key
    key: String,
    #[command(flatten)]
    server: ServerOptions,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let client = Client::new(&arguments.server)?;
    match client.send("GET", &key_path(&arguments.key)?, &[], b"")? {
        Answer::Absent => Err(Failure::failed(format!("there is no key `{}`", arguments.key))),
        Answer::Done(response) => {
            io::copy(&mut response.into_body().into_reader(), &mut io::stdout().lock())?;
            Ok(())
        }
    }
}
