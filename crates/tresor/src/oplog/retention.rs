//! Which part of the log stays that a start no longer needs: the newest of it, for readers of changes.
//!
//! Whole segments go, oldest first, so that what stays has no hole.

use std::path::Path;

use super::layout::{self, failed};
use crate::{
    engine::Sequence,
    error::Result,
    files::{Files, Open},
};

/// How many segments, oldest first, a start from a snapshot that begins at `start` does not need: those that
/// another one follows which covers its beginning.
pub(super) fn superseded(segments: &[Sequence], start: Sequence) -> usize {
    segments.windows(2).take_while(|pair| pair[1] <= start + 1).count()
}

/// How many of these segments, oldest first, are over `keep_bytes` together with all that follow.
pub(super) fn over(
    files: &dyn Files,
    directory: &Path,
    superseded: &[Sequence],
    keep_bytes: u64,
) -> Result<usize> {
    if keep_bytes == 0 {
        return Ok(superseded.len());
    }
    let mut kept_bytes = 0_u64;
    for (index, &first) in superseded.iter().enumerate().rev() {
        let path = directory.join(layout::segment_name(first));
        let file = files.open(&path, Open::Read).map_err(|error| failed("open", &path, error))?;
        kept_bytes += file.size().map_err(|error| failed("measure", &path, error))?;
        if kept_bytes > keep_bytes {
            return Ok(index + 1);
        }
    }
    Ok(0)
}
