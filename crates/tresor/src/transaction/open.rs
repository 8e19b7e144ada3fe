//! The open transactions of a database, and whether there are any.
//!
//! While there are none, nobody looks at the lock table. The mark that there are some is raised with all gates
//! taken, so whoever is inside a gate knows for as long as it is inside; it is lowered a while after the last
//! one ended, at any moment, since by then no lock of a transaction is left. Invariant: a transaction's
//! locks are free as soon as it is not among the open ones any more.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{
    gate::AllGates,
    lock_table::{Asker, Owner, Party},
    locks::Locks,
    overlay::{Current, Overlay},
    sleepers::Sleepers,
    watch::Watch,
};
use crate::{
    clock::Clock,
    config::TransactionLimits,
    engine::{Kept, KeyRef, Kind, Version},
    error::{Error, ErrorKind, Result},
    session::KeptEvent,
};

/// A transaction's number: 1 for the first since the database was opened.
pub type TransactionId = u64;

/// Owners from here on are plain commands. They count as younger than every transaction.
const PLAIN: Owner = 1 << 62;

/// Idle transactions are looked for at least this often.
const IDLE_LOOK_NS: u64 = 1_000_000_000;

/// How a transaction is kept apart from everyone else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discipline {
    /// It locks each key as it comes to it, and keeps the locks to its end.
    Locking,
    /// Everything that it touches is its own already.
    Owning,
    /// It looks at versions, and its commit makes sure that they are still the same.
    Optimistic,
}

/// One transaction.
pub(crate) struct Transaction {
    pub(crate) id: TransactionId,
    pub(crate) party: Party,
    pub(crate) discipline: Discipline,
    state: Mutex<State>,
}

/// What changes while it runs; used by its own client, and by whoever ends it or shows it.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) overlay: Overlay,
    /// The versions that an optimistic transaction read, by database and key.
    pub(crate) seen: BTreeMap<(u8, Box<[u8]>), Option<Version>>,
    /// One of them was read again and had changed: what it has read is of no one moment.
    pub(crate) overtaken: bool,
    /// What happened in it, to be told of once it is committed.
    pub(crate) events: Vec<KeptEvent>,
    /// Bytes of what it has locked.
    pub(crate) locked_bytes: usize,
    /// A command of it is being executed.
    in_use: bool,
    /// Its batch is being applied: too late to discard it.
    pub(crate) committing: bool,
    used_ns: u64,
    /// How long it may do nothing, where that is less than all may.
    idle_limit: Option<Duration>,
    ended: bool,
}

/// Value and kind; `None` for a deletion.
pub type WrittenValue = Option<(Bytes, Kind)>;

/// An open transaction as others may see it.
#[derive(Clone, Debug)]
pub struct OpenTransaction {
    /// Its number.
    pub id: TransactionId,
    /// What it has written, by database and key.
    pub writes: Vec<(u8, Bytes, WrittenValue)>,
}

/// How transactions have fared since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionFigures {
    /// Open now.
    pub open: u64,
    /// Commands that wait for a lock now.
    pub waiting: u64,
    /// Begun.
    pub begun: u64,
    /// Committed.
    pub committed: u64,
    /// Discarded, by whomever.
    pub aborted: u64,
    /// Discarded to end a deadlock.
    pub deadlocks: u64,
    /// Waits for a lock that took too long.
    pub lock_timeouts: u64,
    /// Discarded because their client did nothing for too long.
    pub idle_timeouts: u64,
}

#[derive(Default)]
struct Counters {
    begun: AtomicU64,
    committed: AtomicU64,
    aborted: AtomicU64,
    deadlocks: AtomicU64,
    lock_timeouts: AtomicU64,
    idle_timeouts: AtomicU64,
}

#[derive(Default)]
struct Registry {
    open: BTreeMap<TransactionId, Arc<Transaction>>,
    /// When the last one ended.
    ended_ns: u64,
    closed: bool,
}

/// The transactions of a database.
pub(crate) struct Transactions {
    raised: AtomicBool,
    last_id: AtomicU64,
    last_plain: AtomicU64,
    last_party: AtomicU64,
    registry: Mutex<Registry>,
    pub(crate) locks: Locks,
    pub(crate) limits: TransactionLimits,
    clock: Arc<dyn Clock>,
    counters: Counters,
    watch: Watch,
    sleepers: Sleepers,
    next_idle_look_ns: AtomicU64,
}

impl Transaction {
    /// One that nobody else sees: how a MULTI is executed.
    pub(crate) fn unlisted(discipline: Discipline) -> Self {
        let state = State { overlay: Overlay::without_undo(), ..State::default() };
        Self { id: 0, party: 0, discipline, state: Mutex::new(state) }
    }

    pub(crate) fn asker(&self) -> Asker {
        Asker { owner: self.id, party: self.party, patient: false }
    }

