//! A server inside the test's process, over an engine of the test's choice.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of this")]

pub mod slow_disk;

use std::sync::Arc;

use tresor::{Config, Database, engine::Engine};
use tresor_server::{Server, ServerConfig};
use tresor_testkit::{ModelEngine, RespClient};

/// Two workers on a free port, nothing else.
pub fn config() -> ServerConfig {
    ServerConfig { resp_port: Some(0), http_port: None, workers: 2, ..ServerConfig::default() }
}

/// A server on the model engine.
pub fn server() -> Server {
    server_with(config())
}

/// The same, set up otherwise.
pub fn server_with(config: ServerConfig) -> Server {
    server_over(Arc::new(ModelEngine::new()), config)
}

/// A server on any engine.
pub fn server_over(engine: Arc<dyn Engine>, config: ServerConfig) -> Server {
    let database =
        Database::over(engine, Config { workers: 2, ..Config::memory() }).expect("the engine is open");
    Server::start(database, config).expect("a free port can be bound")
}

/// A client of its Redis port.
pub fn client(server: &Server) -> RespClient {
    RespClient::connect_to(server.addresses().resp[0]).expect("the server accepts")
}
