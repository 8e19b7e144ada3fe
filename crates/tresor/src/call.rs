//! One library call: through a gate, at one moment of store time, and not back before it is durable.
//!
//! Sessions do this once for a run of commands; here it is once a call, without a session and without
//! touching a shared reference count. Invariant: a gate is never held while waiting for durability.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

use smallvec::SmallVec;

use crate::{
    database::{Core, Database},
    engine::{
        Applied, Batch, Change, Edit, Effect, EntryRef, Guard, Isolation, KeyRef, MAX_KEY_BYTES, Outcome,
        Page, Scan, Sequence, Version, block_on,
    },
    error::{Error, ErrorKind, Result},
    session::Session,
    value::Value,
};

/// A gate held, with no transaction open: the engine may be asked directly.
struct Inside<'a> {
    core: &'a Core,
    stripe: usize,
}

impl<'a> Inside<'a> {
    /// `None` while transactions are open: then a session goes the way that looks at locks.
    #[inline]
    fn enter(core: &'a Core) -> Option<Self> {
        let stripe = stripe_of_thread();
        if !core.gates.try_enter(stripe) {
            block_on(core.gates.enter(stripe));
        }
        let inside = Self { core, stripe };
        (!core.transactions.are_open()).then_some(inside)
    }
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        self.core.gates.leave(self.stripe);
    }
}

/// Threads are dealt the gates in turn, so that as many as there are gates never share one.
#[inline]
fn stripe_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    STRIPE.get().unwrap_or_else(|| {
        let stripe = NEXT.fetch_add(1, Ordering::Relaxed);
        STRIPE.set(Some(stripe));
        stripe
    })
}

