//! Which subscribers a name has.
//!
//! Names are spread over locked parts. A message is handed to all subscribers of its channel under the lock
//! of the channel's part, so that all of them see the messages of a channel in the same order.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::Outbox;
use crate::search::Glob;

/// Parts: a power of two, so that workers rarely meet.
const PARTS: usize = 64;

/// The subscribers of the names of one part.
pub(super) type Part = HashMap<Bytes, Vec<Arc<Outbox>>>;

/// Names with their subscribers. A name without any is not there.
pub(super) struct Channels {
    parts: [Mutex<Part>; PARTS],
    hasher: RandomState,
    names: AtomicUsize,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            names: AtomicUsize::new(0),
        }
    }
}

impl Channels {
    /// The part of a name, locked.
    pub(super) fn part(&self, name: &[u8]) -> MutexGuard<'_, Part> {
        self.parts[self.hasher.hash_one(name) as usize & (PARTS - 1)].lock()
    }

    pub(super) fn add(&self, name: &Bytes, outbox: &Arc<Outbox>) {
        let mut part = self.part(name);
        let subscribers = part.entry(name.clone()).or_insert_with(|| {
            self.names.fetch_add(1, Relaxed);
            Vec::new()
        });
        subscribers.push(outbox.clone());
    }

    pub(super) fn remove(&self, name: &[u8], outbox: &Arc<Outbox>) {
        let mut part = self.part(name);
        let Some(subscribers) = part.get_mut(name) else { return };
        if let Some(place) = subscribers.iter().position(|other| Arc::ptr_eq(other, outbox)) {
            subscribers.swap_remove(place);
        }
        if subscribers.is_empty() {
            part.remove(name);
            self.names.fetch_sub(1, Relaxed);
        }
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.names.load(Relaxed)
    }

    /// How many subscribers a name has.
    pub(super) fn subscribers(&self, name: &[u8]) -> usize {
        self.part(name).get(name).map_or(0, Vec::len)
    }

    /// The names that match a pattern, in no order.
    pub(super) fn matching(&self, glob: Option<&Glob>) -> Vec<Bytes> {
        let mut names = Vec::new();
        for part in &self.parts {
            let part = part.lock();
            let matches = part.keys().filter(|name| glob.is_none_or(|glob| glob.matches(name)));
            names.extend(matches.cloned());
        }
        names
    }
}
