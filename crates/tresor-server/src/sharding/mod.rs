//! Shards that come and go while a server runs: which store is meant, where it lies, and what is remembered.
//!
//! The library moves keys; here stands what only a server has: shards in a configuration file, shards that
//! a client adds by name, and the file that has the next start find those again. A client never chooses a
//! path. Everything here blocks, so front doors call it on threads that may wait.

mod added_shards;
mod shard_choice;
mod shard_control;

pub use shard_choice::{ReadShards, ShardChoice, is_layer_file};
pub use shard_control::{Refusal, ShardChange, ShardControl};
