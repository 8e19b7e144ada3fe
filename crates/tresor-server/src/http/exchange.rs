//! One request on its way to an answer: what every handler is given, and the three things that
//! handlers do with an entry.
//!
//! Invariant: nothing is answered before it is durable, a miss included, and the gate is never held
//! while waiting for that. In a transaction the same three things go to what it has written.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, request::Parts};
use hyper::body::Incoming;
use tresor::{
    Database, Error, ErrorKind,
    engine::{Change, Expires, Guard, Kind, memory::BufferShare},
    session::Session,
    transaction::TransactionId,
};

use super::{body::Body, problem::Problem, request_body::read_body, shared::HttpShared, ttl::Ttl};

/// From this size on, work that goes over all bytes of a body leaves the worker.
const HEAVY_BYTES: usize = 1024 * 1024;

/// What a handler answers.
pub(super) type Answer = Result<Response<Body>, Problem>;

/// A request and what it may use.
pub(super) struct Exchange<'a> {
    pub(super) database: &'a Database,
    pub(super) worker: usize,
    pub(super) shared: &'a Arc<HttpShared>,
    pub(super) session: &'a mut Session,
    pub(super) parts: &'a Parts,
    /// The body, until it is taken to be read.
    pub(super) body: Option<Incoming>,
    /// The transaction of `session` that the request belongs to, if it does to one.
    pub(super) transaction: Option<TransactionId>,
    /// The memory that a long body takes, until the request is answered.
    pub(super) held: Option<BufferShare>,
}

impl Exchange<'_> {
    /// Reads the body, which may have `max_bytes`; nothing the second time.
    pub(super) async fn read_body(&mut self, max_bytes: usize) -> Result<Bytes, Problem> {
        match self.body.take() {
            Some(body) => {
                let share = || BufferShare::new(self.database.memory_limit().clone());
                let limits = &self.shared.limits;
                read_body(body, max_bytes, limits, || self.held.get_or_insert_with(share)).await
            }
            None => Ok(Bytes::new()),
        }
    }

    /// Value and kind of a key, copied; large values are shared instead.
    pub(super) async fn load(&mut self, key: &[u8]) -> Result<(Bytes, Kind), Problem> {
        let mut found = None;
        enter(self.session, self.transaction).await?;
        let read = self
            .session
            .read(key, |entry| found = entry.map(|entry| (entry.value.to_bytes(), entry.kind)))
            .await;
        leave(self.session, self.transaction);
        read.map_err(|error| Problem::from(error).about(key))?;
        self.session.durable().await?;
        found.ok_or_else(Problem::no_such_key)
    }

    /// Puts an entry; true when the key is new.
    pub(super) async fn store(
        &mut self,
        key: &[u8],
        (value, kind): (&[u8], Kind),
        ttl: Option<Ttl>,
    ) -> Result<bool, Problem> {
        let address = self.session.key(key)?;
        self.session.value_bytes(value.len())?;
        enter(self.session, self.transaction).await?;
        let expires: Expires = Ttl::expires(ttl, self.session.now_ms());
        let change = Change::Put { key: address, guard: Guard::None, value, kind, expires };
        let existed = self.write(key, change).await?;
        Ok(!existed)
    }

    /// Removes an entry.
    pub(super) async fn remove(&mut self, key: &[u8]) -> Result<(), Problem> {
        let address = self.session.key(key)?;
        enter(self.session, self.transaction).await?;
        let existed = self.write(key, Change::Delete { key: address, guard: Guard::None }).await?;
        if existed { Ok(()) } else { Err(Problem::no_such_key()) }
    }

    /// Makes a change of a key, from inside the gate, and leaves that; whether the key was there.
    async fn write(&mut self, key: &[u8], change: Change<'_>) -> Result<bool, Problem> {
        let outcome = self.session.write(&[change]).await;
        leave(self.session, self.transaction);
        let outcome = outcome.map_err(|error| Problem::from(error).about(key))?;
        self.session.durable().await?;
        Ok(outcome.effect().is_some_and(|effect| effect.existed))
    }
}

/// Goes inside the gate, and into a transaction before that.
pub(crate) async fn enter(session: &mut Session, transaction: Option<TransactionId>) -> Result<(), Error> {
    if let Some(id) = transaction {
        session.enter_transaction(id)?;
    }
    session.enter().await;
    Ok(())
}

/// Leaves both.
pub(crate) fn leave(session: &mut Session, transaction: Option<TransactionId>) {
    session.leave();
    if transaction.is_some() {
        session.leave_transaction();
    }
}

/// Does work over `bytes` bytes here, or on a thread of its own where it would hold up the worker's
/// other connections.
pub(super) async fn weigh<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    if bytes < HEAVY_BYTES {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, "reading the body failed").caused_by(error).into())
}
