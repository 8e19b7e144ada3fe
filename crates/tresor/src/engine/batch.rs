//! What a caller asks an engine to change, and what the engine answers.
//!
//! A [`Batch`] is applied whole or not at all; every guard is looked at before anything changes.
//! Six kinds of change and four guards are enough for every command, map onto Cassandra's
//! lightweight transactions and onto SQL alike, and are what the log records.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::entry::{EntryRef, KeyRef, Kind, Sequence, Version};
use crate::error::{Error, Result};

/// What must be true of an entry for its change to be applied. Expired counts as absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// Nothing.
    #[default]
    None,
    /// There is no such entry.
    Absent,
    /// There is one.
    Present,
    /// There is one, and this is its version.
    Version(Version),
}

impl Guard {
    /// Whether it holds for an entry of this version; `None` when it is absent or expired.
    #[inline]
    pub fn holds(self, version: Option<Version>) -> bool {
        match self {
            Self::None => true,
            Self::Absent => version.is_none(),
            Self::Present => version.is_some(),
            Self::Version(wanted) => version == Some(wanted),
        }
    }
}

/// The expiry that a put leaves behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expires {
    /// The entry stays until it is deleted.
    #[default]
    Never,
    /// Unix milliseconds from which on the entry is absent.
    At(u64),
    /// What the entry had; never, if it was absent.
    Keep,
}

/// One change of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// Creates the entry or replaces its value, kind and expiry.
    Put {
        /// Which entry.
        key: KeyRef<'a>,
        /// When to.
        guard: Guard,
        /// The new value.
        value: &'a [u8],
        /// The new kind.
        kind: Kind,
        /// The new expiry.
        expires: Expires,
    },
    /// Writes bytes into the value at an offset, growing it with zeros as needed; the entry becomes
    /// raw and keeps its expiry. An absent entry is created.
    Patch {
        /// Which entry.
        key: KeyRef<'a>,
        /// When to.
        guard: Guard,
        /// Where the bytes go.
        offset: usize,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Sets (Unix milliseconds) or removes the expiry. Nothing happens to an absent entry.
    Expire {
        /// Which entry.
        key: KeyRef<'a>,
        /// When to.
        guard: Guard,
        /// The new expiry; `None` removes it.
        expires_at_ms: Option<u64>,
    },
    /// Removes the entry. Nothing happens to an absent one.
    Delete {
        /// Which entry.
        key: KeyRef<'a>,
        /// When to.
        guard: Guard,
    },
    /// Changes nothing and only guards.
    Check {
        /// Which entry.
        key: KeyRef<'a>,
        /// What must hold.
        guard: Guard,
    },
    /// Removes every entry of a database.
    Clear {
        /// Which database.
        database: u8,
    },
    /// Swaps the entries of two databases.
    Swap {
        /// One.
        first: u8,
        /// The other.
        second: u8,
    },
}

impl<'a> Change<'a> {
    /// The entry concerned; none for whole databases.
    pub fn key(&self) -> Option<KeyRef<'a>> {
        match *self {
            Self::Put { key, .. }
            | Self::Patch { key, .. }
            | Self::Expire { key, .. }
            | Self::Delete { key, .. }
            | Self::Check { key, .. } => Some(key),
            Self::Clear { .. } | Self::Swap { .. } => None,
        }
    }

    /// The guard; [`Guard::None`] for whole databases.
    pub fn guard(&self) -> Guard {
        match *self {
            Self::Put { guard, .. }
            | Self::Patch { guard, .. }
            | Self::Expire { guard, .. }
            | Self::Delete { guard, .. }
            | Self::Check { guard, .. } => guard,
            Self::Clear { .. } | Self::Swap { .. } => Guard::None,
        }
    }
}

/// Changes that are applied together, in order: a later one sees what an earlier one did, but all
/// guards are looked at first.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The changes.
    pub changes: &'a [Change<'a>],
    /// Nobody looks at the effects: they may then say anything. An engine for which it is dear to know
    /// what was there before need not look.
    pub blind: bool,
}

impl<'a> Batch<'a> {
    /// A batch whose effects matter.
    #[inline]
    pub fn of(changes: &'a [Change<'a>]) -> Self {
        Self { changes, blind: false }
    }

    /// A batch of which nobody wants to know more than whether it was applied.
    #[inline]
    pub fn blind(changes: &'a [Change<'a>]) -> Self {
        Self { changes, blind: true }
    }
}

/// What became of changes that were applied each for itself.
#[derive(Debug, Default)]
pub struct Each {
    /// The highest number that was given or observed.
    pub sequence: Sequence,
    /// Those that failed, by their place among the changes and in its order.
    pub failures: Vec<(usize, Error)>,
}

impl Each {
    /// Adds what became of one of them.
    #[inline]
    pub fn note(&mut self, index: usize, result: Result<Outcome>) {
        match result {
            Ok(outcome) => self.sequence = self.sequence.max(outcome.sequence),
            Err(error) => self.failures.push((index, error)),
        }
    }
}

/// What one change of a batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Whether the entry was there before (for `Clear` and `Swap`: false).
    pub existed: bool,
    /// The entry's version now, or what it was when nothing changed; 0 for an absent one that stays absent.
    /// After a deletion, the number of the removal.
    pub version: Version,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// All of it is applied: one effect for each change.
    Whole(SmallVec<[Effect; 1]>),
    /// Nothing is: this guard failed.
    Refused {
        /// Which change's guard.
        index: usize,
        /// The entry's version; `None` when it is absent.
        version: Option<Version>,
    },
}

/// The answer to a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The highest sequence number made or observed: hold replies until it is durable.
    pub sequence: Sequence,
    /// What became of the batch.
    pub applied: Applied,
}

impl Outcome {
    /// The effect of a batch of one change that had no guard, or whose guard held.
    pub fn effect(&self) -> Option<Effect> {
        match &self.applied {
            Applied::Whole(effects) => effects.first().copied(),
            Applied::Refused { .. } => None,
        }
    }
}

/// What an [`Edit`] makes of the entry that it was shown.
#[derive(Clone, Debug)]
pub enum Edited<'a> {
    /// Leave it as it is.
    Keep,
    /// Create or replace it.
    Put {
        /// The new value.
        value: Cow<'a, [u8]>,
        /// The new kind.
        kind: Kind,
        /// The new expiry.
        expires: Expires,
    },
    /// Write bytes into the value, as [`Change::Patch`] does.
    Patch {
        /// Where the bytes go.
        offset: usize,
        /// The bytes.
        bytes: Cow<'a, [u8]>,
    },
    /// Set or remove the expiry.
    Expire(Option<u64>),
    /// Remove it.
    Delete,
}

/// A pure function of the entry as it is (`None`: absent or expired). It may run more than once, so
/// whatever it captures must be set anew each time. An error leaves the entry as it is.
pub type Edit<'a> = dyn FnMut(Option<EntryRef<'_>>) -> Result<Edited<'a>> + Send + 'a;
