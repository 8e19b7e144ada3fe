//! The bytes of a snapshot: a header, blocks of entries, and a trailer that makes it whole.
//!
//! Every block has its own checksum, going on from the header's, and its place in the row, so a
//! damaged, missing, repeated or foreign block is found where it is. Entries are read where they lie
//! in the block: loading allocates nothing for an entry.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use smallvec::SmallVec;

use super::{
    identity::{self, known_format},
    layout::{self, damaged, failed},
    record::{self, MAX_RECORD_BYTES, Replayed, checksum, u32_at, u64_at},
};
use crate::{
    engine::{DatabaseTable, EntryRef, KeyRef, Sequence, UNSWAPPED, database_table::table_of},
    error::Result,
    files::{File, Files, Open},
};

const MAGIC: &[u8; 8] = b"TRESORSN";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 48;
const BLOCK_HEADER_BYTES: usize = 16;
const TRAILER_BYTES: usize = BLOCK_HEADER_BYTES + 40;
/// In place of a block's number of entries: this block is the trailer.
const IS_TRAILER: u32 = u32::MAX;
/// A block is written once it holds this much.
const BLOCK_BYTES: usize = 64 * 1024;
/// What is written is synced this often, so that the last sync, which others on the disk feel, is short.
const SYNC_BYTES: u64 = 16 * 1024 * 1024;
const READ_BYTES: usize = 1024 * 1024;
/// So many entries are handed out together.
const ENTRIES_TOGETHER: usize = 16;

/// What a snapshot says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) directory_id: u64,
    /// Everything up to here is in it.
    pub(super) start: Sequence,
    pub(super) entries: u64,
    pub(super) time_ms: u64,
    pub(super) mapping: DatabaseTable,
}

/// A snapshot being written, under its unfinished name.
pub(super) struct Output {
    file: Arc<dyn File>,
    pub(super) path: PathBuf,
    seed: u32,
    block: Vec<u8>,
    in_block: u32,
    blocks: u32,
    pub(super) entries: u64,
    position: u64,
    synced: u64,
}

impl Output {
    /// Creates the file and writes its header.
    pub(super) fn create(
        files: &dyn Files,
        directory: &Path,
        directory_id: u64,
        start: Sequence,
    ) -> Result<Self> {
        let path = directory.join(layout::SNAPSHOT_NEW);
        let file = identity::create(files, &path)?;
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        header[16..24].copy_from_slice(&directory_id.to_le_bytes());
        header[24..32].copy_from_slice(&start.to_le_bytes());
        header[32..40].copy_from_slice(&identity::random()?.to_le_bytes());
        let seed = checksum(0, &header[..HEADER_BYTES - 4]);
        header[HEADER_BYTES - 4..].copy_from_slice(&seed.to_le_bytes());
        file.write_at(&header, 0).map_err(|error| failed("write", &path, error))?;
        let block = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 2);
        let position = HEADER_BYTES as u64;
        Ok(Self { file, path, seed, block, in_block: 0, blocks: 0, entries: 0, position, synced: 0 })
    }

    /// Adds an entry.
    pub(super) fn entry(&mut self, key: KeyRef<'_>, entry: &EntryRef<'_>) -> Result<()> {
        if self.block.is_empty() {
            self.block.resize(BLOCK_HEADER_BYTES, 0);
        }
        record::encode_entry(&mut self.block, key, entry);
        self.in_block += 1;
        if self.block.len() >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.in_block > 0 {
            self.entries += u64::from(self.in_block);
            self.write_block(self.in_block)?;
            self.blocks += 1;
            self.in_block = 0;
        }
        if self.position - self.synced >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    fn write_block(&mut self, entries: u32) -> Result<()> {
        let length = (self.block.len() - BLOCK_HEADER_BYTES) as u32;
        self.block[4..8].copy_from_slice(&length.to_le_bytes());
        self.block[8..12].copy_from_slice(&self.blocks.to_le_bytes());
        self.block[12..16].copy_from_slice(&entries.to_le_bytes());
        let crc = checksum(self.seed, &self.block[4..]);
        self.block[..4].copy_from_slice(&crc.to_le_bytes());
        self.file.write_at(&self.block, self.position).map_err(|error| failed("write", &self.path, error))?;
        self.position += self.block.len() as u64;
        self.block.clear();
        // One huge entry must not cost its size for as long as the snapshot lasts.
        self.block.shrink_to(BLOCK_BYTES * 2);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.file.sync().map_err(|error| failed("sync", &self.path, error))?;
        self.synced = self.position;
        Ok(())
    }

    /// Writes what is left and the trailer, and syncs. The file still has its unfinished name.
    pub(super) fn finish(&mut self, end: Sequence, time_ms: u64, mapping: &DatabaseTable) -> Result<()> {
        self.flush()?;
        self.block.clear();
        self.block.resize(BLOCK_HEADER_BYTES, 0);
        self.block.extend_from_slice(&end.to_le_bytes());
        self.block.extend_from_slice(&self.entries.to_le_bytes());
        self.block.extend_from_slice(&time_ms.to_le_bytes());
        self.block.extend_from_slice(mapping);
        self.write_block(IS_TRAILER)?;
        self.sync()
    }

    /// How long the file is by now.
    pub(super) fn bytes(&self) -> u64 {
        self.position
    }
}

