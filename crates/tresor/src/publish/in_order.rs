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
    pub(super) fn finish(&mut self, places: &[Place], told: Vec<(Place, Told)>, mut go_on: impl FnMut(Told)) {
        for place in places {
            if let Some(flight) = self.flights.get_mut(place) {
                flight.changing -= 1;
            }
        }
        let follows = |(place, told): &(Place, Told)| {
            let parked = self.flights.get(place).into_iter().flat_map(|flight| &flight.parked);
            parked.into_iter().all(|parked| parked.number <= told.number)
        };
        let nobody_else = |place| self.flights.get(place).is_none_or(|flight| flight.changing == 0);
        if places.iter().all(nobody_else) && told.iter().all(follows) {
            // What happened together stays together.
            places.iter().for_each(|place| self.land(*place, &mut go_on));
            return told.into_iter().for_each(|(_, told)| go_on(told));
        }
        for (place, told) in told {
            match self.flights.get_mut(&place) {
                Some(flight) => flight.parked.push(told),
                None => go_on(told),
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
        order.finish(&[7, 8], vec![(7, told(6)), (8, told(9))], |told| gone.push(told.number));
        assert_eq!(gone, [9]);
        order.begin(&[7]);
        order.note(7, told(4), |told| panic!("{told:?} overtakes"));
        order.finish(&[7], vec![(7, told(7))], |told| gone.push(told.number));
        assert_eq!(gone, [9]);
        order.finish(&[7], vec![(7, told(5))], |told| gone.push(told.number));
        assert_eq!(gone, [9, 4, 5, 6, 7]);
        order.begin(&[7, 8]);
        order.note(7, told(8), |told| panic!("{told:?} overtakes"));
        order.finish(&[7, 8], vec![(8, told(1)), (7, told(9))], |told| gone.push(told.number));
        assert_eq!(gone, [9, 4, 5, 6, 7, 8, 1, 9]);
        order.note(7, told(10), |told| gone.push(told.number));
        assert_eq!(gone, [9, 4, 5, 6, 7, 8, 1, 9, 10]);
        assert!(order.flights.is_empty());
    }
}
