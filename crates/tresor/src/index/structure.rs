//! The three ways of keeping parts of values, and what each is asked.

use std::sync::Arc;

use super::{
    IndexDefinition, IndexOf, Part,
    graph::{self, Graph},
    points::{self, Point, Points},
    terms::Terms,
};
use crate::search::Metric;

/// Parts in the order that the index is for.
pub(super) enum Structure {
    Terms(Terms),
    Points(Points),
    Graph(Graph),
}

/// Where a key's part is.
#[derive(Clone)]
pub(super) enum Kept {
    Term(Arc<[u8]>),
    Point(Point),
    Place(graph::Place),
    /// The structure cannot hold it: it is named to every search.
    Loose,
    /// Nowhere: it cannot be read as the index wants it.
    Unreadable,
}

impl Kept {
    /// What it takes in memory, about.
    pub(super) fn bytes(&self, of: IndexOf) -> usize {
        match (self, of) {
            (Self::Term(term), _) => term.len() + 32,
            (Self::Point(_), _) => 2 * size_of::<Point>(),
            (Self::Place(_), IndexOf::Vectors { dimensions, .. }) => dimensions * 4 + graph::PLACE_BYTES,
            _ => 0,
        }
    }
}

/// What an index knows of the entries near a vector.
pub(crate) struct Near {
    /// Their keys, and those of which it does not know.
    pub(crate) keys: Vec<Arc<[u8]>>,
    /// No other entry is nearer than this; `None` where that is only likely.
    pub(crate) reach: Option<f64>,
    /// There are no others.
    pub(crate) all: bool,
}

impl Structure {
    pub(super) fn new(definition: &IndexDefinition) -> Self {
        match definition.of() {
            IndexOf::Values(_) => Self::Terms(Terms::default()),
            IndexOf::Vectors { dimensions: 1..=points::DIMENSIONS, metric: Metric::L2 } => {
                Self::Points(Points::default())
            }
            IndexOf::Vectors { metric, .. } => Self::Graph(Graph::new(metric)),
        }
    }

    /// Keeps a part under a key.
    pub(super) fn insert(&mut self, of: IndexOf, part: Part, key: &Arc<[u8]>) -> Kept {
        match (self, part, of) {
            (Self::Terms(terms), Part::Term(term), _) => {
                let term: Arc<[u8]> = term.into();
                terms.insert(term.clone(), key.clone());
                Kept::Term(term)
            }
            (Self::Points(points), Part::Vector(vector), _) => match points::point(&vector) {
                Some(point) => {
                    points.insert(point, key.clone());
                    Kept::Point(point)
                }
                None => Kept::Loose,
            },
            (Self::Graph(graph), Part::Vector(vector), IndexOf::Vectors { metric, .. }) => {
                match graph::fitted(&vector, metric) {
                    Some(vector) => Kept::Place(graph.insert(vector, key.clone())),
                    None => Kept::Loose,
                }
            }
            _ => Kept::Unreadable,
        }
    }

    /// Forgets what was kept under a key.
    pub(super) fn remove(&mut self, kept: &Kept, key: &Arc<[u8]>) {
        match (self, kept) {
            (Self::Terms(terms), Kept::Term(term)) => terms.remove(term, key),
            (Self::Points(points), Kept::Point(point)) => points.remove(*point, key),
            (Self::Graph(graph), Kept::Place(place)) => graph.remove(*place),
            _ => {}
        }
    }
}
