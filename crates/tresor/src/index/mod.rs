//! Indexes of values: declared per prefix of keys, kept in memory, and used by queries that they fit.
//!
//! An [`IndexDefinition`] says what is indexed, [`Index`] keeps it, [`Indexes`] are those of a store with the thread
//! that builds them. An index is never trusted: what it names is read and judged like everything else, so it may
//! name too much, and must not name too little. `docs/decisions/0023-indexes.md` tells why it is made this way.

mod builder;
mod definition;
mod graph;
mod indexes;
mod noted;
mod part;
mod points;
mod structure;
mod terms;

pub use definition::{IndexDefinition, IndexOf};
pub(crate) use indexes::{Begun, Indexes};
pub use indexes::{Fact, IndexState, IndexStatus};
pub(crate) use noted::Index;
pub(crate) use part::Part;
pub(crate) use structure::Near;