/// A snapshot opened to be read.
pub(super) struct Input {
    file: Arc<dyn File>,
    pub(super) path: PathBuf,
    seed: u32,
    blocks: u32,
    entries_end: u64,
    pub(super) summary: Summary,
}

impl Input {
    /// Opens the snapshot that was finished at `end`; header and trailer must be whole.
    pub(super) fn open(files: &dyn Files, directory: &Path, end: Sequence) -> Result<Self> {
        let mut input = Self::open_without_trailer(files, directory, end)?;
        let mut trailer = [0; TRAILER_BYTES];
        let offset = input.entries_end.saturating_sub(TRAILER_BYTES as u64).max(HEADER_BYTES as u64);
        read(&*input.file, &input.path, &mut trailer, offset)?;
        let body = &trailer[BLOCK_HEADER_BYTES..];
        let whole = checksum(input.seed, &trailer[4..]) == u32_at(&trailer, 0)
            && u32_at(&trailer, 12) == IS_TRAILER
            && u64_at(body, 0) == end;
        let (true, Some(mapping)) = (whole, table_of(&body[24..])) else {
            return Err(damaged(&input.path, offset, "its trailer is not whole"));
        };
        input.entries_end = offset;
        input.blocks = u32_at(&trailer, 8);
        input.summary.entries = u64_at(body, 8);
        input.summary.time_ms = u64_at(body, 16);
        input.summary.mapping = mapping;
        Ok(input)
    }

    /// Opens a snapshot of which only the header needs to be whole. What only the trailer tells is
    /// made up: no entries, databases under their own numbers.
    pub(super) fn open_without_trailer(files: &dyn Files, directory: &Path, end: Sequence) -> Result<Self> {
        let path = directory.join(layout::snapshot_name(end));
        let file = files.open(&path, Open::Read).map_err(|error| failed("open", &path, error))?;
        let entries_end = file.size().map_err(|error| failed("measure", &path, error))?;
        let mut header = [0; HEADER_BYTES];
        read(&*file, &path, &mut header, 0)?;
        let seed = checksum(0, &header[..HEADER_BYTES - 4]);
        if header[..8] != *MAGIC || seed != u32_at(&header, HEADER_BYTES - 4) {
            return Err(damaged(&path, 0, "this is no snapshot's header"));
        }
        known_format(&path, u32_at(&header, 8), FORMAT)?;
        let summary = Summary {
            directory_id: u64_at(&header, 16),
            start: u64_at(&header, 24),
            entries: 0,
            time_ms: 0,
            mapping: UNSWAPPED,
        };
        Ok(Self { file, path, seed, blocks: 0, entries_end, summary })
    }

    /// Refuses a snapshot of another store.
    pub(super) fn belongs_to(&self, directory_id: u64) -> Result<()> {
        if self.summary.directory_id == directory_id {
            return Ok(());
        }
        Err(damaged(&self.path, 16, "it is of another store"))
    }

