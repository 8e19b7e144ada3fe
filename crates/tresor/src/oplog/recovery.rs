//! Opening a store: the newest snapshot, the log after it, and the cut of a tail never promised.
//!
//! Nothing is guessed. Numbers must follow one another from the snapshot's start (or from 1) to the
//! end, and reach the snapshot's end; whatever is missing or broken there was on disk once, so it is
//! an error that names the file and the offset. Only behind the last segment's last good record can a
//! crash have left anything, and that is cut, counted and reported.

use std::path::Path;

use super::{
    identity::{self, Identity},
    layout::{self, Listing, damaged, failed},
    reader::{End, Loaded},
    record::{Logged, Replayed},
    retention,
    segment::{self, Closing},
    snapshot_file::Input,
};
use crate::{
    engine::{DatabaseTable, Sequence, UNSWAPPED},
    error::{Error, ErrorKind, Result},
    files::{Files, Open},
};

/// What opening a store found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Identifies the store; part of every ETag.
    pub store_id: u64,
    /// The id is new: the store was never here before, or ran below `always` and was not closed.
    pub store_id_is_new: bool,
    /// The number of the latest change.
    pub latest: Sequence,
    /// The latest store time seen, in Unix milliseconds: store time goes on from there.
    pub latest_time_ms: u64,
    /// Where the snapshot ended; 0 without one.
    pub snapshot: Sequence,
    /// The snapshot's store time, in Unix milliseconds.
    pub snapshot_time_ms: u64,
    /// Entries that the snapshot held.
    pub entries: u64,
    /// Records replayed after the snapshot's start.
    pub records: u64,
    /// Bytes of a tail that was never promised: cut.
    pub torn_bytes: u64,
    /// Whole records in that tail, behind a broken one: dropped.
    pub torn_records: u64,
    /// How long opening took, in milliseconds.
    pub took_ms: u64,
}

pub(super) struct Recovered {
    pub(super) identity: Identity,
    pub(super) recovery: Recovery,
    pub(super) segments: Vec<Sequence>,
    /// Which physical database each logical one is.
    pub(super) table: DatabaseTable,
    /// The store ran below `always` and was not closed.
    pub(super) marked: bool,
}

/// Makes the directory if it is missing, durably.
pub(super) fn prepare_directory(files: &dyn Files, directory: &Path) -> Result<()> {
    match files.list(directory) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("list", directory, error)),
    }
    files.create_directory(directory).map_err(|error| failed("create the directory", directory, error))?;
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    identity::sync_directory(files, parent)
}

/// Brings back what a directory holds. The caller has it locked.
pub(super) fn recover(
    files: &dyn Files,
    directory: &Path,
    keep_bytes: u64,
    replay: &mut dyn FnMut(Replayed<'_>) -> Result<()>,
) -> Result<Recovered> {
    let mut table = UNSWAPPED;
    let replay = &mut |replayed: Replayed<'_>| {
        match replayed {
            Replayed::Snapshot { mapping, .. }
            | Replayed::Change { change: Logged::Mapping(mapping), .. } => table = mapping,
            _ => {}
        }
        replay(replayed)
    };
    let names = files.list(directory).map_err(|error| failed("list", directory, error))?;
    let mut listing = Listing::of(&names);
    for unfinished in &listing.unfinished {
        identity::remove(files, &directory.join(unfinished))?;
    }
    let mut recovery = Recovery::default();
    let identity = establish(files, directory, &listing, &mut recovery)?;
    let mut history = History { files, directory, identity, keep_bytes, start: 0, recovery };
    history.load_snapshot(listing.snapshots.last().copied(), replay)?;
    history.replay_segments(&mut listing.segments, replay)?;
    if let Some((_, replaced)) = listing.snapshots.split_last() {
        for &end in replaced {
            identity::remove(files, &directory.join(layout::snapshot_name(end)))?;
        }
    }
    let (segments, marked) = (listing.segments, listing.marked);
    let recovery = history.recovery;
    Ok(Recovered { identity, recovery, segments, table, marked })
}

/// Finds out who the store is, or makes it somebody.
fn establish(
    files: &dyn Files,
    directory: &Path,
    listing: &Listing,
    recovery: &mut Recovery,
) -> Result<Identity> {
    let identity = if listing.identity {
        let mut identity = Identity::load(files, directory)?;
        if listing.marked {
            identity.store_id = identity::random()?;
            identity.save(files, directory)?;
        }
        recovery.store_id_is_new = listing.marked;
        identity
    } else if listing.segments.is_empty() && listing.snapshots.is_empty() {
        let identity = Identity::random()?;
        identity.save(files, directory)?;
        recovery.store_id_is_new = true;
        identity
    } else {
        let path = directory.join(layout::IDENTITY);
        return Err(damaged(&path, 0, "it is missing although there are segments or snapshots"));
    };
    recovery.store_id = identity.store_id;
    Ok(identity)
}

struct History<'a> {
    files: &'a dyn Files,
    directory: &'a Path,
    identity: Identity,
    /// How much log before the snapshot stays for readers of changes.
    keep_bytes: u64,
    /// Everything up to here is in the snapshot.
    start: Sequence,
    recovery: Recovery,
}

