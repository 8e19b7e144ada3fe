//! An engine whose disk is slow or breaks when the test says so.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use tresor::{
    Error, ErrorKind,
    engine::{
        Batch, Capabilities, Edit, Engine, Eventual, Isolation, KeyRef, Outcome, Page, Scan, Seen, Sequence,
        Status, Visit,
    },
};
use tresor_testkit::ModelEngine;

/// The model engine, on a disk that the test moves.
#[derive(Default)]
pub struct SlowDisk {
    model: ModelEngine,
    disk: Mutex<Disk>,
}

#[derive(Default)]
struct Disk {
    durable: Sequence,
    broken: bool,
    waiting: Vec<Waker>,
    /// Calls that had to wait.
    waits: u64,
}

impl SlowDisk {
    /// A disk that has nothing yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Everything written so far, and up to `sequence`, is durable from now on.
    pub fn sync(&self, sequence: Sequence) {
        self.change(|disk| disk.durable = sequence);
    }

    /// Nothing more will ever be durable.
    pub fn break_down(&self) {
        self.change(|disk| disk.broken = true);
    }

    /// How many answers have had to wait for the disk.
    pub fn waits(&self) -> u64 {
        self.disk.lock().expect("no test panics here").waits
    }

    fn change(&self, change: impl FnOnce(&mut Disk)) {
        let mut disk = self.disk.lock().expect("no test panics here");
        change(&mut disk);
        disk.waiting.drain(..).for_each(Waker::wake);
    }

    fn look(&self, upto: Sequence) -> Option<tresor::Result<()>> {
        let disk = self.disk.lock().expect("no test panics here");
        if disk.broken {
            return Some(Err(Error::new(ErrorKind::Poisoned, "the disk is broken")));
        }
        (disk.durable >= upto).then_some(Ok(()))
    }
}

impl Engine for SlowDisk {
    fn capabilities(&self) -> Capabilities {
        self.model.capabilities()
    }

    fn read<'a>(
        &'a self,
        keys: &'a [KeyRef<'a>],
        isolation: Isolation,
        now_ms: u64,
        visit: &'a mut Visit<'a>,
    ) -> Eventual<'a, Seen> {
        self.model.read(keys, isolation, now_ms, visit)
    }

    fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
        self.model.scan(scan, now_ms)
    }

    fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
        self.model.write(batch, now_ms)
    }

    fn update<'a>(&'a self, key: KeyRef<'a>, now_ms: u64, edit: &'a mut Edit<'_>) -> Eventual<'a, Outcome> {
        self.model.update(key, now_ms, edit)
    }

    fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        if let Some(result) = self.look(upto) {
            return Eventual::Now(result);
        }
        self.disk.lock().expect("no test panics here").waits += 1;
        Eventual::later(poll_fn(move |context| {
            self.disk.lock().expect("no test panics here").waiting.push(context.waker().clone());
            self.look(upto).map_or(Poll::Pending, Poll::Ready)
        }))
    }

    fn status(&self) -> Eventual<'_, Status> {
        self.model.status()
    }

    fn save(&self) -> Eventual<'_, ()> {
        self.model.save()
    }

    fn close(&self) -> Eventual<'_, ()> {
        self.model.close()
    }
}
