//! The HTTP front door: `/` (the console), `/kv`, `/keys`, `/v1`, `/livez`, `/readyz` and `/metrics` on hyper's HTTP/1 server.
//!
//! `connection.rs` is the way of a request: sender, path, password, method, then the handler in `kv.rs`,
//! `keys.rs`, `entry.rs`, `changes.rs`, `increment.rs`, `command.rs`, `batch.rs`, `export.rs`, `import.rs`,
//! `transactions.rs`, `shards.rs`, `encryption.rs`, `console.rs`, `health.rs`, `openapi.rs` or `metrics_page.rs`.
//! Handlers know sessions and entries, never sockets.
//! Why hyper without a framework: `docs/decisions/0003-hyper.md`.

mod access;
mod batch;
mod batch_run;
mod body;
mod body_lines;
mod capped_list;
mod change_stream;
mod changes;
mod command;
mod command_words;
mod conditions;
mod connection;
mod console;
mod content_coding;
mod cors;
mod counters;
mod document;
mod encryption;
mod entries_page;
mod entry;
mod etag;
mod exchange;
mod export;
mod find;
mod health;
mod import;
mod increment;
mod indexes;
mod keys;
mod kv;
mod linger;
mod metrics_page;
mod openapi;
mod openapi_routes;
mod openapi_schemas;
mod operation;
mod problem;
mod progress;
mod prometheus;
mod query;
mod rate_limit;
mod reply_json;
mod request_body;
mod route;
mod shards;
mod shared;
mod transaction_table;
mod transactions;
mod ttl;
mod underway;

/// What a client hears that comes when there are too many: an answer without anything being read.
pub(crate) const TOO_MANY_CLIENTS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

pub(crate) use access::Hosts;
pub(crate) use connection::serve;
pub(crate) use exchange::{enter, leave};
pub use openapi::openapi_document;
pub use shared::HttpLimits;
pub(crate) use shared::HttpShared;
pub(crate) use transaction_table::Turn;
