//! Writing a snapshot beside a running store, without a fork and without stopping anybody.
//!
//! The engine passes over its entries in short slices while changes go on. That is sound because the
//! snapshot notes the numbers at its start and end, takes its name only after the log is on disk
//! through its end, and a start replays every change after its start over it. Log that lies wholly
//! before the start may go then (`retention.rs`), and so does the snapshot before: a second one would double the
//! space, and whatever damages a synced file that nobody touches may as well damage both.

use std::sync::{Arc, atomic::Ordering};

use super::{
    identity,
    layout::{self, Listing, failed},
    retention,
    shared::{Goal, Progress, Shared},
    snapshot_file::Output,
};
use crate::{
    engine::{DATABASES, EntryRef, KeyRef, Sequence, block_on},
    error::{Error, ErrorKind, Result},
};

/// A snapshot being written. Dropping it abandons it. Its calls use the disk: make them on a thread
/// that may wait, holding no lock.
pub struct SnapshotWriter {
    shared: Arc<Shared>,
    /// `None` once finished.
    output: Option<Output>,
    start: Sequence,
}

impl SnapshotWriter {
    pub(super) fn begin(shared: Arc<Shared>) -> Result<Self> {
        if shared.snapshotting.swap(true, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "a snapshot is being written already"));
        }
        let mut writer = Self { shared, output: None, start: 0 };
        let start = {
            let state = writer.shared.state.lock();
            if let Some(stopped) = state.stopped() {
                return Err(stopped);
            }
            state.next - 1
        };
        let shared = &writer.shared;
        let output = Output::create(&*shared.files, &shared.directory, shared.identity.directory_id, start)?;
        (writer.output, writer.start) = (Some(output), start);
        Ok(writer)
    }

    /// Adds an entry, under its physical database. On an error, abandon the snapshot.
    pub fn entry(&mut self, key: KeyRef<'_>, entry: &EntryRef<'_>) -> Result<()> {
        match &mut self.output {
            Some(output) => output.entry(key, entry),
            None => Err(Error::new(ErrorKind::Internal, "the snapshot has no file")),
        }
    }

    /// Makes the snapshot the one to start from, durably, and removes the log and the snapshot that
    /// it replaces. Returns the number at its end.
    ///
    /// `mapping` is the physical number of each logical database, read after the snapshot began,
    /// under the lock that a swap is logged and applied under.
    pub fn finish(mut self, mapping: [u8; DATABASES as usize]) -> Result<Sequence> {
        let shared = Arc::clone(&self.shared);
        let Some(output) = &mut self.output else {
            return Err(Error::new(ErrorKind::Internal, "the snapshot has no file"));
        };
        let (end, time_ms) = {
            let state = shared.state.lock();
            (state.next - 1, state.time_ms)
        };
        block_on(Progress::new(&shared, Goal::Synced, end))?;
        output.finish(end, time_ms, &mapping)?;
        // Once the store is closed its directory may be somebody else's.
        if let Some(stopped) = shared.state.lock().stopped() {
            return Err(stopped);
        }
        let bytes = output.bytes();
        let path = shared.directory.join(layout::snapshot_name(end));
        shared.files.rename(&output.path, &path).map_err(|error| failed("rename", &output.path, error))?;
        self.output = None;
        // The directory also holds the names of segments: whether those are safe is uncertain now.
        identity::sync_directory(&*shared.files, &shared.directory).map_err(|error| shared.poison(&error))?;
        {
            let mut state = shared.state.lock();
            state.figures.snapshots += 1;
            state.figures.last_snapshot = end;
            state.figures.last_snapshot_time_ms = time_ms;
            state.figures.last_snapshot_bytes = bytes;
        }
        self.remove_replaced(end)?;
        Ok(end)
    }

    /// Gives the snapshot up; the store stays as it was.
    pub fn abandon(self) {}

    /// Removes segments that end before the snapshot's start, as far as they are not kept for readers of changes,
    /// and other snapshots. What a crash or an error leaves behind, the next snapshot removes.
    fn remove_replaced(&self, end: Sequence) -> Result<()> {
        let shared = &*self.shared;
        let names =
            shared.files.list(&shared.directory).map_err(|error| failed("list", &shared.directory, error))?;
        for old in Listing::of(&names).snapshots.into_iter().filter(|&old| old < end) {
            identity::remove(&*shared.files, &shared.directory.join(layout::snapshot_name(old)))?;
        }
        let segments = shared.state.lock().segments.clone();
        let superseded = &segments[..retention::superseded(&segments, self.start)];
        let over = retention::over(&*shared.files, &shared.directory, superseded, shared.options.keep_bytes)?;
        for &oldest in &superseded[..over] {
            identity::remove(&*shared.files, &shared.directory.join(layout::segment_name(oldest)))?;
            shared.state.lock().segments.retain(|&first| first != oldest);
        }
        Ok(())
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if let Some(output) = self.output.take() {
            // Best effort: the next start or snapshot removes it otherwise.
            self.shared.files.remove(&output.path).ok();
        }
        self.shared.snapshotting.store(false, Ordering::SeqCst);
    }
}
