//! When the file is saved, who waits for that, and what becomes of changes that no file got.
//!
//! One lock has everything: whoever writes holds it while the entries change, so that a save sees a
//! state between two batches and everything through one number. The text is made under it, the disk is
//! waited for without it, and changes that come meanwhile share the next save.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Poll, Waker},
    time::Instant,
};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{
    JsonFileOptions, document,
    place::{Failed, Place},
    undo::{Undo, pages},
};
use crate::{
    clock::Clock,
    engine::{DATABASES, Engine, Page, Sequence, memory::MemoryEngine},
    error::{Error, ErrorKind, Result},
};

/// Failed saves that are remembered for those who still wait: more than any store has callers.
const FAILURES: usize = 4096;

/// The entries, and how far the file has them.
pub(super) struct Saver {
    pub(super) memory: Arc<MemoryEngine>,
    clock: Arc<dyn Clock>,
    options: JsonFileOptions,
    state: Mutex<State>,
    changed: Condvar,
}

/// How far the file is, and what it does not have.
#[derive(Default)]
pub(super) struct State {
    /// The number of the last change.
    latest: Sequence,
    /// The file has everything through this number.
    saved: Sequence,
    /// Changes since the last save began.
    changes: u64,
    /// How to take back what the file does not have, oldest first.
    undo: Vec<Undo>,
    /// Numbers behind the first, through the second, were taken back, and why.
    failures: VecDeque<(Sequence, Sequence, Error)>,
    /// Saves asked for and done, by number.
    wanted: u64,
    done: u64,
    save_failure: Option<(u64, Error)>,
    poison: Option<Error>,
    closing: bool,
    ended: bool,
    waiting: Vec<Waker>,
}

