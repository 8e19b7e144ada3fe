//! The log thread: takes what was appended, writes it, syncs as the durability level demands, and
//! tells whoever waits. Everything appended during one sync shares the next: that is group commit.
//!
//! It also prepares the next segment before the current one is full, so that appends find room.
//! A failed write into allocated space or a failed sync is never tried again: the kernel may have
//! dropped the data and call the next sync a success. The log is poisoned instead.

use std::{
    mem,
    sync::{Arc, atomic::Ordering},
    task::Waker,
    thread,
    time::Duration,
};

use super::{
    identity, layout,
    log::Durability,
    pending::{Pending, Shortage},
    record,
    segment::{Segment, Spare},
    shared::Shared,
};
use crate::{
    engine::{DatabaseTable, Sequence},
    error::Result,
};

/// How long an append that nobody waits for stays unwritten, at most.
const TICK_NS: u64 = 50_000_000;
/// After so long without an append the thread sleeps until it is woken.
const LINGER_NS: u64 = 1_000_000_000;
/// A disk without space is tried again after this long.
const RETRY_NS: u64 = 100_000_000;

/// The log thread's own state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    current: Option<Segment>,
    spare: Option<Spare>,
    /// The buffer that the appends do not have.
    records: Vec<u8>,
    written: Sequence,
    synced: Sequence,
    unsynced_since_ns: Option<u64>,
    active_ns: u64,
    woken: Vec<Waker>,
}

