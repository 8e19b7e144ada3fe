//! Finding entries: by patterns and ranges of keys and values, and by nearness of vectors.
//!
//! Whatever a client may write as a pattern is run in time proportional to the text, and a query runs in
//! slices with turns for others between, so that none can stall the clients on the same worker. A [`Query`]
//! says what to find, [`Plan`] how it is read, and the session runs it
//! ([`Session::find`](crate::session::Session::find)).

mod condition;
mod cursor;
mod decimal;
mod finder;
mod glob;
mod indexed;
mod neighbours;
mod pattern;
mod plan;
mod pointer;
mod query;
mod removal;
mod request;
mod vector;

pub use condition::Reading;
pub(crate) use decimal::Decimal;
pub(crate) use finder::SLICE_ENTRIES;
pub use finder::{Found, FoundPage};
pub use glob::Glob;
pub use pattern::{MAX_PATTERN_BYTES, Pattern};
pub use plan::{Access, Plan, Values};
pub use pointer::Pointer;
pub(crate) use pointer::text_of;
pub use query::{DEFAULT_LIMIT, DEFAULT_NEAREST, MAX_KEYS, MAX_LIMIT, Query};
pub use removal::Removed;
pub use request::Request;
pub(crate) use vector::of_value as vector_of;
pub use vector::{MAX_DIMENSIONS, Metric};
