//! Tresor: a key-value database as a library.

pub mod clock;
pub mod command;
pub mod config;
mod database;
pub mod engine;
mod error;
pub mod files;
pub mod metrics;
pub mod oplog;
pub mod reply;
pub mod session;
mod settings;
pub mod transaction;

pub use config::Config;
pub use database::Database;
pub use error::{Error, ErrorKind, Result};
