//! A transaction as a Rust program uses it: blocking calls on a handle, all of it or nothing at the end.
//!
//! The handle is a session of its own, so what holds for clients holds here: each key that is read or written
//! is locked to the end, reads see what was written before, and a handle that is dropped takes everything
//! back. Other calls on the same database wait for these locks like everybody else; a thread that makes one
//! while it has a transaction open waits for itself, and gets `LockTimeout` when the time is over.

use crate::{
    call::{not_found, shown},
    database::Database,
    engine::{Change, Expires, Guard, block_on},
    error::Result,
    session::Session,
    transaction::TransactionId,
    value::Value,
};

/// An open transaction; discarded when it is dropped without [`commit`](Self::commit).
pub struct Transaction {
    database: Database,
    session: Session,
    id: TransactionId,
}

impl Database {
    /// Begins a transaction with locks. [`Unsupported`](crate::ErrorKind::Unsupported) on a cluster, where other
    /// servers may change the same entries.
    pub fn begin(&self) -> Result<Transaction> {
        let mut session = self.session(0);
        let id = block_on(session.begin())?;
        Ok(Transaction { database: self.clone(), session, id })
    }
}

impl Transaction {
    /// Its number, as SHOWALL and the other front doors have it.
    pub fn id(&self) -> TransactionId {
        self.id
    }

    fn within<T>(&mut self, ask: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let session = &mut self.session;
        block_on(async {
            session.enter_transaction(self.id)?;
            session.enter().await;
            let result = ask(session).await;
            session.leave();
            session.leave_transaction();
            let durable = session.durable().await;
            result.and_then(|answer| durable.map(|()| answer))
        })
    }

    /// The value of a key as this transaction sees it, if it is there. Waits while another one is changing
    /// it: [`LockTimeout`](crate::ErrorKind::LockTimeout) after a while, and
    /// [`Deadlock`](crate::ErrorKind::Deadlock), after which nothing of the transaction is left.
    pub fn get(&mut self, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let key = self.database.address(key.as_ref())?;
        let mut value = None;
        let (keys, found) = ([key], &mut value);
        self.within(async |session| {
            let keep = |_, entry: Option<crate::engine::EntryRef<'_>>| {
                *found = entry.map(|entry| Value::kept(entry.value, entry.kind));
            };
            session.read_together(&keys, keep).await
        })?;
        Ok(value)
    }

    /// The value of a key, or else [`NotFound`](crate::ErrorKind::NotFound).
    pub fn read(&mut self, key: impl AsRef<[u8]>) -> Result<Value> {
        let key = key.as_ref();
        self.get(key)?.ok_or_else(|| match self.database.address(key) {
            Ok(key) => not_found(&shown(key)),
            Err(error) => error,
        })
    }

    /// Puts a value under a key; nobody else sees it before the commit.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl Into<Value>) -> Result<()> {
        let (key, value) = (self.database.address(key.as_ref())?, value.into());
        self.database.check_size(key, &value)?;
        let (guard, expires) = (Guard::None, Expires::Never);
        let change = Change::Put { key, guard, value: value.as_bytes(), kind: value.kind(), expires };
        self.within(async |session| session.write(&[change]).await).map(drop)
    }

    /// Removes a key; whether it was there.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<bool> {
        let change = Change::Delete { key: self.database.address(key.as_ref())?, guard: Guard::None };
        let outcome = self.within(async |session| session.write(&[change]).await)?;
        Ok(outcome.effect().is_some_and(|effect| effect.existed))
    }

    /// Takes back the latest put or removal that was not taken back yet, or else answers
    /// [`NothingToUndo`](crate::ErrorKind::NothingToUndo). The locks stay.
    pub fn undo(&mut self) -> Result<()> {
        let (session, id) = (&mut self.session, self.id);
        block_on(async {
            session.enter().await;
            let undone = session.undo(id).await;
            session.leave();
            undone.map(drop)
        })
    }

    /// Applies everything as one step, and returns when that is durable. On an error other than
    /// [`UnknownTransaction`](crate::ErrorKind::UnknownTransaction) nothing was applied, and it is discarded.
    pub fn commit(mut self) -> Result<()> {
        let (session, id) = (&mut self.session, self.id);
        block_on(async {
            session.enter().await;
            let committed = session.commit(id).await;
            session.leave();
            committed?;
            session.durable().await
        })
    }

    /// Discards everything.
    pub fn abort(mut self) {
        // One that was ended from outside is gone as well.
        let _ = self.session.abort(self.id);
    }
}
