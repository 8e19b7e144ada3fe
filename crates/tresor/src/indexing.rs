//! Indexes as a Rust program and a client's session define them.
//!
//! Whoever writes has to know of an index before that is built, or a change could be in neither what was read nor what
//! was noted. So the gates are passed once between the two: then everyone who began before has ended.

use crate::{
    database::Database,
    error::{Error, ErrorKind, Result},
    index::{IndexDefinition, IndexStatus},
    session::Session,
};

/// Indexes: what makes ranges of values and nearest neighbours fast.
impl Database {
    /// Defines an index, which is built in the background and used by every query that it fits from then on. It is
    /// kept with the store, where that is kept.
    ///
    /// # Errors
    /// [`Exists`](ErrorKind::Exists) for a name that is taken, [`Invalid`](ErrorKind::Invalid) for one too many, and
    /// [`Unsupported`](ErrorKind::Unsupported) where other programs change the same entries.
    pub fn create_index(&self, definition: IndexDefinition) -> Result<()> {
        let index = self.core.indexes.create(definition)?;
        self.settle();
        self.core.indexes.release(&index);
        Ok(())
    }

    /// Drops an index; whether there was one.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when that cannot be kept.
    pub fn drop_index(&self, name: &str) -> Result<bool> {
        self.core.indexes.drop_index(name)
    }

    /// The indexes and how they are doing, in the order in which they were defined.
    pub fn indexes(&self) -> Vec<IndexStatus> {
        self.core.indexes.statuses()
    }
}

impl Session {
    /// As [`Database::create_index`]. Between [`enter`](Self::enter) and [`leave`](Self::leave).
    ///
    /// # Errors
    /// As there, and [`Invalid`](ErrorKind::Invalid) within a transaction.
    pub async fn create_index(&mut self, definition: IndexDefinition) -> Result<()> {
        if self.is_in_transaction() {
            return Err(Error::invalid("an index cannot be defined in a transaction"));
        }
        let core = self.core().clone();
        let index = core.indexes.create(definition)?;
        self.outside(async { drop(core.gates.all().await) }).await;
        core.indexes.release(&index);
        Ok(())
    }

    /// As [`Database::drop_index`].
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) where there is none of that name.
    pub fn drop_index(&mut self, name: &str) -> Result<()> {
        match self.core().indexes.drop_index(name)? {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::NotFound, format!("there is no index named {name}"))),
        }
    }

    /// As [`Database::indexes`].
    pub fn indexes(&self) -> Vec<IndexStatus> {
        self.core().indexes.statuses()
    }
}
