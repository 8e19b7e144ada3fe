//! The client crate against the real server: both clients, any bytes, pipelines, and what goes wrong.

mod asynchronous;
mod blocking;
mod examples;
mod words;

use tresor_client::{Client, Error, ErrorKind};
use tresor_testkit::Server;

/// A server whose line port is on.
fn server(arguments: &[&str]) -> Server {
    Server::start(&[&["--line-port", "0"], arguments].concat())
}

fn address(server: &Server) -> String {
    format!("127.0.0.1:{}", server.ports().line)
}

fn client(server: &Server) -> Client {
    Client::connect(&address(server)).expect("the server accepts")
}

#[track_caller]
fn kind_of<T: std::fmt::Debug>(outcome: Result<T, Error>) -> ErrorKind {
    outcome.expect_err("this should fail").kind()
}
