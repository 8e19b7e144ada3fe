//! How far changes are: given a number, written to the log, synced to the disk; and who waits for it.
//!
//! A number is given before its change can be seen, written when SQLite's commit has returned, and
//! synced by one thread that syncs the write-ahead log for everyone at once. A sync that fails is
//! not tried again: from then on every call fails.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tresor::{Error, Result, config::Durability, engine::Sequence, files::File};

use crate::failure;

/// Numbers, and what is promised of them.
pub(crate) struct Progress {
    path: PathBuf,
    durability: Durability,
    /// The latest number that any change may have been seen with.
    given: AtomicU64,
    /// The latest that removed an entry or brought one with an old version.
    removed: AtomicU64,
    /// Everything through this number is on disk.
    synced: AtomicU64,
    /// Nothing works any more: poisoned or closed.
    ended: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Everything through this number has been committed, or never will be.
    written: Sequence,
    /// Somebody waits for this number.
    wanted: Sequence,
    /// When the oldest change that is not synced was written.
    unsynced_since: Option<Instant>,
    poison: Option<Error>,
    closed: bool,
    stopping: bool,
    waiting: Vec<Waker>,
}

impl Progress {
    /// Everything through `latest` is on disk.
    pub(crate) fn new(path: PathBuf, durability: Durability, latest: Sequence) -> Self {
        Self {
            path,
            durability,
            given: latest.into(),
            removed: 0.into(),
            synced: latest.into(),
            ended: false.into(),
            state: Mutex::new(State { written: latest, ..State::default() }),
            changed: Condvar::new(),
        }
    }

    /// The latest number that anybody can have seen.
    pub(crate) fn given(&self) -> Sequence {
        self.given.load(Ordering::Acquire)
    }

    /// The latest removal that anybody can have seen.
    pub(crate) fn removed(&self) -> Sequence {
        self.removed.load(Ordering::Acquire)
    }

    /// Refuses every call once the store is closed or its disk has failed.
    pub(crate) fn usable(&self) -> Result<()> {
        if !self.ended.load(Ordering::Acquire) {
            return Ok(());
        }
        match &self.state.lock().poison {
            Some(poison) => Err(poison.again()),
            None => Err(failure::closed(&self.path)),
        }
    }

    /// Before a commit: its changes may be seen with numbers through `latest`.
    pub(crate) fn give(&self, latest: Sequence, removed: Option<Sequence>) {
        self.given.store(latest, Ordering::Release);
        if let Some(removed) = removed {
            self.removed.store(removed, Ordering::Release);
        }
    }

    /// After a commit, whether it went well or not. In the order of the numbers.
    pub(crate) fn written(&self, latest: Sequence) {
        let mut state = self.state.lock();
        state.written = latest;
        if state.unsynced_since.is_none() && self.durability != Durability::None {
            state.unsynced_since = Some(Instant::now());
            self.changed.notify_one();
        }
    }

    /// Ends everything: what the disk has is not known.
    pub(crate) fn poison(&self, cause: &str) -> Error {
        let mut state = self.state.lock();
        let poison = state.poison.get_or_insert_with(|| failure::poisoned(&self.path, cause)).again();
        self.ended.store(true, Ordering::Release);
        wake(state);
        poison
    }

    /// What is known of the promise for everything through `upto`; `None` while it is not.
    pub(crate) fn kept(&self, upto: Sequence) -> Option<Result<()>> {
        if !self.ended.load(Ordering::Acquire) {
            match self.durability {
                Durability::None => return Some(Ok(())),
                _ if upto.min(self.given()) <= self.synced.load(Ordering::Acquire) => return Some(Ok(())),
                _ => {}
            }
        }
        self.kept_or_wait(upto, None)
    }

    /// Waits until the promise for everything through `upto` is kept.
    pub(crate) async fn durable(&self, upto: Sequence) -> Result<()> {
        std::future::poll_fn(|context| match self.kept_or_wait(upto, Some(context.waker())) {
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        })
        .await
    }

    fn kept_or_wait(&self, upto: Sequence, waker: Option<&Waker>) -> Option<Result<()>> {
        let mut state = self.state.lock();
        if let Some(poison) = &state.poison {
            return Some(Err(poison.again()));
        }
        let upto = upto.min(self.given());
        let kept = match self.durability {
            Durability::None => true,
            Durability::Always => upto <= self.synced.load(Ordering::Acquire),
            // Written is enough, as long as the disk follows within the interval.
            Durability::Interval { ms } => {
                upto <= self.synced.load(Ordering::Acquire)
                    || upto <= state.written
                        && state
                            .unsynced_since
                            .is_none_or(|since| since.elapsed() < Duration::from_millis(ms))
            }
        };
        if kept {
            return Some(Ok(()));
        }
        if state.closed {
            return Some(Err(failure::closed(&self.path)));
        }
        if state.wanted < upto {
            state.wanted = upto;
            self.changed.notify_one();
        }
        if let Some(waker) = waker
            && !state.waiting.iter().any(|waiting| waiting.will_wake(waker))
        {
            state.waiting.push(waker.clone());
        }
        None
    }

    /// Syncs the log for whoever waits, until told to stop. Then everything written has been synced.
    pub(crate) fn sync(&self, log: &Arc<dyn File>) {
        loop {
            let mut state = self.state.lock();
            self.wait(&mut state);
            let written = state.written;
            let behind = written > self.synced.load(Ordering::Acquire);
            if state.poison.is_some() || (state.stopping && !behind) {
                return;
            }
            drop(state);
            let started = Instant::now();
            if behind && let Err(error) = log.sync() {
                self.poison(&format!("a sync failed: {error}"));
                return;
            }
            self.synced.store(written, Ordering::Release);
            let mut state = self.state.lock();
            // What was written meanwhile is younger than this sync.
            state.unsynced_since = (state.written > written).then_some(started);
            wake(state);
        }
    }

    /// Waits until there is something to sync.
    fn wait(&self, state: &mut MutexGuard<'_, State>) {
        let interval = match self.durability {
            Durability::Interval { ms } => Duration::from_millis(ms),
            // Nobody waits for these: they only must not stay unsynced for good.
            Durability::Always | Durability::None => Duration::from_secs(1),
        };
        while !(state.stopping || state.poison.is_some()) {
            let synced = self.synced.load(Ordering::Acquire);
            if state.wanted > synced && state.written > synced {
                return;
            }
            match state.unsynced_since {
                None => self.changed.wait(state),
                Some(since) => {
                    if self.changed.wait_until(state, since + interval).timed_out() {
                        return;
                    }
                }
            }
        }
    }

    /// Refuses further calls.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.ended.store(true, Ordering::Release);
    }

    /// Lets [`sync`](Self::sync) end.
    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
    }

    /// After the last sync: nobody waits any longer.
    pub(crate) fn end(&self) -> Result<()> {
        let state = self.state.lock();
        let poison = state.poison.as_ref().map(Error::again);
        wake(state);
        poison.map_or(Ok(()), Err)
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let waiting = std::mem::take(&mut state.waiting);
    drop(state);
    waiting.into_iter().for_each(Waker::wake);
}
