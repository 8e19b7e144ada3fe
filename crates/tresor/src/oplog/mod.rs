//! The op log: what makes acknowledged changes survive, shared by the engines that keep their own data.
//!
//! An engine appends each change under its own locks, gets the change's number back, applies it, and
//! holds the answer until [`Log::durable`] says that the promise of its [`Durability`] is kept. One
//! log thread writes and syncs whatever was appended meanwhile (group commit). A snapshot is a
//! point to start from, so that old log can go; some is kept for readers of changes, who read the log back
//! (`changes.rs`). A store without a log keeps them the same records in memory (`change_buffer.rs`).
//! `docs/formats.md` draws every byte.
//!
//! # Replaying
//!
//! [`Log::open`] hands the engine the newest snapshot's mapping and entries, then every change after
//! the snapshot's start. The snapshot was taken while changes went on, so a change may be in it
//! already; the engine makes that harmless:
//!
//! - Put, Adopt and Delete state the whole result: do them always, an Adopt under its own version. Clear removes everything in the physical
//!   database; whatever was put after it follows in the log. Mapping replaces the whole table.
//! - Patch and Expire are skipped where the key is absent or its version is not below the change's.
//!   An engine that patches an absent key therefore logs a Put.
//! - Lift changes no entry: the numbers behind it go on from where it says.

mod change_buffer;
mod changes;
mod check;
mod identity;
mod layout;
mod log;
mod pending;
mod reader;
mod record;
mod recovery;
mod retention;
mod salvage;
mod segment;
mod shared;
mod snapshot;
mod snapshot_file;
mod waiters;
mod writer;

pub(crate) use change_buffer::ChangeBuffer;
pub use check::{FileKind, FileReport, Report, check};
pub(crate) use layout::is_full;
pub use log::{Durability, Log, LogOptions, LogStatus, Refused};
pub use record::{Logged, MAX_RECORD_BYTES, Replayed};
pub use recovery::Recovery;
pub use salvage::{Salvaged, salvage};
pub use snapshot::SnapshotWriter;
