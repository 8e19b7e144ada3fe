//! Commands: what a client can ask for, one file a family, one catalog row a command.
//!
//! A family's functions turn meaning into engine calls and typed replies. They never see a socket or
//! wire bytes, and every fact about a command (arity, flags, keys, summary) stands in its row alone.

mod argument;
mod bit;
mod bit_field;
mod bit_operation;
mod bit_range;
mod catalog;
mod change_feed;
mod client;
mod client_tracking;
mod cluster;
mod config;
mod config_inert;
mod connection;
mod counter;
mod debug;
mod dump;
mod dump_payload;
mod expiry;
mod index;
mod info;
mod introspection;
mod key;
mod keyspace;
mod latency;
mod latency_graph;
mod lcs;
mod manual;
mod memory;
mod number;
mod object;
mod publish;
mod range;
mod redaction;
mod rows;
mod search;
mod server;
mod set_options;
mod slow_log;
mod string;
mod transaction;
mod transfer;

pub(crate) use catalog::lookup_after;
pub use catalog::{CATALOG, CommandId, Flag, Flags, Keys, Row, lookup};
pub(crate) use change_feed::write_page;
pub(crate) use config::{is_secret_setting, set_at_start};
pub(crate) use connection::database_number;
pub use counter::{add_decimal, add_integer};
pub use manual::markdown;
pub(crate) use number::parse_bytes;
pub(crate) use redaction::shown_words;
pub(crate) use rows::dispatch;
pub(crate) use transfer::change_of_put;

use crate::error::Error;

/// A command's words, its own name first.
pub type Args<'a> = &'a [&'a [u8]];

/// A request with its catalog row.
#[derive(Clone, Copy)]
pub struct Command<'a> {
    /// What is asked for.
    pub row: &'static Row,
    /// The words.
    pub args: Args<'a>,
}

/// Whether a word is this option, in any case.
#[inline]
pub(crate) fn is(word: &[u8], option: &str) -> bool {
    word.eq_ignore_ascii_case(option.as_bytes())
}

fn syntax_error() -> Error {
    Error::invalid("syntax error")
}

fn wrong_arity(command: &str) -> Error {
    Error::invalid(format!("wrong number of arguments for '{command}' command"))
}

/// A word of the client's in an error message.
fn shown(word: &[u8]) -> String {
    String::from_utf8_lossy(&word[..word.len().min(128)]).into_owned()
}
