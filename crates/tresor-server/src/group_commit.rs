//! One wait for the disk for all connections of a worker.
//!
//! Replies are held until what they tell of is durable. If each connection waited by itself, the log's
//! thread would wake each across threads, which costs a system call apiece. So the first that has to
//! wait leads: it lets every connection with input append its own changes, then waits for the highest
//! number that anyone wants, and wakes the others on their own thread. A leader that is dropped wakes
//! them too, and one of them leads on.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Poll, Waker},
};

use tokio::task::yield_now;
use tresor::{
    Result,
    engine::{Engine, Eventual, Sequence},
};

/// The connections of one worker that wait for the disk.
#[derive(Default)]
pub(crate) struct GroupCommit {
    led: Cell<bool>,
    wanted: Cell<Sequence>,
    /// What the leaders' waits have shown to be durable. An engine may never say so at once.
    reached: Cell<Sequence>,
    followers: RefCell<Vec<Waker>>,
}

impl GroupCommit {
    /// Answers when everything up to `upto` is durable; `waits` is called before each wait.
    #[inline]
    pub(crate) async fn durable(&self, engine: &dyn Engine, upto: Sequence, waits: impl Fn()) -> Result<()> {
        loop {
            if let Eventual::Now(result) = engine.durable(upto) {
                return result;
            }
            waits();
            self.wanted.set(self.wanted.get().max(upto));
            if self.led.get() {
                self.follow().await;
            } else {
                self.lead(engine).await?;
            }
            if upto <= self.reached.get() {
                return Ok(());
            }
        }
    }

    async fn lead(&self, engine: &dyn Engine) -> Result<()> {
        self.led.set(true);
        let _lead = Lead(self);
        yield_now().await;
        let upto = self.wanted.replace(0);
        engine.durable(upto).await?;
        self.reached.set(self.reached.get().max(upto));
        Ok(())
    }

    /// Waits until the leader has ended, well or not.
    async fn follow(&self) {
        let mut waited = false;
        poll_fn(|context| {
            if waited {
                return Poll::Ready(());
            }
            waited = true;
            self.followers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// The lead, given up when dropped.
struct Lead<'a>(&'a GroupCommit);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.0.led.set(false);
        self.0.followers.take().into_iter().for_each(Waker::wake);
    }
}
