//! One turn for others: the library has no runtime to ask, so it wakes itself and waits once.

use std::{future::poll_fn, task::Poll};

/// Suspends once. Whatever runs the calling task gets to run its others first.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
