//! The latest changes of a store without a log, for readers of changes: the same records, in memory.
//!
//! Nothing is kept until somebody reads; from then on every change goes through here, under the lock that orders
//! it, so numbers rise in the order of changes. It holds so many bytes and no more: the oldest changes go, and
//! who wanted them is told of the gap.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use super::{
    changes::{Asked, take, tell_gap},
    record::{self, Logged, Record, note_tables},
    waiters::{Ticket, Waiters},
};
use crate::{
    engine::{ChangeCursor, ChangePage, ChangesWanted, DatabaseTable, Eventual, Place, Sequence, UNSWAPPED},
    error::{Error, ErrorKind, Result},
};

/// The longest that a chunk grows before the next one begins, in bytes; one larger record has one of its own.
const CHUNK_BYTES: usize = 64 * 1024;

/// The latest changes of a store.
pub(crate) struct ChangeBuffer {
    store_id: u64,
    most_bytes: usize,
    kept: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Everything from this number on is kept.
    from: Sequence,
    /// The latest number that was kept.
    last: Sequence,
    keeps: bool,
    table: DatabaseTable,
    /// Full ones, oldest first.
    chunks: VecDeque<Arc<Chunk>>,
    open: Chunk,
    /// Bytes of all chunks.
    bytes: usize,
    readers: Waiters,
    closed: bool,
}

/// Records that follow one another.
#[derive(Default)]
struct Chunk {
    first: Sequence,
    table: DatabaseTable,
    records: Vec<u8>,
}

impl ChangeBuffer {
    /// A buffer that keeps nothing yet.
    pub(crate) fn new(store_id: u64, most_bytes: usize) -> Self {
        let table = UNSWAPPED;
        let state = Mutex::new(State { table, ..State::default() });
        Self { store_id, most_bytes, kept: AtomicBool::new(false), state }
    }

    /// Whether changes are kept.
    #[inline]
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::SeqCst)
    }

    /// Whether these changes have to be told to [`append`](Self::append): all, once changes are kept, and before
    /// that those that give the databases other numbers.
    #[inline]
    pub(crate) fn concern<'c>(&self, mut changes: impl Iterator<Item = Logged<'c>>) -> bool {
        self.is_kept() || changes.any(|change| matches!(change, Logged::Mapping(_)))
    }

    /// Keeps changes from now on. Changes that are under way may still be missing.
    pub(crate) fn begin(&self) {
        let mut state = self.state.lock();
        state.keeps = true;
        self.kept.store(true, Ordering::SeqCst);
    }

    /// Says that no change from this number on is missing.
    pub(crate) fn is_whole_from(&self, next: Sequence) {
        let mut state = self.state.lock();
        state.from = state.from.max(next);
    }

    /// Numbers changes, keeps them as one record, and answers the last number. Call it with the locks held under
    /// which they are then applied.
    pub(crate) fn append(&self, numbers: &AtomicU64, now_ms: u64, changes: &[Logged<'_>]) -> Sequence {
        let count = changes.len() as u64;
        let mut woken = Vec::new();
        let last = {
            let mut state = self.state.lock();
            let first = numbers.fetch_add(count, Ordering::Relaxed);
            state.append((first, now_ms), changes, self.most_bytes);
            state.last = first + count - 1;
            let last = state.last;
            state.readers.take_through(last, &mut woken);
            last
        };
        woken.into_iter().for_each(Waker::wake);
        last
    }

    /// Ends the waiting of all readers.
    pub(crate) fn close(&self) {
        let mut woken = Vec::new();
        {
            let mut state = self.state.lock();
            state.closed = true;
            state.readers.take_all(&mut woken);
        }
        woken.into_iter().for_each(Waker::wake);
    }

    /// The next page from where the cursor stands; `latest` is the store's latest number.
    pub(crate) fn changes<'a>(
        &'a self,
        latest: Sequence,
        cursor: &'a mut ChangeCursor,
        wanted: &'a ChangesWanted<'a>,
    ) -> Eventual<'a, ChangePage> {
        let page = self.page(latest, cursor, wanted);
        if !wanted.wait || !page.as_ref().is_ok_and(|page| page.idle) {
            return Eventual::Now(page);
        }
        Eventual::later(async move {
            Appended { buffer: self, next: cursor.next, ticket: Ticket::default() }.await?;
            let latest = self.state.lock().last;
            self.page(latest, cursor, wanted)
        })
    }

    fn page(
        &self,
        latest: Sequence,
        cursor: &mut ChangeCursor,
        wanted: &ChangesWanted<'_>,
    ) -> Result<ChangePage> {
        let (last, from, table) = {
            let state = self.state.lock();
            (state.last, state.from, state.table)
        };
        let asked = Asked { wanted, table };
        let mut page = cursor.begin_page(self.store_id, latest.max(last));
        if page.gap.is_none() && cursor.next < from {
            tell_gap(cursor, &mut page, from);
        }
        page.idle = page.gap.is_none() && cursor.next > last;
        while cursor.next <= last && page.has_room(wanted) {
            let (chunk, place, following) = match self.chunk(cursor) {
                Ok(found) => found,
                Err(from) => {
                    if tell_gap(cursor, &mut page, from) {
                        continue;
                    }
                    break;
                }
            };
            if !read(&chunk, place, cursor, (&asked, &mut page))? {
                break;
            }
            // Numbers that were never given are no gap, between two chunks either.
            cursor.next = cursor.next.max(following);
        }
        page.more = cursor.next <= last;
        page.through = cursor.through();
        Ok(page)
    }

    /// The chunk that holds the cursor's number, where to begin in it, and the number with which the next one begins;
    /// the first number that is kept where that one is not any more.
    fn chunk(&self, cursor: &ChangeCursor) -> Result<(Arc<Chunk>, Place, Sequence), Sequence> {
        let state = self.state.lock();
        if cursor.next < state.from {
            return Err(state.from);
        }
        let copied;
        let behind_all = state.last + 1;
        let (chunk, following) = if cursor.next >= state.open.first && !state.open.records.is_empty() {
            let Chunk { first, table, records } = &state.open;
            copied = Arc::new(Chunk { first: *first, table: *table, records: records.clone() });
            (&copied, behind_all)
        } else {
            let behind = state.chunks.partition_point(|chunk| chunk.first <= cursor.next);
            let Some(chunk) = behind.checked_sub(1).and_then(|at| state.chunks.get(at)) else {
                return Err(behind_all);
            };
            let open = (!state.open.records.is_empty()).then_some(state.open.first);
            (chunk, state.chunks.get(behind).map(|next| next.first).or(open).unwrap_or(behind_all))
        };
        let begin = Place { segment: chunk.first, offset: 0, next: chunk.first, table: chunk.table };
        let place = cursor.place.filter(|place| place.segment == chunk.first).unwrap_or(begin);
        Ok((chunk.clone(), place, following))
    }
}

