//! ETags: which state of an entry somebody has seen.
//!
//! The store's id and the entry's version. No version comes twice in a store, and a store whose versions
//! may begin again has another id then; so equal tags mean the same entry, across restarts too. The tag of a
//! compressed answer has the coding's name behind that (`content_coding.rs`), and is read as the same.

use std::fmt;

use tresor::{
    Error, Result, Version,
    engine::{Guard, MAX_SEQUENCE},
};

use super::content_coding::plain_tag;

/// An entry's tag, shown without the quotes that a header has around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Etag {
    pub(super) store_id: u64,
    pub(super) version: Version,
}

impl Etag {
    /// Reads what [`Display`](fmt::Display) writes, in quotes or not, or what a compressed answer makes of it.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let read = || {
            let (store_id, version) = plain_tag(inside).split_once('-')?;
            Some(Self { store_id: u64::from_str_radix(store_id, 16).ok()?, version: version.parse().ok()? })
        };
        read().ok_or_else(|| Error::invalid(format!("{text:?} is no version: send one that an answer told")))
    }

    /// The guard that an entry with this tag passes; in another store than its own none does.
    pub(super) fn guard(self, store_id: u64) -> Guard {
        let is_known = self.store_id == store_id && self.version < MAX_SEQUENCE;
        Guard::Version(if is_known { self.version } else { MAX_SEQUENCE })
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.store_id, self.version)
    }
}
