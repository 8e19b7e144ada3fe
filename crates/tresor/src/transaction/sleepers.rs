//! Those who wait for time to pass.
//!
//! There is no list of when: the watch wakes all of them at each look, and each sees for itself whether its time
//! has come. Few ever sleep, and none for a reason that a few milliseconds matter to.

use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Who is to be woken at the next look.
#[derive(Default)]
pub(super) struct Sleepers(Mutex<Vec<Waker>>);

impl Sleepers {
    /// Ready if it is over, else woken at the next look.
    pub(super) fn poll(&self, context: &Context<'_>, over: impl Fn() -> bool) -> Poll<()> {
        // Under the mutex: what ends a sleep and then wakes all finds everyone who has not seen that end.
        let mut asleep = self.0.lock();
        if over() {
            return Poll::Ready(());
        }
        // A task that polls again must not be kept twice.
        if !asleep.iter().any(|waker| waker.will_wake(context.waker())) {
            asleep.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Wakes all; whether there were any.
    pub(super) fn wake(&self) -> bool {
        let asleep = std::mem::take(&mut *self.0.lock());
        let any = !asleep.is_empty();
        asleep.into_iter().for_each(Waker::wake);
        any
    }
}
