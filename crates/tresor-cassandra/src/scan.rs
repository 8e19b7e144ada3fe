//! A request for a page, owned: requests to the cluster outlive the call that asks for them.

use std::ops::Bound;

use bytes::Bytes;
use tresor::engine::{Content, Order, Position, Scan};

/// A [`Scan`] with bounds of its own.
#[derive(Clone, Debug)]
pub(crate) struct OwnedScan {
    pub(crate) database: u8,
    pub(crate) order: Order,
    pub(crate) position: Position,
    pub(crate) lower: Bound<Bytes>,
    pub(crate) upper: Bound<Bytes>,
    pub(crate) content: Content,
    pub(crate) limit: usize,
}

impl OwnedScan {
    pub(crate) fn of(scan: &Scan<'_>) -> Self {
        Self {
            database: scan.database,
            order: scan.order,
            position: scan.position.clone(),
            lower: scan.lower.map(Bytes::copy_from_slice),
            upper: scan.upper.map(Bytes::copy_from_slice),
            content: scan.content,
            limit: scan.limit,
        }
    }
}
