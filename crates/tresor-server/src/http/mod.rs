//! The HTTP front door: `/kv`, `/keys`, `/livez`, `/readyz` and `/metrics` on hyper's HTTP/1 server.
//!
//! `connection.rs` is the way of a request: sender, path, password, method, then the handler in `kv.rs`,
//! `keys.rs`, `health.rs` or `metrics_page.rs`. Handlers know sessions and entries, never sockets.
//! Why hyper without a framework: `docs/decisions/0003-hyper.md`.

mod access;
mod body;
mod connection;
mod counters;
mod document;
mod exchange;
mod health;
mod json;
mod keys;
mod kv;
mod linger;
mod listing;
mod metrics_page;
mod problem;
mod process;
mod progress;
mod prometheus;
mod query;
mod request_body;
mod route;
mod shared;
mod ttl;

pub use access::Hosts;
pub use connection::serve;
pub use counters::HttpCounters;
pub use shared::{HttpLimits, HttpShared};