impl Database {
    /// The address of a key, or the error for one that is too long.
    #[inline]
    pub(crate) fn address<'a>(&self, key: &'a [u8]) -> Result<KeyRef<'a>> {
        if key.len() > MAX_KEY_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the key is {} bytes long, the limit is {MAX_KEY_BYTES}: shorten it", key.len()),
            ));
        }
        Ok(KeyRef::new(self.number, key))
    }

    /// The error for a value that is too long.
    pub(crate) fn check_size(&self, key: KeyRef<'_>, value: &Value) -> Result<()> {
        let (bytes, limit) = (value.as_bytes().len(), self.core.config.max_value_bytes);
        if bytes > limit {
            let message = format!(
                "the value of {} is {bytes} bytes long, the limit is {limit}: raise max_value_bytes",
                shown(key)
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }

    /// Store time, for what is reckoned from now on.
    pub(crate) fn now_ms(&self) -> u64 {
        self.core.time.now_ms()
    }

    /// Shows one entry, if it is there. The answer must not be acted on outside before the sequence
    /// number that comes back is durable.
    #[inline]
    pub(crate) fn look(
        &self,
        key: KeyRef<'_>,
        mut show: impl FnMut(EntryRef<'_>) + Send,
    ) -> Result<Sequence> {
        let Some(_inside) = Inside::enter(&self.core) else { return self.look_beside(key, show) };
        let time = &self.core.time;
        // Reading the clock would be a third of the price of a get, and only an entry with an expiry
        // depends on it: the engine is asked as of the latest time known, which never makes an expired
        // entry come back, and the clock is read for an entry that could have expired since.
        let mut visit = |_: usize, entry: Option<EntryRef<'_>>| {
            if let Some(entry) = entry
                && entry.expires_at_ms.is_none_or(|moment_ms| moment_ms > time.now_ms())
            {
                show(entry);
            }
        };
        let seen = self.core.engine.read(&[key], Isolation::Each, time.latest_ms(), &mut visit).wait()?;
        Ok(seen.sequence)
    }

    /// Reads one page of a scan, and waits until what it shows is durable.
    pub(crate) fn page(&self, scan: &Scan<'_>) -> Result<Page> {
        let page = match Inside::enter(&self.core) {
            Some(_inside) => self.core.engine.scan(scan, self.now_ms()).wait()?,
            None => self.beside(async |session| session.scan(scan).await)?,
        };
        self.durable(page.sequence)?;
        Ok(page)
    }

    /// Applies changes whole or not at all; a refusal is not yet an error, and not yet durable.
    #[inline]
    pub(crate) fn attempt(&self, changes: &[Change<'_>]) -> Result<Outcome> {
        match self.enter_to_write() {
            Some(_inside) => self.core.engine.write(Batch::of(changes), self.now_ms()).wait(),
            None => self.beside(async |session| session.write(changes).await),
        }
    }

    /// Applies one change and waits until it, or the state that refused it, is durable.
    #[inline]
    pub(crate) fn change(&self, change: Change<'_>) -> Result<Effect> {
        let changes = [change];
        let outcome = self.attempt(&changes)?;
        self.durable(outcome.sequence)?;
        effects(&changes, outcome.applied)?
            .first()
            .copied()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the engine answered a change with no effect"))
    }

    /// Reads, edits and writes one entry as one step, and waits until that is durable.
    pub(crate) fn edit_entry(&self, key: KeyRef<'_>, edit: &mut Edit<'_>) -> Result<()> {
        let outcome = match self.enter_to_write() {
            Some(_inside) => self.core.engine.update(key, self.now_ms(), edit).wait()?,
            None => self.beside(async |session| session.update(key, edit).await)?,
        };
        self.durable(outcome.sequence)
    }

    /// `None` too while somebody wants to hear of changes: a session tells of them.
    #[inline]
    fn enter_to_write(&self) -> Option<Inside<'_>> {
        if self.core.notifications.are_on() { None } else { Inside::enter(&self.core) }
    }

    /// Waits until everything up to `sequence` survives what the durability level promises.
    #[inline]
    pub(crate) fn durable(&self, sequence: Sequence) -> Result<()> {
        self.core.engine.durable(sequence).wait()
    }

    /// Applies changes of whole databases, with everyone else held off; not yet durable.
    pub(crate) fn alone(&self, changes: &[Change<'_>]) -> Result<Outcome> {
        block_on(self.session(stripe_of_thread()).write_alone(changes))
    }

    /// Does something as a client would, inside this thread's gate: beside open transactions, whose locks it waits
    /// for.
    #[cold]
    pub(crate) fn beside<T>(&self, ask: impl AsyncFnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let mut session = self.session(stripe_of_thread());
        block_on(async {
            session.enter().await;
            ask(&mut session).await
        })
    }

    #[cold]
    fn look_beside(&self, key: KeyRef<'_>, mut show: impl FnMut(EntryRef<'_>) + Send) -> Result<Sequence> {
        self.beside(async |session| {
            session.read_together(&[key], |_, entry| entry.into_iter().for_each(&mut show)).await?;
            Ok(session.take_highest())
        })
    }
}

/// What a batch did to each of its entries, or the error for the guard that refused it.
pub(crate) fn effects(changes: &[Change<'_>], applied: Applied) -> Result<SmallVec<[Effect; 1]>> {
    match applied {
        Applied::Whole(effects) => Ok(effects),
        Applied::Refused { index, version } => Err(match changes.get(index) {
            Some(change) => refusal(change, version),
            None => Error::new(ErrorKind::Internal, "the engine refused a change that it was not given"),
        }),
    }
}

#[cold]
fn refusal(change: &Change<'_>, version: Option<Version>) -> Error {
    let key = change.key().map_or_else(String::new, shown);
    match change.guard() {
        Guard::Absent => Error::new(ErrorKind::Exists, format!("{key} is there already")),
        Guard::Present => not_found(&key),
        Guard::Version(wanted) => {
            let found =
                version.map_or_else(|| "is not there".to_owned(), |version| format!("is at {version}"));
            Error::new(
                ErrorKind::Conflict,
                format!("{key} {found}, not at version {wanted}: read it and try again"),
            )
        }
        Guard::None => Error::new(ErrorKind::Internal, format!("{key} was refused without a guard")),
    }
}

/// The error for a key that is not there.
#[cold]
pub(crate) fn not_found(key: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{key} is not there"))
}

/// A key in a message: quoted, and cut where it is long.
pub(crate) fn shown(key: KeyRef<'_>) -> String {
    const SHOWN_BYTES: usize = 100;
    let text = String::from_utf8_lossy(&key.key[..key.key.len().min(SHOWN_BYTES)]);
    let more = if key.key.len() > SHOWN_BYTES { "…" } else { "" };
    format!("the key {text:?}{more}")
}
