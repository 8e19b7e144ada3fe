//! A real `redis-server`, to compare answers with.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use crate::{Reply, RespClient, TemporaryDirectory, deadline, programs};

/// How often another free port is tried when somebody else took the first.
const ATTEMPTS: usize = 5;

/// A running `redis-server` on a free port of 127.0.0.1 that saves nothing; killed when dropped.
pub struct RedisServer {
    child: Child,
    port: u16,
    _directory: TemporaryDirectory,
}

impl RedisServer {
    /// Starts one with further arguments (`["--maxmemory", "10mb"]`); `None`, after saying so, where
    /// redis-server is not installed.
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let program = programs::require("redis-server")?;
        for _ in 0..ATTEMPTS {
            let directory = TemporaryDirectory::new("redis");
            let port = free_port();
            let log = fs::File::create(directory.join("log")).expect("the temporary directory takes a file");
            let child = Command::new(&program)
                .args([
                    "--port",
                    &port.to_string(),
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                ])
                .args(arguments)
                .current_dir(directory.path())
                .stdin(Stdio::null())
                .stdout(log)
                .stderr(Stdio::null())
                .spawn()
                .expect("redis-server starts");
            let mut server = Self { child, port, _directory: directory };
            if deadline::wait_for("redis-server to answer", || server.answers()) {
                return Some(server);
            }
        }
        panic!("redis-server did not start on any of {ATTEMPTS} ports");
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new connection to it.
    pub fn resp(&self) -> RespClient {
        RespClient::connect(self.port).expect("redis-server accepts")
    }

    /// Whether it is up (true) or has ended (false); `None` while it is starting.
    fn answers(&mut self) -> Option<bool> {
        if self.child.try_wait().expect("a child can be waited for").is_some() {
            return Some(false);
        }
        let mut client = RespClient::connect(self.port).ok()?;
        (client.command(&["PING"]).ok()? == Reply::Simple("PONG".into())).then_some(true)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("a bound socket has an address").port()
}
