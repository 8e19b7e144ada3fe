//! A segment: one file of the log, allocated whole before anything is promised to fit into it.
//!
//! A segment gets its final name only after the one before it is synced, and its header is synced
//! before the name. So there is always at most one segment with anything unsynced in it: the last.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    identity::{self, known_format},
    layout::{self, damaged, failed},
    record::{self, Seal, checksum, u32_at, u64_at},
};
use crate::{
    engine::{
        DatabaseTable, Sequence,
        database_table::{self, table_of},
    },
    error::Result,
    files::{File, Files},
};

const MAGIC: &[u8; 8] = b"TRESORLG";
const FORMAT: u32 = 1;

/// The bytes before a segment's first record.
pub(super) const HEADER_BYTES: usize = 48;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) directory_id: u64,
    pub(super) first: Sequence,
    pub(super) seal: Seal,
    /// Which physical database each logical one was before the first change; `None` in a segment of a version
    /// that did not say so.
    pub(super) table: Option<DatabaseTable>,
}

impl Header {
    /// Reads the front of a segment; `path` is for the error.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let Some(header) = bytes.get(..HEADER_BYTES) else {
            return Err(damaged(path, 0, "it is shorter than a segment's header"));
        };
        let seed = checksum(0, &header[..HEADER_BYTES - 4]);
        if header[..8] != *MAGIC || seed != u32_at(header, HEADER_BYTES - 4) {
            return Err(damaged(path, 0, "this is no segment's header"));
        }
        known_format(path, u32_at(header, 8), FORMAT)?;
        Ok(Self {
            directory_id: u64_at(header, 16),
            first: u64_at(header, 24),
            seal: Seal { seed, salt: u32_at(header, 32) },
            table: table_of(&database_table::unpack(u64_at(header, 36))),
        })
    }

    fn encode(
        directory_id: u64,
        (first, table): (Sequence, &DatabaseTable),
        salt: u32,
    ) -> ([u8; HEADER_BYTES], Seal) {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&directory_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&first.to_le_bytes());
        bytes[32..36].copy_from_slice(&salt.to_le_bytes());
        bytes[36..44].copy_from_slice(&database_table::pack(table).to_le_bytes());
        let seed = checksum(0, &bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..].copy_from_slice(&seed.to_le_bytes());
        (bytes, Seal { seed, salt })
    }
}

/// Space for a segment that has no records and no final name yet.
pub(super) struct Spare {
    file: Arc<dyn File>,
    path: PathBuf,
    bytes: u64,
}

impl Spare {
    /// Allocates a file with room for `room` bytes of records.
    pub(super) fn allocate(files: &dyn Files, directory: &Path, room: u64) -> Result<Self> {
        let path = directory.join(layout::SEGMENT_NEW);
        let bytes = room + HEADER_BYTES as u64;
        let file = identity::create(files, &path)?;
        if let Err(error) = file.allocate(bytes) {
            // The space that it did get must go back to whoever needs it; the next try removes the
            // file too, so a failure here only delays that.
            files.remove(&path).ok();
            return Err(failed(&format!("set aside {bytes} bytes for the log in"), directory, error));
        }
        Ok(Self { file, path, bytes })
    }

    /// How many bytes of records fit in.
    pub(super) fn room(&self) -> u64 {
        self.bytes - HEADER_BYTES as u64
    }

    /// Makes it the segment of the records from `first` on, durably.
    pub(super) fn start(
        self,
        files: &dyn Files,
        directory: &Path,
        directory_id: u64,
        (first, table): (Sequence, &DatabaseTable),
    ) -> Result<Segment> {
        let (header, seal) = Header::encode(directory_id, (first, table), identity::random()? as u32);
        self.file.write_at(&header, 0).map_err(|error| failed("write", &self.path, error))?;
        self.file.sync().map_err(|error| failed("sync", &self.path, error))?;
        let path = directory.join(layout::segment_name(first));
        files.rename(&self.path, &path).map_err(|error| failed("rename", &self.path, error))?;
        identity::sync_directory(files, directory)?;
        Ok(Segment { file: self.file, path, seal, position: HEADER_BYTES as u64, bytes: self.bytes })
    }
}

/// The segment that is being written.
pub(super) struct Segment {
    file: Arc<dyn File>,
    pub(super) path: PathBuf,
    seal: Seal,
    position: u64,
    pub(super) bytes: u64,
}

impl Segment {
    /// Seals records and writes them. `synced` is the last number on disk.
    pub(super) fn write(&mut self, records: &mut [u8], synced: Sequence) -> Result<()> {
        debug_assert!(self.position + records.len() as u64 <= self.bytes, "more than was reserved");
        record::seal(records, self.seal, synced);
        self.file.write_at(records, self.position).map_err(|error| failed("write", &self.path, error))?;
        self.position += records.len() as u64;
        Ok(())
    }

    /// Makes everything written durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|error| failed("sync", &self.path, error))
    }

    /// Ends a synced segment for good: see [`close`].
    pub(super) fn close(self, next: Sequence, time_ms: u64) -> Result<()> {
        close(&*self.file, &self.path, Closing { seal: self.seal, position: self.position, next, time_ms })
    }
}

/// Where and how a segment ends.
pub(super) struct Closing {
    pub(super) seal: Seal,
    pub(super) position: u64,
    pub(super) next: Sequence,
    pub(super) time_ms: u64,
}

/// Writes the empty record that vouches for everything before it, and gives back unused space. What
/// comes before must be synced.
pub(super) fn close(file: &dyn File, path: &Path, closing: Closing) -> Result<()> {
    let mut bytes = Vec::new();
    record::encode(&mut bytes, closing.next, closing.time_ms, &[]);
    record::seal(&mut bytes, closing.seal, closing.next.saturating_sub(1));
    let end = closing.position + bytes.len() as u64;
    if file.size().map_err(|error| failed("measure", path, error))? < end {
        // No space was kept for it (the segment is exactly full): the record is a help, not a need.
        file.set_size(closing.position).map_err(|error| failed("cut", path, error))?;
    } else {
        file.write_at(&bytes, closing.position).map_err(|error| failed("write", path, error))?;
        file.set_size(end).map_err(|error| failed("cut", path, error))?;
    }
    file.sync().map_err(|error| failed("sync", path, error))
}
