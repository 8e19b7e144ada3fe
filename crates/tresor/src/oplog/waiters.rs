//! Who waits for which number: wakers kept until the log has come that far.
//!
//! A future takes a slot at its first poll that finds it must wait, renews its waker in the same
//! slot, and gives the slot back when it is dropped; so there are never more slots than futures.

use std::task::Waker;

use crate::engine::Sequence;

/// A future's claim on its slot. Worthless once the waker was taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ticket {
    slot: usize,
    issue: u64,
}

#[derive(Debug, Default)]
struct Slot {
    issue: u64,
    waiting: Option<(Sequence, Waker)>,
}

/// The slots. Guarded by the lock of whoever owns them.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    slots: Vec<Slot>,
    free: Vec<usize>,
    issued: u64,
}

impl Waiters {
    /// Remembers to wake `waker` once `upto` is reached; renews the ticket if that is still good.
    pub(super) fn enter(&mut self, ticket: &mut Ticket, upto: Sequence, waker: &Waker) {
        if let Some(slot) = self.slots.get_mut(ticket.slot)
            && slot.issue == ticket.issue
            && let Some((_, old)) = &mut slot.waiting
        {
            old.clone_from(waker);
            return;
        }
        self.issued += 1;
        let filled = Slot { issue: self.issued, waiting: Some((upto, waker.clone())) };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = filled;
                slot
            }
            None => {
                self.slots.push(filled);
                self.slots.len() - 1
            }
        };
        *ticket = Ticket { slot, issue: self.issued };
    }

    /// Forgets a future that was dropped.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        if let Some(slot) = self.slots.get_mut(ticket.slot)
            && slot.issue == ticket.issue
            && slot.waiting.take().is_some()
        {
            self.free.push(ticket.slot);
        }
    }

    /// Moves the wakers of everyone whose number is reached to `into`: they are woken outside the lock.
    pub(super) fn take_through(&mut self, reached: Sequence, into: &mut Vec<Waker>) {
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.waiting.as_ref().is_some_and(|(upto, _)| *upto <= reached)
                && let Some((_, waker)) = slot.waiting.take()
            {
                self.free.push(index);
                into.push(waker);
            }
        }
    }

    /// Moves everyone's waker to `into`.
    pub(super) fn take_all(&mut self, into: &mut Vec<Waker>) {
        self.take_through(Sequence::MAX, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_given_back_whether_its_future_was_woken_or_dropped() {
        let mut waiters = Waiters::default();
        let waker = Waker::noop();
        let (mut first, mut second) = (Ticket::default(), Ticket::default());
        waiters.enter(&mut first, 5, waker);
        waiters.enter(&mut first, 5, waker);
        waiters.enter(&mut second, 9, waker);
        assert_eq!(waiters.slots.len(), 2);
        let mut woken = Vec::new();
        waiters.take_through(5, &mut woken);
        assert_eq!(woken.len(), 1);
        // The first ticket is worthless now: leaving must not throw out whoever has the slot next.
        let mut third = Ticket::default();
        waiters.enter(&mut third, 7, waker);
        waiters.leave(first);
        waiters.take_all(&mut woken);
        assert_eq!(woken.len(), 3);
        waiters.leave(second);
        waiters.leave(third);
        assert_eq!((waiters.slots.len(), waiters.free.len()), (2, 2));
    }
}
