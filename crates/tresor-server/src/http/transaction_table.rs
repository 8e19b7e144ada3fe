//! The transactions that were begun over HTTP, between the requests that use them.
//!
//! Clients send requests over any connection of a pool, so a transaction belongs to whoever knows its id,
//! which cannot be guessed. Each has a session of its own; one request uses it at a time, others wait for
//! their turn. Invariant: a request that is broken off leaves the session outside gate and transaction, and
//! what has ended is not in the table any more, or leaves it when the next one begins.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tresor::{
    Error, ErrorKind, Result,
    session::{Before, Session},
    transaction::TransactionId,
};

/// Random bytes of an id.
const SECRET_BYTES: usize = 16;

type Secret = [u8; SECRET_BYTES];
type Slots = Mutex<HashMap<TransactionId, Slot>>;

struct Slot {
    secret: Secret,
    session: Arc<AsyncMutex<Session>>,
}

/// Open transactions by their number.
#[derive(Default)]
pub(super) struct TransactionTable {
    slots: Arc<Slots>,
}

impl TransactionTable {
    /// Takes in a transaction that `session` has begun, unless there are `max_open`; answers its id.
    pub(super) fn add(&self, session: Session, number: TransactionId, max_open: usize) -> Result<String> {
        let mut secret = Secret::default();
        getrandom::fill(&mut secret).map_err(|error| {
            Error::new(ErrorKind::Internal, "the system gives no random numbers").caused_by(error)
        })?;
        let mut slots = self.slots.lock();
        // One that is in use has not ended.
        slots.retain(|_, slot| slot.session.try_lock().map_or(true, |session| is_open(&session)));
        if slots.len() >= max_open {
            let message = format!("{max_open} transactions are open over HTTP: end one, or try again later");
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        slots.insert(number, Slot { secret, session: Arc::new(AsyncMutex::new(session)) });
        let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("{number}-{secret}"))
    }

    /// The turn of a request to use a transaction, on `worker`; others are waited for, for `patience` at most.
    ///
    /// # Errors
    /// [`UnknownTransaction`](ErrorKind::UnknownTransaction), [`LockTimeout`](ErrorKind::LockTimeout).
    pub(super) async fn turn(&self, id: &str, patience: Duration, worker: usize) -> Result<Turn> {
        let (number, secret) = parse(id).ok_or_else(unknown)?;
        let session = {
            let slots = self.slots.lock();
            let slot = slots.get(&number).filter(|slot| bool::from(slot.secret.ct_eq(&secret)));
            slot.ok_or_else(unknown)?.session.clone()
        };
        let waited = tokio::time::timeout(patience, session.lock_owned()).await;
        let mut session = waited.map_err(|_| {
            let message = "another request of this transaction is still being answered: nothing was done, \
                           try again";
            Error::new(ErrorKind::LockTimeout, message)
        })?;
        session.move_to(worker);
        Ok(Turn { session, number, slots: self.slots.clone(), is_committing: false })
    }
}

/// The use of a transaction by one request; ends when it is dropped.
pub(crate) struct Turn {
    session: OwnedMutexGuard<Session>,
    number: TransactionId,
    slots: Arc<Slots>,
    is_committing: bool,
}

impl Turn {
    /// Its number.
    pub(crate) fn number(&self) -> TransactionId {
        self.number
    }

    /// The session that has begun it.
    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Applies everything and answers when that is durable.
    pub(super) async fn commit(&mut self) -> Result<()> {
        let session = &mut *self.session;
        session.enter().await;
        self.is_committing = true;
        let committed = session.commit(self.number).await;
        self.is_committing = false;
        session.leave();
        committed?;
        session.durable().await
    }

    /// Takes one step back.
    pub(super) async fn undo(&mut self) -> Result<Vec<Before>> {
        let session = &mut *self.session;
        session.enter().await;
        let undone = session.undo(self.number).await;
        session.leave();
        let undone = undone?;
        session.durable().await?;
        Ok(undone)
    }

