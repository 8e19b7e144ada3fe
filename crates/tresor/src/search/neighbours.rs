//! The entries nearest to a vector, of those met so far: exact, in room for as many as are wanted.
//!
//! A heap holds the best; its worst gives way to a better one. Of equally near ones the smaller key is kept.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::{
    finder::{Found, FoundPage},
    query::{Nearest, Query},
    vector,
};
use crate::error::{Error, ErrorKind, Result};

/// Keys and values of neighbours may have so many bytes together.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Neighbours being gathered.
pub(super) struct Neighbours<'a> {
    pub(super) query: &'a Query,
    nearest: &'a Nearest,
    best: BinaryHeap<Neighbour>,
    bytes: usize,
    skipped: u64,
}

struct Neighbour {
    distance: f64,
    found: Found,
}

impl Ord for Neighbour {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then_with(|| self.found.key.cmp(&other.found.key))
    }
}

impl PartialOrd for Neighbour {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Neighbour {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Neighbour {}

impl<'a> Neighbours<'a> {
    /// None yet.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) where the query asks for a direction and says none: cosine and a zero vector.
    pub(super) fn new(query: &'a Query) -> Result<Self> {
        let nearest = query.nearest.as_ref();
        let nearest =
            nearest.ok_or_else(|| Error::new(ErrorKind::Internal, "the query asks for no neighbours"))?;
        if nearest.metric.distance(&nearest.vector, &nearest.vector).is_none() {
            return Err(Error::invalid(
                "a distance from this vector cannot be told: it is zero, or too large",
            ));
        }
        Ok(Self { query, nearest, best: BinaryHeap::new(), bytes: 0, skipped: 0 })
    }

    /// Leaves one out.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    /// Looks at an entry, which comes with its value.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge) if values that were asked for are too many bytes.
    pub(super) fn meet(&mut self, candidate: Found) -> Result<()> {
        let Some(distance) = self.distance(candidate.value_bytes()) else {
            self.skipped += 1;
            return Ok(());
        };
        let neighbour = Neighbour { distance, found: candidate.asked_for(self.query) };
        if self.best.len() == self.query.page_limit() {
            let is_better = self.best.peek().is_some_and(|worst| neighbour < *worst);
            if !is_better {
                return Ok(());
            }
            self.bytes -= self.best.pop().map_or(0, |worst| worst.found.bytes());
        }
        self.bytes += neighbour.found.bytes();
        self.best.push(neighbour);
        if self.bytes > MAX_BYTES {
            let message =
                "the values of these neighbours are too large together: ask for keys alone, or a lower limit";
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }

    /// Whether nothing that is farther than this could change them any more.
    pub(super) fn are_settled(&self, reach: Option<f64>) -> bool {
        let is_full = self.best.len() == self.query.page_limit();
        // Rounding must not decide: whoever told of the reach has added up in another order.
        let is_inside = |worst: &Neighbour| reach.is_none_or(|reach| worst.distance < reach * (1.0 - 1e-9));
        is_full && self.best.peek().is_some_and(is_inside)
    }

    fn distance(&self, value: &[u8]) -> Option<f64> {
        let wanted = &self.nearest.vector;
        let vector = match &self.nearest.field {
            None => vector::of_value(value, wanted.len())?,
            Some(field) => vector::of_value(field.find(value)?.as_bytes(), wanted.len())?,
        };
        self.nearest.metric.distance(wanted, &vector)
    }

    /// Nearest first.
    pub(super) fn into_page(self) -> FoundPage {
        let with_distance =
            |neighbour: Neighbour| Found { distance: Some(neighbour.distance), ..neighbour.found };
        let entries = self.best.into_sorted_vec().into_iter().map(with_distance).collect();
        FoundPage { entries, cursor: None, skipped: self.skipped }
    }
}
