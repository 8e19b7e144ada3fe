//! The memory engine.

/// What gives way when the memory limit is reached. Names are Redis's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eviction {
    /// Nothing: writes that need memory are refused.
    #[default]
    None,
    /// The least recently used key of all.
    AllKeysLru,
    /// The least frequently used key of all.
    AllKeysLfu,
    /// Any key.
    AllKeysRandom,
    /// The least recently used key that has an expiry.
    VolatileLru,
    /// The least frequently used key that has an expiry.
    VolatileLfu,
    /// Any key that has an expiry.
    VolatileRandom,
    /// The key that expires first.
    VolatileTtl,
}
