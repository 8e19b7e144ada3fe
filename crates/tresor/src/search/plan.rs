//! How a query is run: what is read, in which order, and whether values come with it.
//!
//! Decided once from the query, what the engine can do and which indexes there are, so that `explain` tells exactly
//! what is done.

use std::{collections::BTreeSet, ops::Bound, sync::Arc};

use super::query::Query;
use crate::{
    engine::{Capabilities, Content, Order},
    error::{Error, ErrorKind, Result},
    index::Index,
};

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// So many keys, one by one.
    Keys(usize),
    /// So many keys that an index names, one by one.
    Index(usize),
    /// Keys that an index of vectors names, nearest first.
    Near,
    /// The keys between two bounds.
    Range,
    /// Every key.
    Scan,
}

/// When values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Not at all.
    None,
    /// With every key.
    WithKeys,
    /// Of the keys that match.
    OfMatches,
}

/// How a query is run.
#[derive(Clone, Debug)]
pub struct Plan<'q> {
    /// What is read.
    pub access: Access,
    /// In which order.
    pub order: Order,
    /// When values are read.
    pub values: Values,
    query: &'q Query,
    /// Which index is used, and the keys that it names.
    pub(super) index: Option<(Arc<Index>, BTreeSet<Vec<u8>>)>,
}

impl<'q> Plan<'q> {
    /// Decides.
    ///
    /// # Errors
    /// What [`Query::check`] finds, and [`Unsupported`](ErrorKind::Unsupported) where the engine knows no order.
    pub fn of(query: &'q Query, capabilities: &Capabilities) -> Result<Self> {
        query.check()?;
        let is_bounded = !query.range.is_unbounded();
        let access = match &query.keys {
            Some(keys) => Access::Keys(keys.len()),
            None if is_bounded => Access::Range,
            None => Access::Scan,
        };
        // Of the nearest every entry is looked at anyway, and they have an order of their own.
        let order = if query.nearest.is_some() && !is_bounded { Order::Any } else { query.order };
        if order != Order::Any && access == Access::Scan && !capabilities.ordered {
            let message = format!("the {} engine has no key order here: say order any", capabilities.name);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let order = if access == Access::Range && capabilities.ordered { ordered(order) } else { order };
        let values = match (query.judges_values() || query.with_values, query.key_tests.is_empty()) {
            (false, _) => Values::None,
            (true, true) => Values::WithKeys,
            (true, false) => Values::OfMatches,
        };
        Ok(Self { access, order, values, query, index: None })
    }

    /// The plan in words, by name.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let access = match self.access {
            Access::Keys(keys) => format!("named keys: {keys}"),
            Access::Index(keys) => format!("keys that the index names: {keys}"),
            Access::Near => "keys that the index names, nearest first".to_owned(),
            Access::Range => {
                let (lower, upper) = self.query.range.bounds();
                let bounds = [shown(lower, [">=", ">"]), shown(upper, ["<=", "<"])];
                format!("keys {}", bounds.into_iter().flatten().collect::<Vec<_>>().join(", "))
            }
            Access::Scan => "all keys".to_owned(),
        };
        let order = match self.order {
            Order::Any => "any",
            Order::Ascending => "asc",
            Order::Descending => "desc",
        };
        let values = match self.values {
            Values::None => "none",
            Values::WithKeys => "of all keys read",
            Values::OfMatches => "of matching keys",
        };
        vec![
            ("reads", access),
            ("order", order.to_owned()),
            ("values", values.to_owned()),
            ("index", self.index.as_ref().map_or("none", |(index, _)| index.definition.name()).to_owned()),
        ]
    }

    pub(super) fn query(&self) -> &'q Query {
        self.query
    }

    pub(super) fn content(&self) -> Content {
        match self.values {
            Values::WithKeys => Content::Entries,
            Values::None | Values::OfMatches => Content::Keys,
        }
    }
}

/// Bounds are kept in key order alone.
fn ordered(order: Order) -> Order {
    if order == Order::Any { Order::Ascending } else { order }
}

fn shown(bound: Bound<&[u8]>, signs: [&str; 2]) -> Option<String> {
    let text =
        |sign: &str, key: &[u8]| format!("{sign} {:?}", String::from_utf8_lossy(&key[..key.len().min(64)]));
    match bound {
        Bound::Included(key) => Some(text(signs[0], key)),
        Bound::Excluded(key) => Some(text(signs[1], key)),
        Bound::Unbounded => None,
    }
}
