//! The seam to the disk: nothing else in the library opens, writes, syncs or renames a file.
//!
//! The two traits are as small as the log and the snapshots allow, so that a test can put a disk
//! behind them that fails at the n-th call, tears a write, or forgets what was not synced.
//! A name is only durable after [`Files::sync_directory`], contents only after [`File::sync`].

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// A file that must not exist yet, to read and write; mode 0600.
    Create,
}

/// A directory tree: names.
pub trait Files: Send + Sync + 'static {
    /// Opens a file; `NotFound` and `AlreadyExists` as the system reports them.
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>>;
    /// Makes a directory and its parents (mode 0700) where they are missing.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// The names (not paths) in a directory, in no particular order.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Renames a file, replacing one of the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
    /// Bytes that the file system with this path still has for us.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file: contents. Closed when dropped.
pub trait File: Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// The length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Cuts or grows (with zeros) to `size`.
    fn set_size(&self, size: u64) -> io::Result<()>;
    /// Reserves disk space up to `size` and makes the file that long; the new part reads as zeros.
    /// `StorageFull` when there is no space.
    fn allocate(&self, size: u64) -> io::Result<()>;
    /// Makes contents and size durable.
    fn sync(&self) -> io::Result<()>;
    /// Takes an exclusive lock for as long as the file is open; false when another process has it.
    fn try_lock(&self) -> io::Result<bool>;
}

/// Reads a small file whole; an error for one of more than `most_bytes`.
pub fn read_small(files: &dyn Files, path: &Path, most_bytes: usize) -> io::Result<Vec<u8>> {
    let file = files.open(path, Open::Read)?;
    let size = file.size()?;
    if size > most_bytes as u64 {
        return Err(io::Error::other(format!("it has {size} bytes, more than the {most_bytes} it may have")));
    }
    let mut bytes = vec![0; size as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces a small file as a whole, durably: after a crash it is the old one or the new one. Writes
/// `PATH.new` first; nobody else may replace the same file meanwhile.
pub fn replace(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    match files.remove(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = files.open(new, Open::Create)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    files.rename(new, path)?;
    files.sync_directory(directory_of(path))
}

/// The directory that a file is in.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The machine's own file system.
pub struct SystemFiles;

impl Files for SystemFiles {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).mode(0o600);
        match open {
            Open::Read => {}
            Open::Write => {
                options.write(true);
            }
            Open::Create => {
                options.write(true).create_new(true);
            }
        }
        Ok(Arc::new(SystemFile(options.open(path)?)))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        fs::File::open(directory)?.sync_all()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let figures = rustix::fs::statvfs(path)?;
        Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
    }
}

/// The contents of a small file of secrets. `PermissionDenied` also for one that others than its owner may
/// read or write, `FileTooLarge` for one of more than `max_bytes`.
pub fn read_owner_only(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.mode() & 0o077 != 0 {
        let message = format!("its mode is {:o}", metadata.mode() & 0o777);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    if metadata.len() > max_bytes as u64 {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // Room for all of it at once: growing would leave copies of secrets behind.
    let mut contents = vec![0; max_bytes];
    let filled = SystemFile(file).read_at(&mut contents, 0)?;
    contents.truncate(filled);
    Ok(contents)
}

struct SystemFile(fs::File);

impl File for SystemFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_len(size)
    }

    fn allocate(&self, size: u64) -> io::Result<()> {
        rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::empty(), 0, size).map_err(io::Error::from)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.0.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}
