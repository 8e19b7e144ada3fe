//! How far a copy has come, in a small file beside the receiver, so that a copy that was killed goes on.
//!
//! The file is replaced as a whole, and only after the receiver has made durable what it tells of: what
//! it says is copied is copied, and what was copied since is copied again, which changes nothing. Its
//! format is in `docs/formats.md`.

use std::{
    io,
    path::{Path, PathBuf},
};

use tresor::files::{self, Files, SystemFiles};

use crate::failure::{Failure, Outcome};

const MAGIC: &[u8; 8] = b"TRESORCP";

const FORMAT: u32 = 1;

/// Everything before the key.
const HEAD_BYTES: usize = 46;

const CHECKSUM_BYTES: usize = 4;

/// Where a copy goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marker {
    /// The identity of what is copied.
    pub(crate) from_id: u64,
    /// The receiver's; 0 where it has none that lasts.
    pub(crate) to_id: u64,
    /// The database that is being copied; 16 when all are.
    pub(crate) database: u8,
    /// Entries copied so far.
    pub(crate) entries: u64,
    /// Key and member of the last entry copied of the database; `None` before the first.
    pub(crate) behind: Option<(Vec<u8>, Vec<u8>)>,
}

impl Marker {
    fn encoded(&self) -> Vec<u8> {
        let (key, member) = self.behind.as_ref().map_or((&[][..], &[][..]), |(key, member)| (key, member));
        let mut bytes = Vec::with_capacity(HEAD_BYTES + key.len() + member.len() + CHECKSUM_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&self.from_id.to_le_bytes());
        bytes.extend_from_slice(&self.to_id.to_le_bytes());
        bytes.extend_from_slice(&self.entries.to_le_bytes());
        bytes.push(self.database);
        bytes.push(u8::from(self.behind.is_some()));
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(member.len() as u32).to_le_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(member);
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` for anything that is not whole.
    fn decoded(bytes: &[u8]) -> Option<Self> {
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
        if crc32fast::hash(content).to_le_bytes() != *checksum {
            return None;
        }
        let mut rest = Fields(content);
        if rest.take::<8>()? != *MAGIC || u32::from_le_bytes(rest.take()?) != FORMAT {
            return None;
        }
        let (from_id, to_id) = (u64::from_le_bytes(rest.take()?), u64::from_le_bytes(rest.take()?));
        let entries = u64::from_le_bytes(rest.take()?);
        let [database, has_key] = rest.take()?;
        let lengths = (u32::from_le_bytes(rest.take()?), u32::from_le_bytes(rest.take()?));
        let (key, member) = rest.0.split_at_checked(lengths.0 as usize)?;
        if member.len() != lengths.1 as usize {
            return None;
        }
        let behind = (has_key == 1).then(|| (key.to_vec(), member.to_vec()));
        Some(Self { from_id, to_id, database, entries, behind })
    }
}

/// Fixed-length fields, from the first on.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const BYTES: usize>(&mut self) -> Option<[u8; BYTES]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}

/// The file of a marker.
pub(crate) struct MarkerFile {
    pub(crate) path: PathBuf,
}

impl MarkerFile {
    /// The file of copies to a store at `path`.
    pub(crate) fn beside(path: &Path) -> Self {
        // `components` drops a slash at the end, which would put the file inside the store.
        let mut name = path.components().as_path().as_os_str().to_owned();
        name.push(".copying");
        Self { path: name.into() }
    }

    /// What it says; `None` where there is no such file.
    pub(crate) fn read(&self) -> Outcome<Option<Marker>> {
        let path = self.path.display();
        // Keys are bounded, so a marker is.
        let bytes = match files::read_small(&SystemFiles, &self.path, HEAD_BYTES + (1 << 20)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::failed(format!("cannot read {path}: {error}"))),
        };
        Marker::decoded(&bytes).map(Some).ok_or_else(|| {
            Failure::failed(format!(
                "{path} says how far an earlier copy came, and is damaged or of a later version: remove it and what that copy has made, then copy anew"
            ))
        })
    }

    /// Replaces it, durably.
    pub(crate) fn write(&self, marker: &Marker) -> Outcome {
        let written = files::replace(&SystemFiles, &self.path, &marker.encoded());
        written.map_err(|error| self.cannot("write", &error))
    }

    /// Removes it: the copy is done.
    pub(crate) fn remove(&self) -> Outcome {
        let removed = SystemFiles.remove(&self.path);
        removed
            .and_then(|()| SystemFiles.sync_directory(files::directory_of(&self.path)))
            .map_err(|error| self.cannot("remove", &error))
    }

    fn cannot(&self, what: &str, error: &io::Error) -> Failure {
        Failure::failed(format!(
            "cannot {what} {}, which says how far the copy has come: {error}",
            self.path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::Marker;

    #[test]
    fn a_marker_reads_back_and_a_damaged_one_does_not() {
        let marker = Marker {
            from_id: u64::MAX - 1,
            to_id: 7,
            database: 15,
            entries: 1 << 40,
            behind: Some((b"key\0\xff".to_vec(), b"member".to_vec())),
        };
        for marker in [marker.clone(), Marker { behind: None, ..marker }, Marker::default()] {
            let bytes = marker.encoded();
            assert_eq!(Marker::decoded(&bytes), Some(marker));
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 4;
                assert_eq!(Marker::decoded(&damaged), None, "byte {at}");
                assert_eq!(Marker::decoded(&bytes[..at]), None, "{at} bytes");
            }
        }
    }
}
