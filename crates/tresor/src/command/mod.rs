//! Commands: what a client can ask for, one file a family, one catalog row a command.
//!
//! A family's functions turn meaning into engine calls and typed replies. They never see a socket or
//! wire bytes, and every fact about a command (arity, flags, keys, summary) stands in its row alone.

mod catalog;
mod connection;
mod number;
mod key;
mod string;

pub(crate) use catalog::dispatch;
pub use catalog::{CATALOG, CommandId, Flag, Keys, Row, lookup};

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
