//! A pretend remote engine: right answers, but never at once.
//!
//! It holds a local engine and answers every call from a future that is pending at least once and
//! woken by another thread, as a driver's runtime would. Calls are sent when made, not when polled.
//! `update` is a compare-and-set loop, so whoever captures state in an edit is found out here.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    task::{Context, Poll, Waker},
    thread::{self, JoinHandle},
};

use parking_lot::Mutex;
use tresor::{
    Error, ErrorKind, Result,
    engine::{
        Applied, Batch, Capabilities, Change, Edit, Edited, Effect, Engine, Eventual, Guard, Isolation,
        KeyRef, Outcome, Page, Removals, Scan, Seen, Sequence, Status, Visit,
    },
};

use crate::owned_entry::OwnedEntry;

/// How many answers may wait for their wake-up before further calls wait for room.
const BELLS: usize = 1024;

/// An engine whose answers all come later.
pub struct LaterEngine {
    inner: Arc<dyn Engine>,
    ringer: Mutex<Option<SyncSender<Arc<Mutex<Bell>>>>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Bell {
    rung: bool,
    waker: Option<Waker>,
}

impl LaterEngine {
    /// Puts distance between the caller and an engine.
    pub fn new(inner: Arc<dyn Engine>) -> Self {
        let (ringer, bells) = sync_channel(BELLS);
        let thread = thread::Builder::new()
            .name("later-engine".into())
            .spawn(move || ring(&bells))
            .expect("a test can start a thread");
        Self { inner, ringer: Mutex::new(Some(ringer)), thread: Some(thread) }
    }

    /// Sends a call off now: its first step runs here, the rest as the answer is polled.
    fn send<'a, T>(&'a self, call: impl Future<Output = Result<T>> + Send + 'a) -> Eventual<'a, T>
    where
        T: Send + 'a,
    {
        let mut call = Box::pin(async move {
            let answer = call.await;
            self.distance().await?;
            answer
        });
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Eventual::Now(answer),
            Poll::Pending => Eventual::Later(call),
        }
    }

    /// Suspends until the other thread says so.
    async fn distance(&self) -> Result<()> {
        let ringer = self.ringer.lock().clone();
        let gone = || Error::new(ErrorKind::Unavailable, "the thread that wakes answers is gone");
        let bell = Arc::new(Mutex::new(Bell::default()));
        Pending(false).await;
        ringer.ok_or_else(gone)?.send(bell.clone()).map_err(|_| gone())?;
        Heard(bell).await;
        Ok(())
    }

    async fn read_owned(
        &self,
        keys: &[KeyRef<'_>],
        isolation: Isolation,
        now_ms: u64,
    ) -> Result<(Vec<Option<OwnedEntry>>, Seen)> {
        let mut entries = Vec::with_capacity(keys.len());
        let mut collect = |_, entry: Option<tresor::engine::EntryRef<'_>>| {
            entries.push(entry.map(OwnedEntry::from));
        };
        let seen = self.inner.read(keys, isolation, now_ms, &mut collect).await?;
        Ok((entries, seen))
    }

    async fn compare_and_set<'a>(
        &'a self,
        key: KeyRef<'a>,
        now_ms: u64,
        edit: &'a mut Edit<'_>,
    ) -> Result<Outcome> {
        loop {
            let (entries, seen) = self.read_owned(&[key], Isolation::Each, now_ms).await?;
            self.distance().await?;
            let entry = entries.first().and_then(Option::as_ref);
            let edited = edit(entry.map(OwnedEntry::as_entry))?;
            let guard = entry.map_or(Guard::Absent, |entry| Guard::Version(entry.version));
            let Some(change) = change_of(&edited, key, guard) else {
                let effect =
                    Effect { existed: entry.is_some(), version: entry.map_or(0, |entry| entry.version) };
                let applied = Applied::Whole([effect].into_iter().collect());
                return Ok(Outcome { sequence: seen.sequence, applied });
            };
            let outcome = self.inner.write(Batch::of(&[change]), now_ms).await?;
            if matches!(outcome.applied, Applied::Whole(_)) {
                return Ok(outcome);
            }
        }
    }
}

fn change_of<'a>(edited: &'a Edited<'_>, key: KeyRef<'a>, guard: Guard) -> Option<Change<'a>> {
    match edited {
        Edited::Keep => None,
        Edited::Put { value, kind, expires } => {
            Some(Change::Put { key, guard, value, kind: *kind, expires: *expires })
        }
        Edited::Patch { offset, bytes } => Some(Change::Patch { key, guard, offset: *offset, bytes }),
        Edited::Expire(expires_at_ms) => Some(Change::Expire { key, guard, expires_at_ms: *expires_at_ms }),
        Edited::Delete => Some(Change::Delete { key, guard }),
    }
}

fn ring(bells: &Receiver<Arc<Mutex<Bell>>>) {
    for bell in bells {
        let mut bell = bell.lock();
        bell.rung = true;
        if let Some(waker) = bell.waker.take() {
            waker.wake();
        }
    }
}

/// Pending the first time it is asked, and asks to be polled again.
struct Pending(bool);

impl Future for Pending {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Ready once the bell has rung.
struct Heard(Arc<Mutex<Bell>>);

impl Future for Heard {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut bell = self.0.lock();
        if bell.rung {
            return Poll::Ready(());
        }
        bell.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for LaterEngine {
    fn drop(&mut self) {
        // The thread ends when nobody can send to it any more.
        self.ringer.lock().take();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the waking thread does not panic");
        }
    }
}

impl Engine for LaterEngine {
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
        self.send(async move {
            let (entries, seen) = self.read_owned(keys, isolation, now_ms).await?;
            self.distance().await?;
            for (index, entry) in entries.iter().enumerate() {
                visit(index, entry.as_ref().map(OwnedEntry::as_entry));
            }
            Ok(seen)
        })
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        self.send(self.inner.scan(scan, now_ms))
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        self.send(self.inner.write(batch, now_ms))
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        self.send(self.compare_and_set(key, now_ms, edit))
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, now_ms: u64) -> Eventual<'a, Sequence> {
        self.send(self.inner.adopt(entries, above, now_ms))
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        self.send(self.inner.durable(upto))
    }

    fn status(&self) -> Eventual<'_, Status> {
        self.send(self.inner.status())
    }

    fn tell_removals(&self, removals: &Arc<Removals>) -> bool {
        self.inner.tell_removals(removals)
    }

    fn save(&self) -> Eventual<'_, ()> {
        self.send(self.inner.save())
    }

    fn close(&self) -> Eventual<'_, ()> {
        self.send(self.inner.close())
    }
}
