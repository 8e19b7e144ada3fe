//! Where appends, waiters and the log thread meet.
//!
//! `released` is all that a caller looks at when its change is durable already: one atomic load.
//! Everything else is behind the one lock around [`Pending`]. The log thread is woken only when
//! somebody waits for it, and only if it sleeps.

use std::{
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    thread::Thread,
};

use parking_lot::Mutex;

use super::{
    identity::Identity,
    log::{Durability, LogOptions},
    pending::{Lack, Pending},
    waiters::Ticket,
};
use crate::{
    clock::Clock,
    engine::Sequence,
    error::{Error, ErrorKind, Result},
    files::Files,
};

pub(super) struct Shared {
    pub(super) files: Arc<dyn Files>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) directory: PathBuf,
    pub(super) identity: Identity,
    pub(super) options: LogOptions,
    pub(super) state: Mutex<Pending>,
    /// The first number whose durability promise is not kept yet; 0 once the log is poisoned.
    pub(super) released: AtomicU64,
    /// The last number that readers of changes may be told of: in a segment, and durable as the level promises.
    pub(super) readable: AtomicU64,
    /// The log thread sleeps, or is about to.
    pub(super) parked: AtomicBool,
    pub(super) thread: OnceLock<Thread>,
    pub(super) snapshotting: AtomicBool,
}

impl Shared {
    pub(super) fn is_released(&self, upto: Sequence) -> bool {
        self.released.load(Ordering::Acquire) > upto
    }

    /// Wakes the log thread if it sleeps. Whatever it is to see must be in `state` before.
    pub(super) fn wake(&self) {
        if self.parked.load(Ordering::SeqCst)
            && self.parked.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Makes every later call fail with this cause: what was released stays so on the disk, but
    /// nothing more is promised.
    pub(super) fn poison(&self, cause: &Error) -> Error {
        let mut woken = Vec::new();
        let error = {
            let mut state = self.state.lock();
            self.released.store(0, Ordering::SeqCst);
            let state = &mut *state;
            state.durable_waiters.take_all(&mut woken);
            state.synced_waiters.take_all(&mut woken);
            state.readers.take_all(&mut woken);
            state.room_waiters.take_all(&mut woken);
            let message = "the log could not be written, and what is on disk is uncertain; \
                 see to the disk, then start again";
            let poison = state
                .poison
                .get_or_insert_with(|| Error::new(ErrorKind::Poisoned, message).caused_by(cause.to_string()));
            poison.again()
        };
        woken.drain(..).for_each(Waker::wake);
        error
    }

    /// Tells how far the log has come, and wakes whoever waited for that.
    pub(super) fn publish(&self, written: Sequence, synced: Sequence, woken: &mut Vec<Waker>) {
        let (reached, readable) = match self.options.durability {
            Durability::None => (Sequence::MAX - 1, written),
            Durability::Interval { .. } => (written, written),
            Durability::Always => (synced, synced),
        };
        {
            let mut state = self.state.lock();
            state.synced = synced;
            if state.poison.is_none() {
                self.released.store(reached + 1, Ordering::Release);
                self.readable.store(readable, Ordering::Release);
            }
            state.readers.take_through(readable, woken);
            state.durable_waiters.take_through(reached, woken);
            state.synced_waiters.take_through(synced, woken);
        }
        woken.drain(..).for_each(Waker::wake);
    }
}

/// Which promise a [`Progress`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// What the durability level promises.
    Released,
    /// On disk, whatever the level.
    Synced,
}

/// Waits until the log has come as far as `upto`.
pub(super) struct Progress<'a> {
    shared: &'a Shared,
    goal: Goal,
    upto: Sequence,
    ticket: Ticket,
}

impl<'a> Progress<'a> {
    pub(super) fn new(shared: &'a Shared, goal: Goal, upto: Sequence) -> Self {
        Self { shared, goal, upto, ticket: Ticket::default() }
    }
}

