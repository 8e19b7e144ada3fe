//! `tresor rotate-keys`: a server's values under a new encryption key, followed to the end.
//!
//! The server does the work, and goes on with it if nobody follows; the exit code says whether every
//! value is under the new key, so that a script knows when the old one may go.

use std::{io, io::Write, thread, time::Duration};

use serde::Deserialize;

use super::http::{Answer, Client};
use crate::{
    arguments::ServerOptions,
    failure::{Failure, Outcome},
    progress::Progress,
};

/// How often the server is asked how far it is.
const INTERVAL: Duration = Duration::from_millis(200);

/// Whose keys to rotate.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Come back as soon as the new key is in use, and let the server re-encrypt by itself
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// What the server tells of its keys.
#[derive(Deserialize)]
struct Encryption {
    key_ids: Vec<String>,
    reencryption: Reencryption,
}

#[derive(Deserialize)]
struct Reencryption {
    running: bool,
    entries: u64,
    looked_at: u64,
    reencrypted: u64,
    trouble: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let client = Client::new(&arguments.server)?;
    let begun = ask(&client, "POST", "/v1/encryption/rotate")?;
    let key = begun.key_ids.first().cloned().unwrap_or_default();
    let mut output = io::stdout().lock();
    if arguments.no_wait {
        let entries = begun.reencryption.entries;
        writeln!(
            output,
            "the key {key} is in use; the server takes the values of {entries} entries along: see GET /v1/encryption"
        )?;
        return Ok(());
    }
    let ended = follow(&client, begun.reencryption)?;
    if let Some(trouble) = ended.trouble {
        return Err(Failure::failed(format!(
            "{} values were re-encrypted, then: {trouble}",
            ended.reencrypted
        )));
    }
    writeln!(
        output,
        "{} values were re-encrypted, all {} looked at are under the key {key}; older keys may go from the file",
        ended.reencrypted, ended.looked_at
    )?;
    Ok(())
}

/// Asks again and again until the server has ended.
fn follow(client: &Client, mut state: Reencryption) -> Outcome<Reencryption> {
    let progress = Progress::entries(state.entries);
    while state.running {
        progress.come_to(state.looked_at, state.entries);
        thread::park_timeout(INTERVAL);
        state = ask(client, "GET", "/v1/encryption")?.reencryption;
    }
    progress.finish();
    Ok(state)
}

fn ask(client: &Client, method: &str, path: &str) -> Outcome<Encryption> {
    // A header that no web page sends by itself; without one a server takes no POST.
    let headers = [("x-requested-with", "tresor")];
    let Answer::Done(mut response) = client.send(method, path, &headers, b"")? else {
        return Err(Failure::failed(format!("the server has no {path}: is it of this version?")));
    };
    let text = response.body_mut().read_to_string().map_err(Failure::failed)?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::failed(format!("the answer of {path} makes no sense: {error}")))
}
