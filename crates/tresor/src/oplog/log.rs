//! The log as an engine sees it: append under the engine's lock, wait for durability outside it.
//!
//! Appending copies the change into a buffer and numbers it; it never touches the disk and never
//! waits for it. One thread per log writes and syncs (see `writer.rs`). What cannot be promised is
//! refused before anything changes.

use std::{
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
    thread::{self, JoinHandle},
};

use parking_lot::Mutex;

use super::{
    changes, identity,
    pending::Pending,
    record::{self, Logged, MAX_RECORD_BYTES, Replayed},
    recovery::{self, Recovered, Recovery},
    segment,
    shared::{Goal, Progress, Readable, Room, Shared},
    snapshot::SnapshotWriter,
    writer::Writer,
};
use crate::{
    clock::Clock,
    engine::{ChangeCursor, ChangePage, ChangesWanted, Eventual, MAX_SEQUENCE, Sequence},
    error::{Error, ErrorKind, Result},
    files::{File, Files},
};

/// What an acknowledged change survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is promised; a log is written all the same, without syncs.
    #[default]
    None,
    /// A crash of the process; a power cut loses at most this long.
    Interval {
        /// The longest time that a written change stays unsynced while others are acknowledged, in
        /// milliseconds.
        ms: u64,
    },
    /// A power cut.
    Always,
}

/// How a log is run.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// The promise to keep.
    pub durability: Durability,
    /// The size of a segment, in bytes; a larger record gets a segment of its own.
    pub segment_bytes: u64,
    /// The bound on records that are not yet being written, in bytes; a single larger record is let
    /// in when there are none.
    pub buffer_bytes: usize,
    /// How much log that a start no longer needs is kept for readers of changes, in bytes: as many whole
    /// segments as fit.
    pub keep_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Always,
            segment_bytes: 64 * 1024 * 1024,
            buffer_bytes: 8 * 1024 * 1024,
            keep_bytes: 0,
        }
    }
}

/// Why an append was not taken. Nothing has changed.
#[derive(Debug)]
pub enum Refused {
    /// There is no room at hand: leave the engine's locks, wait for [`Log::room`], try again.
    NoRoom {
        /// What to ask for.
        bytes: usize,
    },
    /// It will not be taken later either.
    Failed(Error),
}

/// How the log is doing, for INFO, metrics and the curious.
#[derive(Clone, Debug, Default)]
pub struct LogStatus {
    /// The promise it keeps.
    pub durability: Durability,
    /// The number of the latest change.
    pub latest: Sequence,
    /// The last number known to be on disk.
    pub synced: Sequence,
    /// Segments on disk.
    pub segments: usize,
    /// Bytes of records waiting to be written.
    pub buffered_bytes: usize,
    /// Bytes that the buffer may hold without growing; what it costs in memory.
    pub buffer_capacity_bytes: usize,
    /// Bytes of records written since the start.
    pub written_bytes: u64,
    /// Syncs of segments since the start.
    pub syncs: u64,
    /// How long these took, in nanoseconds.
    pub sync_ns: u64,
    /// Snapshots finished since the start.
    pub snapshots: u64,
    /// Where the latest snapshot ended; 0 if there is none.
    pub last_snapshot: Sequence,
    /// The store time of the latest snapshot, in Unix milliseconds; 0 if there is none.
    pub last_snapshot_time_ms: u64,
    /// The size of the latest snapshot that was finished since the start.
    pub last_snapshot_bytes: u64,
    /// Why the latest attempt at a snapshot failed; `None` when it did not, or there was none.
    pub snapshot_failure: Option<String>,
    /// A snapshot is being written.
    pub snapshotting: bool,
    /// There was no space for another segment when last tried: the message that writers get.
    pub shortage: Option<String>,
    /// Why nothing works any more, if so.
    pub poison: Option<String>,
}

/// An open log. Dropping it closes it.
pub struct Log {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Result<()>>>>,
    lock: Mutex<Option<Arc<dyn File>>>,
}

