//! An answer that is there already, or comes later.
//!
//! Local engines answer at once and pay nothing for the chance that another does not: `Now` is a
//! plain value, and awaiting it never suspends. A remote engine boxes a future. `Eventual` says when
//! the *answer* is known, never when it is durable; dropping one never takes back a request sent.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use crate::error::Result;

/// The future inside [`Eventual::Later`].
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A result that is known now, or a future of it.
#[must_use = "an answer that is not waited for is an error that nobody sees"]
pub enum Eventual<'a, T> {
    /// The answer. Taken out when polled.
    Now(Result<T>),
    /// The answer to come.
    Later(Later<'a, T>),
    /// The answer was taken.
    Taken,
}

impl<'a, T> Eventual<'a, T> {
    /// An answer to come.
    pub fn later(future: impl Future<Output = Result<T>> + Send + 'a) -> Self {
        Self::Later(Box::pin(future))
    }

    /// Blocks the calling thread until the answer is there. For library callers and tests; a server
    /// awaits instead.
    pub fn wait(self) -> Result<T>
    where
        T: Unpin,
    {
        match self {
            Self::Now(result) => result,
            other => block_on(other),
        }
    }
}

impl<T: Unpin> Future for Eventual<'_, T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Later(future) => future.as_mut().poll(context),
            Self::Taken => panic!("an Eventual was polled after it had answered"),
            Self::Now(_) => match std::mem::replace(&mut *self, Self::Taken) {
                Self::Now(result) => Poll::Ready(result),
                _ => unreachable!("matched just above"),
            },
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on the calling thread for so long, parking it between polls; `None` when it had not answered by then.
pub fn block_on_for<F: Future>(future: F, wait: Duration) -> Option<F::Output> {
    // What is too far away to be a moment never comes.
    poll_until(pin!(future), Instant::now().checked_add(wait))
}

/// Runs a future on the calling thread, parking it between polls.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // Most futures of a local engine are ready at once: try before paying for a waker.
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return output;
    }
    poll_until(future, None).expect("what has no deadline is waited for")
}

fn poll_until<F: Future>(mut future: Pin<&mut F>, deadline: Option<Instant>) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => thread::park_timeout(left),
        }
    }
}