    /// Discards everything.
    pub(super) fn abort(&mut self) -> Result<()> {
        self.session.abort(self.number)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let session = &mut *self.session;
        session.leave();
        if self.is_committing {
            // Only the end of the server breaks a commit off. What it had written is on its way, and with the
            // request went the knowledge whether it arrived.
            let _ = session.abort(self.number);
        }
        // A request that was broken off did not say that it is done with it.
        if session.enter_transaction(self.number).is_ok() {
            session.leave_transaction();
        }
        if !is_open(session) {
            self.slots.lock().remove(&self.number);
        }
    }
}

fn is_open(session: &Session) -> bool {
    !session.transactions().is_empty()
}

/// Number and secret of an id.
fn parse(id: &str) -> Option<(TransactionId, Secret)> {
    let (number, digits) = id.split_once('-')?;
    let mut secret = Secret::default();
    if digits.len() != 2 * SECRET_BYTES || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in secret.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((number.parse().ok()?, secret))
}

fn unknown() -> Error {
    Error::new(
        ErrorKind::UnknownTransaction,
        "no such transaction: it was never begun, or has been committed, aborted, or discarded for doing \
         nothing too long or to end a deadlock",
    )
}

#[cfg(test)]
mod tests {
    use std::{future::ready, sync::Arc, time::Duration};

    use tresor::{
        Config, Database, ErrorKind, Guard, Kind,
        config::TransactionLimits,
        engine::{Change, Expires},
    };
    use tresor_testkit::{HeldEngine, ModelEngine, Moment, deadline::wait_until};

    use super::{TransactionTable, Turn};
    use crate::http::exchange::{enter, leave};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn within<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(work)
    }

    /// Lets a request get as far as it gets at once, then breaks it off.
    async fn break_off<T>(request: impl Future<Output = T>) {
        tokio::select! {
            biased;
            _ = request => panic!("nothing was left to be broken off"),
            () = ready(()) => {}
        }
    }

    async fn begin(database: &Database, table: &TransactionTable) -> String {
        let mut session = database.session(0);
        let number = session.begin().await.unwrap();
        table.add(session, number, 10).unwrap()
    }

    async fn put(turn: &mut Turn) {
        let (number, session) = (turn.number(), turn.session());
        enter(session, Some(number)).await.unwrap();
        let (key, guard) = (session.key(b"k").unwrap(), Guard::None);
        let change = Change::Put { key, guard, value: b"v", kind: Kind::Raw, expires: Expires::Never };
        session.write(&[change]).await.unwrap();
        leave(session, Some(number));
    }

    #[test]
    fn a_commit_that_is_broken_off_ends_the_transaction() {
        let engine = HeldEngine::new(Arc::new(ModelEngine::new()));
        let database = Database::over(engine.clone(), Config::memory()).unwrap();
        let table = TransactionTable::default();
        within(async {
            let id = begin(&database, &table).await;
            let mut turn = table.turn(&id, PATIENCE, 0).await.unwrap();
            put(&mut turn).await;
            let held = engine.hold_next(Moment::Before);
            break_off(turn.commit()).await;
            drop(turn);
            let gone = table.turn(&id, PATIENCE, 0).await;
            assert_eq!(gone.err().map(|error| error.kind()), Some(ErrorKind::UnknownTransaction));
            assert!(database.open_transactions().is_empty());
            // What was sent arrives, and nobody holds the gate.
            held.let_go();
        });
        database.settle();
        assert_eq!(database.get("k").unwrap().unwrap().to_string(), "v");
    }

    #[test]
    fn a_request_that_is_broken_off_leaves_the_transaction_open_and_idle() {
        let engine = HeldEngine::new(Arc::new(ModelEngine::new()));
        let idle = Duration::from_millis(200);
        let transactions = TransactionLimits { idle, ..TransactionLimits::default() };
        let config = Config { transactions, ..Config::memory() };
        let database = Database::over(engine.clone(), config).unwrap();
        let table = TransactionTable::default();
        within(async {
            let id = begin(&database, &table).await;
            let mut turn = table.turn(&id, PATIENCE, 0).await.unwrap();
            let held = engine.hold_next(Moment::Before);
            break_off(put(&mut turn)).await;
            drop(turn);
            assert_eq!(database.open_transactions().len(), 1);
            held.let_go();
        });
        database.settle();
        wait_until("idleness to end it", || database.transaction_figures().idle_timeouts == 1);
    }
}
