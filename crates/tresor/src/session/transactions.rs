//! A client's transactions: begin, go into one, commit, undo a step, discard.
//!
//! Front doors name a transaction by its number and call the same methods in it as outside:
//! [`Session::enter_transaction`] says that what follows belongs to it. Invariant: a transaction is known to
//! exactly one session, and is discarded when that is dropped.

use std::{sync::Arc, time::Duration};

use super::{Session, multi::Queue};
use crate::{
    database::Core,
    engine::{Applied, Batch, Change, Kept, KeyRef, Kind, Outcome, ValueRef},
    error::{Error, ErrorKind, Result},
    transaction::{AllGates, Fault, Mode, Party, Target, Transaction, TransactionId, planted},
};

/// What few sessions need.
#[derive(Default)]
pub(super) struct Isolated {
    party: Party,
    open: Vec<Arc<Transaction>>,
    latest: Option<TransactionId>,
    /// The transaction that every command of a connection belongs to, after TRESOR.BEGIN.
    pub(super) bound: Option<TransactionId>,
    pub(super) queue: Option<Queue>,
    pub(super) watched: Vec<super::multi::Watched>,
}

/// An entry that is as it was before a step that was undone.
pub struct Before {
    /// Its database.
    pub database: u8,
    /// Its key.
    pub key: Box<[u8]>,
    entry: Option<Kept>,
}

impl Before {
    /// Value and kind, if it is there.
    pub fn value(&self) -> Option<(ValueRef<'_>, Kind)> {
        self.entry.as_ref().map(|entry| (entry.as_entry().value, entry.kind))
    }
}

/// Everything to oneself: all gates, and locks on what is not ours to change while others have transactions.
pub(super) struct Alone<'a> {
    _locks: Option<super::isolated::Hold>,
    _gates: AllGates<'a>,
}

impl Session {
    pub(super) fn isolated(&mut self) -> &mut Isolated {
        self.isolated.get_or_insert_default()
    }

    /// Whom this session stands for among those who wait for locks.
    pub(super) fn party(&mut self) -> Party {
        if self.isolated().party == 0 {
            let party = self.core.transactions.party();
            self.isolated().party = party;
        }
        self.isolated().party
    }

    pub(super) fn has_no_transaction(&self) -> bool {
        self.isolated.as_ref().is_none_or(|isolated| isolated.open.is_empty())
    }

