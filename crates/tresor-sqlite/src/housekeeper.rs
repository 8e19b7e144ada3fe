//! The thread that does what no caller should wait for: expiry, room given back, checkpoints.
//!
//! Each kind of work is done in small transactions, so that a writer waits for one of them at most.
//! A checkpoint runs beside writers; only the first write to a log that starts anew needs the disk,
//! and that write is this thread's own, while callers wait without sitting on their threads.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, params};
use tresor::{
    Error, Result,
    engine::{KeyRef, Removal},
};

use crate::{
    databases::remove_cleared,
    failure,
    row::{Address, OwnedAddress, bytes},
    store::Store,
    writer::Writer,
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The same where somebody wants to hear of each entry that expires.
const LOOK_WHEN_TOLD: Duration = Duration::from_millis(20);

/// The same while somebody waits for another program to release the file.
const TRY_EVERY: Duration = Duration::from_millis(10);

/// Rows that are removed in one transaction.
const REMOVALS: usize = 256;

/// Pages that are given back to the system in one transaction, ...
const PAGES_GIVEN_BACK: u32 = 128;

/// ...as long as more than these are free, and more than one in eight of all.
const PAGES_KEPT: i64 = 256;

/// Rounds of one kind of work between two looks at everything else.
const ROUNDS: usize = 32;

/// What the thread is asked for.
#[derive(Default)]
pub(crate) struct Housekeeper {
    state: Mutex<State>,
    changed: Condvar,
    /// Some cleared database may still have rows.
    cleared: AtomicBool,
}

#[derive(Default)]
struct State {
    stopping: bool,
    ended: bool,
    /// Saves asked for and done, by number.
    wanted: u64,
    done: u64,
    failure: Option<(u64, Error)>,
    waiting: Vec<Waker>,
}

impl Housekeeper {
    pub(crate) fn new() -> Self {
        // What an earlier process cleared may still be there.
        Self { cleared: true.into(), ..Self::default() }
    }

    /// A database was cleared.
    pub(crate) fn cleared(&self) {
        self.cleared.store(true, Ordering::Release);
    }

    /// Somebody waits for a turn: look more often.
    pub(crate) fn hurry(&self) {
        self.changed.notify_one();
    }

    /// Asks for a checkpoint and answers when it is done.
    pub(crate) async fn save(&self, store: &Store) -> Result<()> {
        let number = {
            let mut state = self.state.lock();
            state.wanted += 1;
            state.wanted
        };
        self.changed.notify_one();
        std::future::poll_fn(|context| {
            let mut state = self.state.lock();
            if state.done < number && !state.ended {
                state.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(match &state.failure {
                Some((failed, error)) if *failed >= number => Err(error.again()),
                _ if state.done < number => Err(store.closed()),
                _ => Ok(()),
            })
        })
        .await
    }

    /// Lets [`run`](Self::run) end.
    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_one();
    }

    /// Works until told to stop.
    pub(crate) fn run(&self, store: &Store) {
        let mut looked = Instant::now();
        loop {
            let wanted = {
                let mut state = self.state.lock();
                let pause = if store.turns.any() { TRY_EVERY } else { look_every(store) };
                if !state.stopping && state.wanted == state.done {
                    self.changed.wait_for(&mut state, pause);
                }
                if state.stopping {
                    break self.end(store, state);
                }
                (state.wanted > state.done).then_some(state.wanted)
            };
            store.turns.wake();
            if store.progress.usable().is_err() {
                // What there is to say is said to every caller.
                self.saved(wanted, Err(store.closed()));
                continue;
            }
            if let Some(number) = wanted {
                self.saved(Some(number), store.checkpoint());
            }
            if looked.elapsed() >= look_every(store) {
                looked = Instant::now();
                if let Err(error) = self.look(store) {
                    tracing::warn!(%error, "the store could not be tidied up; trying again");
                }
            }
        }
    }

    fn end(&self, store: &Store, mut state: parking_lot::MutexGuard<'_, State>) {
        state.ended = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        store.turns.wake();
    }

    fn saved(&self, number: Option<u64>, outcome: Result<()>) {
        let Some(number) = number else { return };
        let mut state = self.state.lock();
        state.done = number;
        if let Err(error) = outcome {
            state.failure = Some((number, error));
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn look(&self, store: &Store) -> Result<()> {
        if self.cleared.swap(false, Ordering::AcqRel) {
            let more = self.rounds(|| store.remove_cleared());
            if !matches!(more, Ok(false)) {
                self.cleared();
            }
            more?;
        }
        self.rounds(|| store.remove_expired())?;
        self.rounds(|| store.give_back())?;
        if store.log_bytes.load(Ordering::Relaxed) >= store.options.checkpoint_bytes {
            store.checkpoint()?;
        }
        Ok(())
    }

    /// Repeats work until there is no more of it; whether there may be.
    fn rounds(&self, mut work: impl FnMut() -> Result<bool>) -> Result<bool> {
        for _ in 0..ROUNDS {
            if !work()? {
                return Ok(false);
            }
            if self.state.lock().stopping {
                break;
            }
        }
        Ok(true)
    }
}

fn look_every(store: &Store) -> Duration {
    if store.removals.are_told() { LOOK_WHEN_TOLD } else { LOOK_EVERY }
}

impl Store {
    /// Removes some entries that have expired, and tells of them; whether there may be more.
    fn remove_expired(&self) -> Result<bool> {
        if self.removals.expired_is_kept() || self.figures.lock().iter().all(|count| count.unsure == 0) {
            return Ok(false);
        }
        let now_ms = self.time.now_ms();
        let due = self.keep_house(|connection| due(connection, now_ms))?;
        if due.is_empty() {
            return Ok(false);
        }
        let removed = self.with_writer(|writer| {
            let mut gone = Vec::new();
            let removed = writer.transact(self, |transaction| {
                for (place, key, member) in &due {
                    let Some(database) = transaction.writer.databases.at(*place) else { continue };
                    let address = Address { place: *place, key, member };
                    // It may have been written over meanwhile.
                    if let Some(head) = transaction.head(address)?.filter(|head| !head.is_live(now_ms)) {
                        let key = KeyRef { database, key, member };
                        transaction.note_expired(&head);
                        gone.push((key, transaction.delete(key, head)?));
                    }
                }
                Ok(())
            });
            if let Ok(Some(())) = &removed {
                // The writer is still held: nobody has changed these keys again.
                gone.iter().for_each(|(key, number)| self.removals.note(Removal::Expired, *key, *number));
            }
            removed
        });
        // Another program may be in the middle of something: later.
        Ok(removed.transpose()?.flatten().is_some() && due.len() == REMOVALS)
    }

    /// Removes some rows of cleared databases; whether there may be more.
    fn remove_cleared(&self) -> Result<bool> {
        let more = self.with_writer(|writer| {
            writer.transact(self, |transaction| {
                transaction.grew(REMOVALS * 256);
                let Writer { connection, databases, .. } = &*transaction.writer;
                remove_cleared(connection, databases, REMOVALS).map_err(|error| transaction.failed(error))
            })
        });
        // Another program is in the middle of something: later.
        Ok(more.transpose()?.flatten().unwrap_or(true))
    }

    /// Gives some free pages back to the system; whether there may be more.
    fn give_back(&self) -> Result<bool> {
        let wanted = self.keep_house(|connection| {
            let count = |sql| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
            Ok(count("PRAGMA freelist_count")? > PAGES_KEPT.max(count("PRAGMA page_count")? / 8))
        })?;
        if !wanted {
            return Ok(false);
        }
        let given_back = self.with_writer(|writer| {
            let sql = format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK})");
            let mut vacuum = writer.connection.prepare_cached(&sql)?;
            // A page a row.
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
            Ok::<(), rusqlite::Error>(())
        });
        match given_back {
            None | Some(Ok(())) => {
                self.log_bytes.fetch_add(u64::from(PAGES_GIVEN_BACK) * 4096, Ordering::Relaxed);
                Ok(given_back.is_some())
            }
            Some(Err(error)) if failure::is_busy(&error) => Ok(false),
            Some(Err(error)) if failure::is_broken_disk(&error) => {
                Err(self.progress.poison(&error.to_string()))
            }
            Some(Err(error)) => Err(failure::error(&self.path, error)),
        }
    }

    /// Brings the log into the file, so that it can start anew.
    fn checkpoint(&self) -> Result<()> {
        self.log_bytes.store(0, Ordering::Relaxed);
        // Most of the work, beside writers; then the rest and the restart, for which they wait. Without
        // that a busy writer would always be ahead, and the log would only grow.
        self.keep_house(checkpoint)?;
        self.turns.pause();
        let restarted = self.restart_log();
        self.turns.resume();
        restarted
    }

    /// Makes the first write to a new log, which has to wait for the disk where anything is promised.
    fn restart_log(&self) -> Result<()> {
        let restarted = self.with_writer(|writer| {
            // What came since the checkpoint: little, and nobody adds to it now.
            if !self.keep_house(checkpoint)? {
                return Ok(None);
            }
            writer.transact(self, |transaction| {
                let latest = transaction.writer.latest();
                let Writer { connection, databases, .. } = &mut *transaction.writer;
                databases.write(connection, latest).map_err(|error| transaction.failed(error))
            })
        });
        restarted.unwrap_or(Ok(None)).map(drop)
    }

    /// Uses the housekeeper's connection.
    fn keep_house<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let connection = self.housekeeping.lock();
        let Some(connection) = &*connection else { return Err(self.closed()) };
        work(connection).map_err(|error| {
            if failure::is_broken_disk(&error) {
                return self.progress.poison(&error.to_string());
            }
            failure::error(&self.path, error)
        })
    }

    /// Uses the writer; nothing where the store is closed.
    fn with_writer<T>(&self, work: impl FnOnce(&mut Writer) -> T) -> Option<T> {
        self.writer.lock().as_mut().map(work)
    }
}

/// Copies what it can from the log to the file, both synced; whether that was all.
fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    let mut checkpoint = connection.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?;
    checkpoint.query_row([], |row| Ok(row.get::<_, i64>(1)? == row.get::<_, i64>(2)?))
}

/// Some addresses of entries that have expired, the longest gone first.
fn due(connection: &Connection, now_ms: u64) -> rusqlite::Result<Vec<OwnedAddress>> {
    let mut select = connection.prepare_cached(
        "SELECT place, key, member FROM stored WHERE expires_at_ms <= ?1 ORDER BY expires_at_ms LIMIT ?2",
    )?;
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let owned = |row: &rusqlite::Row<'_>| {
        let column = |number| bytes(row, number).map(|bytes| bytes.unwrap_or_default().to_vec());
        Ok((row.get(0)?, column(1)?, column(2)?))
    };
    select.query_map(params![now_ms, REMOVALS as i64], owned)?.collect()
}
