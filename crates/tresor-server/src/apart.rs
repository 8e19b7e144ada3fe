//! Work that may have to wait, done apart from what was answered before it.
//!
//! Replies that are there must not wait with a command for its lock, for all gates, or for an engine: they
//! go out meanwhile. Invariant: whatever waits for a slow client holds no gate.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::sleep;
use tresor::session::Session;

use crate::{
    held::{Answers, Held},
    link::{Closed, Link},
};

/// How long a client that is held back sleeps before it looks whether it still is.
pub(crate) const PAUSE_LOOK: Duration = Duration::from_millis(10);

/// Does work inside the gate; what is held is sent if the work does not end at once. Whatever the work
/// answers goes behind it, so it is written elsewhere until this returns. An error means that the client is
/// gone.
#[cold]
pub(crate) async fn execute_apart<A: Answers, T>(
    link: &Link,
    held: &mut Held<A>,
    session: &mut Session,
    work: impl AsyncFnOnce(&mut Session) -> T,
) -> Result<T, Closed> {
    let highest = session.take_highest();
    let mut sending = Sending { future: pin!(link.send(held, highest)), state: None };
    let mut execution = Box::pin(work(session));
    let done = poll_fn(|context| {
        let poll = execution.as_mut().poll(context);
        if poll.is_pending() {
            sending.poll(context);
        }
        poll
    })
    .await;
    drop(execution);
    match sending.state {
        None => session.give_back_highest(highest),
        Some(Poll::Ready(result)) => result?,
        Some(Poll::Pending) => {
            // A client that is slow to read must not keep a gate.
            session.leave();
            let result = sending.future.await;
            session.enter().await;
            result?;
        }
    }
    Ok(done)
}

/// Waits while CLIENT PAUSE holds a command back for as long as `left_ms` says; what is held goes out
/// meanwhile. From inside a gate, and back in one.
#[cold]
pub(crate) async fn wait_out<A: Answers>(
    link: &Link,
    held: &mut Held<A>,
    session: &mut Session,
    left_ms: impl Fn(&Session) -> u64,
) -> Result<(), Closed> {
    session.leave();
    link.send(held, session.take_highest()).await?;
    loop {
        // Looked at again and again, since CLIENT UNPAUSE may end it at any time.
        match left_ms(session) {
            0 => break,
            left_ms if link.doomed() => {
                tracing::debug!(left_ms, "a client that was held back is closed");
                return Err(Closed::Dismissed);
            }
            left_ms => sleep(Duration::from_millis(left_ms).min(PAUSE_LOOK)).await,
        }
    }
    session.enter().await;
    Ok(())
}

/// Replies on their way out while something else is executed.
struct Sending<F> {
    future: F,
    /// `None` before the first poll: nothing was sent, and all is still held.
    state: Option<Poll<Result<(), Closed>>>,
}

impl<F: Future<Output = Result<(), Closed>> + Unpin> Sending<F> {
    fn poll(&mut self, context: &mut Context<'_>) {
        if !matches!(self.state, Some(Poll::Ready(_))) {
            self.state = Some(Pin::new(&mut self.future).poll(context));
        }
    }
}
