//! Points of one to three dimensions by nearness, exactly: an R*-tree (Beckmann and others, 1990, by way of `rstar`).
//!
//! Points of fewer dimensions lie in the same space with zeros for the rest: Euclidean distances do not change.

use std::sync::Arc;

use rstar::{RTree, primitives::GeomWithData};

/// The most dimensions.
pub(super) const DIMENSIONS: usize = 3;

/// Beyond this a square would be no finite number.
const MOST: f64 = 1e150;

/// A place for a vector in the tree.
pub(super) type Point = [f64; DIMENSIONS];

/// Points with the keys of their entries.
#[derive(Default)]
pub(super) struct Points {
    tree: RTree<GeomWithData<Point, Arc<[u8]>>>,
}

/// The place of a vector; `None` where the tree has none for it.
pub(super) fn point(vector: &[f64]) -> Option<Point> {
    let mut point = Point::default();
    point.get_mut(..vector.len())?.copy_from_slice(vector);
    vector.iter().all(|number| number.abs() < MOST).then_some(point)
}

impl Points {
    pub(super) fn insert(&mut self, point: Point, key: Arc<[u8]>) {
        self.tree.insert(GeomWithData::new(point, key));
    }

    pub(super) fn remove(&mut self, point: Point, key: &Arc<[u8]>) {
        self.tree.remove(&GeomWithData::new(point, key.clone()));
    }

    pub(super) fn len(&self) -> usize {
        self.tree.size()
    }

    /// So many keys, nearest first, and how far the last of them is.
    pub(super) fn nearest(&self, point: Point, wanted: usize) -> (Vec<Arc<[u8]>>, f64) {
        let mut reach = 0.0;
        let nearest = self.tree.nearest_neighbor_iter_with_distance_2(point).take(wanted);
        let keys = nearest.map(|(found, square)| {
            reach = f64::sqrt(square);
            found.data.clone()
        });
        (keys.collect(), reach)
    }
}
