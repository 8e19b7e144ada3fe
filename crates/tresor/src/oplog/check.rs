//! Looking at a store without opening it: what each file holds and where it is damaged.
//!
//! The same readers as a start uses, so that the verdict is the start's; but every file is looked at,
//! where a start stops at the first that it cannot use. Nothing is changed.

use std::path::Path;

use super::{
    identity::{self, Identity},
    layout::{self, Listing, damaged, failed},
    reader::Loaded,
    record::Replayed,
    snapshot_file::Input,
};
use crate::{
    engine::Sequence,
    error::{Error, ErrorKind, Result},
    files::Files,
};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Who the store is.
    Identity,
    /// A point to start from.
    Snapshot,
    /// A part of the log.
    Segment,
}

/// What one file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Its name in the directory.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// How long it is.
    pub bytes: u64,
    /// Whole records of a segment before any damage, or entries of a snapshot.
    pub records: u64,
    /// The numbers that it covers: a segment's first and last, a snapshot's start and end.
    pub covers: (Sequence, Sequence),
    /// Bytes of a tail that was never promised; the next start cuts them.
    pub torn_bytes: u64,
    /// The first damage, with file and offset.
    pub problem: Option<String>,
}

/// What a directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The identity, then snapshots, then segments, oldest first.
    pub files: Vec<FileReport>,
    /// What is wrong between the files: missing parts of the log.
    pub gaps: Vec<String>,
}

impl Report {
    /// Whether a start would find nothing wrong. A torn tail is nothing wrong.
    pub fn is_whole(&self) -> bool {
        self.gaps.is_empty() && self.files.iter().all(|file| file.problem.is_none())
    }
}

/// Reads every file of the store in a directory. [`Unavailable`](ErrorKind::Unavailable) while the
/// store is open, [`NotFound`](ErrorKind::NotFound) if there is none.
pub fn check(files: &dyn Files, directory: &Path) -> Result<Report> {
    let listing = find(files, directory)?;
    let _lock = identity::lock(files, directory)?;
    let mut report = Report::default();
    let identity = check_identity(files, directory, &mut report);
    let mut covered: Option<(Sequence, Sequence)> = None;
    for &end in &listing.snapshots {
        covered = check_snapshot(files, directory, end, identity, &mut report).or(covered);
    }
    check_segments(files, directory, &listing, identity, &mut report);
    check_coverage(covered, &mut report);
    Ok(report)
}

/// What is in a directory that must hold a store.
pub(super) fn find(files: &dyn Files, directory: &Path) -> Result<Listing> {
    let names = files.list(directory).map_err(|error| failed("list", directory, error))?;
    let listing = Listing::of(&names);
    if listing.identity || !listing.segments.is_empty() || !listing.snapshots.is_empty() {
        return Ok(listing);
    }
    Err(Error::new(ErrorKind::NotFound, format!("there is no store in {}", directory.display())))
}

fn check_identity(files: &dyn Files, directory: &Path, report: &mut Report) -> Option<Identity> {
    let identity = Identity::load(files, directory);
    report.files.push(FileReport {
        name: layout::IDENTITY.into(),
        kind: FileKind::Identity,
        bytes: identity::BYTES as u64,
        records: 0,
        covers: (0, 0),
        torn_bytes: 0,
        problem: identity.as_ref().err().map(Error::to_string),
    });
    identity.ok()
}

fn check_snapshot(
    files: &dyn Files,
    directory: &Path,
    end: Sequence,
    identity: Option<Identity>,
    report: &mut Report,
) -> Option<(Sequence, Sequence)> {
    let mut file = FileReport {
        name: layout::snapshot_name(end),
        kind: FileKind::Snapshot,
        bytes: 0,
        records: 0,
        covers: (0, end),
        torn_bytes: 0,
        problem: None,
    };
    let result = Input::open(files, directory, end).and_then(|input| {
        file.bytes = input.bytes();
        file.covers.0 = input.summary.start;
        input.load(&mut |replayed| {
            if let Replayed::Entries(entries) = replayed {
                file.records += entries.len() as u64;
            }
            Ok(())
        })?;
        input.belongs_to(identity.map_or(input.summary.directory_id, |identity| identity.directory_id))
    });
    file.problem = result.err().map(|error| error.to_string());
    let covered = file.problem.is_none().then_some(file.covers);
    report.files.push(file);
    covered
}

fn check_segments(
    files: &dyn Files,
    directory: &Path,
    listing: &Listing,
    identity: Option<Identity>,
    report: &mut Report,
) {
    for (index, &first) in listing.segments.iter().enumerate() {
        let mut file = FileReport {
            name: layout::segment_name(first),
            kind: FileKind::Segment,
            bytes: 0,
            records: 0,
            covers: (first, first - 1),
            torn_bytes: 0,
            problem: None,
        };
        let following = listing.segments.get(index + 1).copied();
        let result = Loaded::load(files, directory, first).and_then(|loaded| {
            file.bytes = loaded.bytes.len() as u64;
            loaded
                .belongs_to(identity.map_or(loaded.header.directory_id, |identity| identity.directory_id))?;
            read_segment(&loaded, following, &mut file)
        });
        file.problem = result.err().map(|error| error.to_string());
        report.files.push(file);
    }
}

fn read_segment(loaded: &Loaded, following: Option<Sequence>, file: &mut FileReport) -> Result<()> {
    let end = loaded.records(|record, offset| {
        if record.changes(|_| Ok(()))? {
            return Ok(());
        }
        Err(damaged(&loaded.path, offset as u64, "a change cannot be read"))
    })?;
    file.records = end.records;
    file.covers.1 = end.next - 1;
    let broken = match following {
        Some(following) => {
            (end.next != following).then(|| format!("the next segment begins with {following}"))
        }
        None => {
            let behind = loaded.behind(&end);
            file.torn_bytes = behind.bytes;
            behind.vouched_at.map(|offset| format!("the record at byte {offset} says that it was on disk"))
        }
    };
    match broken {
        None => Ok(()),
        Some(why) => {
            file.torn_bytes = 0;
            let what = format!("change {} is broken or missing: {why}", end.next);
            Err(damaged(&loaded.path, end.offset as u64, &what))
        }
    }
}

/// Whether the log reaches from the snapshot's start (or from the first change) beyond its end.
fn check_coverage(snapshot: Option<(Sequence, Sequence)>, report: &mut Report) {
    let (start, end) = snapshot.unwrap_or((0, 0));
    let mut segments = report.files.iter().filter(|file| file.kind == FileKind::Segment).peekable();
    if let Some(oldest) = segments.peek()
        && oldest.covers.0 > start + 1
    {
        report.gaps.push(format!("changes {} to {} are missing", start + 1, oldest.covers.0 - 1));
    }
    let latest = segments.map(|file| file.covers.1).next_back().unwrap_or(start);
    if latest < end {
        report.gaps.push(format!("changes {} to {end}, which the snapshot needs, are missing", latest + 1));
    }
}
