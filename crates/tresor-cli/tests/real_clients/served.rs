//! A server with a password and a store on disk, which can be stopped and started again where it was.
//!
//! It listens on an address of its own on loopback. Others bind 127.0.0.1, and connections come from there, so
//! its port is free as long as it needs it, even while it is stopped.

use std::sync::atomic::{AtomicU8, Ordering};

use tresor_testkit::{Server, TemporaryDirectory};

/// The password of every server here.
pub(crate) const PASSWORD: &str = "a password";

static NEXT_HOST: AtomicU8 = AtomicU8::new(2);

/// Which protocol a server is asked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Redis,
    Http,
}

/// A server, running or stopped.
pub(crate) struct Served {
    /// Its address.
    pub(crate) host: String,
    /// The port of its one door.
    pub(crate) port: u16,
    door: Door,
    directory: TemporaryDirectory,
    server: Option<Server>,
}

impl Served {
    /// Starts one on a free port.
    pub(crate) fn start(door: Door) -> Self {
        let host = format!("127.0.0.{}", NEXT_HOST.fetch_add(1, Ordering::Relaxed));
        let directory = TemporaryDirectory::new("served");
        let mut served = Self { host, port: 0, door, directory, server: None };
        served.start_again();
        served.port = served.server.as_ref().map_or(0, |server| match door {
            Door::Redis => server.ports().resp,
            Door::Http => server.ports().http,
        });
        served
    }

    /// Stops it as an operator does, with SIGTERM.
    pub(crate) fn stop(&mut self) {
        let mut server = self.server.take().expect("it runs");
        assert!(server.terminate().success(), "{}", server.log());
    }

    /// Starts it on the same port with the same store.
    pub(crate) fn start_again(&mut self) {
        let store = self.directory.join("store");
        let port = &*self.port.to_string();
        let (resp, http) = match self.door {
            Door::Redis => (port, "off"),
            Door::Http => ("off", port),
        };
        self.server = Some(Server::start(&[
            "--bind",
            &self.host,
            "--resp-port",
            resp,
            "--port",
            http,
            "--line-port",
            "off",
            "--password",
            PASSWORD,
            "--store-path",
            store.to_str().expect("temporary paths are UTF-8"),
        ]));
    }

    /// What clients take for an address.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}
