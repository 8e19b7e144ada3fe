//! The thread that ends what has waited, or done nothing, for too long.
//!
//! It exists from the first transaction, or DEBUG SLEEP, on and sleeps while there is none. A library has no runtime whose
//! timers it could use, and one look at all waits every few milliseconds costs less than a timer for each.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::open::Transactions;
use crate::error::{Error, ErrorKind, Result};

/// Between two looks: how much later than its limit something may end.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The thread, and how to talk to it.
#[derive(Default)]
pub(super) struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    thread: Option<JoinHandle<()>>,
    wanted: bool,
    stopped: bool,
}

impl Watch {
    /// Has it look from now on, until a look says that there is nothing to see.
    pub(super) fn want(&self, transactions: &Arc<Transactions>) -> Result<()> {
        let mut state = self.state.lock();
        state.wanted = true;
        if state.thread.is_none() && !state.stopped {
            let watched = transactions.clone();
            let thread = thread::Builder::new().name("tresor-transactions".to_owned());
            let thread = thread.spawn(move || watched.watch().run(&watched)).map_err(|error| {
                let message = "cannot start the thread that watches transactions";
                Error::new(ErrorKind::Unavailable, message).caused_by(error)
            })?;
            state.thread = Some(thread);
        }
        self.changed.notify_one();
        Ok(())
    }

    fn run(&self, transactions: &Transactions) {
        let mut state = self.state.lock();
        while !state.stopped {
            match state.wanted {
                true => drop(self.changed.wait_for(&mut state, LOOK_EVERY)),
                false => self.changed.wait(&mut state),
            }
            // Set before the look, so that a wish that comes meanwhile is not lost.
            let wanted = std::mem::take(&mut state.wanted);
            drop(state);
            let more = wanted && transactions.look();
            state = self.state.lock();
            state.wanted |= more;
        }
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(&self) {
        let thread = {
            let mut state = self.state.lock();
            state.stopped = true;
            self.changed.notify_one();
            state.thread.take()
        };
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread that watches transactions panicked");
        }
    }
}
