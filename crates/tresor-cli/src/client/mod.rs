//! Subcommands that talk to a running server over HTTP.
//!
//! Keys in paths are percent-encoded bytes. Values go through untouched, so `tresor get` and
//! `tresor put` work in pipes with any bytes.

pub(crate) mod delete;
pub(crate) mod find;
pub(crate) mod get;
pub(crate) mod health;
mod http;
pub(crate) mod index;
pub(crate) mod list;
pub(crate) mod put;
pub(crate) mod rotate_keys;
pub(crate) mod shards;
