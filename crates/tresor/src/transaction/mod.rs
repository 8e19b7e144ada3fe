//! Transactions: what keeps them apart, what they have written and not committed, and who has them open.

mod deadlock;
mod gate;
mod lock_table;
#[cfg(test)]
mod lock_table_tests;
mod locks;
mod open;
mod overlay;
mod planted;
mod sleepers;
mod target;
mod watch;

pub use gate::{AllGates, Gates};
pub(crate) use lock_table::{Asker, Owner, Party};
pub(crate) use locks::Answer;
pub(crate) use open::{Discipline, State, Transaction, Transactions};
pub use open::{OpenTransaction, TransactionFigures, TransactionId, WrittenValue};
pub use overlay::Undone;
pub(crate) use overlay::{Current, Overlay};
pub use planted::Fault;
#[cfg(feature = "planted-faults")]
pub use planted::plant;
pub(crate) use planted::planted;
pub(crate) use target::{Mode, Target};
