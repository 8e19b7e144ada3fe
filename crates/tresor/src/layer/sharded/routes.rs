//! Which shard has a key right now, while keys may be on their way from one to another.
//!
//! A move goes through all keys in byte order, the same in every database. What it has passed lies where
//! the new ring says, everything else where the old one does: one key to compare tells which, and so does
//! it after a crash. Routes never change; there are new ones, and whoever holds a stripe finishes with
//! those that it began with.

use std::sync::Arc;

use super::ring::{Ring, hash_of_key};
use crate::engine::{
    KeyRef,
    database_table::{DatabaseTable, UNSWAPPED},
};

/// Where a move stands between the first key and the last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Before all keys.
    Start,
    /// Behind this key, in all databases.
    Behind(Vec<u8>),
    /// Behind all keys.
    End,
}

impl Place {
    /// Whether a key lies before it.
    #[inline]
    pub(super) fn is_behind(&self, key: &[u8]) -> bool {
        match self {
            Self::Start => false,
            Self::Behind(last) => key <= last.as_slice(),
            Self::End => true,
        }
    }
}

/// A move that is going on.
#[derive(Clone, Debug)]
pub(super) struct Moving {
    /// The ring that it leads to.
    pub(super) next: Arc<Ring>,
    /// How far it has come.
    pub(super) done: Place,
    /// Keys between `done` and here are being copied: those that move are not written meanwhile.
    pub(super) copying: Option<Place>,
    /// Keys between here and `done` were just copied: those that moved are read in their new place, and not
    /// written while somebody may still read them in the old one beside others in the new.
    pub(super) settling: Option<Place>,
}

/// The way to every key.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    /// Rises with each change.
    pub(super) version: u64,
    pub(super) mapping: DatabaseTable,
    pub(super) ring: Arc<Ring>,
    pub(super) moving: Option<Moving>,
    /// The shards that may have keys.
    pub(super) members: Vec<u8>,
}

/// What is known of one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// The shard that has it.
    pub(super) owner: u8,
    /// It is being copied to another shard, or was just now: read it, but do not write it yet.
    pub(super) copying: bool,
}

impl Routes {
    #[inline]
    pub(super) fn route(&self, key: &[u8], hash: u64) -> Route {
        let owner = self.ring.owner(hash);
        match &self.moving {
            None => Route { owner, copying: false },
            Some(moving) => moving.route(key, hash, owner),
        }
    }

    /// The shard that has a key.
    pub(super) fn owner(&self, key: &[u8]) -> u8 {
        self.route(key, hash_of_key(key)).owner
    }

    /// Whether databases have the numbers that the shards know them by.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.mapping == UNSWAPPED
    }

    /// A key as the shards know it.
    #[inline]
    pub(super) fn physical<'a>(&self, key: KeyRef<'a>) -> KeyRef<'a> {
        KeyRef { database: self.mapping[usize::from(key.database)], ..key }
    }
}

impl Moving {
    /// Whether some keys may not be written now.
    pub(super) fn holds_writes(&self) -> bool {
        self.copying.is_some() || self.settling.is_some()
    }

    fn route(&self, key: &[u8], hash: u64, owner: u8) -> Route {
        let next = self.next.owner(hash);
        if next == owner {
            return Route { owner, copying: false };
        }
        if self.done.is_behind(key) {
            let copying = self.settling.as_ref().is_some_and(|before| !before.is_behind(key));
            return Route { owner: next, copying };
        }
        Route { owner, copying: self.copying.as_ref().is_some_and(|copying| copying.is_behind(key)) }
    }
}
