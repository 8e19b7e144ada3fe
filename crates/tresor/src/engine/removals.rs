//! Entries that an engine removes by itself: it says so, if anybody listens.
//!
//! An engine tells of a removal under the entry's lock, so what it tells of a key stands in the order in which
//! it happened. Whoever listens is short, and never calls an engine. An engine learns whom to tell after it was
//! opened, from whoever uses it, so that one that was opened elsewhere tells like any other.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
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
    switches: Arc<Switches>,
    hearers: Hearers,
}

#[derive(Debug, Default)]
struct Switches {
    /// A bit for each that is told.
    told: AtomicU8,
    expired_stay: AtomicBool,
}

type Way = dyn Fn(KeyRef<'_>) -> Option<u8> + Send + Sync;

enum Hearers {
    Listeners([OnceLock<Box<Listener>>; AUDIENCES.len()]),
    Through(Box<Way>, Arc<Removals>),
}

impl Default for Hearers {
    fn default() -> Self {
        Self::Listeners(Default::default())
    }
}

impl Removals {
    /// The same for a part of a store: what is told there goes on under the number of a database that `way` answers,
    /// or no further.
    pub fn through(self: &Arc<Self>, way: impl Fn(KeyRef<'_>) -> Option<u8> + Send + Sync + 'static) -> Self {
        Self { switches: self.switches.clone(), hearers: Hearers::Through(Box::new(way), self.clone()) }
    }

    /// Sets who listens; once each. Nothing is told before [`tell`](Self::tell).
    pub fn listen(
        &self,
        audience: Audience,
        listener: impl Fn(Removal, KeyRef<'_>, Sequence) + Send + Sync + 'static,
    ) {
        match &self.hearers {
            Hearers::Listeners(listeners) => {
                let _ = listeners[audience as usize].set(Box::new(listener));
            }
            Hearers::Through(_, whole) => whole.listen(audience, listener),
        }
    }

    /// Whether removals are told of from now on; then they are made soon after they are due, too.
    pub fn tell(&self, audience: Audience, told: bool) {
        match told {
            true => self.switches.told.fetch_or(1 << audience as u8, Relaxed),
            false => self.switches.told.fetch_and(!(1 << audience as u8), Relaxed),
        };
    }

    /// Whether anybody is told.
    #[inline]
    pub fn are_told(&self) -> bool {
        self.switches.told.load(Relaxed) != 0
    }

    /// Says whether what has expired stays where it is for now, absent to everyone as ever.
    pub fn keep_expired(&self, keep: bool) {
        self.switches.expired_stay.store(keep, Relaxed);
    }

    /// Whether it does.
    pub fn expired_is_kept(&self) -> bool {
        self.switches.expired_stay.load(Relaxed)
    }

    /// Tells of a removal and its number. The key is one of a numbered database.
    pub fn note(&self, removal: Removal, key: KeyRef<'_>, sequence: Sequence) {
        let told = self.switches.told.load(Relaxed);
        if told == 0 {
            return;
        }
        match &self.hearers {
            Hearers::Through(way, whole) => {
                if let Some(database) = way(key) {
                    whole.note(removal, KeyRef { database, ..key }, sequence);
                }
            }
            Hearers::Listeners(listeners) => {
                for audience in AUDIENCES {
                    if told & (1 << audience as u8) != 0
                        && let Some(listener) = listeners[audience as usize].get()
                    {
                        listener(removal, key, sequence);
                    }
                }
            }
        }
    }
}

/// What an engine tells of its removals through: to nobody before [`tell`](Self::tell).
#[derive(Clone, Debug, Default)]
pub struct RemovalTeller(Arc<OnceLock<Arc<Removals>>>);

impl RemovalTeller {
    /// Sets whom it tells from now on; false if that was set before, and stays.
    pub fn tell(&self, removals: &Arc<Removals>) -> bool {
        self.0.set(removals.clone()).is_ok()
    }

    /// Whether anybody is told.
    #[inline]
    pub fn are_told(&self) -> bool {
        self.0.get().is_some_and(|removals| removals.are_told())
    }

    /// Whether what has expired stays where it is for now.
    pub fn expired_is_kept(&self) -> bool {
        self.0.get().is_some_and(|removals| removals.expired_is_kept())
    }

    /// Tells of a removal and its number. The key is one of a numbered database.
    pub fn note(&self, removal: Removal, key: KeyRef<'_>, sequence: Sequence) {
        if let Some(removals) = self.0.get() {
            removals.note(removal, key, sequence);
        }
    }
}

impl fmt::Debug for Removals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removals").field("switches", &self.switches).finish_non_exhaustive()
    }
}
