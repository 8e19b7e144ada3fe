//! Finding keys by their names: patterns that a client sends, run over many keys.
//!
//! Whatever a client may write as a pattern is run in time proportional to the key, so that one
//! hostile pattern cannot stall the clients on the same worker.

mod glob;

pub use glob::Glob;
