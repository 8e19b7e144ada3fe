//! Events of a key in the order of its changes, whichever thread comes to tell of one first.
//!
//! A thread says which keys it is about to change, changes them, and hands in what happened with the numbers
//! of the changes. While others are still changing the same key, its events wait; then they go on in the
//! order of their numbers. Invariant: an event goes on behind every event of its key with a lower number.

use std::collections::HashMap;

use super::told::Told;
use crate::engine::KeyRef;

/// Events of one key that wait for others. Above this they go on in the order that they have by then.
const PARKED: usize = 1024;

/// A key's place; keys may share one.
pub(crate) type Place = u64;

#[derive(Default)]
struct Flight {
    changing: usize,
    parked: Vec<Told>,
}

/// Keys that are being changed.
#[derive(Default)]
pub(super) struct InOrder {
    flights: HashMap<Place, Flight>,
}

/// The place of a key.
pub(super) fn place_of(hasher: &impl std::hash::BuildHasher, key: KeyRef<'_>) -> Place {
    hasher.hash_one((key.database, key.key))
}

impl InOrder {
    /// The keys of these places, each named once, are about to be changed.
    pub(super) fn begin(&mut self, places: &[Place]) {
        for place in places {
            self.flights.entry(*place).or_default().changing += 1;
        }
    }

    /// They are changed, and this is what happened; `go_on` takes what waits for nobody any more.
    pub(super) fn finish(
        &mut self,
        places: &[Place],
        told: impl Iterator<Item = (Place, Told)>,
        mut go_on: impl FnMut(Told),
    ) {
        let mut alone = true;
        for place in places {
            if let Some(flight) = self.flights.get_mut(place) {
                flight.changing -= 1;
                alone &= flight.changing == 0 && flight.parked.is_empty();
            }
        }
        if alone {
            told.for_each(|(_, told)| go_on(told));
        } else {
            for (place, told) in told {
                match self.flights.get_mut(&place) {
                    Some(flight) => flight.parked.push(told),
                    None => go_on(told),
                }
            }
        }
        for place in places {
            self.land(*place, &mut go_on);
        }
    }

    /// Something happened to a key without anyone saying so before.
    pub(super) fn note(&mut self, place: Place, told: Told, go_on: impl FnOnce(Told)) {
        match self.flights.get_mut(&place) {
            Some(flight) => flight.parked.push(told),
            None => go_on(told),
        }
    }

    fn land(&mut self, place: Place, go_on: &mut impl FnMut(Told)) {
        let Some(flight) = self.flights.get_mut(&place) else { return };
        if flight.changing == 0 || flight.parked.len() > PARKED {
            flight.parked.sort_by_key(|told| told.number);
            flight.parked.drain(..).for_each(&mut *go_on);
        }
        if flight.changing == 0 {
            self.flights.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{InOrder, Told};
    use crate::publish::Event;

    fn told(number: u64) -> Told {
        Told { event: Event::Set, database: 0, key: b"k"[..].into(), number, sequence: number }
    }

    #[test]
    fn a_thread_that_comes_late_is_waited_for() {
        let mut order = InOrder::default();
        let mut gone = Vec::new();
        order.begin(&[7]);
        order.begin(&[7, 8]);
        order.finish(&[7, 8], [(7, told(6)), (8, told(9))].into_iter(), |told| gone.push(told.number));
        assert_eq!(gone, [9]);
        order.begin(&[7]);
        order.note(7, told(4), |told| panic!("{told:?} overtakes"));
        order.finish(&[7], [(7, told(7))].into_iter(), |told| gone.push(told.number));
        assert_eq!(gone, [9]);
        order.finish(&[7], [(7, told(5))].into_iter(), |told| gone.push(told.number));
        assert_eq!(gone, [9, 4, 5, 6, 7]);
        order.note(7, told(8), |told| gone.push(told.number));
        assert_eq!(gone, [9, 4, 5, 6, 7, 8]);
        assert!(order.flights.is_empty());
    }
}
