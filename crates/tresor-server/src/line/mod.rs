//! The line protocol: one command a line, one JSON object a line back, for people and small programs.
//!
//! `connection.rs` is the loop from a read to a write, `lines.rs` cuts the input, `command.rs` is the one
//! table of the commands, `execute.rs` does them, `stream.rs` answers what may be large. Words and quotes are
//! in `protocol/line.rs`. Commands name transactions by number; the session keeps them apart. For users:
//! `docs/line-protocol.md`.

mod answer;
mod command;
mod connection;
mod execute;
mod lines;
mod stream;

pub(crate) use answer::write_error;
pub(crate) use connection::serve;
