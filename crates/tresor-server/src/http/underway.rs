//! The answer that a connection is working on, kept apart from the protocol's state machine.
//!
//! That state machine drops what it waits for when its client goes, in the middle of a commit too: locks would
//! be free while the engine still writes. Here it only borrows the answer, and the connection runs to its end
//! whatever was begun. HTTP/1.1 has one request at a time, so there is one answer at most.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

type Working<T> = Pin<Box<dyn Future<Output = T>>>;

/// The one answer, if there is one. Clones mean the same.
pub(super) struct Underway<T>(Rc<RefCell<Option<Working<T>>>>);

impl<T> Default for Underway<T> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

impl<T> Clone for Underway<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: 'static> Underway<T> {
    /// Begins to work on an answer; what is returned waits for it, and may be dropped at any time.
    pub(super) fn begin(&self, answer: impl Future<Output = T> + 'static) -> Waiting<T> {
        debug_assert!(self.0.borrow().is_none(), "a request comes after the answer to the one before");
        *self.0.borrow_mut() = Some(Box::pin(answer));
        Waiting(self.clone())
    }

    /// Works on to the end, where nobody waits for the answer any more.
    pub(super) async fn finish(&self) {
        if self.0.borrow().is_some() {
            poll_fn(|context| self.poll(context)).await;
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<T> {
        let mut answer = self.0.borrow_mut();
        let Some(working) = answer.as_mut() else { return Poll::Pending };
        let poll = working.as_mut().poll(context);
        if poll.is_ready() {
            *answer = None;
        }
        poll
    }
}

/// Waits for the answer.
pub(super) struct Waiting<T>(Underway<T>);

impl<T: 'static> Future for Waiting<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.0.poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::Future,
        pin::pin,
        rc::Rc,
        task::{Context, Waker},
    };

    use tokio::sync::oneshot;

    use super::Underway;

    fn poll(future: impl Future) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn what_nobody_waits_for_is_done_all_the_same() {
        let underway = Underway::default();
        let (sender, receiver) = oneshot::channel();
        let done = Rc::new(Cell::new(false));
        let noted = done.clone();
        let waiting = underway.begin(async move {
            receiver.await.expect("the other half is there");
            noted.set(true);
        });
        assert!(!poll(waiting));
        assert!(!poll(underway.finish()), "it waits for what is missing");
        sender.send(()).expect("the answer was not given up");
        assert!(poll(underway.finish()));
        assert!(done.get());
        assert!(poll(underway.finish()), "there is nothing left");
    }
}
