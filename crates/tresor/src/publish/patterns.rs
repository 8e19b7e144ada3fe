//! Which subscribers a pattern has: all of them are looked at for each message, so they are one list.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::Bytes;
use parking_lot::RwLock;

use super::Outbox;
use crate::search::Glob;

/// A pattern and its subscribers; never without any.
pub(super) struct Pattern {
    pub(super) text: Bytes,
    glob: Glob,
    pub(super) subscribers: Vec<Arc<Outbox>>,
}

/// The patterns that have subscribers.
#[derive(Default)]
pub(super) struct Patterns {
    all: RwLock<Vec<Pattern>>,
    count: AtomicUsize,
}

impl Patterns {
    pub(super) fn add(&self, text: &Bytes, outbox: &Arc<Outbox>) {
        let mut all = self.all.write();
        match all.iter_mut().find(|pattern| pattern.text == text) {
            Some(pattern) => pattern.subscribers.push(outbox.clone()),
            None => {
                let (text, glob) = (text.clone(), Glob::new(text));
                all.push(Pattern { text, glob, subscribers: vec![outbox.clone()] });
            }
        }
        self.count.store(all.len(), Relaxed);
    }

    pub(super) fn remove(&self, text: &[u8], outbox: &Arc<Outbox>) {
        let mut all = self.all.write();
        let Some(place) = all.iter().position(|pattern| pattern.text == text) else { return };
        let subscribers = &mut all[place].subscribers;
        if let Some(place) = subscribers.iter().position(|other| Arc::ptr_eq(other, outbox)) {
            subscribers.swap_remove(place);
        }
        if subscribers.is_empty() {
            all.remove(place);
        }
        self.count.store(all.len(), Relaxed);
    }

    /// How many there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Shows those that match a channel.
    pub(super) fn matching(&self, channel: &[u8], mut show: impl FnMut(&Pattern)) {
        if self.len() > 0 {
            self.all.read().iter().filter(|pattern| pattern.glob.matches(channel)).for_each(&mut show);
        }
    }
}
