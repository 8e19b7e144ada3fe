//! What a lock is on, and how it excludes others.
//!
//! A key, or a range of keys with all that do not exist yet, which is what keeps phantoms out. Bounds are
//! compared as the bytes they are; an empty range is one that covers no key and conflicts with nobody's.

use std::{
    ops::{Bound, RangeBounds},
    sync::Arc,
};

use crate::engine::KeyRef;

/// How a lock excludes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// Others may hold it shared too.
    Shared,
    /// Nobody else holds it.
    Exclusive,
}

impl Mode {
    pub(super) fn conflicts(self, other: Self) -> bool {
        self == Self::Exclusive || other == Self::Exclusive
    }
}

/// What is locked. Members of a key are locked with it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    Key { database: u8, key: &'a [u8] },
    Range { database: u8, lower: Bound<&'a [u8]>, upper: Bound<&'a [u8]> },
}

impl<'a> Target<'a> {
    pub(crate) fn of_key(key: KeyRef<'a>) -> Self {
        Self::Key { database: key.database, key: key.key }
    }

    /// Every key of a database, those to come included.
    pub(crate) fn whole(database: u8) -> Self {
        Self::Range { database, lower: Bound::Unbounded, upper: Bound::Unbounded }
    }

    /// Bytes that remembering it takes, beside a constant.
    pub(crate) fn bytes(&self) -> usize {
        let length = |bound: &Bound<&[u8]>| match bound {
            Bound::Included(key) | Bound::Excluded(key) => key.len(),
            Bound::Unbounded => 0,
        };
        match self {
            Self::Key { key, .. } => key.len(),
            Self::Range { lower, upper, .. } => length(lower) + length(upper),
        }
    }

    pub(super) fn keep(&self) -> Place {
        match *self {
            Self::Key { database, key } => Place { database, extent: Extent::Key(key.into()) },
            Self::Range { database, lower, upper } => {
                let range = Range { lower: lower.map(Box::from), upper: upper.map(Box::from) };
                Place { database, extent: Extent::Range(Arc::new(range)) }
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) database: u8,
    pub(super) extent: Extent,
}

#[derive(Clone, Debug)]
pub(super) enum Extent {
    Key(Arc<[u8]>),
    Range(Arc<Range>),
}

#[derive(Debug)]
pub(super) struct Range {
    lower: Bound<Box<[u8]>>,
    upper: Bound<Box<[u8]>>,
}

impl Range {
    pub(super) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.lower.as_ref().map(|key| &**key), self.upper.as_ref().map(|key| &**key))
    }

    pub(super) fn covers(&self, key: &[u8]) -> bool {
        RangeBounds::<[u8]>::contains(&self.bounds(), key)
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let apart = |upper: &Bound<Box<[u8]>>, lower: &Bound<Box<[u8]>>| match (upper, lower) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(upper), Bound::Included(lower)) => upper < lower,
            (
                Bound::Included(upper) | Bound::Excluded(upper),
                Bound::Included(lower) | Bound::Excluded(lower),
            ) => upper <= lower,
        };
        !apart(&self.upper, &other.lower) && !apart(&other.upper, &self.lower)
    }

    pub(super) fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
            (
                Bound::Included(lower) | Bound::Excluded(lower),
                Bound::Included(upper) | Bound::Excluded(upper),
            ) => lower >= upper,
            _ => false,
        }
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        let lower = match (&self.lower, &other.lower) {
            (Bound::Unbounded, _) => true,
            (_, Bound::Unbounded) => false,
            (Bound::Excluded(own), Bound::Included(theirs)) => own < theirs,
            (
                Bound::Included(own) | Bound::Excluded(own),
                Bound::Included(theirs) | Bound::Excluded(theirs),
            ) => own <= theirs,
        };
        let upper = match (&self.upper, &other.upper) {
            (Bound::Unbounded, _) => true,
            (_, Bound::Unbounded) => false,
            (Bound::Excluded(own), Bound::Included(theirs)) => own > theirs,
            (
                Bound::Included(own) | Bound::Excluded(own),
                Bound::Included(theirs) | Bound::Excluded(theirs),
            ) => own >= theirs,
        };
        lower && upper
    }
}
