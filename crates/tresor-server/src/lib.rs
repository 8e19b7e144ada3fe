//! Tresor's front doors: sockets and protocols over a [`tresor::Database`].
//!
//! A [`Server`] binds its ports, runs worker threads, and ends when told to. Protocols turn bytes into
//! the words of commands and know nothing of storage; commands know nothing of sockets.

mod ahead;
mod apart;
pub mod assemble;
mod buffers;
mod connection;
pub mod entry_line;
mod found;
mod group_commit;
mod held;
mod http;
mod intake;
mod json;
mod key_rotation;
mod limits;
mod line;
mod link;
mod listener;
mod listing;
mod pace;
mod program;
pub mod protocol;
mod run;
mod server;
pub mod sharding;
mod stop;
mod work;
mod worker;

pub use http::{HttpLimits, openapi_document};
pub use key_rotation::KeySource;
pub use limits::Limits;
pub use program::{ProgramControl, RewriteFile};
pub use server::{Addresses, Server, ServerConfig};
pub use stop::{Ending, Stopper};

/// The Rust blocks of `docs/coming-from.md`, run as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/coming-from.md")]
pub struct ComingFrom;
