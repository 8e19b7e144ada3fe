//! Reading a segment back: its records in order, and what to make of the place where they end.
//!
//! A crash can leave any mixture of old and new bytes behind the last synced record, even whole
//! records behind a broken one, because a disk writes in no particular order. None of that was
//! promised. A broken record that *was* on disk is damage. Two things tell them apart: only the last
//! segment can have anything unsynced in it, and each record says how far the log was synced when it
//! was written. So a broken record is damage exactly if a later segment, or a later whole record of
//! its own segment, vouches for it.

use std::path::{Path, PathBuf};

use super::{
    layout::{self, damaged, failed},
    record::{MAX_RECORD_BYTES, Record},
    segment::{HEADER_BYTES, Header},
};
use crate::{
    engine::Sequence,
    error::Result,
    files::{Files, Open},
};

/// A segment in memory.
pub(super) struct Loaded {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    pub(super) bytes: Vec<u8>,
}

/// Where the unbroken run of records ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// The number that the next record would have.
    pub(super) next: Sequence,
    /// Where the next record would be.
    pub(super) offset: usize,
    /// How many records there are, and how many changes in them.
    pub(super) records: u64,
    /// Whether the record that closes a segment was found.
    pub(super) closed: bool,
    /// The latest store time of a record.
    pub(super) time_ms: u64,
}

/// What lies behind the end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Behind {
    /// Bytes up to the last that is not zero.
    pub(super) bytes: u64,
    /// Whole records among them, up to the one that vouches.
    pub(super) records: u64,
    /// Where a record says that what is broken was on disk.
    pub(super) vouched_at: Option<u64>,
}

impl Loaded {
    /// Reads the segment that begins at `first`.
    pub(super) fn load(files: &dyn Files, directory: &Path, first: Sequence) -> Result<Self> {
        let path = directory.join(layout::segment_name(first));
        let bytes = read_whole(files, &path)?;
        let header = Header::parse(&bytes, &path)?;
        if header.first != first {
            return Err(damaged(&path, 24, "its name and its header give different numbers"));
        }
        Ok(Self { path, header, bytes })
    }

    /// Refuses a segment of another store.
    pub(super) fn belongs_to(&self, directory_id: u64) -> Result<()> {
        if self.header.directory_id == directory_id {
            return Ok(());
        }
        Err(damaged(&self.path, 16, "it is of another store"))
    }

    /// Hands out the unbroken run of records with their offsets.
    pub(super) fn records<'a>(
        &'a self,
        mut each: impl FnMut(Record<'a>, usize) -> Result<()>,
    ) -> Result<End> {
        let mut end =
            End { next: self.header.first, offset: HEADER_BYTES, records: 0, closed: false, time_ms: 0 };
        while let Some(record) = self.record_at(end.offset) {
            if record.first != end.next || end.closed {
                break;
            }
            each(record, end.offset)?;
            end.closed = record.count == 0;
            end.records += u64::from(!end.closed);
            end.next = record.next();
            end.offset += record.framed_bytes();
            end.time_ms = end.time_ms.max(record.time_ms);
        }
        Ok(end)
    }

    /// Looks at everything behind the end: records begin at multiples of eight.
    pub(super) fn behind(&self, end: &End) -> Behind {
        let rest = self.bytes.get(end.offset..).unwrap_or_default();
        let bytes = without_zeros(rest).len() as u64;
        let mut behind = Behind { bytes, ..Behind::default() };
        let mut offset = end.offset;
        while offset < end.offset + bytes as usize {
            let Some(record) = self.record_at(offset) else {
                offset += 8;
                continue;
            };
            behind.records += u64::from(record.first >= end.next && record.count > 0);
            // A closing record has no number of its own: it vouches for what is before it.
            if record.first > end.next && record.attests() >= end.next {
                behind.vouched_at = Some(offset as u64);
                break;
            }
            offset += record.framed_bytes();
        }
        behind
    }

    /// The whole record at an offset, if there is one.
    pub(super) fn record_at(&self, offset: usize) -> Option<Record<'_>> {
        Record::parse(self.bytes.get(offset..)?, self.header.seal)
    }
}

/// The bytes up to the last that is not zero. Most of what is asked about is zeros: skip them in blocks.
fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    static ZEROS: [u8; 4096] = [0; 4096];
    while let Some((before, block)) = bytes.split_last_chunk::<4096>()
        && *block == ZEROS
    {
        bytes = before;
    }
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

fn read_whole(files: &dyn Files, path: &Path) -> Result<Vec<u8>> {
    let file = files.open(path, Open::Read).map_err(|error| failed("open", path, error))?;
    let size = file.size().map_err(|error| failed("measure", path, error))?;
    // No segment that we wrote is larger: reading this one would only exhaust memory.
    if size > (2 * MAX_RECORD_BYTES) as u64 {
        return Err(damaged(path, 0, "it is longer than any segment can be"));
    }
    let mut bytes = vec![0; size as usize];
    let read = file.read_at(&mut bytes, 0).map_err(|error| failed("read", path, error))?;
    bytes.truncate(read);
    Ok(bytes)
}
