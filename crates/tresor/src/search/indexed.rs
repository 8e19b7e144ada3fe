//! Which index a query uses, and how it goes through what an index of vectors names.
//!
//! An index only says which keys are worth reading: what is read is judged as ever, so an index can make a query
//! faster but not answer otherwise. One on values is used where it names few keys beside what reading in key order
//! would have to look at; one on vectors where the nearest that it names pass the other conditions soon enough.

use std::collections::BTreeSet;

use super::{
    condition::ValueCondition,
    finder::{FoundPage, SLICE_ENTRIES},
    neighbours::Neighbours,
    plan::{Access, Plan, Values},
    query::Query,
};
use crate::{
    engine::Order,
    error::Result,
    index::{Index, IndexDefinition, IndexOf, Indexes},
    session::Session,
};

/// The fewest that an index of vectors is asked for.
const FEWEST: usize = 32;

/// By how much more it is asked for when too few pass the other conditions.
const GROWTH: usize = 4;

impl Plan<'_> {
    /// Takes an index where one helps.
    pub(super) fn choose_index(&mut self, indexes: &Indexes, database: u8) {
        if !indexes.any() || self.query().keys.is_some() {
            return;
        }
        let query = self.query();
        let fits = |definition: &IndexDefinition| {
            definition.database() == database && query.range.is_within(definition.prefix())
        };
        if query.nearest.is_some() {
            if let Some(index) = indexes.usable(|definition| fits(definition) && query.is_near_by(definition))
            {
                (self.access, self.values) = (Access::Near, Values::OfMatches);
                self.index = Some((index, BTreeSet::new()));
            }
            return;
        }
        // In any order a cursor says where in the engine a page has ended.
        if self.order == Order::Any {
            return;
        }
        if let Some(index) =
            indexes.usable(|definition| fits(definition) && query.between_by(definition).is_some())
            && let Some(keys) = query.named_by(&index)
        {
            (self.access, self.values) = (Access::Index(keys.len()), Values::OfMatches);
            self.index = Some((index, keys));
        }
    }

    /// The keys that are read one by one, if they are.
    pub(super) fn named(&self) -> Option<&BTreeSet<Vec<u8>>> {
        match (&self.index, self.access) {
            (Some((_, keys)), Access::Index(_)) => Some(keys),
            _ => self.query().keys.as_ref(),
        }
    }
}

impl Query {
    fn is_near_by(&self, definition: &IndexDefinition) -> bool {
        let Some(nearest) = &self.nearest else { return false };
        let wanted = IndexOf::Vectors { dimensions: nearest.vector.len(), metric: nearest.metric };
        definition.of() == wanted && definition.field() == nearest.field.as_ref()
    }

    /// The range of values that an index keeps the order of.
    fn between_by(&self, definition: &IndexDefinition) -> Option<&ValueCondition> {
        self.values.iter().find(|condition| {
            !condition.range.is_unbounded()
                && condition.field.as_ref() == definition.field()
                && definition.of() == IndexOf::Values(condition.reading())
        })
    }

    /// The keys that an index of values names for this query; `None` where reading in key order looks at fewer: with
    /// m of n entries inside the bounds, a page of l is full after about l * n / m.
    fn named_by(&self, index: &Index) -> Option<BTreeSet<Vec<u8>>> {
        let most = (self.page_limit() as f64 * index.len() as f64).sqrt();
        let (mut keys, mut named) = (BTreeSet::new(), 0);
        let condition = self.between_by(&index.definition)?;
        index.between(condition.reading(), condition.range.bounds(), |key| {
            named += 1;
            if self.takes_key(key) {
                keys.insert(key.to_vec());
            }
            named as f64 <= most
        });
        (named as f64 <= most).then_some(keys)
    }
}

impl Session {
    /// The nearest by an index; `None` where there is none, or too few of those that it names are found.
    pub(super) async fn find_near(&mut self, query: &Query, plan: &Plan<'_>) -> Result<Option<FoundPage>> {
        let (Some((index, _)), Some(nearest)) = (&plan.index, &query.nearest) else { return Ok(None) };
        let mut wanted = query.page_limit().max(FEWEST);
        // Beyond, reading everything in its order is no dearer.
        let most = (index.len() / GROWTH).max(wanted);
        while wanted <= most {
            let Some(near) = index.near(&nearest.vector, wanted) else { return Ok(None) };
            let mut neighbours = Neighbours::new(query)?;
            let keys: BTreeSet<&[u8]> = near.keys.iter().map(|key| &**key).collect();
            let keys: Vec<&[u8]> = keys.into_iter().filter(|key| query.takes_key(key)).collect();
            let mut left = &keys[..];
            while !left.is_empty() {
                let (candidates, taken) = self.candidates(&left[..left.len().min(SLICE_ENTRIES)]).await?;
                self.meet_all(&mut neighbours, candidates).await?;
                left = &left[taken..];
            }
            if near.all || neighbours.are_settled(near.reach) {
                return Ok(Some(neighbours.into_page()));
            }
            wanted *= GROWTH;
        }
        Ok(None)
    }
}
