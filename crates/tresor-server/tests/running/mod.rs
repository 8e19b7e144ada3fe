//! A server inside the test's process, over an engine of the test's choice.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of this")]

pub mod slow_disk;

use std::sync::Arc;

use tresor::{Config, Database, config::TransactionLimits, engine::Engine};
use tresor_server::{Server, ServerConfig};
use tresor_testkit::{LineClient, ModelEngine, RespClient};

/// Two workers on a free port, nothing else.
pub fn config() -> ServerConfig {
    ServerConfig {
        resp_port: Some(0),
        http_port: None,
        line_port: Some(0),
        workers: 2,
        ..ServerConfig::default()
    }
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
    let database = Config { workers: 2, ..Config::memory() };
    Server::start(Database::over(engine, database).expect("the engine is open"), config)
        .expect("a free port can be bound")
}

/// A server in memory with such limits of its transactions, and its database.
pub fn server_limited(transactions: TransactionLimits) -> (Server, Database) {
    let database = Config { workers: 2, transactions, ..Config::memory() };
    let database = Database::open(database).expect("memory opens");
    (Server::start(database.clone(), config()).expect("a free port can be bound"), database)
}

/// A client of its Redis port.
pub fn client(server: &Server) -> RespClient {
    RespClient::connect_to(server.addresses().resp[0]).expect("the server accepts")
}

/// A client of its line protocol port.
pub fn line_client(server: &Server) -> LineClient {
    LineClient::connect_to(server.addresses().line[0]).expect("the server accepts")
}
