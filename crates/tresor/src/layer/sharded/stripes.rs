//! Locks by key that are awaited: shared for what one shard does by itself, exclusive for what must be
//! one step over several shards.
//!
//! A key's hash picks its stripe. Whoever takes several takes them in ascending order, and keeps them
//! until its answer is there, so nobody waits in a circle. A plain command takes one shared: two atomic
//! operations on a cache line that hardly anybody else wants.

use smallvec::SmallVec;

use crate::transaction::{AllGates, Gates};

/// Stripes: enough that two batches rarely meet, few enough to lie in the processor's nearest cache
/// and to be bits of one word.
const STRIPES: usize = 64;

/// A lock for each part of the keys.
pub(super) struct Stripes(Box<[Gates]>);

/// A stripe held shared, until dropped.
pub(super) struct Shared<'a>(&'a Gates);

impl Drop for Shared<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.leave(0);
    }
}

/// Several stripes, all held the same way.
pub(super) enum Held<'a> {
    /// With others.
    #[expect(dead_code, reason = "held for being dropped")]
    Shared(SmallVec<[Shared<'a>; 16]>),
    /// Alone.
    #[expect(dead_code, reason = "held for being dropped")]
    Exclusive(Vec<AllGates<'a>>),
}

impl Stripes {
    pub(super) fn new() -> Self {
        Self((0..STRIPES).map(|_| Gates::new(1)).collect())
    }

    /// A stripe shared, unless somebody has it alone.
    #[inline]
    pub(super) fn try_shared(&self, hash: u64) -> Option<Shared<'_>> {
        let gates = &self.0[hash as usize % STRIPES];
        gates.try_enter(0).then(|| Shared(gates))
    }

    /// The stripes of these hashes, shared, unless somebody has one alone.
    pub(super) fn try_all_shared(&self, hashes: &[u64]) -> Option<SmallVec<[Shared<'_>; 16]>> {
        let enter = |at: usize| self.0[at].try_enter(0).then(|| Shared(&self.0[at]));
        places(hashes).map(enter).collect()
    }

    /// The stripes of these hashes, shared.
    pub(super) async fn shared(&self, hashes: &[u64]) -> Held<'_> {
        if let Some(held) = self.try_all_shared(hashes) {
            return Held::Shared(held);
        }
        let mut held = SmallVec::new();
        for at in places(hashes) {
            let gates = &self.0[at];
            gates.enter(0).await;
            held.push(Shared(gates));
        }
        Held::Shared(held)
    }

    /// The stripes of these hashes, alone.
    pub(super) async fn exclusive(&self, hashes: &[u64]) -> Held<'_> {
        self.alone(places(hashes)).await
    }

    /// All stripes, alone.
    pub(super) async fn all(&self) -> Held<'_> {
        self.alone(0..STRIPES).await
    }

    async fn alone(&self, places: impl Iterator<Item = usize>) -> Held<'_> {
        let mut held = Vec::new();
        for at in places {
            held.push(self.0[at].all().await);
        }
        Held::Exclusive(held)
    }

    /// Waits until everybody who is inside now has left, one stripe after another.
    pub(super) async fn pass(&self) {
        for gates in &self.0 {
            drop(gates.all().await);
        }
    }
}

/// The stripes of these hashes, ascending, each once.
fn places(hashes: &[u64]) -> impl Iterator<Item = usize> + use<> {
    let mut left = hashes.iter().fold(0_u64, |set, hash| set | 1 << (*hash as usize % STRIPES));
    std::iter::from_fn(move || {
        let place = (left != 0).then(|| left.trailing_zeros() as usize)?;
        left &= left - 1;
        Some(place)
    })
}
