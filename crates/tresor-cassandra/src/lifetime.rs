//! How long the cluster keeps what has expired or was removed.
//!
//! `expires_at` decides whether an entry is there; the cluster's own time to live only collects what
//! nobody sees any more. A day is added, so that clocks may differ and a removed key's version stays.

use crate::row::Row;

/// What is gone stays known for so long.
const GRACE_S: u64 = 24 * 60 * 60;

/// Cassandra's cells cannot expire after 2038-01-19; a year less leaves room for clocks and grace.
const LATEST_S: u64 = 2_114_380_800;

/// The time to live of a row in seconds; 0 is for ever.
pub(crate) fn ttl_s(row: &Row, now_ms: u64) -> i32 {
    let left_s = match (&row.value, row.expires_at_ms) {
        (None, _) => 0,
        (Some(_), None) => return 0,
        (Some(_), Some(at_ms)) => at_ms.saturating_sub(now_ms).div_ceil(1000),
    };
    let ttl_s = left_s.saturating_add(GRACE_S);
    if (now_ms / 1000).saturating_add(ttl_s) > LATEST_S { 0 } else { ttl_s as i32 }
}

/// Whether a row that the cluster does not collect is of no more use; `age_ms` is its version's.
pub(crate) fn is_forgotten(row: &Row, age_ms: u64, now_ms: u64) -> bool {
    match (&row.value, row.expires_at_ms) {
        (None, _) => age_ms >= GRACE_S * 1000,
        (Some(_), Some(at_ms)) => at_ms.saturating_add(GRACE_S * 1000) <= now_ms,
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_expires_too_late_for_the_cluster_is_kept_for_ever() {
        let row =
            |expires_at_ms| Row { value: Some(Bytes::new()), version: 1, expires_at_ms, ..Row::default() };
        let now_ms = 1_800_000_000_000;
        assert_eq!(ttl_s(&row(None), now_ms), 0);
        assert_eq!(ttl_s(&row(Some(now_ms + 1)), now_ms), 86_401);
        assert_eq!(ttl_s(&row(Some(now_ms - 1)), now_ms), 86_400);
        assert_eq!(ttl_s(&row(Some(u64::MAX)), now_ms), 0);
        assert_eq!(ttl_s(&Row::default(), now_ms), 86_400);
    }
}
