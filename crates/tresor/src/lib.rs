//! Tresor: a key-value database as a library.
//!
//! The same store that the server speaks for, inside a Rust program: in memory, or with a directory to
//! come back from. Calls block, are made from as many threads as there are, and return when what they
//! tell of survives what the [`Config`] promises.
//!
//! ```
//! use tresor::{Config, Database, ErrorKind, Map};
//!
//! # fn main() -> tresor::Result<()> {
//! let store = Database::open(Config::memory())?;         // Config::at(path) for one that comes back
//! store.create("name", "Alice")?;                        // Err(Exists) when the key is there
//! println!("{}", store.read("name")?);                   // Alice; Err(NotFound) when it is not there
//! store.put("age", 30)?;                                 // strings and bytes are raw, the rest is JSON
//! assert_eq!(store.get("age")?.and_then(|age| age.as_i64()), Some(30));
//! assert_eq!(store.add("age", 1)?, 31);
//! let counters: Map<String, u64> = store.map("counters")?;
//! counters.update("visits", |count| Some(count.unwrap_or(0) + 1))?;
//! for entry in store.range("a".."d") {
//!     let (key, value) = entry?;
//!     println!("{key} = {value}");                       // age = 31, counters:visits = 1
//! }
//! assert!(store.delete("name")?);
//! assert_eq!(store.read("name").map_err(|error| error.kind()), Err(ErrorKind::NotFound));
//! store.close()
//! # }
//! ```
//!
//! # The API on one page
//!
//! | for | there is |
//! |---|---|
//! | opening and closing | [`Database::open`], [`Database::over`] (an engine of one's own), [`Config`], [`Database::save`], [`Database::close`] |
//! | one entry | [`create`](Database::create), [`read`](Database::read), [`update`](Database::update), [`put`](Database::put), [`get`](Database::get), [`contains`](Database::contains), [`delete`](Database::delete), [`Value`], [`Kind`] |
//! | all entries | [`len`](Database::len), [`is_empty`](Database::is_empty), [`keys`](Database::keys), [`entries`](Database::entries), [`range`](Database::range), [`with_prefix`](Database::with_prefix), [`clear`](Database::clear), [`Key`] |
//! | queries | [`find`](Database::find), [`delete_found`](Database::delete_found), [`explain`](Database::explain), [`Query`], [`Matches`], [`search`] |
//! | entries that expire | [`put_with`](Database::put_with), [`PutOptions`], [`expire`](Database::expire), [`ttl`](Database::ttl), [`persist`](Database::persist) |
//! | changing what others change too | [`add`](Database::add), [`modify`](Database::modify), [`entry`](Database::entry) and [`Version`], [`put_if`](Database::put_if), [`delete_if`](Database::delete_if), [`Guard`] |
//! | several changes as one step | [`Changes`], [`Database::apply`], [`Effect`] |
//! | transactions with locks | [`Database::begin`], [`Transaction`] |
//! | the change feed | [`Database::change_feed`], [`ChangeFeed`], [`FeedOptions`], [`FeedPage`], [`Gap`] |
//! | messages | [`publish`](Database::publish), [`subscribe`](Database::subscribe), [`Subscription`], [`Message`] |
//! | typed maps | [`Database::map`], [`Map`] |
//! | the 16 numbered databases | [`Database::database`] |
//! | what went wrong | [`Error`], [`ErrorKind`], [`Result`] |
//!
//! A program for each part stands in `examples/`. The modules below are for front doors and engines:
//! [`session`] and [`command`] execute what clients send, [`mod@reply`] is what they answer with, [`engine`]
//! is what a storage engine implements, [`layer`] what stands in front of one, [`files`] and [`clock`] are
//! the seams to disk and time.

mod call;
mod change_feed;
mod changes;
pub mod client;
pub mod clock;
pub mod command;
pub mod config;
mod database;
pub mod engine;
mod entries;
mod error;
mod feed_counters;
pub mod files;
mod finding;
pub mod index;
mod indexing;
mod key;
mod latency_events;
pub mod layer;
mod map;
pub mod metrics;
mod observers;
mod opening;
pub mod oplog;
pub mod process;
pub mod publish;
mod put_options;
pub mod reply;
pub mod search;
pub mod session;
pub mod settings;
pub mod shutdown;
mod slow_log;
mod store;
mod store_transaction;
pub mod transaction;
mod value;
mod yield_now;

pub use change_feed::{ChangeFeed, FeedChange, FeedOptions, FeedPage, FeedPosition};
pub use changes::Changes;
pub use config::Config;
pub use database::Database;
pub use engine::{ChangeKind, Effect, Gap, Guard, Kind, Version};
pub use entries::{Entries, Keys};
pub use error::{Error, ErrorKind, Result};
pub use feed_counters::FeedFigures;
pub use finding::Matches;
pub use key::Key;
pub use map::{Iter, Map};
pub use publish::{Message, Subscription};
pub use put_options::PutOptions;
pub use search::Query;
pub use store::Entry;
pub use store_transaction::Transaction;
pub use value::Value;
