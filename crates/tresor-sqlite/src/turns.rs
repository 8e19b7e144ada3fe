//! Callers that could not begin at once, and go on when it is their turn again.
//!
//! A caller never sits on its thread while the disk is waited for, or while another program holds the
//! file's lock: it is told to come again, and the housekeeper says when.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::Waker,
};

use parking_lot::Mutex;

/// Who waits for a turn.
#[derive(Default)]
pub(crate) struct Turns {
    paused: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Turns {
    /// The housekeeper is about to hold the writer for as long as the disk takes.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::Release);
    }

    pub(crate) fn resume(&self) {
        self.paused.store(false, Ordering::Release);
        self.wake();
    }

    pub(crate) fn paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Asks to be woken when it is worth trying again.
    pub(crate) fn wait(&self, waker: &Waker) {
        let mut waiting = self.waiting.lock();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    pub(crate) fn any(&self) -> bool {
        !self.waiting.lock().is_empty()
    }

    pub(crate) fn wake(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}
