//! The HTTP front door over real sockets: every row of the promised tables, hostile input, metrics.

#![allow(clippy::unwrap_used, reason = "a helper that fails has failed its test")]

mod access;
mod attacks;
mod batch;
mod batch_guards;
mod changes;
mod client;
mod coding;
mod commands;
mod console;
mod cors;
mod curl;
mod described;
mod entries;
mod entries_page;
mod golden;
mod indexes;
mod keys;
mod kv;
mod kv_requests;
mod limits;
mod lines;
mod listing;
mod metrics;
mod openapi;
mod ordered;
mod rate_limit;
mod running;
mod table;
mod transaction;
mod transaction_ends;
mod transaction_locks;
mod transactions;