impl History<'_> {
    fn load_snapshot(
        &mut self,
        newest: Option<Sequence>,
        replay: &mut dyn FnMut(Replayed<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(end) = newest else { return Ok(()) };
        let input = Input::open(self.files, self.directory, end)?;
        input.belongs_to(self.identity.directory_id)?;
        input.load(replay)?;
        self.start = input.summary.start;
        self.recovery.snapshot = end;
        self.recovery.snapshot_time_ms = input.summary.time_ms;
        self.recovery.latest_time_ms = input.summary.time_ms;
        self.recovery.entries = input.summary.entries;
        Ok(())
    }

    /// Replays what comes after the snapshot's start; leaves in `segments` those that stay. What lies before it is
    /// not looked at.
    fn replay_segments(
        &mut self,
        segments: &mut Vec<Sequence>,
        replay: &mut dyn FnMut(Replayed<'_>) -> Result<()>,
    ) -> Result<()> {
        let superseded = retention::superseded(segments, self.start);
        let over = retention::over(self.files, self.directory, &segments[..superseded], self.keep_bytes)?;
        for &first in &segments[..over] {
            identity::remove(self.files, &self.directory.join(layout::segment_name(first)))?;
        }
        let mut kept: Vec<Sequence> = segments.drain(..superseded).skip(over).collect();
        let mut next = segments.first().map_or(self.start + 1, |&first| first.min(self.start + 1));
        for (index, &first) in segments.iter().enumerate() {
            let loaded = Loaded::load(self.files, self.directory, first)?;
            loaded.belongs_to(self.identity.directory_id)?;
            if first != next {
                let what = format!("it begins with change {first}, but {next} should come next");
                return Err(damaged(&loaded.path, 24, &what));
            }
            let end = self.replay_records(&loaded, replay)?;
            match segments.get(index + 1) {
                Some(&following) if end.next != following => {
                    return Err(damaged(&loaded.path, end.offset as u64, &missing(end.next, following)));
                }
                Some(_) => {}
                None => self.settle_tail(&loaded, &end)?,
            }
            next = end.next;
        }
        self.recovery.latest = (next - 1).max(self.start);
        if self.recovery.latest < self.recovery.snapshot {
            let path = self.directory.join(layout::snapshot_name(self.recovery.snapshot));
            let what = missing(self.recovery.latest + 1, self.recovery.snapshot + 1);
            return Err(damaged(&path, 0, &format!("the log that it needs is not whole: {what}")));
        }
        // A segment without records would get the name of the one to come.
        if segments.last() == Some(&next) {
            segments.pop();
            identity::remove(self.files, &self.directory.join(layout::segment_name(next)))?;
        }
        kept.append(segments);
        *segments = kept;
        Ok(())
    }

    fn replay_records(
        &mut self,
        loaded: &Loaded,
        replay: &mut dyn FnMut(Replayed<'_>) -> Result<()>,
    ) -> Result<End> {
        let start = self.start;
        let end = loaded.records(|record, offset| {
            if record.first <= start {
                return Ok(());
            }
            self.recovery.records += u64::from(record.count > 0);
            if record.changes(&mut *replay)? {
                return Ok(());
            }
            Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} holds at byte {offset} a change that this version cannot read; use a newer Tresor",
                    loaded.path.display()
                ),
            ))
        })?;
        self.recovery.latest_time_ms = self.recovery.latest_time_ms.max(end.time_ms);
        Ok(end)
    }

    /// Cuts what was never promised off the last segment and makes the rest durable.
    fn settle_tail(&mut self, loaded: &Loaded, end: &End) -> Result<()> {
        let behind = loaded.behind(end);
        if let Some(offset) = behind.vouched_at {
            let what = format!(
                "change {} is broken, and the record at byte {offset} says that it was on disk",
                end.next
            );
            return Err(damaged(&loaded.path, end.offset as u64, &what));
        }
        if end.next <= self.recovery.snapshot {
            let what =
                format!("{}, but the snapshot needs them", missing(end.next, self.recovery.snapshot + 1));
            return Err(damaged(&loaded.path, end.offset as u64, &what));
        }
        self.recovery.torn_bytes = behind.bytes;
        self.recovery.torn_records = behind.records;
        if end.closed && loaded.bytes.len() == end.offset {
            return Ok(());
        }
        let path = &loaded.path;
        let file = self.files.open(path, Open::Write).map_err(|error| failed("open", path, error))?;
        // After a crash the records may only be in the page cache, and after a failed sync even marked
        // as clean there. Written again and synced, they are on disk.
        file.write_at(&loaded.bytes[..end.offset], 0).map_err(|error| failed("write", path, error))?;
        file.sync().map_err(|error| failed("sync", path, error))?;
        let closing = Closing {
            seal: loaded.header.seal,
            position: end.offset as u64,
            next: end.next,
            time_ms: end.time_ms,
        };
        segment::close(&*file, path, closing)
    }
}

fn missing(from: Sequence, before: Sequence) -> String {
    match before.saturating_sub(from) {
        0 | 1 => format!("change {from} is missing or broken"),
        _ => format!("changes {from} to {} are missing or broken", before - 1),
    }
}