    /// Its state, for a moment.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Begins a command in it; false if it has ended.
    pub(crate) fn take(&self) -> bool {
        let mut state = self.state.lock();
        state.in_use = true;
        !state.ended
    }

    /// Ends a command in it.
    pub(crate) fn give(&self, now_ns: u64) {
        let mut state = self.state.lock();
        (state.in_use, state.used_ns) = (false, now_ns);
    }

    fn shown(&self) -> OpenTransaction {
        self.with(|state| {
            let shown = |entry: &crate::engine::Kept| (entry.as_entry().value.to_bytes(), entry.kind);
            let writes = state.overlay.all();
            let writes = writes
                .map(|(key, written)| (key.database, Bytes::copy_from_slice(key.key), written.map(shown)))
                .collect();
            OpenTransaction { id: self.id, writes }
        })
    }
}

impl Transactions {
    pub(crate) fn new(limits: TransactionLimits, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            raised: AtomicBool::new(false),
            last_id: AtomicU64::new(0),
            last_plain: AtomicU64::new(PLAIN),
            last_party: AtomicU64::new(0),
            registry: Mutex::default(),
            locks: Locks::default(),
            limits,
            clock,
            counters: Counters::default(),
            watch: Watch::default(),
            sleepers: Sleepers::default(),
            next_idle_look_ns: AtomicU64::new(0),
        })
    }

    /// Whether locks have to be looked at. Inside a gate the answer holds until the gate is left, unless it
    /// is true and the last transaction ends.
    #[inline]
    pub(crate) fn are_open(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }

    /// From now on everyone looks at locks. All gates are taken, but where a test wants to see that it matters.
    pub(crate) fn raise(&self, _all: Option<&AllGates<'_>>) {
        self.raised.store(true, Ordering::Relaxed);
    }

    /// Keeps the mark up for a while, once it is raised, without a transaction.
    pub(crate) fn linger(self: &Arc<Self>) -> Result<()> {
        self.registry.lock().ended_ns = self.clock.monotonic_ns();
        self.watch.want(self)
    }

    /// A new party.
    pub(crate) fn party(&self) -> Party {
        self.last_party.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A new owner of locks that is no transaction.
    pub(crate) fn plain_owner(&self) -> Owner {
        self.last_plain.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// When a wait that begins now is too long.
    pub(crate) fn lock_deadline_ns(&self) -> u64 {
        self.clock.monotonic_ns().saturating_add(self.limits.lock_wait.as_nanos() as u64)
    }

    /// Opens a transaction. The mark has to be raised before it does anything.
    pub(crate) fn open(self: &Arc<Self>, party: Party) -> Result<Arc<Transaction>> {
        let now_ns = self.clock.monotonic_ns();
        let transaction = {
            let mut registry = self.registry.lock();
            if registry.closed {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "the server is stopping: no transaction begins",
                ));
            }
            let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
            let state = Mutex::new(State { in_use: true, used_ns: now_ns, ..State::default() });
            let transaction = Arc::new(Transaction { id, party, discipline: Discipline::Locking, state });
            registry.open.insert(id, transaction.clone());
            transaction
        };
        self.counters.begun.fetch_add(1, Ordering::Relaxed);
        if !self.are_open() {
            self.watch.want(self)?;
        }
        Ok(transaction)
    }

    /// Ends a transaction whose batch is applied.
    pub(crate) fn committed(&self, transaction: &Transaction) {
        self.counters.committed.fetch_add(1, Ordering::Relaxed);
        self.end(transaction);
    }

    /// Discards a transaction; false if it had ended.
    pub(crate) fn abort(&self, transaction: &Transaction) -> bool {
        let ended = self.end(transaction);
        if ended {
            self.counters.aborted.fetch_add(1, Ordering::Relaxed);
        }
        ended
    }

    /// Discards one that has lost its locks to end a deadlock.
    pub(crate) fn lost(&self, transaction: &Transaction) {
        self.counters.deadlocks.fetch_add(1, Ordering::Relaxed);
        self.abort(transaction);
    }

    fn end(&self, transaction: &Transaction) -> bool {
        let before = transaction.with(|state| {
            let ended = std::mem::replace(&mut state.ended, true);
            (ended, std::mem::take(&mut state.overlay))
        });
        self.locks.end(transaction.id, transaction.party);
        let mut registry = self.registry.lock();
        registry.open.remove(&transaction.id);
        registry.ended_ns = self.clock.monotonic_ns();
        !before.0
    }

    /// Answers after so long, once the database closes, or once `done` says so, which is asked every few
    /// milliseconds.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) when the system has no thread for it.
    pub(crate) async fn sleep(self: &Arc<Self>, duration: Duration, done: impl Fn() -> bool) -> Result<()> {
        let end_ns = self.now_ns().saturating_add(duration.as_nanos() as u64);
        let over = || self.now_ns() >= end_ns || done() || self.registry.lock().closed;
        poll_fn(|context| {
            let poll = self.sleepers.poll(context, over);
            match poll.is_pending().then(|| self.watch.want(self)) {
                Some(Err(error)) => Poll::Ready(Err(error)),
                _ => poll.map(Ok),
            }
        })
        .await
    }

    /// Discards every open transaction and lets none begin any more; how many there were.
    pub(crate) fn close(&self) -> usize {
        let open = {
            let mut registry = self.registry.lock();
            registry.closed = true;
            registry.open.values().cloned().collect::<Vec<_>>()
        };
        let open = open.iter().filter(|transaction| !transaction.with(|state| state.committing));
        open.filter(|transaction| self.abort(transaction)).count()
    }

    /// Ends the thread behind it.
    pub(crate) fn stop(&self) {
        self.watch.stop();
        self.sleepers.wake();
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The open transactions, oldest first.
    pub(crate) fn shown(&self) -> Vec<OpenTransaction> {
        let open: Vec<_> = self.registry.lock().open.values().cloned().collect();
        open.iter()
            .filter(|transaction| !transaction.has_ended())
            .map(|transaction| transaction.shown())
            .collect()
    }

    /// Whether anybody has locked this key in some database: what an engine has as its database may have
    /// another number since a swap.
    pub(crate) fn is_locked(&self, key: &[u8]) -> bool {
        self.are_open() && self.locks.is_locked(key)
    }

    /// What some open transaction has written under a key, for [`Fault::ReadingUncommitted`].
    pub(crate) fn uncommitted(&self, key: KeyRef<'_>) -> Option<Kept> {
        let open: Vec<_> = self.registry.lock().open.values().cloned().collect();
        open.iter().find_map(|transaction| {
            transaction.with(|state| match state.overlay.current(key, 0) {
                Current::Written(written) => written.cloned(),
                Current::Beneath(_) => None,
            })
        })
    }

    /// Counts so far.
    pub(crate) fn figures(&self) -> TransactionFigures {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TransactionFigures {
            open: self.registry.lock().open.len() as u64,
            waiting: self.locks.waiting() as u64,
            begun: count(&self.counters.begun),
            committed: count(&self.counters.committed),
            aborted: count(&self.counters.aborted),
            deadlocks: count(&self.counters.deadlocks),
            lock_timeouts: count(&self.counters.lock_timeouts),
            idle_timeouts: count(&self.counters.idle_timeouts),
        }
    }

    /// The time that idleness is measured by.
    pub(crate) fn now_ns(&self) -> u64 {
        self.clock.monotonic_ns()
    }

    /// Has a transaction end after `limit` of doing nothing, if it would not end earlier; which it is.
    pub(crate) fn limit_idle(&self, transaction: &Transaction, limit: Duration) -> Duration {
        let limit = limit.min(self.limits.idle);
        transaction.with(|state| state.idle_limit = Some(limit));
        // The next look may be later than this allows.
        self.next_idle_look_ns.store(0, Ordering::Relaxed);
        limit
    }

    /// Ends what has taken too long, wakes who sleeps, and lowers the mark when it is not needed; whether to look
    /// again.
    pub(super) fn look(&self) -> bool {
        let now_ns = self.clock.monotonic_ns();
        let sleepers = self.sleepers.wake();
        self.locks.time_out(now_ns, &self.counters.lock_timeouts);
        if now_ns >= self.next_idle_look_ns.load(Ordering::Relaxed) {
            self.end_idle(now_ns);
        }
        let registry = self.registry.lock();
        let linger_ns = self.limits.linger.as_nanos() as u64;
        let needed = !registry.open.is_empty() || now_ns.saturating_sub(registry.ended_ns) < linger_ns;
        if !needed {
            // Under the registry's mutex: one that opens after this finds it lowered, and raises it again.
            self.raised.store(false, Ordering::Relaxed);
        }
        needed || sleepers
    }

    fn end_idle(&self, now_ns: u64) {
        let mut shortest_ns = self.limits.idle.as_nanos() as u64;
        // A limit that is set during this look has the next one follow at once.
        self.next_idle_look_ns.store(u64::MAX, Ordering::Relaxed);
        let open: Vec<_> = self.registry.lock().open.values().cloned().collect();
        for transaction in open {
            let idle = transaction.with(|state| {
                let limit_ns = state.idle_limit.unwrap_or(self.limits.idle).as_nanos() as u64;
                shortest_ns = shortest_ns.min(limit_ns);
                let idle = !state.in_use && now_ns.saturating_sub(state.used_ns) >= limit_ns;
                // Marked here, so that a command that comes this moment finds it gone.
                state.ended |= idle;
                idle
            });
            if idle {
                self.counters.aborted.fetch_add(1, Ordering::Relaxed);
                self.counters.idle_timeouts.fetch_add(1, Ordering::Relaxed);
                self.end(&transaction);
            }
        }
        let next_ns = now_ns + (shortest_ns / 32).min(IDLE_LOOK_NS);
        self.next_idle_look_ns.fetch_min(next_ns, Ordering::Relaxed);
    }
}