impl Log {
    /// Opens the log in a directory, or starts one there, and replays what it holds.
    ///
    /// Takes the directory for this process ([`Unavailable`](ErrorKind::Unavailable) if another has
    /// it), removes leftovers of unfinished snapshots, and hands `replay` the newest snapshot and
    /// every change after its start. A tail that was never promised is cut and counted; damage to
    /// anything else is an error with file and offset. An error of `replay` is passed on.
    pub fn open(
        files: Arc<dyn Files>,
        clock: Arc<dyn Clock>,
        directory: &Path,
        options: LogOptions,
        replay: &mut dyn FnMut(Replayed<'_>) -> Result<()>,
    ) -> Result<(Arc<Self>, Recovery)> {
        let begun_ns = clock.monotonic_ns();
        recovery::prepare_directory(&*files, directory)?;
        let lock = identity::lock(&*files, directory)?;
        let mut recovered = recovery::recover(&*files, directory, options.keep_bytes, replay)?;
        match options.durability {
            Durability::Always if recovered.marked => identity::unmark(&*files, directory)?,
            Durability::Always => {}
            Durability::None | Durability::Interval { .. } => identity::mark(&*files, directory)?,
        }
        recovered.recovery.took_ms = (clock.monotonic_ns() - begun_ns) / 1_000_000;
        let recovery = recovered.recovery.clone();
        let shared = Arc::new(Shared::over(files, clock, directory, options, recovered));
        let mut writer = Writer::new(Arc::clone(&shared));
        writer.prepare();
        let thread = thread::Builder::new().name("tresor-log".into()).spawn(move || writer.run()).map_err(
            |error| Error::new(ErrorKind::Unavailable, "cannot start the log thread").caused_by(error),
        )?;
        // Nobody has the log yet, so nobody has had a reason to wake the thread.
        shared.thread.get_or_init(|| thread.thread().clone());
        let log = Self { shared, thread: Mutex::new(Some(thread)), lock: Mutex::new(Some(lock)) };
        Ok((Arc::new(log), recovery))
    }

    /// Appends one record of these changes; change i gets the number `first + i`. Returns the last.
    ///
    /// Call it with the locks held under which the changes are then applied: the log's order is the
    /// order of changes. It never waits.
    #[inline]
    pub fn append(&self, now_ms: u64, changes: &[Logged<'_>]) -> Result<Sequence, Refused> {
        let bytes = record::framed_bytes(changes).map_err(Refused::Failed)?;
        let mut state = self.shared.state.lock();
        state.reserve(bytes, changes.len())?;
        let first = state.next;
        record::encode(&mut state.buffer, first, now_ms, changes);
        record::note_tables(&mut state.table, changes);
        state.next += changes.len() as u64;
        state.time_ms = state.time_ms.max(now_ms);
        let last = state.next - 1;
        let filling = !state.wishes.write && state.buffer.len() > state.buffer_limit / 2;
        if filling || state.dozing {
            state.wishes.write |= filling;
            state.dozing = false;
            drop(state);
            self.shared.wake();
        }
        Ok(last)
    }

    /// Lets the next change have a number above `upto`, if it would not have: the numbers between are
    /// never given. Returns the latest number, or `upto` where that is greater.
    pub fn lift(&self, now_ms: u64, upto: Sequence) -> Result<Sequence, Refused> {
        if upto >= MAX_SEQUENCE {
            let message = format!("a store has no numbers above {upto}");
            return Err(Refused::Failed(Error::invalid(message)));
        }
        let lift = [Logged::Lift { upto }];
        let bytes = record::framed_bytes(&lift).map_err(Refused::Failed)?;
        let mut state = self.shared.state.lock();
        if state.next > upto {
            return Ok(state.next - 1);
        }
        state.reserve(bytes, 1)?;
        let first = state.next;
        record::encode(&mut state.buffer, first, now_ms, &lift);
        state.next = upto + 1;
        state.time_ms = state.time_ms.max(now_ms);
        state.dozing = false;
        drop(state);
        self.shared.wake();
        Ok(upto)
    }

    /// Answers when a record of `bytes`, as [`Refused::NoRoom`] named them, would be let in.
    /// [`DiskFull`](ErrorKind::DiskFull) while the disk has no space for it.
    pub fn room(&self, bytes: usize) -> Eventual<'_, ()> {
        Eventual::later(Room::new(&self.shared, bytes))
    }

    /// Answers when every change up to `upto` survives what the durability level promises.
    #[inline]
    pub fn durable(&self, upto: Sequence) -> Eventual<'_, ()> {
        if self.is_durable(upto) {
            return Eventual::Now(Ok(()));
        }
        Eventual::later(Progress::new(&self.shared, Goal::Released, upto))
    }

    /// Whether [`durable`](Self::durable) would answer at once and well.
    #[inline]
    pub fn is_durable(&self, upto: Sequence) -> bool {
        self.shared.is_released(upto)
    }

    /// The number of the latest change; 0 before the first.
    pub fn latest(&self) -> Sequence {
        self.shared.state.lock().next - 1
    }

