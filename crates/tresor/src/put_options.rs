//! How a value is put: under which condition, and for how long it stays.

use std::time::Duration;

use crate::{
    engine::{Expires, Guard},
    error::{Error, Result},
};

/// What [`Database::put_with`](crate::Database::put_with) does beyond replacing value, kind and
/// expiry: nothing, unless told here.
#[derive(Clone, Copy, Debug, Default)]
pub struct PutOptions {
    guard: Guard,
    lifetime: Lifetime,
}

/// What a put leaves of an entry's expiry.
#[derive(Clone, Copy, Debug, Default)]
enum Lifetime {
    #[default]
    Unlimited,
    For(Duration),
    Until(u64),
    Kept,
}

impl PutOptions {
    /// A plain put.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entry is absent once this time has passed, counted in milliseconds and rounded up;
    /// it must be above zero.
    #[must_use]
    pub fn expires_in(self, time: Duration) -> Self {
        Self { lifetime: Lifetime::For(time), ..self }
    }

    /// The entry is absent from this moment on, in Unix milliseconds.
    #[must_use]
    pub fn expires_at_ms(self, moment_ms: u64) -> Self {
        Self { lifetime: Lifetime::Until(moment_ms), ..self }
    }

    /// The entry keeps the expiry that it has.
    #[must_use]
    pub fn keep_expiry(self) -> Self {
        Self { lifetime: Lifetime::Kept, ..self }
    }

    /// Nothing happens unless this holds.
    #[must_use]
    pub fn guard(self, guard: Guard) -> Self {
        Self { guard, ..self }
    }

    pub(crate) fn condition(&self) -> Guard {
        self.guard
    }

    /// The expiry in an engine's terms, as reckoned at `now_ms`.
    pub(crate) fn expires(&self, now_ms: u64) -> Result<Expires> {
        Ok(match self.lifetime {
            Lifetime::Unlimited => Expires::Never,
            Lifetime::For(time) => Expires::At(moment_after(now_ms, time)?),
            Lifetime::Until(moment_ms) => Expires::At(moment_ms),
            Lifetime::Kept => Expires::Keep,
        })
    }
}

/// The moment a time after `now_ms`, in Unix milliseconds.
pub(crate) fn moment_after(now_ms: u64, time: Duration) -> Result<u64> {
    if time.is_zero() {
        return Err(Error::invalid("a time to live must be above zero: delete the key instead"));
    }
    // The farthest moment that the Redis protocol can tell of.
    const FARTHEST_MS: u64 = i64::MAX as u64;
    u64::try_from(time.as_nanos().div_ceil(1_000_000))
        .ok()
        .and_then(|time_ms| now_ms.checked_add(time_ms))
        .filter(|moment_ms| *moment_ms <= FARTHEST_MS)
        .ok_or_else(|| Error::invalid("the time to live is too long: leave it out for an entry that stays"))
}