impl Saver {
    pub(super) fn new(memory: Arc<MemoryEngine>, clock: Arc<dyn Clock>, options: JsonFileOptions) -> Self {
        Self { memory, clock, options, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Whether a change is promised to be saved, and taken back where it cannot be.
    pub(super) fn waits(&self) -> bool {
        self.options.waits
    }

    /// The right to change entries, for as long as it is held.
    pub(super) fn begin(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state.lock();
        match &state.poison {
            Some(poison) => Err(poison.again()),
            None if state.closing => Err(closed()),
            None => Ok(state),
        }
    }

    /// Notes what was changed through `sequence`.
    pub(super) fn changed(&self, state: &mut State, undo: Undo, sequence: Sequence) {
        if sequence <= state.latest {
            return;
        }
        let first = state.latest == state.saved;
        state.latest = sequence;
        state.changes += 1;
        if self.options.waits {
            state.undo.push(undo);
        }
        if first || state.changes >= self.options.batch_size {
            self.changed.notify_one();
        }
    }

    /// Waits until the file has everything through `upto`, where that is promised.
    pub(super) async fn durable(&self, upto: Sequence) -> Result<()> {
        std::future::poll_fn(|context| {
            let mut state = self.state.lock();
            match state.kept(upto, self.options.waits) {
                Some(result) => Poll::Ready(result),
                None => {
                    state.waiting.push(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Saves now.
    pub(super) async fn save(&self) -> Result<()> {
        let number = {
            let mut state = self.begin()?;
            state.wanted += 1;
            state.wanted
        };
        self.changed.notify_one();
        std::future::poll_fn(|context| {
            let mut state = self.state.lock();
            if state.done < number && !state.ended {
                state.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(match &state.save_failure {
                Some((failed, error)) if *failed >= number => Err(error.again()),
                _ if state.done < number => Err(closed()),
                _ => Ok(()),
            })
        })
        .await
    }

    /// Makes later changes `Unavailable`, and lets [`run`](Self::run) end after one more save.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.changed.notify_one();
    }

    /// Saves until the store is closed; the result is that of the last save.
    pub(super) fn run(&self, mut place: Place) -> Result<()> {
        loop {
            let mut state = self.state.lock();
            self.wait(&mut state);
            let (closing, unsaved) = (state.closing, state.latest > state.saved);
            if state.poison.is_some() || (closing && !unsaved && state.wanted == state.done) {
                return self.end(state);
            }
            let outcome = self.save_once(state, &mut place);
            if closing && outcome.is_err() {
                return self.end(self.state.lock()).and(outcome);
            }
        }
    }

    /// Waits for something to do.
    fn wait(&self, state: &mut MutexGuard<'_, State>) {
        let mut due = Instant::now() + self.options.auto_save_interval;
        while !(state.closing || state.wanted > state.done || state.changes >= self.options.batch_size) {
            if state.latest == state.saved {
                self.changed.wait(state);
                due = Instant::now() + self.options.auto_save_interval;
            } else if self.changed.wait_until(state, due).timed_out() {
                return;
            }
        }
    }

    fn save_once(&self, mut state: MutexGuard<'_, State>, place: &mut Place) -> Result<()> {
        let (upto, undone, number) = (state.latest, state.undo.len(), state.wanted);
        state.changes = 0;
        let text = self.text();
        drop(state);
        let outcome = match text {
            Ok(text) => place.save(&text),
            Err(error) => Err(Failed::Before(error)),
        };
        let mut state = self.state.lock();
        state.done = number;
        let outcome = match outcome {
            Ok(()) => {
                state.saved = upto;
                state.undo.drain(..undone);
                Ok(())
            }
            Err(failed) => Err(self.fail(&mut state, number, failed)),
        };
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        outcome
    }

    /// Everything as a file's text. Only while the lock is held.
    fn text(&self) -> Result<Vec<u8>> {
        let now_ms = self.clock.now_ms();
        let all = (0..DATABASES).map(|database| pages(&self.memory, database, now_ms));
        let all: Vec<Vec<Page>> = all.collect::<Result<_>>()?;
        let rows = all.iter().flatten().flat_map(Page::iter).map(|(key, entry)| document::Row {
            database: key.database,
            key: key.key.into(),
            member: key.member.into(),
            value: entry.value.bytes().into(),
            kind: entry.kind,
            expires_at_ms: entry.expires_at_ms,
        });
        Ok(document::write(rows))
    }

    fn fail(&self, state: &mut State, number: u64, failed: Failed) -> Error {
        let error = match failed {
            Failed::Before(error) if self.options.waits => match self.take_back(state, &error) {
                Ok(()) => error,
                Err(worse) => state.poisoned(&worse),
            },
            Failed::Before(error) => {
                tracing::warn!(%error, "a save failed; the changes stay and are saved with the next");
                error
            }
            Failed::Unsure(error) => state.poisoned(&error),
        };
        state.save_failure = Some((number, error.again()));
        error
    }

    /// Takes back, newest first, every change that no file has.
    fn take_back(&self, state: &mut State, error: &Error) -> Result<()> {
        let undo = std::mem::take(&mut state.undo);
        undo.iter().rev().try_for_each(|undo| undo.take_back(&self.memory))?;
        if state.failures.len() == FAILURES {
            state.failures.pop_front();
        }
        state.failures.push_back((state.saved, state.latest, error.again()));
        // What there is now is what the file has.
        state.latest = self.memory.status().wait()?.sequence;
        state.saved = state.latest;
        state.changes = 0;
        Ok(())
    }

    fn end(&self, mut state: MutexGuard<'_, State>) -> Result<()> {
        state.ended = true;
        let waiting = std::mem::take(&mut state.waiting);
        let poison = state.poison.as_ref().map(Error::again);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        poison.map_or(Ok(()), Err)
    }
}

impl State {
    /// What is known of the promise for everything through `upto`; `None` while it is not.
    fn kept(&self, upto: Sequence, waits: bool) -> Option<Result<()>> {
        if let Some(poison) = &self.poison {
            return Some(Err(poison.again()));
        }
        let taken_back = self.failures.iter().find(|(from, to, _)| (*from + 1..=*to).contains(&upto));
        if let Some((_, _, error)) = taken_back {
            return Some(Err(error.again()));
        }
        // Numbers that were not given to changes were given to what has expired.
        let known = !waits || self.saved >= upto.min(self.latest);
        if self.ended && !known { Some(Err(closed())) } else { known.then_some(Ok(())) }
    }

    fn poisoned(&mut self, cause: &Error) -> Error {
        let message = "the file could not be replaced, and what is on disk is uncertain; see to the disk, \
             then start again";
        let poison = Error::new(ErrorKind::Poisoned, message).caused_by(cause.to_string());
        self.poison.get_or_insert(poison).again()
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed; open it again")
}
