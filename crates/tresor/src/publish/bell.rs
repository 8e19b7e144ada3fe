//! How the outboxes of one thread say that they have something: one wake-up for all of them.
//!
//! A message to fifty subscribers of a worker rings fifty outboxes and wakes the worker once. Invariant: an
//! outbox is on the list at most once, from its first message to when its owner is told.

use std::{
    mem,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use super::Outbox;

/// The outboxes of one thread that have messages, and who is told of it.
#[derive(Default)]
pub struct Bell {
    rung: Mutex<Vec<Arc<Outbox>>>,
    waker: Mutex<Option<Waker>>,
    /// Outboxes were put on the list and nobody was woken for them yet.
    unheard: AtomicBool,
    /// Those that are over the soft limit.
    slow: Mutex<Vec<Weak<Outbox>>>,
}

impl Bell {
    /// Puts an outbox on the list.
    pub(super) fn ring(&self, outbox: Arc<Outbox>) {
        self.rung.lock().push(outbox);
        self.unheard.store(true, Relaxed);
    }

    /// Wakes who waits, if outboxes were put on the list since it was woken last.
    pub(super) fn wake(&self) {
        if self.unheard.swap(false, Relaxed)
            && let Some(waker) = &*self.waker.lock()
        {
            waker.wake_by_ref();
        }
    }

    /// Ready with the outboxes that have messages, once there are some. One task may wait at a time: the last
    /// that asked.
    pub fn poll_rung(&self, context: &Context<'_>) -> Poll<Vec<Arc<Outbox>>> {
        let mut waker = self.waker.lock();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        // Registered first, looked at second: a ring in between finds the waker.
        drop(waker);
        let rung = mem::take(&mut *self.rung.lock());
        if rung.is_empty() { Poll::Pending } else { Poll::Ready(rung) }
    }

    /// Notes an outbox that went over the soft limit.
    pub(super) fn note_slow(&self, outbox: &Arc<Outbox>) {
        self.slow.lock().push(Arc::downgrade(outbox));
    }

    /// Drops the outboxes that have been over the soft limit for too long; how many.
    pub(super) fn drop_slow(&self, now_ms: u64) -> u64 {
        let slow = mem::take(&mut *self.slow.lock());
        let mut dropped = 0;
        for outbox in slow.iter().filter_map(Weak::upgrade) {
            let (still_slow, too_long) = outbox.look_whether_slow(now_ms);
            dropped += u64::from(too_long);
            if still_slow {
                self.note_slow(&outbox);
            }
        }
        dropped
    }
}
