//! A pretend remote engine whose answers a test lets go by hand.
//!
//! [`HeldEngine::hold_next`] catches the next read or write, either before it is done or between that and
//! its answer; all else passes through at once. So a test says in which order things happen beneath a
//! layer and above it, without threads. A write whose answer is dropped is done all the same when it is
//! let go: the request was sent.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, Waker},
};

use parking_lot::Mutex;
use tresor::{
    Error, ErrorKind, Result,
    engine::{
        Batch, Capabilities, Change, Edit, Engine, EntryRef, Eventual, Expires, Guard, Isolation, KeyRef,
        Kind, Outcome, Page, Removals, Scan, Seen, Sequence, Status, Visit,
    },
};

use crate::owned_entry::OwnedEntry;

/// When a call is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it is done.
    Before,
    /// When it is done, before that is answered.
    After,
}

/// An engine some of whose calls are held.
pub struct HeldEngine {
    inner: Arc<dyn Engine>,
    next: Mutex<VecDeque<Arc<HeldCall>>>,
    keys_read: AtomicU64,
}

/// A call that is held, or will be.
pub struct HeldCall {
    moment: Moment,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    work: Option<Box<dyn FnOnce() -> Result<Outcome> + Send>>,
    outcome: Option<Result<Outcome>>,
    let_go: bool,
    waker: Option<Waker>,
}

impl HeldCall {
    /// Lets it go on: what is still to be done is done now, the answer is there at the next poll.
    pub fn let_go(&self) {
        let work = self.state.lock().work.take();
        let outcome = work.map(|work| work());
        self.answer(outcome);
    }

    /// Answers that nobody knows what became of it. What was to be done is done at [`Self::let_go`].
    pub fn lose(&self) {
        let lost = Error::new(ErrorKind::UnknownOutcome, "the answer was lost");
        self.answer(Some(Err(lost)));
    }

    fn answer(&self, outcome: Option<Result<Outcome>>) {
        let mut state = self.state.lock();
        if outcome.is_some() {
            state.outcome = outcome;
        }
        state.let_go = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    async fn held(&self) {
        poll_fn(|context| {
            let mut state = self.state.lock();
            if state.let_go {
                return Poll::Ready(());
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    async fn outcome(self: Arc<Self>) -> Result<Outcome> {
        self.held().await;
        self.state.lock().outcome.take().expect("a write that was let go has an outcome")
    }
}

/// A change with its own bytes.
enum OwnedChange {
    Put(u8, Vec<u8>, Vec<u8>),
    Delete(u8, Vec<u8>),
    Clear(u8),
    Swap(u8, u8),
}

impl OwnedChange {
    fn new(change: &Change<'_>) -> Self {
        match *change {
            Change::Put { key, value, .. } => Self::Put(key.database, key.key.to_vec(), value.to_vec()),
            Change::Delete { key, .. } => Self::Delete(key.database, key.key.to_vec()),
            Change::Clear { database } => Self::Clear(database),
            Change::Swap { first, second } => Self::Swap(first, second),
            ref other => panic!("{other:?} cannot be held before it is done"),
        }
    }

    fn change(&self) -> Change<'_> {
        let guard = Guard::None;
        match self {
            Self::Put(database, key, value) => {
                let (kind, expires) = (Kind::Raw, Expires::Never);
                Change::Put { key: KeyRef::new(*database, key), guard, value, kind, expires }
            }
            Self::Delete(database, key) => Change::Delete { key: KeyRef::new(*database, key), guard },
            Self::Clear(database) => Change::Clear { database: *database },
            Self::Swap(first, second) => Change::Swap { first: *first, second: *second },
        }
    }
}

impl HeldEngine {
    /// Puts an engine into a test's hands. It has to answer at once.
    pub fn new(inner: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { inner, next: Mutex::default(), keys_read: AtomicU64::new(0) })
    }

    /// Holds the next read or write; if more are asked for, each the next one in turn.
    pub fn hold_next(&self, moment: Moment) -> Arc<HeldCall> {
        let call = Arc::new(HeldCall { moment, state: Mutex::default() });
        self.next.lock().push_back(call.clone());
        call
    }

    /// Whether every call that was to be held has come.
    pub fn is_holding(&self) -> bool {
        self.next.lock().is_empty()
    }

    /// How many keys were read so far.
    pub fn keys_read(&self) -> u64 {
        self.keys_read.load(Ordering::SeqCst)
    }

    fn next_call(&self) -> Option<Arc<HeldCall>> {
        self.next.lock().pop_front()
    }

    fn read_owned(
        &self,
        keys: &[KeyRef<'_>],
        isolation: Isolation,
        now_ms: u64,
    ) -> Result<(Vec<Option<OwnedEntry>>, Seen)> {
        let mut entries = Vec::new();
        let mut collect = |_: usize, entry: Option<EntryRef<'_>>| entries.push(entry.map(OwnedEntry::from));
        let seen = self.inner.read(keys, isolation, now_ms, &mut collect).wait()?;
        Ok((entries, seen))
    }

    fn held_read<'a>(
        &'a self,
        call: Arc<HeldCall>,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
    ) -> impl Future<Output = Result<(Vec<Option<OwnedEntry>>, Seen)>> + Send + 'a {
        let done = (call.moment == Moment::After).then(|| self.read_owned(keys, isolation, now_ms));
        async move {
            call.held().await;
            done.unwrap_or_else(|| self.read_owned(keys, isolation, now_ms))
        }
    }
}

impl Engine for HeldEngine {
    fn capabilities(&self) -> Capabilities {
        Capabilities { waits: true, ..self.inner.capabilities() }
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        self.keys_read.fetch_add(keys.len() as u64, Ordering::SeqCst);
        let Some(call) = self.next_call() else { return self.inner.read(keys, isolation, now_ms, visit) };
        let answer = self.held_read(call, keys, isolation, now_ms);
        Eventual::later(async move {
            let (entries, seen) = answer.await?;
            for (index, entry) in entries.iter().enumerate() {
                visit(index, entry.as_ref().map(OwnedEntry::as_entry));
            }
            Ok(seen)
        })
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        self.inner.scan(scan, now_ms)
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        let Some(call) = self.next_call() else { return self.inner.write(batch, now_ms) };
        if call.moment == Moment::After || call.state.lock().let_go {
            call.state.lock().outcome = Some(self.inner.write(batch, now_ms).wait());
        } else {
            let owned: Vec<_> = batch.changes.iter().map(OwnedChange::new).collect();
            let inner = self.inner.clone();
            call.state.lock().work = Some(Box::new(move || {
                let changes: Vec<_> = owned.iter().map(OwnedChange::change).collect();
                inner.write(Batch::of(&changes), now_ms).wait()
            }));
        }
        Eventual::later(call.outcome())
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        self.inner.update(key, now_ms, edit)
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        self.inner.durable(upto)
    }

    fn status(&self) -> Eventual<'_, Status> {
        self.inner.status()
    }

    fn tell_removals(&self, removals: &Arc<Removals>) -> bool {
        self.inner.tell_removals(removals)
    }

    fn save(&self) -> Eventual<'_, ()> {
        self.inner.save()
    }

    fn close(&self) -> Eventual<'_, ()> {
        self.inner.close()
    }
}
