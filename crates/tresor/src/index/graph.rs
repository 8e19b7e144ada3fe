//! Vectors of many dimensions by nearness, approximately: an HNSW graph (Malkov and Yashunin, 2016, by way of
//! `hnsw_rs`).
//!
//! A graph only grows: whoever changes or goes leaves its place dead. New vectors wait until the thread that builds
//! has put them in, and are named to every search until then, so that none is missed because it is new.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use hnsw_rs::{anndists::dist::Distance, hnsw::Hnsw};

use crate::search::Metric;

/// Neighbours of a place in each layer.
const NEIGHBOURS: usize = 16;

/// How many places are looked at to find the neighbours of a new one: twice as many take twice as long to build.
const LOOKED_AT_TO_BUILD: usize = 48;

/// How many are looked at, at least, to find the nearest.
const LOOKED_AT: usize = 160;

/// Layers, of which each has a sixteenth of the places of the one beneath.
const LAYERS: usize = 16;

/// With fewer dead places than this a graph stays as it is.
const DEAD: usize = 1024;

/// What a place and the ways to its neighbours take beside the vector, about.
pub(super) const PLACE_BYTES: usize = 3000;

/// The number of a place in the graph.
pub(super) type Place = usize;

/// A vector as the graph takes it.
pub(super) type Vector = Arc<[f32]>;

pub(super) type Net = Hnsw<'static, f32, Dissimilarity>;

/// Vectors with the keys of their entries.
pub(super) struct Graph {
    net: Arc<Net>,
    keys: HashMap<Place, Arc<[u8]>>,
    /// Those that are not in the net yet.
    waiting: BTreeMap<Place, Vector>,
    next: Place,
    dead: usize,
}

/// How far apart two vectors are: not as a number that anybody is told, but so that it rises, is never negative and
/// always finite, as the graph needs it.
#[derive(Clone, Copy)]
pub(super) struct Dissimilarity(Metric);

impl Distance<f32> for Dissimilarity {
    fn eval(&self, one: &[f32], other: &[f32]) -> f32 {
        match self.0 {
            Metric::L2 => sum(one, other, |a, b| (a - b) * (a - b)),
            // Both are as long as a unit: see `fitted`.
            Metric::Cosine => (1.0 - sum(one, other, |a, b| a * b)).max(0.0),
            Metric::InnerProduct => {
                let product = sum(one, other, |a, b| a * b);
                if product > 0.0 { 1.0 / (1.0 + product) } else { 1.0 - product }
            }
        }
    }
}

/// Eight sums side by side, which the processor adds up at once.
#[inline]
fn sum(one: &[f32], other: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; 8];
    let ((ones, rest), (others, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    for (one, other) in ones.iter().zip(others) {
        for place in 0..8 {
            sums[place] += term(one[place], other[place]);
        }
    }
    let rest = rest.iter().zip(other_rest).map(|(a, b)| term(*a, *b));
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

/// A vector as the graph takes it; `None` where its numbers are too large for its arithmetic.
pub(super) fn fitted(vector: &[f64], metric: Metric) -> Option<Vector> {
    let length = vector.iter().map(|number| number * number).sum::<f64>().sqrt();
    let scale = if metric == Metric::Cosine { 1.0 / length } else { 1.0 };
    // Twice the square of it has to be a finite number.
    (scale.is_finite() && length * scale < 1e18)
        .then(|| vector.iter().map(|number| (number * scale) as f32).collect())
}

impl Graph {
    pub(super) fn new(metric: Metric) -> Self {
        Self {
            net: Arc::new(Hnsw::new(NEIGHBOURS, DEAD, LAYERS, LOOKED_AT_TO_BUILD, Dissimilarity(metric))),
            keys: HashMap::new(),
            waiting: BTreeMap::new(),
            next: 0,
            dead: 0,
        }
    }

    pub(super) fn insert(&mut self, vector: Vector, key: Arc<[u8]>) -> Place {
        let place = self.next;
        self.next += 1;
        self.keys.insert(place, key);
        self.waiting.insert(place, vector);
        place
    }

    pub(super) fn remove(&mut self, place: Place) {
        self.keys.remove(&place);
        if self.waiting.remove(&place).is_none() {
            self.dead += 1;
        }
    }

    /// How many are not in the net yet.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether so much of the net is dead that a new one is due.
    pub(super) fn is_worn(&self) -> bool {
        self.dead > DEAD.max(self.keys.len() / 2)
    }

    /// Some that wait, to be put into the net while nobody has a lock.
    pub(super) fn next_to_insert(&self, most: usize) -> (Arc<Net>, Vec<(Place, Vector)>) {
        let waiting = self.waiting.iter().take(most).map(|(place, vector)| (*place, vector.clone()));
        (self.net.clone(), waiting.collect())
    }

    /// They are in the net; those that have gone meanwhile are dead there.
    pub(super) fn inserted(&mut self, places: impl Iterator<Item = Place>) {
        for place in places {
            if self.waiting.remove(&place).is_none() {
                self.dead += 1;
            }
        }
    }

    /// The net to search, and the keys of those that are not in it.
    pub(super) fn to_search(&self) -> (Arc<Net>, Vec<Arc<[u8]>>) {
        let waiting = self.waiting.keys().filter_map(|place| self.keys.get(place).cloned());
        (self.net.clone(), waiting.collect())
    }

    /// Whether this is its net still.
    pub(super) fn has(&self, net: &Arc<Net>) -> bool {
        Arc::ptr_eq(&self.net, net)
    }

    /// The keys at places, as far as they are alive.
    pub(super) fn keys_at(&self, places: &[Place]) -> Vec<Arc<[u8]>> {
        places.iter().filter_map(|place| self.keys.get(place).cloned()).collect()
    }
}

/// So many places near a vector, nearest first.
pub(super) fn search(net: &Net, vector: &[f32], wanted: usize) -> Vec<Place> {
    if net.get_nb_point() == 0 {
        return Vec::new();
    }
    let looked_at = (wanted * 2).max(LOOKED_AT);
    net.search(vector, wanted, looked_at).into_iter().map(|neighbour| neighbour.d_id).collect()
}
