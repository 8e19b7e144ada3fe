//! The two threads of an engine with a log: one that sweeps, one that saves.
//!
//! The sweep gives back what has expired or is not needed any more; it does a bounded amount of work
//! under each lock. Saving has its own thread at low priority, because it may take seconds and must not
//! make the sweep, or a client, wait. Both end, and are joined, when the engine closes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::RemovalTeller;
use crate::{
    clock::{Clock, StoreTime},
    error::{Error, ErrorKind, Result},
    oplog::Log,
};

/// Between two looks for expired entries: with what the memory engine's notes are coarse by, 99 of 100 entries
/// go within 100 ms of being due.
const SWEEP_EVERY: Duration = Duration::from_millis(50);

/// The same where somebody wants to hear of each.
const SWEEP_WHEN_TOLD: Duration = Duration::from_millis(20);

/// What the threads do for their engine.
pub(super) struct Chores {
    /// Gives back what is not needed any more by store time; returns soon once the flag is set.
    pub(super) sweep: Box<Sweep>,
    /// Whoever is told of removals, and then soon.
    pub(super) removals: RemovalTeller,
    /// The log, and how to make a point to start from without most of it; gives up once the flag is set.
    pub(super) save: Option<(Arc<Log>, Box<Save>)>,
}

type Sweep = dyn Fn(&StoreTime, &AtomicBool) + Send + Sync;
type Save = dyn Fn(&AtomicBool) -> Result<()> + Send + Sync;

/// When snapshots are taken by themselves, and the time before which nothing happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// The latest time in the log, in Unix milliseconds.
    pub(super) time_floor_ms: u64,
    pub(super) log_bytes: u64,
    pub(super) interval: Duration,
}

/// The threads, and how to talk to them.
pub(super) struct Background {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    chores: Chores,
    clock: Arc<dyn Clock>,
    saves: Mutex<Saves>,
    save_wanted: Condvar,
    stop: AtomicBool,
    sweep: Mutex<()>,
    stop_sweep: Condvar,
}

/// Saves asked for and done, by number.
#[derive(Default)]
struct Saves {
    wanted: u64,
    done: u64,
    failure: Option<(u64, Error)>,
    waiting: Vec<Waker>,
}

impl Background {
    /// Starts the sweep, and with a log the thread that saves on request and on `schedule`. What expires
    /// is judged by store time, which begins at `schedule.time_floor_ms`.
    pub(super) fn start(chores: Chores, clock: Arc<dyn Clock>, schedule: Schedule) -> Result<Self> {
        let time = StoreTime::new(clock.clone(), schedule.time_floor_ms);
        let saving = chores.save.is_some();
        let shared = Arc::new(Shared {
            chores,
            clock,
            saves: Mutex::default(),
            save_wanted: Condvar::new(),
            stop: AtomicBool::new(false),
            sweep: Mutex::new(()),
            stop_sweep: Condvar::new(),
        });
        let background = Self { shared: shared.clone(), threads: Mutex::default() };
        let sweeper = shared.clone();
        background.spawn("tresor-sweep", move || sweeper.sweep(&time))?;
        if saving {
            background.spawn("tresor-save", move || shared.save(schedule))?;
        }
        Ok(background)
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("cannot start the thread {name}")).caused_by(error)
        })?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Asks for a snapshot of everything that is there now, and answers when it is on disk.
    pub(super) async fn save(&self) -> Result<()> {
        let number = {
            let mut saves = self.shared.saves.lock();
            saves.wanted += 1;
            saves.wanted
        };
        self.shared.save_wanted.notify_one();
        std::future::poll_fn(|context| {
            let mut saves = self.shared.saves.lock();
            if saves.done >= number {
                return Poll::Ready(match &saves.failure {
                    Some((failed, error)) if *failed >= number => Err(error.again()),
                    _ => Ok(()),
                });
            }
            if self.shared.stop.load(Ordering::Acquire) {
                return Poll::Ready(Err(Error::new(ErrorKind::Unavailable, "the store is closing")));
            }
            saves.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Ends the threads and waits for them.
    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        // Under the locks, so that a thread between its look and its wait does not miss this.
        drop(self.shared.sweep.lock());
        self.shared.stop_sweep.notify_all();
        drop(self.shared.saves.lock());
        self.shared.save_wanted.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a background thread of the engine panicked");
            }
        }
        let waiting = std::mem::take(&mut self.shared.saves.lock().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn sweep(&self, time: &StoreTime) {
        let mut pause = self.sweep.lock();
        while !self.stopped() {
            let every = if self.chores.removals.are_told() { SWEEP_WHEN_TOLD } else { SWEEP_EVERY };
            self.stop_sweep.wait_for(&mut pause, every);
            (self.chores.sweep)(time, &self.stop);
        }
    }

    fn save(&self, schedule: Schedule) {
        let Some((log, save)) = &self.chores.save else { return };
        lower_priority();
        let mut last_ns = self.clock.monotonic_ns();
        let mut last_bytes = 0;
        loop {
            let wanted = {
                let mut saves = self.saves.lock();
                if saves.wanted == saves.done && !self.stopped() {
                    self.save_wanted.wait_for(&mut saves, Duration::from_secs(1));
                }
                if self.stopped() {
                    return;
                }
                saves.wanted
            };
            let asked = wanted > self.saves.lock().done;
            if !asked && !self.is_scheduled(log, schedule, last_ns, last_bytes) {
                continue;
            }
            let result = save(&self.stop);
            last_ns = self.clock.monotonic_ns();
            last_bytes = log.status().written_bytes;
            log.note_snapshot(result.as_ref().err());
            if let Err(error) = &result {
                tracing::error!(%error, "the snapshot failed; the log still has every change");
            }
            self.finish(wanted, result);
        }
    }

    fn finish(&self, wanted: u64, result: Result<()>) {
        let waiting = {
            let mut saves = self.saves.lock();
            saves.done = saves.done.max(wanted);
            if let Err(error) = result {
                saves.failure = Some((wanted, error));
            }
            std::mem::take(&mut saves.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    fn is_scheduled(&self, log: &Log, schedule: Schedule, last_ns: u64, last_bytes: u64) -> bool {
        let status = log.status();
        let elapsed = Duration::from_nanos(self.clock.monotonic_ns().saturating_sub(last_ns));
        status.latest > status.last_snapshot
            && (status.written_bytes.saturating_sub(last_bytes) >= schedule.log_bytes
                || elapsed >= schedule.interval)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Puts the calling thread behind all others. Where the system does not let it, saving costs more.
fn lower_priority() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), 19) {
        tracing::debug!(%error, "the saving thread keeps its priority");
    }
}
