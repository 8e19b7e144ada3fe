//! The lock table as its users see it: ask, wait without blocking a thread, let go.
//!
//! A transaction keeps what it has while it waits for more. A plain command never does: it asks for all its
//! locks, and if one is taken it lets go of the others, waits in line for that one, and asks for the rest
//! again; so plain commands cannot be part of a deadlock among themselves. Invariant: no waker is called and
//! no memory of a caller is touched under the mutex.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicU64, Ordering},
    task::{Poll, Waker},
};

use parking_lot::{Mutex, MutexGuard};

use super::{
    deadlock,
    lock_table::{Asked, Asker, LockTable, Owner, Party, WaitId, WaitState},
    target::{Mode, Target},
};
use crate::error::{Error, ErrorKind, Result};

/// All locks of a database.
#[derive(Default)]
pub(crate) struct Locks {
    table: Mutex<LockTable>,
}

/// What asking for a lock came to.
pub(crate) enum Answer {
    /// The owner has it; `new` if it had it not before.
    Granted { new: bool },
    /// It is in line.
    InLine(WaitId),
}

/// The table, whose wakers are called when it is let go of.
struct Table<'a> {
    guard: Option<MutexGuard<'a, LockTable>>,
}

impl std::ops::Deref for Table<'_> {
    type Target = LockTable;

    fn deref(&self) -> &LockTable {
        self.guard.as_ref().expect("the guard is taken in drop alone")
    }
}

impl std::ops::DerefMut for Table<'_> {
    fn deref_mut(&mut self) -> &mut LockTable {
        self.guard.as_mut().expect("the guard is taken in drop alone")
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        let woken = self.take_woken();
        self.guard = None;
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Locks {
    fn table(&self) -> Table<'_> {
        Table { guard: Some(self.table.lock()) }
    }

    /// Asks for a lock of a transaction, in line if need be. Whoever loses a deadlock that this closes is
    /// told when it looks; its locks are free at once.
    pub(crate) fn ask(
        &self,
        asker: Asker,
        (target, mode): (Target<'_>, Mode),
        deadline_ns: u64,
    ) -> Result<Answer> {
        let mut table = self.table();
        match table.ask(asker, target, mode) {
            Asked::Granted { new } => Ok(Answer::Granted { new }),
            Asked::BlockedByItself => Err(blocked_by_itself()),
            Asked::Blocked => {
                let id = table.enqueue(asker, target, mode, deadline_ns);
                if !asker.patient {
                    deadlock::resolve(&mut table, id);
                }
                Ok(Answer::InLine(id))
            }
        }
    }

    /// Asks for several locks at once; if one is taken the others are given up again, and it is in line for
    /// that one alone. What it had been given before stays only where all is granted.
    pub(crate) fn ask_all(
        &self,
        asker: Asker,
        wanted: &[(Target<'_>, Mode)],
        deadline_ns: u64,
    ) -> Result<Option<WaitId>> {
        let mut table = self.table();
        for (target, mode) in wanted {
            let asked = table.ask(asker, *target, *mode);
            if let Asked::Granted { .. } = asked {
                continue;
            }
            table.release(asker.owner);
            if asked == Asked::BlockedByItself {
                return Err(blocked_by_itself());
            }
            let id = table.enqueue(asker, *target, *mode, deadline_ns);
            if !asker.patient {
                deadlock::resolve(&mut table, id);
            }
            return Ok(Some(id));
        }
        Ok(None)
    }

    /// Answers when a request in line has its lock, or never will.
    pub(crate) async fn granted(&self, id: WaitId) -> Result<()> {
        let _forget = Forget { locks: self, id };
        let state = poll_fn(|context| {
            let mut table = self.table();
            match table.wait_mut(id) {
                None => Poll::Ready(WaitState::Ended),
                Some(wait) if wait.state == WaitState::Waiting => {
                    wait.waker = Some(context.waker().clone());
                    Poll::Pending
                }
                Some(wait) => Poll::Ready(wait.state),
            }
        })
        .await;
        match state {
            WaitState::Granted => Ok(()),
            WaitState::TimedOut => Err(Error::new(
                ErrorKind::LockTimeout,
                "another transaction kept the key locked for too long: nothing was done, try again",
            )),
            WaitState::Deadlock => Err(Error::new(
                ErrorKind::Deadlock,
                "this waited for a transaction that waited for this one; the younger had to give way: try again",
            )),
            WaitState::Ended | WaitState::Waiting => {
                Err(Error::new(ErrorKind::UnknownTransaction, "no such transaction"))
            }
        }
    }

    /// Frees every lock of an owner.
    pub(crate) fn release(&self, owner: Owner) {
        self.table().release(owner);
    }

    /// Ends what an owner waits for, and frees its locks.
    pub(crate) fn end(&self, owner: Owner, party: Party) {
        self.table().end(owner, party);
    }

    /// Ends the waits whose time is over; they are counted before anybody hears of it.
    pub(crate) fn time_out(&self, now_ns: u64, timed_out: &AtomicU64) {
        let mut table = self.table();
        let overdue = table.overdue(now_ns);
        overdue.iter().for_each(|id| table.end_wait(*id, WaitState::TimedOut));
        timed_out.fetch_add(overdue.len() as u64, Ordering::Relaxed);
    }

    /// Whether anybody has a lock on this key in some database.
    pub(crate) fn is_locked(&self, key: &[u8]) -> bool {
        self.table.lock().is_locked(key)
    }

    /// How many requests are in line.
    pub(crate) fn waiting(&self) -> usize {
        self.table.lock().waiting()
    }
}

/// Takes a request out of the table when nobody awaits it any more.
struct Forget<'a> {
    locks: &'a Locks,
    id: WaitId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.locks.table().forget(self.id);
    }
}

fn blocked_by_itself() -> Error {
    Error::new(
        ErrorKind::Deadlock,
        "this would wait for another transaction of the same connection: end that one first",
    )
}
