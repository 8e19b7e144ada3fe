//! The rows of the table: one file each, named as `--only` takes them.
//!
//! A row starts what it needs, measures in rounds, and answers with figures; it leaves nothing running
//! and nothing on disk. How each is measured is told to readers in `docs/benchmarks.md`.

mod always;
mod always_p99;
mod cassandra;
mod changes;
mod commands;
mod console;
mod cpu;
mod engine_interface;
mod expiry;
mod expiry_lag;
mod gate;
mod http;
mod index;
mod indexes;
mod json_file;
mod keys;
mod layers;
mod library;
mod memory;
mod own_cost;
mod publish;
mod queries;
mod rebalance;
mod restart;
mod snapshot;
mod transactions;

use super::{figure::Figure, setup::Setup};
use crate::Outcome;

/// A row of the table.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) measure: fn(&Setup) -> Outcome<Vec<Figure>>,
}

const fn row(name: &'static str, summary: &'static str, measure: fn(&Setup) -> Outcome<Vec<Figure>>) -> Row {
    Row { name, summary, measure }
}

pub(super) const ROWS: [Row; 31] = [
    row("cpu", "processor time of GET and SET at pipeline depths 1, 16 and 64", cpu::of_a_small_store),
    row("cpu-1m", "the same with a million keys at depth 16", cpu::of_a_large_store),
    row("commands", "processor time of INCR, MGET, SETRANGE and BITCOUNT", commands::measure),
    row("memory", "resident bytes a key, without and with an expiry", memory::measure),
    row("always", "SETs a second, each on disk before it is answered", always::measure),
    row("always-p99", "GETs beside clients that wait for the disk", always_p99::measure),
    row("snapshot", "memory and latency while a snapshot is taken under writes", snapshot::measure),
    row("restart", "from the start of the process to the first answer", restart::measure),
    row("http", "processor time of GET /keys/{key}", http::measure),
    row("library", "get in the same process", library::measure),
    row("keys", "what KEYS * does to everyone else", keys::measure),
    row("queries", "patterns and ranges over a million keys", queries::measure),
    row("indexes", "ranges of values and nearest vectors with an index", indexes::measure),
    row("gate", "the gate that a batch of commands passes", gate::measure),
    row("engine-interface", "a get through the engine interface", engine_interface::measure),
    row("expiry", "until the memory of expired keys is back", expiry::measure),
    row("expiry-lag", "from when a key is due until it is removed", expiry_lag::measure),
    row("index", "what scans in key order cost", index::measure),
    row("cassandra", "a server on a cluster, beside the bare driver", cassandra::measure),
    row("disk-engine", "the disk engine beside bare fjall", own_cost::of_disk),
    row("disk", "SETs a second on disk, each durable before it is answered", always::on_disk),
    row("sqlite", "the SQLite engine beside bare rusqlite", own_cost::of_sqlite),
    row("json-file", "saving and loading a JSON file", json_file::measure),
    row("cached", "a GET that the cache answers", layers::cached),
    row("sharded", "a GET of a sharded store", layers::sharded),
    row("rebalance", "a fourth shard while clients read and write", rebalance::measure),
    row(
        "transactions",
        "MULTI of 10 SETs; transactions of 2 writes on the line protocol",
        transactions::measure,
    ),
    row("publish", "PUBLISH to a hundred subscribers", publish::measure),
    row("console", "the console's first view of a million keys", console::measure),
    row("changes", "writers beside ten readers of the change feed", changes::measure),
    row("compression", "a GET of a compressed value", layers::compression),
];

/// All names, for messages.
pub(super) fn names() -> String {
    ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
}