    /// The next page of changes from where the cursor stands: see [`Engine::changes`](crate::engine::Engine::changes).
    pub fn changes<'a>(
        &'a self,
        cursor: &'a mut ChangeCursor,
        wanted: &'a ChangesWanted<'a>,
    ) -> Eventual<'a, ChangePage> {
        let page = changes::page(&self.shared, cursor, wanted);
        if !wanted.wait || !page.as_ref().is_ok_and(|page| page.idle) {
            return Eventual::Now(page);
        }
        Eventual::later(async move {
            Readable::new(&self.shared, cursor.next).await?;
            changes::page(&self.shared, cursor, wanted)
        })
    }

    /// Identifies the store; part of every ETag.
    pub fn store_id(&self) -> u64 {
        self.shared.identity.store_id
    }

    /// Figures for INFO and metrics.
    pub fn status(&self) -> LogStatus {
        let state = self.shared.state.lock();
        LogStatus {
            durability: self.shared.options.durability,
            latest: state.next - 1,
            synced: state.synced,
            segments: state.segments.len(),
            buffered_bytes: state.buffer.len(),
            buffer_capacity_bytes: state.buffer.capacity(),
            written_bytes: state.figures.written_bytes,
            syncs: state.figures.syncs,
            sync_ns: state.figures.sync_ns,
            snapshots: state.figures.snapshots,
            last_snapshot: state.figures.last_snapshot,
            last_snapshot_time_ms: state.figures.last_snapshot_time_ms,
            last_snapshot_bytes: state.figures.last_snapshot_bytes,
            snapshot_failure: state.figures.snapshot_failure.clone(),
            snapshotting: self.shared.snapshotting.load(Ordering::Relaxed),
            shortage: state.shortage.as_ref().map(|shortage| shortage.error.to_string()),
            poison: state.poison.as_ref().map(Error::to_string),
        }
    }

    /// Starts a snapshot of everything from here on: afterwards pass over all entries, each under
    /// its lock, in any order. One at a time.
    pub fn begin_snapshot(&self) -> Result<SnapshotWriter> {
        SnapshotWriter::begin(Arc::clone(&self.shared))
    }

    /// Notes how an attempt at a snapshot ended, for [`LogStatus::snapshot_failure`].
    pub fn note_snapshot(&self, failure: Option<&Error>) {
        self.shared.state.lock().figures.snapshot_failure = failure.map(Error::to_string);
    }

    /// Writes and syncs everything appended, ends the log thread and gives the directory free.
    /// Later appends are [`Unavailable`](ErrorKind::Unavailable). A second call does nothing.
    pub fn close(&self) -> Result<()> {
        let mut readers = Vec::new();
        {
            let mut state = self.shared.state.lock();
            state.closing = true;
            state.readers.take_all(&mut readers);
        }
        readers.into_iter().for_each(Waker::wake);
        self.shared.wake();
        let thread = self.thread.lock().take();
        let result = match thread.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::new(ErrorKind::Internal, "the log thread panicked")),
        };
        self.lock.lock().take();
        result
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, path = %self.shared.directory.display(), "the log was not closed well");
        }
    }
}

impl Shared {
    fn over(
        files: Arc<dyn Files>,
        clock: Arc<dyn Clock>,
        directory: &Path,
        mut options: LogOptions,
        recovered: Recovered,
    ) -> Self {
        let latest = recovered.recovery.latest;
        let smallest = (segment::HEADER_BYTES + record::HEADER_BYTES) as u64;
        options.segment_bytes = options.segment_bytes.clamp(smallest, MAX_RECORD_BYTES as u64);
        let mut state = Pending {
            buffer_limit: options.buffer_bytes,
            table: recovered.table,
            next: latest + 1,
            taken: latest + 1,
            synced: latest,
            time_ms: recovered.recovery.latest_time_ms,
            segments: recovered.segments,
            ..Pending::default()
        };
        state.figures.last_snapshot = recovered.recovery.snapshot;
        state.figures.last_snapshot_time_ms = recovered.recovery.snapshot_time_ms;
        let released = match options.durability {
            Durability::None => u64::MAX,
            Durability::Interval { .. } | Durability::Always => latest + 1,
        };
        Self {
            files,
            clock,
            directory: directory.to_path_buf(),
            identity: recovered.identity,
            options,
            state: Mutex::new(state),
            released: AtomicU64::new(released),
            readable: AtomicU64::new(latest),
            parked: AtomicBool::new(false),
            thread: OnceLock::new(),
            snapshotting: AtomicBool::new(false),
        }
    }
}
