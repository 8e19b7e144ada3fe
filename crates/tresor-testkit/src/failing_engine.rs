//! An engine that fails when it is told to: as one that is full, or cannot be reached.

use parking_lot::Mutex;
use tresor::{
    Error, ErrorKind,
    engine::{
        Batch, Capabilities, Edit, Engine, Eventual, Isolation, KeyRef, Outcome, Page, Removals, Scan, Seen,
        Sequence, Status, Visit,
    },
};

use std::sync::Arc;

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    /// Every call.
    Everything(ErrorKind),
    /// What changes something; nothing is changed.
    Writes(ErrorKind),
    /// What changes something, after it was done: the answer is lost.
    Answers,
    /// Waiting for durability, once; from then on what changes something.
    Durability(ErrorKind),
}

/// An engine in front of another.
pub struct FailingEngine {
    inner: Arc<dyn Engine>,
    fails: Mutex<Option<Fails>>,
}

impl FailingEngine {
    /// Works as the engine behind it.
    pub fn new(inner: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { inner, fails: Mutex::new(None) })
    }

    /// From now on this fails; `None`: nothing.
    pub fn set(&self, fails: Option<Fails>) {
        *self.fails.lock() = fails;
    }

    fn call<'a, T>(&self, call: impl FnOnce() -> Eventual<'a, T>) -> Eventual<'a, T> {
        match *self.fails.lock() {
            Some(Fails::Everything(kind)) => Eventual::Now(Err(failure(kind))),
            _ => call(),
        }
    }

    fn change<'a, T: Unpin>(&self, call: impl FnOnce() -> Eventual<'a, T>) -> Eventual<'a, T> {
        let fails = *self.fails.lock();
        match fails {
            Some(Fails::Everything(kind) | Fails::Writes(kind)) => Eventual::Now(Err(failure(kind))),
            Some(Fails::Answers) => {
                Eventual::Now(call().wait().and_then(|_| Err(failure(ErrorKind::UnknownOutcome))))
            }
            Some(Fails::Durability(_)) | None => call(),
        }
    }
}

fn failure(kind: ErrorKind) -> Error {
    Error::new(kind, "told to fail")
}

impl Engine for FailingEngine {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        self.call(|| self.inner.read(keys, isolation, now_ms, visit))
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        self.call(|| self.inner.scan(scan, now_ms))
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        self.change(|| self.inner.write(batch, now_ms))
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        self.change(|| self.inner.update(key, now_ms, edit))
    }

    fn adopt<'a>(&'a self, entries: &'a Page, above: Sequence, now_ms: u64) -> Eventual<'a, Sequence> {
        self.change(|| self.inner.adopt(entries, above, now_ms))
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        let mut fails = self.fails.lock();
        if let Some(Fails::Durability(kind)) = *fails {
            *fails = Some(Fails::Writes(kind));
            return Eventual::Now(Err(failure(kind)));
        }
        self.inner.durable(upto)
    }

    fn status(&self) -> Eventual<'_, Status> {
        self.call(|| self.inner.status())
    }

    fn tell_removals(&self, removals: &Arc<Removals>) -> bool {
        self.inner.tell_removals(removals)
    }

    fn save(&self) -> Eventual<'_, ()> {
        self.call(|| self.inner.save())
    }

    fn close(&self) -> Eventual<'_, ()> {
        self.inner.close()
    }
}
