//! Entries that an engine removes by itself: it says so, if anybody listens.
//!
//! An engine tells of a removal under the entry's lock, so what it tells of a key stands in the order in which
//! it happened. Whoever listens is short, and never calls an engine.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
    },
};

use super::{KeyRef, Sequence};

/// Why an engine has removed an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Its time was over.
    Expired,
    /// It gave way to others for want of memory.
    Evicted,
}

type Listener = dyn Fn(Removal, KeyRef<'_>, Sequence) + Send + Sync;

/// Who may want to hear of removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Those who publish events of keys.
    Notifications,
    /// Those who keep indexes of values.
    Indexes,
}

const AUDIENCES: [Audience; 2] = [Audience::Notifications, Audience::Indexes];

/// Who hears of removals.
#[derive(Default)]
pub struct Removals {
    /// A bit for each that is told.
    told: AtomicU8,
    expired_stay: AtomicBool,
    listeners: [OnceLock<Box<Listener>>; AUDIENCES.len()],
}

impl Removals {
    /// Sets who listens; once each. Nothing is told before [`tell`](Self::tell).
    pub fn listen(
        &self,
        audience: Audience,
        listener: impl Fn(Removal, KeyRef<'_>, Sequence) + Send + Sync + 'static,
    ) {
        let _ = self.listeners[audience as usize].set(Box::new(listener));
    }

    /// Whether removals are told of from now on; then they are made soon after they are due, too.
    pub fn tell(&self, audience: Audience, told: bool) {
        match told {
            true => self.told.fetch_or(1 << audience as u8, Relaxed),
            false => self.told.fetch_and(!(1 << audience as u8), Relaxed),
        };
    }

    /// Whether anybody is told.
    #[inline]
    pub fn are_told(&self) -> bool {
        self.told.load(Relaxed) != 0
    }

    /// Says whether what has expired stays where it is for now, absent to everyone as ever.
    pub fn keep_expired(&self, keep: bool) {
        self.expired_stay.store(keep, Relaxed);
    }

    /// Whether it does.
    pub fn expired_is_kept(&self) -> bool {
        self.expired_stay.load(Relaxed)
    }

    /// Tells of a removal and its number. The key is one of a numbered database.
    pub fn note(&self, removal: Removal, key: KeyRef<'_>, sequence: Sequence) {
        let told = self.told.load(Relaxed);
        for audience in AUDIENCES {
            if told & (1 << audience as u8) != 0
                && let Some(listener) = self.listeners[audience as usize].get()
            {
                listener(removal, key, sequence);
            }
        }
    }
}

impl fmt::Debug for Removals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removals").field("told", &self.told).finish_non_exhaustive()
    }
}
