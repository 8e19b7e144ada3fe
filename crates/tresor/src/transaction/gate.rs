//! Gates: one cheap shared hold per run of commands, and a way to have everything to oneself.
//!
//! Every worker (and every stripe of library calls) enters its own gate before it touches the engine
//! and leaves it before it waits for anything. Who needs the whole store for a bounded moment takes
//! all gates. Invariant: while [`AllGates`] lives, no gate is held. Two uncontended atomic operations
//! a batch are the whole price, because no two workers share a stripe's cache line.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

/// Set in a stripe while somebody has, or collects, all gates; the other bits count the holders.
const CLOSED: u32 = 1 << 31;

#[repr(align(128))] // Two cache lines: neighbours are fetched in pairs.
struct Stripe(AtomicU32);

/// The gates of one database.
pub struct Gates {
    stripes: Box<[Stripe]>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Whether somebody has, or is collecting, all gates.
    taken: bool,
    /// Woken when that ends: those that want to enter and those that want all gates.
    waiting: Vec<Waker>,
    /// The one that is collecting, woken when a stripe empties.
    collecting: Option<Waker>,
}

impl Gates {
    /// At least `stripes` gates, one for each worker and a few for library calls. Their number is a
    /// power of two: a division would cost more than the gate.
    pub fn new(stripes: usize) -> Self {
        Self {
            stripes: (0..stripes.next_power_of_two()).map(|_| Stripe(AtomicU32::new(0))).collect(),
            queue: Mutex::default(),
        }
    }

    #[inline]
    fn state(&self, stripe: usize) -> &AtomicU32 {
        &self.stripes[stripe & (self.stripes.len() - 1)].0
    }

    /// Enters a gate at once, unless all gates are taken. `stripe` is taken modulo their number.
    #[inline]
    pub fn try_enter(&self, stripe: usize) -> bool {
        if self.state(stripe).fetch_add(1, Ordering::Acquire) & CLOSED == 0 {
            return true;
        }
        self.leave(stripe);
        false
    }

    /// Enters a gate, waiting while all gates are taken.
    #[inline]
    pub async fn enter(&self, stripe: usize) {
        if !self.try_enter(stripe) {
            poll_fn(|context| self.poll_enter(stripe, context)).await;
        }
    }

    fn poll_enter(&self, stripe: usize, context: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.queue.lock();
        // Under the queue's lock `taken` cannot change, so no wake-up is missed.
        if !queue.taken {
            self.state(stripe).fetch_add(1, Ordering::Acquire);
            return Poll::Ready(());
        }
        queue.waiting.push(context.waker().clone());
        Poll::Pending
    }

    /// Leaves a gate that was entered.
    #[inline]
    pub fn leave(&self, stripe: usize) {
        if self.state(stripe).fetch_sub(1, Ordering::Release) == CLOSED | 1 {
            self.emptied();
        }
    }

    #[cold]
    fn emptied(&self) {
        if let Some(waker) = self.queue.lock().collecting.take() {
            waker.wake();
        }
    }

    /// Takes all gates, once everyone inside has left. The caller must not hold one.
    pub async fn all(&self) -> AllGates<'_> {
        poll_fn(|context| {
            let mut queue = self.queue.lock();
            if queue.taken {
                queue.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            queue.taken = true;
            Poll::Ready(())
        })
        .await;
        // From here on dropping this future must open the gates again.
        let all = AllGates(self);
        for stripe in &self.stripes {
            stripe.0.fetch_or(CLOSED, Ordering::AcqRel);
        }
        poll_fn(|context| self.poll_empty(context)).await;
        all
    }

    fn poll_empty(&self, context: &mut Context<'_>) -> Poll<()> {
        self.queue.lock().collecting = Some(context.waker().clone());
        // Registered first, looked at second: a holder that leaves in between finds the waker.
        if self.stripes.iter().all(|stripe| stripe.0.load(Ordering::Acquire) == CLOSED) {
            self.queue.lock().collecting = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// All gates, held until dropped.
pub struct AllGates<'a>(&'a Gates);

impl Drop for AllGates<'_> {
    fn drop(&mut self) {
        for stripe in &self.0.stripes {
            stripe.0.fetch_and(!CLOSED, Ordering::AcqRel);
        }
        let waiting = {
            let mut queue = self.0.queue.lock();
            queue.taken = false;
            queue.collecting = None;
            std::mem::take(&mut queue.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        thread,
    };

    use super::Gates;
    use crate::engine::block_on;

    #[test]
    fn nobody_is_inside_while_all_gates_are_taken() {
        let gates = Arc::new(Gates::new(3));
        let inside = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..6)
            .map(|number| {
                let (gates, inside) = (gates.clone(), inside.clone());
                thread::spawn(move || {
                    for round in 0..2_000 {
                        if number < 2 && round % 20 == 0 {
                            let _all = block_on(gates.all());
                            assert_eq!(inside.load(Ordering::SeqCst), 0);
                        } else {
                            block_on(gates.enter(number));
                            inside.fetch_add(1, Ordering::SeqCst);
                            thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            gates.leave(number);
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no assertion failed");
        }
    }
}
