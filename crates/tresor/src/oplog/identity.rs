//! Who a store is, and who has it open: the lock, the identity file and the mark.
//!
//! Two ids: `directory_id` stays for good and stands in every segment and snapshot, so that files of
//! different stores never mix; `store_id` is part of every ETag and changes whenever numbers that
//! somebody may have seen could be given out again. Below `always` a crash can lose such numbers:
//! the mark says that the store ran so and was not closed, and the next start takes a new id.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    layout::{self, damaged, failed},
    record::{checksum, u32_at, u64_at},
};
use crate::{
    error::{Error, ErrorKind, Result},
    files::{File, Files, Open},
};

const MAGIC: &[u8; 8] = b"TRESORID";
const FORMAT: u32 = 1;
/// The length of the identity file.
pub(super) const BYTES: usize = 40;

/// The two ids of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) directory_id: u64,
    pub(super) store_id: u64,
}

impl Identity {
    /// A store that never was before.
    pub(super) fn random() -> Result<Self> {
        Ok(Self { directory_id: random()?, store_id: random()? })
    }

    /// Reads the identity file.
    pub(super) fn load(files: &dyn Files, directory: &Path) -> Result<Self> {
        let path = directory.join(layout::IDENTITY);
        let file = files.open(&path, Open::Read).map_err(|error| failed("open", &path, error))?;
        let mut bytes = [0; BYTES + 1];
        let read = file.read_at(&mut bytes, 0).map_err(|error| failed("read", &path, error))?;
        if read != BYTES || bytes[..8] != *MAGIC {
            return Err(damaged(&path, 0, "this is no store's identity"));
        }
        if checksum(0, &bytes[..BYTES - 4]) != u32_at(&bytes, BYTES - 4) {
            return Err(damaged(&path, 0, "its checksum is wrong"));
        }
        known_format(&path, u32_at(&bytes, 8), FORMAT)?;
        Ok(Self { directory_id: u64_at(&bytes, 16), store_id: u64_at(&bytes, 24) })
    }

    /// Replaces the identity file as one durable step.
    pub(super) fn save(self, files: &dyn Files, directory: &Path) -> Result<()> {
        let unfinished = directory.join(layout::IDENTITY_NEW);
        let path = directory.join(layout::IDENTITY);
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.directory_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.store_id.to_le_bytes());
        let crc = checksum(0, &bytes[..BYTES - 4]);
        bytes[BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        let file = create(files, &unfinished)?;
        file.write_at(&bytes, 0).map_err(|error| failed("write", &unfinished, error))?;
        file.sync().map_err(|error| failed("sync", &unfinished, error))?;
        files.rename(&unfinished, &path).map_err(|error| failed("rename", &unfinished, error))?;
        sync_directory(files, directory)
    }
}

/// Takes the store for this process, for as long as the returned file is open.
pub(super) fn lock(files: &dyn Files, directory: &Path) -> Result<Arc<dyn File>> {
    let path = directory.join(layout::LOCK);
    let file = match files.open(&path, Open::Write) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => files.open(&path, Open::Create),
        other => other,
    }
    .map_err(|error| failed("open", &path, error))?;
    if !file.try_lock().map_err(|error| failed("lock", &path, error))? {
        return Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "the store in {} is open in another process; stop that one, or choose another --store-path",
                directory.display()
            ),
        ));
    }
    Ok(file)
}

/// Leaves the mark, durably.
pub(super) fn mark(files: &dyn Files, directory: &Path) -> Result<()> {
    create(files, &directory.join(layout::MARK))?;
    sync_directory(files, directory)
}

/// Takes the mark away, durably.
pub(super) fn unmark(files: &dyn Files, directory: &Path) -> Result<()> {
    remove(files, &directory.join(layout::MARK))?;
    sync_directory(files, directory)
}

/// 64 random bits.
pub(super) fn random() -> Result<u64> {
    getrandom::u64().map_err(|error| {
        Error::new(ErrorKind::Unavailable, format!("the system gives no random numbers: {error}"))
    })
}

/// Creates a file, in place of a leftover of the same name.
pub(super) fn create(files: &dyn Files, path: &Path) -> Result<Arc<dyn File>> {
    remove(files, path)?;
    files.open(path, Open::Create).map_err(|error| failed("create", path, error))
}

/// Removes a file if it is there.
pub(super) fn remove(files: &dyn Files, path: &Path) -> Result<()> {
    match files.remove(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

pub(super) fn sync_directory(files: &dyn Files, directory: &Path) -> Result<()> {
    files.sync_directory(directory).map_err(|error| failed("sync", directory, error))
}

/// Refuses a file of a format that this version does not know.
pub(super) fn known_format(path: &Path, found: u32, known: u32) -> Result<()> {
    if found == known {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "{} has format {found} and this version reads format {known}; use the version of Tresor that wrote it",
            PathBuf::from(path).display()
        ),
    ))
}
