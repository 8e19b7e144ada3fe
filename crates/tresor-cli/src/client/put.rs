//! `tresor put`: sets a key to bytes from the command line or from standard input.

use std::io::{self, Read};

use super::http::{Answer, Client, key_path};
use crate::{
    arguments::ServerOptions,
    failure::{Failure, Outcome},
};

/// What to write, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The key
    key: String,
    /// The value; `-`, or none at all, reads it from standard input, byte for byte
    value: Option<String>,
    /// Store it as JSON, which must parse
    #[arg(long)]
    json: bool,
    /// Let it expire after this many seconds; decimals allowed
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<String>,
    #[command(flatten)]
    server: ServerOptions,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let client = Client::new(&arguments.server)?;
    let value = match arguments.value.as_deref() {
        Some(value) if value != "-" => value.as_bytes().to_vec(),
        _ => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes)?;
            bytes
        }
    };
    let path = match &arguments.ttl {
        None => key_path(&arguments.key)?,
        Some(ttl) => format!("{}?ttl={}", key_path(&arguments.key)?, seconds(ttl)?),
    };
    let kind = if arguments.json { "application/json" } else { "application/octet-stream" };
    match client.send("PUT", &path, &[("content-type", kind)], &value)? {
        Answer::Done(_) => Ok(()),
        Answer::Absent => Err(Failure::failed(format!("{} has no /keys", arguments.server.server))),
    }
}

/// A number of seconds as it was written, if it is one.
fn seconds(text: &str) -> Outcome<&str> {
    let is_number = text.parse::<f64>().is_ok_and(|seconds| seconds.is_finite() && seconds > 0.0);
    if is_number && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Ok(text);
    }
    Err(Failure::usage(format!("--ttl {text}: give a number of seconds above 0, such as 60 or 0.5")))
}