    /// Hands out the mapping and every entry. Stops with an error at the first damaged block.
    pub(super) fn load(&self, replay: &mut dyn FnMut(Replayed<'_>) -> Result<()>) -> Result<()> {
        replay(self.beginning())?;
        let mut window = Window::new(self);
        let (mut blocks, mut entries) = (0, 0);
        while window.offset() < self.entries_end {
            entries += window.entries(blocks, replay)?;
            blocks += 1;
        }
        if blocks != self.blocks || entries != self.summary.entries {
            return Err(damaged(&self.path, self.entries_end, "blocks are missing"));
        }
        Ok(())
    }

    /// Like [`load`](Self::load), but passes over damaged blocks; says what is wrong with them.
    pub(super) fn load_whole_blocks(
        &self,
        replay: &mut dyn FnMut(Replayed<'_>) -> Result<()>,
    ) -> Vec<String> {
        let mut problems: Vec<String> =
            replay(self.beginning()).err().iter().map(ToString::to_string).collect();
        let mut window = Window::new(self);
        let mut blocks = 0;
        while window.offset() < self.entries_end {
            let offset = window.offset();
            if let Err(error) = window.entries(blocks, replay) {
                problems.push(error.to_string());
                // Its length may still lead to the next one.
                window.advance();
            }
            blocks += 1;
            if window.offset() == offset {
                break;
            }
        }
        problems
    }

    fn beginning(&self) -> Replayed<'static> {
        Replayed::Snapshot { mapping: self.summary.mapping, entries: self.summary.entries }
    }

    /// How long the file is.
    pub(super) fn bytes(&self) -> u64 {
        self.entries_end + TRAILER_BYTES as u64
    }
}

/// The part of a snapshot that is in memory: large sequential reads, one block in use.
struct Window<'a> {
    input: &'a Input,
    bytes: Vec<u8>,
    /// Where in the file `bytes` begins.
    base: u64,
    /// Where in `bytes` the block in use begins, and how long it is.
    at: usize,
    block: usize,
}

impl<'a> Window<'a> {
    fn new(input: &'a Input) -> Self {
        Self { input, bytes: Vec::new(), base: HEADER_BYTES as u64, at: 0, block: 0 }
    }

    fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    fn advance(&mut self) {
        self.at += self.block;
        self.block = 0;
    }

    /// Hands out the entries of the next block, which must be number `index`, and moves behind it.
    fn entries(&mut self, index: u32, replay: &mut dyn FnMut(Replayed<'_>) -> Result<()>) -> Result<u64> {
        let (input, offset) = (self.input, self.offset());
        let block = self.block(index)?;
        let entries = u32_at(block, 12);
        let mut rest = &block[BLOCK_HEADER_BYTES..];
        let mut together = SmallVec::<[_; ENTRIES_TOGETHER]>::new();
        for left in (0..entries).rev() {
            let Some(entry) = record::decode_entry(&mut rest) else {
                return Err(damaged(&input.path, offset, "a block holds what is no entry"));
            };
            together.push(entry);
            if together.len() == ENTRIES_TOGETHER || left == 0 {
                replay(Replayed::Entries(&together))?;
                together.clear();
            }
        }
        drop(together);
        self.advance();
        Ok(entries.into())
    }

    fn block(&mut self, index: u32) -> Result<&[u8]> {
        self.fill(BLOCK_HEADER_BYTES)?;
        let length = u32_at(&self.bytes[self.at..], 4) as usize;
        if length > MAX_RECORD_BYTES + BLOCK_BYTES {
            return Err(damaged(&self.input.path, self.offset(), "a block has no possible length"));
        }
        self.fill(BLOCK_HEADER_BYTES + length)?;
        self.block = BLOCK_HEADER_BYTES + length;
        let block = &self.bytes[self.at..self.at + self.block];
        if checksum(self.input.seed, &block[4..]) != u32_at(block, 0) {
            return Err(damaged(&self.input.path, self.offset(), "a block's checksum is wrong"));
        }
        if u32_at(block, 8) != index || u32_at(block, 12) == IS_TRAILER {
            return Err(damaged(&self.input.path, self.offset(), "a block is not in its place"));
        }
        Ok(block)
    }

    /// Makes `count` bytes from the block's start available.
    fn fill(&mut self, count: usize) -> Result<()> {
        if self.bytes.len() - self.at >= count {
            return Ok(());
        }
        let left = self.input.entries_end - self.offset();
        if left < count as u64 {
            return Err(damaged(&self.input.path, self.offset(), "a block reaches beyond the end"));
        }
        self.bytes.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        let have = self.bytes.len();
        let size = (READ_BYTES.max(count) as u64).min(left) as usize;
        self.bytes.resize(size, 0);
        read(&*self.input.file, &self.input.path, &mut self.bytes[have..], self.base + have as u64)
    }
}

fn read(file: &dyn File, path: &Path, into: &mut [u8], offset: u64) -> Result<()> {
    let read = file.read_at(into, offset).map_err(|error| failed("read", path, error))?;
    if read < into.len() {
        return Err(damaged(path, offset + read as u64, "it ends too early"));
    }
    Ok(())
}
