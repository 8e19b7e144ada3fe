//! The client's side of the Redis protocol, version 2: what `dump`, `load` and `bench` speak.

mod client;
pub(crate) mod reply;
pub(crate) mod request;

pub(crate) use client::Client;

use crate::arguments::Credentials;

/// Options of every subcommand that talks to a server over the Redis protocol.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RespOptions {
    /// The server's address for the Redis protocol
    #[arg(long, value_name = "HOST:PORT", env = "TRESOR_RESP", default_value = "127.0.0.1:6379")]
    pub(crate) resp: String,
    #[command(flatten)]
    pub(crate) credentials: Credentials,
}