    /// Begins a transaction; answers its number. Not in another one.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) where other servers may change the same entries,
    /// [`TooLarge`](ErrorKind::TooLarge) when the client has too many open,
    /// [`Unavailable`](ErrorKind::Unavailable) when the server is stopping.
    pub async fn begin(&mut self) -> Result<TransactionId> {
        let core = self.core.clone();
        if core.engine.capabilities().shared {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "transactions on engine {}: other servers may change the same keys, and no lock of this one \
                     keeps them out; use compare-and-set",
                    core.engine.capabilities().name
                ),
            ));
        }
        let limit = core.transactions.limits.max_open;
        if self.isolated.as_ref().is_some_and(|isolated| isolated.open.len() >= limit) {
            let message =
                format!("this client has {limit} transactions open: end one before it begins another");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let party = self.party();
        let transaction = core.transactions.open(party)?;
        let id = transaction.id;
        // Before anything is waited for: the session's end discards it.
        self.isolated().open.push(transaction.clone());
        if !core.transactions.are_open() {
            self.raise_flag(&core).await;
        }
        self.direct = false;
        transaction.give(core.transactions.now_ns());
        self.isolated().latest = Some(id);
        Ok(id)
    }

    /// Says to everyone that locks have to be looked at.
    pub(super) async fn raise_flag(&mut self, core: &Core) {
        if planted(Fault::NoGate) {
            return core.transactions.raise(None);
        }
        self.outside(async { core.transactions.raise(Some(&core.gates.all().await)) }).await;
    }

    /// Lets a transaction do nothing for no longer than `limit`, where that is less than every transaction may;
    /// answers what holds from now on.
    ///
    /// # Errors
    /// [`UnknownTransaction`](ErrorKind::UnknownTransaction).
    pub fn limit_idle(&mut self, id: TransactionId, limit: Duration) -> Result<Duration> {
        let transaction = self.taken(id)?;
        let idle = self.core.transactions.limit_idle(&transaction, limit);
        transaction.give(self.core.transactions.now_ns());
        Ok(idle)
    }

    /// The number that this session's latest [`begin`](Self::begin) answered.
    pub fn latest_transaction(&self) -> Option<TransactionId> {
        self.isolated.as_ref().and_then(|isolated| isolated.latest)
    }

    /// This session's transactions that are open, oldest first.
    pub fn transactions(&self) -> Vec<TransactionId> {
        let open = self.isolated.iter().flat_map(|isolated| &isolated.open);
        open.filter(|transaction| !transaction.has_ended()).map(|transaction| transaction.id).collect()
    }

    /// Lets what follows belong to a transaction of this session, until
    /// [`leave_transaction`](Self::leave_transaction).
    ///
    /// # Errors
    /// [`UnknownTransaction`](ErrorKind::UnknownTransaction) if it is none that is open.
    pub fn enter_transaction(&mut self, id: TransactionId) -> Result<()> {
        let transaction = self.taken(id)?;
        self.scope = Some(transaction);
        self.direct = false;
        Ok(())
    }

    /// What follows belongs to no transaction any more.
    pub fn leave_transaction(&mut self) {
        if let Some(transaction) = self.scope.take() {
            transaction.give(self.core.transactions.now_ns());
            if planted(Fault::UnlockingEarly) {
                self.core.transactions.locks.release(transaction.id);
            }
            if transaction.has_ended() {
                self.drop_transaction(transaction.id);
            }
        }
        self.direct = !self.core.transactions.are_open();
    }

    /// A transaction of this session, in use from now on.
    fn taken(&mut self, id: TransactionId) -> Result<Arc<Transaction>> {
        let open = self.isolated.iter().flat_map(|isolated| &isolated.open);
        let found = open.into_iter().find(|transaction| transaction.id == id).cloned();
        let transaction = found.ok_or_else(unknown)?;
        if transaction.take() {
            return Ok(transaction);
        }
        self.drop_transaction(id);
        Err(unknown())
    }

    fn drop_transaction(&mut self, id: TransactionId) {
        if let Some(isolated) = &mut self.isolated {
            isolated.open.retain(|transaction| transaction.id != id);
        }
    }

    /// Applies everything that a transaction has written, as one step, and frees its locks. Inside a gate.
    ///
    /// # Errors
    /// [`UnknownTransaction`](ErrorKind::UnknownTransaction), and whatever the engine fails with: then the
    /// transaction is open as before.
    pub async fn commit(&mut self, id: TransactionId) -> Result<()> {
        let transaction = self.taken(id)?;
        let core = self.core.clone();
        let (overlay, mut events) = transaction.with(|state| {
            state.committing = true;
            (std::mem::take(&mut state.overlay), std::mem::take(&mut state.events))
        });
        let written = {
            let mut changes = overlay.changes();
            if planted(Fault::LosingAWrite) && changes.len() > 1 {
                changes.pop();
            }
            match changes.is_empty() {
                true => {
                    self.tell_kept(std::mem::take(&mut events));
                    Ok(None)
                }
                false => self.write_whole(&changes, &mut events).await.map(Some),
            }
        };
        match written {
            Ok(outcome) => {
                if let Some(outcome) = outcome {
                    debug_assert!(matches!(outcome.applied, Applied::Whole(_)), "nothing is guarded");
                    self.saw(outcome.sequence);
                }
                core.transactions.committed(&transaction);
                self.drop_transaction(id);
                Ok(())
            }
            Err(error) => {
                transaction.with(|state| {
                    (state.overlay, state.events, state.committing) = (overlay, events, false);
                });
                transaction.give(core.transactions.now_ns());
                Err(error)
            }
        }
    }

    /// Discards a transaction and frees its locks.
    ///
    /// # Errors
    /// [`UnknownTransaction`](ErrorKind::UnknownTransaction).
    pub fn abort(&mut self, id: TransactionId) -> Result<()> {
        let transaction = self.taken(id)?;
        self.core.transactions.abort(&transaction);
        self.drop_transaction(id);
        Ok(())
    }

    /// Takes back the latest step of a transaction that was not taken back yet, and says what its entries
    /// are now; the locks stay. Inside a gate.
    ///
    /// # Errors
    /// [`UnknownTransaction`](ErrorKind::UnknownTransaction), [`NothingToUndo`](ErrorKind::NothingToUndo).
    pub async fn undo(&mut self, id: TransactionId) -> Result<Vec<Before>> {
        let transaction = self.taken(id)?;
        let undone = transaction.with(|state| {
            let undone = state.overlay.undo();
            let steps = state.overlay.steps();
            state.events.retain(|kept| kept.steps <= steps);
            undone
        });
        let result = match undone {
            None => Err(Error::new(ErrorKind::NothingToUndo, "nothing to undo")),
            Some(undone) => {
                let keys: Vec<_> =
                    undone.keys.iter().map(|(database, key)| KeyRef::new(*database, key)).collect();
                let entries = self.entries_in(&transaction, &keys).await;
                entries.map(|entries| {
                    let keys = undone.keys.iter().zip(entries);
                    keys.map(|((database, key), entry)| Before {
                        database: *database,
                        key: key.clone(),
                        entry,
                    })
                    .collect()
                })
            }
        };
        transaction.give(self.core.transactions.now_ns());
        result
    }

    /// The keys that a transaction has written and not taken back, by database and key.
    ///
    /// # Errors
    /// [`UnknownTransaction`](ErrorKind::UnknownTransaction).
    pub fn written_keys(&mut self, id: TransactionId) -> Result<Vec<(u8, Box<[u8]>)>> {
        let transaction = self.taken(id)?;
        let keys = transaction
            .with(|state| state.overlay.all().map(|(key, _)| (key.database, key.key.into())).collect());
        transaction.give(self.core.transactions.now_ns());
        Ok(keys)
    }

    /// Discards every transaction of this session.
    pub(super) fn end_transactions(&mut self) {
        self.scope = None;
        if let Some(isolated) = &mut self.isolated {
            for transaction in isolated.open.drain(..) {
                self.core.transactions.abort(&transaction);
            }
        }
    }

    /// The same, and what was queued or watched.
    pub(super) fn forget_transactions(&mut self) {
        self.end_transactions();
        self.isolated = None;
        self.gathers = false;
    }

    /// Gives up the own gate and takes all, with locks on every database while others have transactions. One
    /// that is taken is waited for with all gates given back. [`come_back`](Self::come_back) afterwards.
    pub(super) async fn alone<'a>(&mut self, core: &'a Core) -> Result<Alone<'a>> {
        let was_inside = std::mem::take(&mut self.inside);
        if was_inside {
            core.gates.leave(self.worker);
        }
        let alone = self.take_all(core).await;
        match alone {
            Ok(_) => self.direct = self.scope.is_none(),
            Err(_) => self.come_back().await,
        }
        alone
    }

    /// Applies changes of whole databases with everyone else held off. Not inside a gate.
    pub(crate) async fn write_alone(&mut self, changes: &[Change<'_>]) -> Result<Outcome> {
        let core = self.core.clone();
        let _alone = self.alone(&core).await?;
        core.engine.write(Batch::of(changes), self.now_ms).await
    }

    async fn take_all<'a>(&mut self, core: &'a Core) -> Result<Alone<'a>> {
        let databases = 0..crate::engine::DATABASES;
        let whole: super::isolated::Wanted<'_> =
            databases.map(|database| (Target::whole(database), Mode::Exclusive)).collect();
        let hold = super::isolated::Hold::new(self.core.clone());
        let asker = hold.asker(self.party(), self.has_no_transaction());
        let deadline_ns = core.transactions.lock_deadline_ns();
        loop {
            let gates = core.gates.all().await;
            self.now_ms = core.time.now_ms();
            if !core.transactions.are_open() {
                return Ok(Alone { _locks: None, _gates: gates });
            }
            match core.transactions.locks.ask_all(asker, &whole, deadline_ns)? {
                None => return Ok(Alone { _locks: Some(hold), _gates: gates }),
                Some(id) => {
                    drop(gates);
                    core.transactions.locks.granted(id).await?;
                }
            }
        }
    }

    /// Takes the own gate again.
    pub(super) async fn come_back(&mut self) {
        self.core.gates.enter(self.worker).await;
        self.inside = true;
        self.direct = self.scope.is_none() && !self.core.transactions.are_open();
    }
}

fn unknown() -> Error {
    Error::new(ErrorKind::UnknownTransaction, "no such transaction")
}
