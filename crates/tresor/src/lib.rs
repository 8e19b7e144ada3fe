//! Tresor: a key-value database as a library.

pub mod clock;
pub mod engine;
mod error;
pub mod files;
pub mod oplog;

pub use error::{Error, ErrorKind, Result};
