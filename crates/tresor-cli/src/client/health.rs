//! `tresor health`: exit code 0 when the server can serve, for container health checks and scripts.

use super::http::Client;
use crate::{
    arguments::ServerOptions,
    failure::{Failure, Outcome},
};

/// Whom to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: ServerOptions,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let response = Client::new(&arguments.server)?.exchange("GET", "/readyz", &[], b"")?;
    if !response.status().is_success() {
        return Err(Failure::failed(format!(
            "{} is not ready: it answered {}",
            arguments.server.server,
            response.status()
        )));
    }
    println!("{} is ready", arguments.server.server);
    Ok(())
}
