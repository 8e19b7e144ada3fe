//! The thread that builds indexes: reads the store for new ones, and puts vectors into graphs.
//!
//! It reads pages as any client does and holds no lock meanwhile, so that writers go on; what they change is noted
//! beside, and a version that was noted is never replaced by an older one that was read.

use std::{
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::Index;
use crate::{
    clock::Clock,
    engine::{Content, Engine, Order, Scan, behind_prefix},
    error::{Error, ErrorKind, Result},
};

/// Entries of a page.
const PAGE_ENTRIES: usize = 512;

/// Vectors that are put into a graph before anything else is looked at.
const VECTORS: usize = 64;

/// After a failure, until the next attempt.
const RETRY: Duration = Duration::from_millis(500);

/// What there is to do.
#[derive(Default)]
pub(super) struct Work {
    state: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
}

#[derive(Default)]
struct State {
    list: Vec<Arc<Index>>,
    woken: bool,
}

impl Work {
    /// These are the indexes now.
    pub(super) fn set(&self, list: Vec<Arc<Index>>) {
        self.state.lock().list = list;
        self.wake();
    }

    /// There is something to do.
    pub(super) fn wake(&self) {
        self.state.lock().woken = true;
        self.changed.notify_one();
    }

    fn stops(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Waits for something to do; what has failed is tried again after a while.
    fn rest(&self, retries: bool) {
        let mut state = self.state.lock();
        if !state.woken && !self.stops() {
            match retries {
                true => drop(self.changed.wait_for(&mut state, RETRY)),
                false => self.changed.wait(&mut state),
            }
        }
        state.woken = false;
    }
}

/// The thread, once it was needed.
pub(super) struct Builder {
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    work: Arc<Work>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Builder {
    pub(super) fn new(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>, work: Arc<Work>) -> Self {
        Self { engine, clock, work, thread: Mutex::default() }
    }

    /// Starts the thread, unless it runs.
    pub(super) fn start(&self) -> Result<()> {
        let mut thread = self.thread.lock();
        if thread.is_some() {
            return Ok(());
        }
        let run = Run { engine: self.engine.clone(), clock: self.clock.clone(), work: self.work.clone() };
        let started = thread::Builder::new().name("tresor-index".into()).spawn(move || run.run());
        *thread = Some(started.map_err(|error| {
            Error::new(ErrorKind::Unavailable, "cannot start the thread that builds indexes").caused_by(error)
        })?);
        Ok(())
    }

    /// Ends it and waits for it.
    pub(super) fn stop(&self) {
        self.work.stop.store(true, Relaxed);
        self.work.wake();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that builds indexes panicked");
        }
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Run {
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    work: Arc<Work>,
}

impl Run {
    fn run(&self) {
        while !self.work.stops() {
            let list = self.work.state.lock().list.clone();
            let (mut busy, mut failed) = (false, false);
            for index in &list {
                if index.is_worn() {
                    index.restart(false);
                }
                if index.is_waiting_to_be_built() {
                    failed |= !self.build(index);
                    busy |= !failed;
                }
                busy |= index.insert_some(VECTORS);
            }
            if !busy {
                self.work.rest(failed);
            }
        }
    }

    /// Reads everything that belongs to an index; whether that went well.
    fn build(&self, index: &Index) -> bool {
        let generation = index.start_reading();
        let result = self.read(index, generation);
        if let Err(error) = &result
            && !self.work.stops()
        {
            tracing::warn!(index = index.definition.name(), %error, "an index could not be built; it is tried again");
        }
        let went_well = result.is_ok();
        index.finish_reading(generation, result.err().map(|error| error.to_string()));
        went_well
    }

    fn read(&self, index: &Index, generation: u64) -> Result<()> {
        let definition = &index.definition;
        let upper = behind_prefix(definition.prefix());
        // Bounds need an order, which memory has to make first; a disk has it, and reads less with it.
        let is_bounded = self.engine.capabilities().waits && self.engine.capabilities().ordered;
        let order = if is_bounded { Order::Ascending } else { Order::Any };
        let all = Scan::all(definition.database(), order, Content::Entries, PAGE_ENTRIES);
        let mut scan = Scan {
            lower: Bound::Included(definition.prefix()),
            upper: upper.as_ref().map(Vec::as_slice),
            ..all
        };
        let mut read = 0;
        loop {
            let mut page = self.engine.scan(&scan, self.clock.now_ms()).wait()?;
            for (key, entry) in page.iter().filter(|(key, _)| definition.covers(*key)) {
                let part = definition.part(entry.value.bytes());
                if !index.note_read(generation, key.key, entry.version, part) {
                    return Ok(());
                }
            }
            read += page.len() as u64;
            let Some(next) = page.next.take() else { return Ok(()) };
            if self.work.stops() {
                return Err(Error::new(ErrorKind::Unavailable, "the store is being closed"));
            }
            if !index.progressed(generation, read) {
                return Ok(());
            }
            scan.position = next;
        }
    }
}
