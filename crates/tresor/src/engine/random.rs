//! Random numbers that nobody can guess: keys of hashes, ids, cursors.

use crate::error::{Error, ErrorKind, Result};

/// 64 random bits.
pub(in crate::engine) fn random_word() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Internal, "the system gives no random numbers").caused_by(error)
    })?;
    Ok(u64::from_le_bytes(bytes))
}