/// What one turn has to do.
struct Turn {
    split: Option<(usize, DatabaseTable)>,
    last: Sequence,
    sync: bool,
    closing: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let latest = shared.state.lock().synced;
        let active_ns = shared.clock.monotonic_ns();
        Self {
            shared,
            current: None,
            spare: None,
            records: Vec::new(),
            written: latest,
            synced: latest,
            unsynced_since_ns: None,
            active_ns,
            woken: Vec::new(),
        }
    }

    /// Runs until the log is closed or poisoned; the result is that of closing.
    pub(super) fn run(mut self) -> Result<()> {
        loop {
            let turn = self.take();
            if let Err(error) = self.turn(&turn) {
                return Err(self.shared.poison(&error));
            }
            if turn.closing {
                return self.close();
            }
            self.prepare();
            self.rest();
        }
    }

    /// Exchanges the buffers, so that appends go on while this one is written.
    fn take(&mut self) -> Turn {
        self.records.clear();
        // A buffer that one huge record has blown up is not kept.
        self.records.shrink_to(self.shared.options.buffer_bytes);
        let turn = {
            let mut state = self.shared.state.lock();
            let state = &mut *state;
            mem::swap(&mut state.buffer, &mut self.records);
            state.taken = state.next;
            state.dozing = false;
            state.wishes.write = false;
            state.figures.written_bytes += self.records.len() as u64;
            state.room_waiters.take_all(&mut self.woken);
            Turn {
                split: state.split.take(),
                last: state.next - 1,
                sync: mem::take(&mut state.wishes.sync),
                closing: state.closing,
            }
        };
        self.woken.drain(..).for_each(Waker::wake);
        turn
    }

    fn turn(&mut self, turn: &Turn) -> Result<()> {
        if !self.records.is_empty() {
            self.active_ns = self.shared.clock.monotonic_ns();
            let mut records = mem::take(&mut self.records);
            let split = turn.split.map_or(records.len(), |(at, _)| at);
            let (rest, next) = records.split_at_mut(split);
            self.write(rest)?;
            if let Some((_, table)) = &turn.split {
                self.rotate(record::first_number(next), table)?;
                self.write(next)?;
            }
            self.written = turn.last;
            self.records = records;
        }
        if self.unsynced_since_ns.is_some() && (turn.sync || turn.closing || self.sync_is_due()) {
            self.sync()?;
        }
        self.shared.publish(self.written, self.synced, &mut self.woken);
        Ok(())
    }

    fn write(&mut self, records: &mut [u8]) -> Result<()> {
        if let Some(segment) = self.current.as_mut().filter(|_| !records.is_empty()) {
            segment.write(records, self.synced)?;
            self.unsynced_since_ns.get_or_insert(self.active_ns);
        }
        Ok(())
    }

    fn sync_is_due(&self) -> bool {
        match (self.shared.options.durability, self.unsynced_since_ns) {
            (Durability::None, _) | (_, None) => false,
            (Durability::Always, _) => true,
            (Durability::Interval { ms }, Some(since)) => {
                self.shared.clock.monotonic_ns().saturating_sub(since) >= ms.saturating_mul(1_000_000)
            }
        }
    }

    fn sync(&mut self) -> Result<()> {
        if let Some(segment) = &self.current {
            let began_ns = self.shared.clock.monotonic_ns();
            segment.sync()?;
            let took_ns = self.shared.clock.monotonic_ns().saturating_sub(began_ns);
            let figures = &mut self.shared.state.lock().figures;
            figures.syncs += 1;
            figures.sync_ns += took_ns;
        }
        self.synced = self.written;
        self.unsynced_since_ns = None;
        Ok(())
    }

    /// Ends the current segment and goes on in the prepared one, whatever the level: nothing is ever
    /// unsynced before the last segment.
    fn rotate(&mut self, first: Sequence, table: &DatabaseTable) -> Result<()> {
        self.written = first - 1;
        if self.unsynced_since_ns.is_some() {
            self.sync()?;
        }
        let Some(spare) = self.spare.take() else {
            unreachable!("records are only let in behind a split when a segment is prepared");
        };
        let shared = &*self.shared;
        let directory_id = shared.identity.directory_id;
        let segment = spare.start(&*shared.files, &shared.directory, directory_id, (first, table))?;
        self.current = Some(segment);
        let mut state = shared.state.lock();
        // An empty segment of the same name, left by an earlier run, was replaced.
        state.segments.retain(|&known| known != first);
        state.segments.push(first);
        Ok(())
    }

    /// Sets aside the next segment if it is time to, or if somebody needs a larger one.
    pub(super) fn prepare(&mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(room) = self.room_to_prepare(&mut shared.state.lock()) else { return };
        // The old one, if any, was too small for whoever asked; nobody can reserve in it now.
        self.spare = None;
        let (spare, shortage) = match Spare::allocate(&*shared.files, &shared.directory, room) {
            Ok(spare) => (Some(spare), None),
            // There is no space for the huge record, but there may be for everybody else.
            Err(error) => {
                let usual = usual_room(&shared);
                let spare = (room > usual).then(|| Spare::allocate(&*shared.files, &shared.directory, usual));
                let retry_at_ns = shared.clock.monotonic_ns() + RETRY_NS;
                (spare.and_then(Result::ok), Some(Shortage { error, retry_at_ns }))
            }
        };
        {
            let mut state = shared.state.lock();
            state.attempts += 1;
            state.spare_room = spare.as_ref().map(Spare::room);
            state.shortage = shortage;
            state.room_waiters.take_all(&mut self.woken);
        }
        self.spare = spare;
        self.woken.drain(..).for_each(Waker::wake);
    }

    fn room_to_prepare(&mut self, state: &mut Pending) -> Option<u64> {
        if state.split.is_some() {
            // The prepared segment is spoken for: the next turn uses it up, then comes back here.
            return None;
        }
        let asked = mem::take(&mut state.wishes.room);
        let usual = usual_room(&self.shared);
        let too_small = asked > state.current_room.max(state.spare_room.unwrap_or(0));
        let due = state.shortage.is_some() || state.current_room < usual / 2;
        if !too_small && (!due || state.spare_room.is_some()) {
            return None;
        }
        if let Some(shortage) = &state.shortage
            && self.shared.clock.monotonic_ns() < shortage.retry_at_ns
        {
            // Whoever asked hears of the shortage instead.
            state.attempts += 1;
            state.room_waiters.take_all(&mut self.woken);
            return None;
        }
        state.spare_room = None;
        Some(usual.max(asked))
    }

    /// Sleeps until there is something to do.
    fn rest(&mut self) {
        self.woken.drain(..).for_each(Waker::wake);
        let shared = &*self.shared;
        shared.parked.store(true, Ordering::SeqCst);
        let nap_ns = {
            let mut state = shared.state.lock();
            if state.has_wishes() {
                Some(0)
            } else {
                let nap_ns = self.nap_ns(&state);
                state.dozing = nap_ns.is_none();
                nap_ns
            }
        };
        match nap_ns {
            Some(0) => {}
            Some(nap_ns) => thread::park_timeout(Duration::from_nanos(nap_ns)),
            None => thread::park(),
        }
        shared.parked.store(false, Ordering::SeqCst);
    }

    /// How long nothing needs doing; `None` for until an append.
    fn nap_ns(&self, state: &Pending) -> Option<u64> {
        let now_ns = self.shared.clock.monotonic_ns();
        let mut nap_ns = TICK_NS;
        if let (Durability::Interval { ms }, Some(since)) =
            (self.shared.options.durability, self.unsynced_since_ns)
        {
            nap_ns = nap_ns.min((since + ms.saturating_mul(1_000_000)).saturating_sub(now_ns).max(1));
        } else if state.buffer.is_empty()
            && state.shortage.is_none()
            && now_ns.saturating_sub(self.active_ns) > LINGER_NS
        {
            return None;
        }
        Some(nap_ns)
    }

    /// Ends the last segment, removes what only a running store needs. Everything is synced already.
    fn close(mut self) -> Result<()> {
        let shared = &*self.shared;
        let (next, time_ms) = {
            let state = shared.state.lock();
            (state.next, state.time_ms)
        };
        if let Some(segment) = self.current.take()
            && let Err(error) = segment.close(next, time_ms)
        {
            return Err(shared.poison(&error));
        }
        self.spare = None;
        identity::remove(&*shared.files, &shared.directory.join(layout::SEGMENT_NEW))?;
        if shared.options.durability == Durability::Always {
            return Ok(());
        }
        identity::unmark(&*shared.files, &shared.directory)
    }
}

fn usual_room(shared: &Shared) -> u64 {
    shared.options.segment_bytes - super::segment::HEADER_BYTES as u64
}