impl Future for Progress<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { shared, goal, upto, mut ticket } = *self;
        {
            let mut state = shared.state.lock();
            // Nobody can have seen a number that was not given out.
            let upto = upto.min(state.next - 1);
            if let Some(poison) = &state.poison {
                return Poll::Ready(Err(poison.again()));
            }
            let reached = match goal {
                Goal::Released => shared.is_released(upto),
                Goal::Synced => state.synced >= upto,
            };
            if reached {
                return Poll::Ready(Ok(()));
            }
            state.wishes.write |= upto >= state.taken;
            state.wishes.sync |= goal == Goal::Synced;
            match goal {
                Goal::Released => state.durable_waiters.enter(&mut ticket, upto, context.waker()),
                Goal::Synced => state.synced_waiters.enter(&mut ticket, upto, context.waker()),
            }
        }
        self.ticket = ticket;
        shared.wake();
        Poll::Pending
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        match self.goal {
            Goal::Released => state.durable_waiters.leave(self.ticket),
            Goal::Synced => state.synced_waiters.leave(self.ticket),
        }
    }
}

/// Waits until the change `next` may be told to readers. Asks nobody to hurry: whoever waits for a change of his
/// own does, and what nobody waits for is written soon.
pub(super) struct Readable<'a> {
    shared: &'a Shared,
    next: Sequence,
    ticket: Ticket,
}

impl<'a> Readable<'a> {
    pub(super) fn new(shared: &'a Shared, next: Sequence) -> Self {
        Self { shared, next, ticket: Ticket::default() }
    }
}

impl Future for Readable<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { shared, next, mut ticket } = *self;
        {
            let mut state = shared.state.lock();
            if let Some(stopped) = state.stopped() {
                return Poll::Ready(Err(stopped));
            }
            if shared.readable.load(Ordering::Acquire) >= next {
                return Poll::Ready(Ok(()));
            }
            state.readers.enter(&mut ticket, next, context.waker());
        }
        self.ticket = ticket;
        Poll::Pending
    }
}

impl Drop for Readable<'_> {
    fn drop(&mut self) {
        self.shared.state.lock().readers.leave(self.ticket);
    }
}

/// Waits until a record of `bytes` would be let in.
pub(super) struct Room<'a> {
    shared: &'a Shared,
    bytes: usize,
    ticket: Ticket,
    /// How many attempts at a next segment there had been when this one asked for one.
    asked_at: Option<u64>,
}

impl<'a> Room<'a> {
    pub(super) fn new(shared: &'a Shared, bytes: usize) -> Self {
        Self { shared, bytes, ticket: Ticket::default(), asked_at: None }
    }
}

impl Future for Room<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let shared = self.shared;
        {
            let mut state = shared.state.lock();
            if let Some(stopped) = state.stopped() {
                return Poll::Ready(Err(stopped));
            }
            match state.lacks(self.bytes) {
                None => return Poll::Ready(Ok(())),
                Some(Lack::Buffer) => state.wishes.write = true,
                Some(Lack::Segment) => {
                    let answered = self.asked_at.is_some_and(|asked| state.attempts > asked);
                    if let Some(shortage) = &state.shortage
                        && (answered || shared.clock.monotonic_ns() < shortage.retry_at_ns)
                    {
                        return Poll::Ready(Err(shortage.error.again()));
                    }
                    // What is buffered may hold a split: the next segment has to be used up first.
                    state.wishes.write |= !state.buffer.is_empty();
                    state.wishes.room = state.wishes.room.max(self.bytes as u64);
                    let attempts = state.attempts;
                    self.asked_at.get_or_insert(attempts);
                }
            }
            let mut ticket = self.ticket;
            state.room_waiters.enter(&mut ticket, 0, context.waker());
            self.ticket = ticket;
        }
        shared.wake();
        Poll::Pending
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.shared.state.lock().room_waiters.leave(self.ticket);
    }
}
