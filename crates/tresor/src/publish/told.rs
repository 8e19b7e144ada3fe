//! An event on its way: what happened to which key, and what has to be durable before anyone hears of it.

use super::Event;
use crate::engine::{Sequence, Version};

/// An event of one key.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) event: Event,
    pub(crate) database: u8,
    pub(crate) key: Box<[u8]>,
    /// The number of the change, by which the events of a key are in order.
    pub(crate) number: Version,
    /// What has to be durable.
    pub(crate) sequence: Sequence,
}
