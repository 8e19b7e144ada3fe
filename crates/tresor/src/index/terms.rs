//! Values in their order: an ordered set of terms and keys.

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

/// Shared with what is noted of the key.
type Bytes = Arc<[u8]>;

/// Terms with the keys of their entries.
#[derive(Default)]
pub(super) struct Terms {
    ordered: BTreeSet<(Bytes, Bytes)>,
}

impl Terms {
    pub(super) fn insert(&mut self, term: Bytes, key: Bytes) {
        self.ordered.insert((term, key));
    }

    pub(super) fn remove(&mut self, term: &Bytes, key: &Bytes) {
        self.ordered.remove(&(term.clone(), key.clone()));
    }

    /// The keys between two terms, both included.
    pub(super) fn between(
        &self,
        (lower, upper): (Option<&[u8]>, Option<&[u8]>),
    ) -> impl Iterator<Item = &[u8]> {
        let lower = lower.map_or(Bound::Unbounded, |term| {
            let first: Bytes = Arc::default();
            Bound::Included((Arc::from(term), first))
        });
        let is_inside = move |term: &[u8]| upper.is_none_or(|upper| term <= upper);
        let from_lower = self.ordered.range((lower, Bound::Unbounded));
        from_lower.take_while(move |(term, _)| is_inside(term)).map(|(_, key)| &**key)
    }
}
