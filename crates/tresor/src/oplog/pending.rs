//! What is appended and not yet written, and the room that is left for more.
//!
//! Everything that an append touches is here, behind one lock that is held for a few copies. Room is
//! counted against segments that are allocated already, so whatever is let in fits on the disk. A
//! record that does not fit into the rest of the current segment goes to the next one; the place in
//! the buffer where that happens is the split.

use super::{log::Refused, waiters::Waiters};
use crate::{
    engine::{DatabaseTable, MAX_SEQUENCE, Sequence},
    error::{Error, ErrorKind, Result},
};

/// Why there is no next segment.
#[derive(Debug)]
pub(super) struct Shortage {
    pub(super) error: Error,
    pub(super) retry_at_ns: u64,
}

/// The state that appends, waiters and the log thread share.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Records that nobody has taken to be written.
    pub(super) buffer: Vec<u8>,
    /// The bound on `buffer`; a larger record is let in alone.
    pub(super) buffer_limit: usize,
    /// Where in the buffer the next segment's records begin, and which physical database each logical one is
    /// before them.
    pub(super) split: Option<(usize, DatabaseTable)>,
    /// Which physical database each logical one is behind the latest change.
    pub(super) table: DatabaseTable,
    /// The number of the next change.
    pub(super) next: Sequence,
    /// The number after the last change that was taken to be written.
    pub(super) taken: Sequence,
    /// The last number known to be on disk.
    pub(super) synced: Sequence,
    /// Bytes of records that still fit into the current segment.
    pub(super) current_room: u64,
    /// Bytes of records that fit into the one prepared after it.
    pub(super) spare_room: Option<u64>,
    /// The time of the latest append.
    pub(super) time_ms: u64,
    pub(super) wishes: Wishes,
    pub(super) shortage: Option<Shortage>,
    /// How often a next segment was tried for; tells a waiter that its wish was looked at.
    pub(super) attempts: u64,
    /// Why nothing works any more.
    pub(super) poison: Option<Error>,
    /// The log thread sleeps without a timer.
    pub(super) dozing: bool,
    pub(super) closing: bool,
    pub(super) durable_waiters: Waiters,
    pub(super) synced_waiters: Waiters,
    /// Who reads changes and has read all.
    pub(super) readers: Waiters,
    pub(super) room_waiters: Waiters,
    /// First numbers of the segments on disk, oldest first; the last one is being written.
    pub(super) segments: Vec<Sequence>,
    pub(super) figures: Figures,
}

/// What the log thread was asked for since it last looked.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) write: bool,
    pub(super) sync: bool,
    /// Room for one record of so many bytes; 0 for none.
    pub(super) room: u64,
}

/// Counts for the status.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) written_bytes: u64,
    pub(super) syncs: u64,
    pub(super) sync_ns: u64,
    pub(super) snapshots: u64,
    pub(super) last_snapshot: Sequence,
    pub(super) last_snapshot_time_ms: u64,
    pub(super) last_snapshot_bytes: u64,
    pub(super) snapshot_failure: Option<String>,
}

/// What stands between a record and the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    Buffer,
    Segment,
}

impl Pending {
    /// What a record of so many bytes lacks, if anything.
    #[inline]
    pub(super) fn lacks(&self, bytes: usize) -> Option<Lack> {
        let size = bytes as u64;
        let spare = self.split.is_none() && self.spare_room.is_some_and(|room| size <= room);
        if size > self.current_room && !spare {
            return Some(Lack::Segment);
        }
        if self.buffer.len() + bytes > self.buffer_limit && !self.buffer.is_empty() {
            return Some(Lack::Buffer);
        }
        None
    }

    /// Sets room aside for a record, or says why not, having changed nothing.
    #[inline]
    pub(super) fn reserve(&mut self, bytes: usize, count: usize) -> Result<(), Refused> {
        if self.closing || self.poison.is_some() {
            return Err(Refused::Failed(self.stopped().unwrap_or_else(closed)));
        }
        if self.lacks(bytes).is_some() {
            return Err(Refused::NoRoom { bytes });
        }
        if self.next + count as u64 > MAX_SEQUENCE {
            let message = "the store has used up its sequence numbers; copy it into a new one";
            return Err(Refused::Failed(Error::new(ErrorKind::Unavailable, message)));
        }
        let size = bytes as u64;
        if size <= self.current_room {
            self.current_room -= size;
        } else if let Some(room) = self.spare_room.take() {
            self.split = Some((self.buffer.len(), self.table));
            self.current_room = room - size;
        }
        Ok(())
    }

    /// Why appends are refused, if they are.
    pub(super) fn stopped(&self) -> Option<Error> {
        match &self.poison {
            Some(poison) => Some(poison.again()),
            None => self.closing.then(closed),
        }
    }

    /// Whether the log thread has something to do at once.
    pub(super) fn has_wishes(&self) -> bool {
        self.wishes.write || self.wishes.sync || self.wishes.room > 0 || self.closing
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed; open it again")
}
