//! Times to live, as bodies and query parameters say them: seconds, decimals allowed, above 0.

use tresor::{Error, Result, engine::Expires};

/// The longest time to live, in seconds: a good three thousand years.
const MAX_SECONDS: f64 = 1e11;

/// A time to live, at least a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ttl {
    ms: u64,
}

impl Ttl {
    /// Reads a JSON number.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let seconds: f64 = serde_json::from_str(text)
            .map_err(|error| Error::invalid("ttl must be a number of seconds").caused_by(error))?;
        if seconds > 0.0 && seconds <= MAX_SECONDS {
            return Ok(Self { ms: ((seconds * 1000.0).round() as u64).max(1) });
        }
        Err(Error::invalid(format!("ttl must be above 0 and at most {MAX_SECONDS} seconds")))
    }

    /// The expiry that a put at `now_ms` leaves behind.
    pub(super) fn expires(ttl: Option<Self>, now_ms: u64) -> Expires {
        ttl.map_or(Expires::Never, |ttl| Expires::At(now_ms + ttl.ms))
    }
}
