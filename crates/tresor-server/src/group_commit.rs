//! One wait for the disk for all connections of a worker.
//!
//! Replies are held until what they tell of is durable. If each connection waited by itself, the log's
//! thread would wake each across threads, which costs a system call apiece. So the first that has to
//! wait leads: it lets every connection with input append its own changes, then waits for the highest
//! number that anyone wants, and wakes the others on their own thread. A leader that is dropped wakes
//! them too, and one of them leads on. Only the wait that a connection has joined before it began tells
//! something to that connection: shards number their changes each for itself, so a higher number that was
//! durable before says nothing of a change since.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
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
    /// The wait that begins next.
    gathering: RefCell<Rc<Round>>,
    followers: RefCell<Vec<Waker>>,
}

/// One wait, and those who have joined it.
#[derive(Default)]
struct Round {
    wanted: Cell<Sequence>,
    /// It has ended well.
    kept: Cell<bool>,
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
            let round = self.gathering.borrow().clone();
            round.wanted.set(round.wanted.get().max(upto));
            if self.led.get() {
                self.follow().await;
            } else {
                self.lead(engine).await?;
            }
            // An engine may never say so at once.
            if round.kept.get() {
                return Ok(());
            }
        }
    }

    async fn lead(&self, engine: &dyn Engine) -> Result<()> {
        self.led.set(true);
        let _lead = Lead(self);
        yield_now().await;
        let round = self.gathering.take();
        engine.durable(round.wanted.get()).await?;
        round.kept.set(true);
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

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, sync::Arc, task::Context};

    use tokio::sync::Semaphore;
    use tresor::engine::{
        Batch, Capabilities, Edit, Isolation, KeyRef, Outcome, Page, Scan, Seen, Status, Visit,
    };
    use tresor_testkit::ModelEngine;

    use super::*;

    /// An engine whose every wait for the disk ends when a test says so.
    struct SlowDisk(ModelEngine, Arc<Semaphore>);

    impl Engine for SlowDisk {
        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }

        fn read<'a>(
            &'a self,
            keys: &'a [KeyRef<'a>],
            isolation: Isolation,
            now_ms: u64,
            visit: &'a mut Visit<'a>,
        ) -> Eventual<'a, Seen> {
            self.0.read(keys, isolation, now_ms, visit)
        }

        fn scan<'a>(&'a self, scan: &'a Scan<'a>, now_ms: u64) -> Eventual<'a, Page> {
            self.0.scan(scan, now_ms)
        }

        fn write<'a>(&'a self, batch: Batch<'a>, now_ms: u64) -> Eventual<'a, Outcome> {
            self.0.write(batch, now_ms)
        }

        fn update<'a>(
            &'a self,
            key: KeyRef<'a>,
            now_ms: u64,
            edit: &'a mut Edit<'_>,
        ) -> Eventual<'a, Outcome> {
            self.0.update(key, now_ms, edit)
        }

        fn durable(&self, _upto: Sequence) -> Eventual<'_, ()> {
            Eventual::later(async {
                self.1.acquire().await.expect("nobody closes it").forget();
                Ok(())
            })
        }

        fn status(&self) -> Eventual<'_, Status> {
            self.0.status()
        }

        fn save(&self) -> Eventual<'_, ()> {
            self.0.save()
        }

        fn close(&self) -> Eventual<'_, ()> {
            self.0.close()
        }
    }

    #[test]
    fn a_wait_that_began_before_tells_nothing_of_a_lower_number() {
        let permits = Arc::new(Semaphore::new(1));
        let engine = SlowDisk(ModelEngine::new(), permits.clone());
        let group = GroupCommit::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut context = Context::from_waker(Waker::noop());
            group.durable(&engine, 500, || ()).await.unwrap();
            // This one has asked the engine already...
            let mut earlier = pin!(group.durable(&engine, 510, || ()));
            for _ in 0..3 {
                assert!(earlier.as_mut().poll(&mut context).is_pending());
            }
            // ...when a change on another shard gets a number of its own, lower than those.
            let mut later = pin!(group.durable(&engine, 37, || ()));
            assert!(later.as_mut().poll(&mut context).is_pending());
            permits.add_permits(1);
            earlier.await.unwrap();
            for _ in 0..3 {
                assert!(later.as_mut().poll(&mut context).is_pending(), "nobody has waited for it");
            }
            permits.add_permits(1);
            later.await.unwrap();
        });
    }
}
