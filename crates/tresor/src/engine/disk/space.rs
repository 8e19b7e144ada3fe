//! Room on the disk for what the tables do by themselves: writing out buffers, merging tables.
//!
//! A disk that fills up in the middle of that stops the store for good, so a write that adds something
//! is refused while there is less free space than that takes, before anything has happened; deletions
//! go on. Asking the system costs a microsecond, so it is asked once in so many bytes.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use crate::{
    error::{Error, ErrorKind, Result},
    files::Files,
};

/// Bytes of changes between two questions.
const ASK_EVERY_BYTES: i64 = 1 << 20;

/// The free space, watched.
pub(super) struct Space {
    files: Arc<dyn Files>,
    path: PathBuf,
    reserve_bytes: u64,
    until_asked: AtomicI64,
    short: AtomicBool,
}

impl Space {
    pub(super) fn new(files: Arc<dyn Files>, path: PathBuf, reserve_bytes: u64) -> Self {
        Self { files, path, reserve_bytes, until_asked: AtomicI64::new(0), short: AtomicBool::new(false) }
    }

    /// Refuses a change of so many bytes while there is too little; asks each time while that is so.
    #[inline]
    pub(super) fn take(&self, bytes: usize) -> Result<()> {
        let bytes = bytes as i64;
        let left = self.until_asked.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        if left > 0 && !self.short.load(Ordering::Relaxed) { Ok(()) } else { self.ask() }
    }

    #[cold]
    fn ask(&self) -> Result<()> {
        // Where the system does not say, the disk itself will.
        let free = self.files.free_bytes(&self.path).unwrap_or(u64::MAX);
        let short = free < self.reserve_bytes;
        self.short.store(short, Ordering::Relaxed);
        self.until_asked.store(ASK_EVERY_BYTES, Ordering::Relaxed);
        if !short {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::DiskFull,
            format!(
                "{} has {free} bytes left, and the tables need {} to work with: make room; deleting goes on",
                self.path.display(),
                self.reserve_bytes
            ),
        ))
    }
}
