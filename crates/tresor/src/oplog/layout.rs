//! The names in a store's directory, and how a failed disk call is told.
//!
//! Segments carry their first number and snapshots their last, in twelve hexadecimal digits, so that
//! a sorted listing is the store's history. Everything else has a fixed name. A name ending in `.new`
//! is unfinished and removed by the next start.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    engine::{MAX_SEQUENCE, Sequence},
    error::{Error, ErrorKind},
};

/// Held locked while the store is open; empty.
pub(super) const LOCK: &str = "lock";
/// Who the store is.
pub(super) const IDENTITY: &str = "store";
/// An identity being written.
pub(super) const IDENTITY_NEW: &str = "store.new";
/// There while the store runs below `always`; empty.
pub(super) const MARK: &str = "unsynced";
/// Space set aside for the next segment.
pub(super) const SEGMENT_NEW: &str = "segment.new";
/// A snapshot being written.
pub(super) const SNAPSHOT_NEW: &str = "snapshot.new";

const SEGMENT_SUFFIX: &str = ".log";
const SNAPSHOT_SUFFIX: &str = ".snapshot";

/// The name of the segment whose first record has the number `first`.
pub(super) fn segment_name(first: Sequence) -> String {
    format!("{first:012x}{SEGMENT_SUFFIX}")
}

/// The name of the snapshot that was finished at `end`.
pub(super) fn snapshot_name(end: Sequence) -> String {
    format!("{end:012x}{SNAPSHOT_SUFFIX}")
}

/// What a directory holds, as far as it is a store's, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) segments: Vec<Sequence>,
    pub(super) snapshots: Vec<Sequence>,
    pub(super) identity: bool,
    pub(super) marked: bool,
    pub(super) unfinished: Vec<&'static str>,
}

impl Listing {
    /// Sorts out the names of a directory; names that are not a store's are left alone.
    pub(super) fn of(names: &[String]) -> Self {
        let mut listing = Self::default();
        for name in names {
            match name.as_str() {
                IDENTITY => listing.identity = true,
                MARK => listing.marked = true,
                IDENTITY_NEW => listing.unfinished.push(IDENTITY_NEW),
                SEGMENT_NEW => listing.unfinished.push(SEGMENT_NEW),
                SNAPSHOT_NEW => listing.unfinished.push(SNAPSHOT_NEW),
                other => {
                    listing.segments.extend(numbered(other, SEGMENT_SUFFIX));
                    listing.snapshots.extend(numbered(other, SNAPSHOT_SUFFIX));
                }
            }
        }
        listing.segments.sort_unstable();
        listing.snapshots.sort_unstable();
        listing
    }
}

fn numbered(name: &str, suffix: &str) -> Option<Sequence> {
    let digits = name.strip_suffix(suffix)?;
    let number = Sequence::from_str_radix(digits, 16).ok()?;
    // Only the one spelling that we write: another would be a second name for the same number.
    (number <= MAX_SEQUENCE && digits == format!("{number:012x}")).then_some(number)
}

/// An error for a disk call that failed: what was tried, on which path, and why it failed.
pub(super) fn failed(what: &str, path: &Path, cause: io::Error) -> Error {
    let kind = if is_full(&cause) { ErrorKind::DiskFull } else { ErrorKind::Unavailable };
    Error::new(kind, format!("cannot {what} {}", path.display())).caused_by(cause)
}

/// Whether the disk, the quota or the file size limit leaves no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// An error for damage that a crash does not explain.
pub(super) fn damaged(path: &Path, offset: u64, what: &str) -> Error {
    let directory = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    Error::new(
        ErrorKind::Internal,
        format!(
            "{} is damaged at byte {offset}: {what}; restore it from a backup, or look with `tresor check {}` \
             and keep what is whole with `tresor check {} --salvage`",
            path.display(),
            directory.display(),
            directory.display(),
        ),
    )
}