/// Tells what a chunk holds from the cursor on; false when the page was full before its end.
fn read(
    chunk: &Chunk,
    mut place: Place,
    cursor: &mut ChangeCursor,
    (asked, page): (&Asked<'_>, &mut ChangePage),
) -> Result<bool> {
    while let Some(record) = Record::of_memory(&chunk.records[place.offset as usize..]) {
        if !take(&record, &mut place.table, cursor, (asked, &mut *page))? {
            cursor.place = Some(place);
            return Ok(false);
        }
        place.offset += record.framed_bytes() as u64;
        place.next = record.next();
        cursor.next = cursor.next.max(place.next);
    }
    cursor.place = Some(place);
    Ok(true)
}

impl State {
    fn append(&mut self, (first, now_ms): (Sequence, u64), changes: &[Logged<'_>], most_bytes: usize) {
        if !self.keeps {
            return note_tables(&mut self.table, changes);
        }
        if self.open.records.is_empty() {
            (self.open.first, self.open.table) = (first, self.table);
        }
        let before = self.open.records.len();
        record::encode(&mut self.open.records, first, now_ms, changes);
        self.bytes += self.open.records.len() - before;
        note_tables(&mut self.table, changes);
        if self.open.records.len() >= CHUNK_BYTES {
            let full = std::mem::take(&mut self.open);
            self.chunks.push_back(Arc::new(full));
        }
        while self.bytes > most_bytes {
            let Some(oldest) = self.chunks.pop_front() else { break };
            self.bytes -= oldest.records.len();
            self.from = match (self.chunks.front(), self.open.records.is_empty()) {
                (Some(next), _) => next.first,
                (None, false) => self.open.first,
                (None, true) => first + changes.len() as u64,
            };
        }
    }
}

/// Waits until the change `next`, or a later one, is kept.
struct Appended<'a> {
    buffer: &'a ChangeBuffer,
    next: Sequence,
    ticket: Ticket,
}

impl Future for Appended<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { buffer, next, mut ticket } = *self;
        {
            let mut state = buffer.state.lock();
            if state.closed {
                let closed = Error::new(ErrorKind::Unavailable, "the store is closed; open it again");
                return Poll::Ready(Err(closed));
            }
            if state.last >= next {
                return Poll::Ready(Ok(()));
            }
            state.readers.enter(&mut ticket, next, context.waker());
        }
        self.ticket = ticket;
        Poll::Pending
    }
}

impl Drop for Appended<'_> {
    fn drop(&mut self) {
        self.buffer.state.lock().readers.leave(self.ticket);
    }
}
