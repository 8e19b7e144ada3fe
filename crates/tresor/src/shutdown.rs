//! The wish that the server stop: one client says it, the server waits for it.
//!
//! The library has no process to end. SHUTDOWN leaves its wish here, and whoever runs the database
//! awaits [`Shutdown::requested`], stops in its own order, and saves or not as was asked.

use std::{
    future::poll_fn,
    task::{Poll, Waker},
};

use parking_lot::Mutex;

/// What is to be done about the data before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// What durability promises.
    AsConfigured,
    /// A snapshot in any case.
    Always,
    /// No snapshot; the log, where there is one, is closed cleanly all the same.
    Never,
}

/// The wish, if there is one.
#[derive(Default)]
pub struct Shutdown(Mutex<State>);

#[derive(Default)]
struct State {
    wish: Option<Saving>,
    waiting: Vec<Waker>,
}

impl Shutdown {
    /// Asks for the end.
    pub fn request(&self, saving: Saving) {
        let waiting = {
            let mut state = self.0.lock();
            state.wish = Some(saving);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Answers once somebody has asked for the end.
    pub async fn requested(&self) -> Saving {
        poll_fn(|context| {
            let mut state = self.0.lock();
            match state.wish {
                Some(saving) => Poll::Ready(saving),
                None => {
                    // A task that polls again must not be kept twice.
                    if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                        state.waiting.push(context.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }
}
