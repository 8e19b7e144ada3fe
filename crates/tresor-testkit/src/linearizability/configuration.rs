//! One way in which a history may have gone up to a moment: what the key holds, and which of the open
//! operations have happened already.
//!
//! Of two ways, one may be able to do all that the other can ([`Configuration::covers`]); the other is
//! then not worth following. Dropping such ways is what keeps the search small, and it is sound
//! because whatever order completes the dropped one also completes the one that covers it.

use std::collections::HashMap;

use super::register::State;

/// The most operations on one key that may be open at once; those of unknown outcome do not count.
pub(super) const MOST_OPEN: usize = u128::BITS as usize;

/// Open operations, each by the place in which it is open.
pub(super) type Places = u128;

/// A way in which the history may have gone so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    pub(super) state: State,
    /// Open operations that have happened.
    pub(super) done: Places,
    /// Open operations that may have happened without a trace, and may as well happen yet. Disjoint
    /// with `done`; what is in neither has to happen before it returns.
    pub(super) may: Places,
    /// How many operations of unknown outcome have happened, by their class; sorted, no zeros.
    pub(super) used: Vec<(usize, u32)>,
}

impl Configuration {
    /// Nothing has happened.
    pub(super) fn new() -> Self {
        Self { state: State::Absent, done: 0, may: 0, used: Vec::new() }
    }

    /// How many of a class have happened.
    pub(super) fn used(&self, class: usize) -> u32 {
        self.used.binary_search_by_key(&class, |(class, _)| *class).map_or(0, |at| self.used[at].1)
    }

    /// Lets `more` of a class happen, or fewer.
    pub(super) fn use_up(&mut self, class: usize, more: i64) {
        let at = self.used.binary_search_by_key(&class, |(class, _)| *class).unwrap_or_else(|at| {
            self.used.insert(at, (class, 0));
            at
        });
        let count = &mut self.used[at].1;
        *count = u32::try_from(i64::from(*count) + more).expect("uses are counted right");
        if *count == 0 {
            self.used.remove(at);
        }
    }

    /// How many operations of unknown outcome have happened.
    pub(super) fn uses(&self) -> u64 {
        self.used.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Whether this one can go on in every way in which the other can. `reads` are the open operations
    /// that change nothing: one that has happened is never missed.
    fn covers(&self, other: &Self, reads: Places) -> bool {
        self.covers_but_for_uses(other, reads)
            && self.used.iter().all(|(class, count)| *count <= other.used(*class))
    }

    /// The same, if operations of unknown outcome could happen again.
    fn covers_but_for_uses(&self, other: &Self, reads: Places) -> bool {
        let differ = !self.may & ((self.done ^ other.done) | other.may);
        let read_less = other.done & !self.done;
        self.state == other.state && differ & !reads == 0 && read_less & reads == 0
    }
}

/// Configurations of which none covers another, and not too many that differ by uses alone.
#[derive(Debug)]
pub(super) struct Distinct {
    reads: Places,
    variants: usize,
    left_out: bool,
    all: Vec<Option<Configuration>>,
    by_state: HashMap<State, Vec<usize>>,
    length: usize,
    compared: u64,
}

impl Distinct {
    /// None yet; of configurations that differ by uses alone only so many variants are kept.
    pub(super) fn new(reads: Places, variants: usize) -> Self {
        let by_state = HashMap::new();
        Self { reads, variants, left_out: false, all: Vec::new(), by_state, length: 0, compared: 0 }
    }

    /// Adds one and drops those that it covers; returns its index, or `None` if it is not kept.
    pub(super) fn insert(&mut self, new: Configuration) -> Option<usize> {
        let Self { reads, all, by_state, .. } = self;
        let alike = by_state.entry(new.state).or_default();
        self.compared += alike.len() as u64;
        let mut variants = 0;
        for index in alike.iter() {
            let old = all[*index].as_ref().expect("what is in a group is there");
            if old.covers_but_for_uses(&new, *reads) {
                if old.covers(&new, *reads) {
                    return None;
                }
                variants += 1;
            }
        }
        if variants >= self.variants {
            self.left_out = true;
            return None;
        }
        let before = alike.len();
        alike.retain(|index| {
            let covered = all[*index].as_ref().is_some_and(|old| new.covers(old, *reads));
            if covered {
                all[*index] = None;
            }
            !covered
        });
        self.length = self.length + 1 + alike.len() - before;
        alike.push(all.len());
        all.push(Some(new));
        Some(all.len() - 1)
    }

    /// Whether variants were left out.
    pub(super) fn left_out(&self) -> bool {
        self.left_out
    }

    /// The one at an index, unless another has covered it since.
    pub(super) fn get(&self, index: usize) -> Option<&Configuration> {
        self.all[index].as_ref()
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// How many comparisons all this took.
    pub(super) fn compared(&self) -> u64 {
        self.compared
    }

    /// What the key holds in any of them, also in those that were dropped.
    pub(super) fn states(&self) -> Vec<State> {
        self.by_state.keys().copied().collect()
    }

    /// The configurations, in the order in which they came.
    pub(super) fn into_vec(self) -> Vec<Configuration> {
        self.all.into_iter().flatten().collect()
    }
}
