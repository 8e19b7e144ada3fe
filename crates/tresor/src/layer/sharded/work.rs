//! What is done in the background: mending batches that were left in half, and moving keys.
//!
//! One thread, which the layer joins. Mending comes first: a shard that may have half of a batch is set
//! apart until it has the whole, and keys are only moved between shards that are whole.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::{
    core::Core,
    moving::{self, Stepped},
    rebalance::{Pace, Progress},
    wanted::Wanted,
    whole,
};
use crate::{
    engine::block_on,
    error::{Error, ErrorKind, Result},
};

/// After a failure, until the next attempt.
const RETRY: Duration = Duration::from_millis(50);

/// A batch of which some shards may not have their part.
pub(super) struct Unmended {
    pub(super) intent: Option<u64>,
    pub(super) parts: Vec<Wanted>,
}

/// What there is to do, and the signal that there is more.
#[derive(Default)]
pub(super) struct Work {
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    stop: bool,
    unmended: Vec<Unmended>,
    pace: Pace,
    progress: Progress,
    /// When the move, or this run of it, began.
    began_ns: u64,
}

impl Core {
    /// Sees to it that these shards get what is wanted, and sets them apart until they have.
    pub(super) fn mend(&self, intent: Option<u64>, parts: Vec<Wanted>) {
        for part in &parts {
            if let Some(member) = self.named(&part.shard) {
                member.set_broken(true);
            }
        }
        self.work.state.lock().unmended.push(Unmended { intent, parts });
        self.work.changed.notify_all();
    }

    /// Has everything mended that can be; whether there is nothing more to mend.
    pub(super) fn mend_all(&self) -> Result<()> {
        let unmended = std::mem::take(&mut self.work.state.lock().unmended);
        let mut outcome = Ok(());
        for mut batch in unmended {
            let mut left = Vec::new();
            for part in batch.parts {
                let Some(member) = self.named(&part.shard) else { continue };
                if let Err(error) = block_on(part.enforce(member)) {
                    outcome = Err(error);
                    left.push(part);
                }
            }
            batch.parts = left;
            if batch.parts.is_empty() {
                outcome = outcome.and(block_on(whole::forget(self, batch.intent)));
            } else {
                self.work.state.lock().unmended.push(batch);
            }
        }
        self.free_mended();
        outcome
    }

    /// Takes back those shards of which nothing is left to mend.
    fn free_mended(&self) {
        let state = self.work.state.lock();
        for (_, member) in self.members() {
            let waits = |batch: &Unmended| batch.parts.iter().any(|part| part.shard == member.name);
            if !state.unmended.iter().any(waits) {
                member.set_broken(false);
            }
        }
    }

    fn run(&self) {
        loop {
            {
                let mut state = self.work.state.lock();
                while !state.stop && state.unmended.is_empty() && !state.progress.moving {
                    self.work.changed.wait(&mut state);
                }
                if state.stop {
                    return;
                }
            }
            let begun_ns = self.clock.monotonic_ns();
            match self.mend_all().and_then(|()| moving::step(self)) {
                Ok(stepped) => {
                    self.stepped(stepped);
                    self.keep_pace(stepped, begun_ns);
                }
                Err(error) => {
                    tracing::warn!(%error, "shards are not as they are to be; it is tried again");
                    self.work.state.lock().progress.trouble = Some(error.to_string());
                    self.pause(RETRY);
                }
            }
        }
    }

    /// Has the thread move keys to where the routes lead.
    pub(super) fn start_moving(&self, expected_keys: u64) {
        let mut state = self.work.state.lock();
        state.progress = Progress { moving: true, expected_keys, ..Progress::default() };
        state.began_ns = self.clock.monotonic_ns();
        drop(state);
        self.work.changed.notify_all();
    }

    fn stepped(&self, stepped: Stepped) {
        let mut state = self.work.state.lock();
        if !state.progress.moving {
            return;
        }
        let elapsed_ns = self.clock.monotonic_ns().saturating_sub(state.began_ns);
        let progress = &mut state.progress;
        progress.keys += stepped.keys;
        progress.bytes += stepped.bytes;
        progress.elapsed_ms = elapsed_ns / 1_000_000;
        progress.keys_per_second =
            (u128::from(progress.keys) * 1_000_000_000 / u128::from(elapsed_ns.max(1))) as u64;
        progress.moving = !stepped.last;
        progress.trouble = None;
        if stepped.last {
            drop(state);
            self.work.changed.notify_all();
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.work.state.lock().progress.clone()
    }

    /// Blocks until nothing is moving, or the layer is closed.
    pub(super) fn wait_for_move(&self) {
        let mut state = self.work.state.lock();
        while state.progress.moving && !state.stop {
            self.work.changed.wait(&mut state);
        }
    }

    pub(super) fn set_pace(&self, pace: Pace) {
        self.work.state.lock().pace = pace;
        self.work.changed.notify_all();
    }

    /// Waits as long as a step takes at the pace, which may be changed meanwhile, or until there is something to mend
    /// or the layer is closed.
    fn keep_pace(&self, stepped: Stepped, begun_ns: u64) {
        let mut state = self.work.state.lock();
        while !state.stop && state.unmended.is_empty() {
            let took_ns = self.clock.monotonic_ns().saturating_sub(begun_ns);
            let left = Duration::from_nanos(state.pace.due_ns(stepped).saturating_sub(took_ns));
            if left.is_zero() || self.work.changed.wait_for(&mut state, left).timed_out() {
                return;
            }
        }
    }

    /// Waits, or until the layer is closed.
    fn pause(&self, time: Duration) {
        let mut state = self.work.state.lock();
        if !state.stop {
            self.work.changed.wait_for(&mut state, time);
        }
    }
}

impl Pace {
    /// How long a step takes at this pace.
    fn due_ns(self, stepped: Stepped) -> u64 {
        let due = |done: u64, per_second: Option<u64>| match per_second {
            Some(per_second) => (u128::from(done) * 1_000_000_000 / u128::from(per_second.max(1))) as u64,
            None => 0,
        };
        due(stepped.keys, self.keys_per_second).max(due(stepped.bytes, self.bytes_per_second))
    }
}

/// The thread.
pub(super) struct Worker(Mutex<Option<JoinHandle<()>>>);

impl Worker {
    pub(super) fn start(core: Arc<Core>) -> Result<Self> {
        let thread = thread::Builder::new()
            .name("tresor-shards".to_owned())
            .spawn(move || core.run())
            .map_err(|error| Error::new(ErrorKind::Unavailable, "cannot start a thread").caused_by(error))?;
        Ok(Self(Mutex::new(Some(thread))))
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(&self, core: &Core) {
        core.work.state.lock().stop = true;
        core.work.changed.notify_all();
        if let Some(thread) = self.0.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that moves keys between shards has panicked");
        }
    }
}
