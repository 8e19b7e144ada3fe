//! A shard as its owner hands it over, and as the layer keeps it: an engine with a name.
//!
//! What goes wrong on a shard is told with its name, because the caller sees one store. A shard that may
//! have half of a batch is set apart until that is mended: its keys then fail, and only its own.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use super::ring::MAX_WEIGHT;
use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    layer::settled::settled,
};

/// The longest name of a shard, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// An engine that is to be a shard.
pub struct Shard {
    /// What it is called, for good: its keys are found by it. Up to [`MAX_NAME_BYTES`].
    pub name: String,
    /// Its part of the keys, against the weights of the others; 1 to [`MAX_WEIGHT`].
    pub weight: u32,
    /// Where its entries are.
    pub engine: Arc<dyn Engine>,
}

impl Shard {
    /// A shard of weight 1.
    pub fn new(name: impl Into<String>, engine: Arc<dyn Engine>) -> Self {
        Self { name: name.into(), weight: 1, engine }
    }

    /// The same with another weight.
    #[must_use]
    pub fn weighing(self, weight: u32) -> Self {
        Self { weight, ..self }
    }

    /// Refuses an engine that outlives the process where the layer's own files do not.
    pub(super) fn check_durable(&self, layer_is: bool) -> Result<()> {
        if layer_is || !self.engine.capabilities().durable {
            return Ok(());
        }
        Err(needs_directory(&self.name))
    }

    /// Refuses what cannot be a shard.
    pub(super) fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        check_weight(&self.name, self.weight)?;
        let can = self.engine.capabilities();
        if can.ordered && can.guards && can.atomic_batches {
            return Ok(());
        }
        let message = format!(
            "shard {}: engine {} cannot be a shard; one needs guards, atomic batches and scans in key order",
            self.name, can.name
        );
        Err(Error::new(ErrorKind::Unsupported, message))
    }
}

/// What is said of a shard that outlives the process where the layer does not.
pub(crate) fn needs_directory(name: &str) -> Error {
    Error::invalid(format!(
        "shard {name} outlives the process, so the layer has to as well: name a directory for its own files as \
         the store's path (--store-path)"
    ))
}

fn check_name(name: &str) -> Result<()> {
    if !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::invalid(format!("{name:?} is no name for a shard; it takes 1 to {MAX_NAME_BYTES} bytes")))
}

pub(super) fn check_weight(name: &str, weight: u32) -> Result<()> {
    if (1..=MAX_WEIGHT).contains(&weight) {
        return Ok(());
    }
    Err(Error::invalid(format!("shard {name}: its weight is {weight}; it takes 1 to {MAX_WEIGHT}")))
}

/// A shard in use.
pub(super) struct Member {
    pub(super) name: String,
    /// Its engine as it is asked.
    pub(super) engine: Arc<dyn Engine>,
    /// Its engine as it was handed over.
    pub(super) given: Arc<dyn Engine>,
    /// It outlives the process: what it says has to be waited for.
    pub(super) lasts: bool,
    state: AtomicU8,
}

const WHOLE: u8 = 0;
/// It may have half of a batch, which is being mended.
const BROKEN: u8 = 1;
/// Nothing more is promised until the store is opened again.
const POISONED: u8 = 2;

impl Member {
    pub(super) fn new(shard: Shard) -> Self {
        let given = shard.engine;
        let (engine, lasts) = (settled(given.clone()), given.capabilities().durable);
        Self { name: shard.name, engine, given, lasts, state: AtomicU8::new(WHOLE) }
    }

    /// Sets it apart, or takes it back.
    pub(super) fn set_broken(&self, broken: bool) {
        let (from, to) = if broken { (WHOLE, BROKEN) } else { (BROKEN, WHOLE) };
        // What is poisoned stays so.
        let _ = self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Has every later call fail.
    pub(super) fn poison(&self) {
        self.state.store(POISONED, Ordering::Release);
    }

    /// Refuses while it is set apart.
    #[inline]
    pub(super) fn check(&self) -> Result<()> {
        if self.state.load(Ordering::Acquire) == WHOLE { Ok(()) } else { Err(self.apart()) }
    }

    #[cold]
    fn apart(&self) -> Error {
        let name = &self.name;
        if self.state.load(Ordering::Acquire) == POISONED {
            let message = format!(
                "shard {name}: the record of batches over several shards could not be written; see to the disk, then start again"
            );
            return Error::new(ErrorKind::Poisoned, message);
        }
        let message = format!(
            "shard {name}: a batch over several shards is not finished there; it is as soon as the shard answers"
        );
        Error::new(ErrorKind::Unavailable, message)
    }

    /// An error of this shard, with its name where it is the shard's own fault.
    #[cold]
    pub(super) fn named(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Unavailable
            | ErrorKind::UnknownOutcome
            | ErrorKind::DiskFull
            | ErrorKind::OutOfMemory
            | ErrorKind::Poisoned
            | ErrorKind::Internal => Error::new(error.kind(), format!("shard {}: {error}", self.name)),
            _ => error,
        }
    }
}
