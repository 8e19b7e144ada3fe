//! What shards remove by themselves, told as the one store that they are: each removal once, under the number that
//! clients know the database by.
//!
//! A shard's removals are told while the routes lead there; what is left over elsewhere goes silently. While a step
//! moves keys, an entry is on two shards, and each may find it expired: then whoever comes first tells, until the
//! copies are made and the receivers alone do. What was told of before is taken from these, for else they would find
//! it expired once more.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;

use super::{
    ring::hash_of_key,
    routes::{Place, Routes},
    wanted::Address,
};
use crate::engine::KeyRef;

/// Who tells of which removal.
#[derive(Default)]
pub(super) struct Telling(Mutex<Option<During>>);

/// A step.
struct During {
    /// The routes that it began with.
    routes: Arc<Routes>,
    end: Place,
    told: HashSet<Address>,
    handed_over: bool,
}

impl Telling {
    /// Before a step looks at what there is.
    pub(super) fn begin(&self, routes: Arc<Routes>, end: Place) {
        *self.0.lock() = Some(During { routes, end, told: HashSet::new(), handed_over: false });
    }

    /// Has the receivers alone tell from here on. What was told of by then, by receiver.
    pub(super) fn hand_over(&self) -> BTreeMap<u8, Vec<Address>> {
        let mut receivers = BTreeMap::<u8, Vec<Address>>::new();
        if let Some(during) = &mut *self.0.lock() {
            during.handed_over = true;
            for address in &during.told {
                if let Some((_, receiver)) = during.ways(&address.key) {
                    receivers.entry(receiver).or_default().push(address.clone());
                }
            }
        }
        receivers
    }

    /// When nothing of a step is left on the givers.
    pub(super) fn end(&self) {
        *self.0.lock() = None;
    }

    /// Whether a shard tells of a removal of its own, by the routes of now.
    pub(super) fn tells(&self, number: u8, key: KeyRef<'_>, routes: &Routes) -> bool {
        match &mut *self.0.lock() {
            Some(during) => during.tells(number, key).unwrap_or_else(|| routes.owner(key.key) == number),
            None => routes.owner(key.key) == number,
        }
    }
}

impl During {
    /// Whether a shard tells, where the key is one of those that move.
    fn tells(&mut self, number: u8, key: KeyRef<'_>) -> Option<bool> {
        let (giver, receiver) = self.ways(key.key)?;
        let address = Address::of(key);
        Some(match self.handed_over {
            true => number == receiver && !self.told.contains(&address),
            false => (number == giver || number == receiver) && self.told.insert(address),
        })
    }

    /// From where to where a key moves in this step.
    fn ways(&self, key: &[u8]) -> Option<(u8, u8)> {
        let moving = self.routes.moving.as_ref()?;
        let hash = hash_of_key(key);
        let (giver, receiver) = (self.routes.ring.owner(hash), moving.next.owner(hash));
        let within = !moving.done.is_behind(key) && self.end.is_behind(key);
        (within && giver != receiver).then_some((giver, receiver))
    }
}
