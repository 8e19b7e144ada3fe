//! Tresor: a key-value database as a library.

mod call;
mod changes;
pub mod clock;
pub mod command;
pub mod config;
mod database;
pub mod engine;
mod entries;
mod error;
pub mod files;
mod key;
mod map;
pub mod metrics;
pub mod oplog;
mod put_options;
pub mod reply;
pub mod search;
pub mod session;
mod settings;
mod store;
pub mod transaction;
mod value;
mod yield_now;

pub use changes::Changes;
pub use config::Config;
pub use database::Database;
pub use engine::{Effect, Guard, Kind, Version};
pub use entries::{Entries, Keys};
pub use error::{Error, ErrorKind, Result};
pub use key::Key;
pub use map::{Iter, Map};
pub use put_options::PutOptions;
pub use store::Entry;
pub use value::Value;
