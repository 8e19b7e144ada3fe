//! A server for one test: HTTP alone, over the test engine.

use std::{net::SocketAddr, sync::Arc};

use tresor::{Config, Database, engine::Engine};
use tresor_server::{HttpLimits, Server, ServerConfig};
use tresor_testkit::ModelEngine;

use crate::client::Client;

/// A running server; stopped and joined when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) database: Database,
    server: Server,
}

/// What a test may choose.
pub(crate) struct Setup {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) config: Config,
    pub(crate) limits: HttpLimits,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) workers: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            engine: Arc::new(ModelEngine::new()),
            config: Config::memory(),
            limits: HttpLimits::default(),
            allowed_hosts: Vec::new(),
            cors_origins: Vec::new(),
            workers: 1,
        }
    }
}

/// A server as everyone gets it.
pub(crate) fn server() -> Running {
    Setup::default().start()
}

impl Setup {
    pub(crate) fn start(self) -> Running {
        let database = Database::over(self.engine, self.config).expect("a database over a test engine opens");
        let config = ServerConfig {
            resp_port: None,
            http_port: Some(0),
            line_port: None,
            workers: self.workers,
            http_limits: self.limits,
            allowed_hosts: self.allowed_hosts,
            cors_origins: self.cors_origins,
            ..ServerConfig::default()
        };
        let server = Server::start(database.clone(), config).expect("a free port can be bound");
        Running { address: server.addresses().http[0], database, server }
    }
}

impl Running {
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Ends it; what is left is the database.
    pub(crate) fn end(self) -> Database {
        self.server.shutdown();
        self.database
    }

    /// Tells it to stop, without waiting.
    pub(crate) fn stop(&self) {
        self.server.stopper().stop();
    }

    /// That it still serves others.
    pub(crate) fn assert_serves(&self) {
        let mut client = self.client();
        assert_eq!(client.request("PUT", "/keys/still", &[], b"here").status, 201);
        assert_eq!(client.request("GET", "/keys/still", &[], b"").body, b"here");
        assert_eq!(client.request("DELETE", "/keys/still", &[], b"").status, 200);
    }
}
