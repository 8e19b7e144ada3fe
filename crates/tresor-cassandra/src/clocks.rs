//! How far this server's clock and the cluster's nodes' are apart, looked at once a minute.
//!
//! Expiry and versions go by each server's own clock. A difference does no harm to what is written, but
//! keys expire earlier or later by it on one server than on another, so a large one is told.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::interval;
use tresor::clock::Clock;

use crate::store::Store;

/// Differences above this are told.
const TOLD_MS: i64 = 250;

const INTERVAL: Duration = Duration::from_secs(60);

/// Looks at the clocks for as long as the engine's runtime lives.
pub(crate) async fn watch(store: Arc<Store>, clock: Arc<dyn Clock>) {
    let mut times = interval(INTERVAL);
    loop {
        times.tick().await;
        let Some(difference_ms) = difference_ms(&store, &*clock).await else { continue };
        store.clock_ahead_ms.store(difference_ms, Ordering::Relaxed);
        if difference_ms.abs() > TOLD_MS {
            tracing::warn!(
                difference_ms,
                "this server's clock differs from the cluster's: keys expire by that much earlier or later here; see to time synchronisation"
            );
        }
    }
}

/// By how many milliseconds this clock is ahead of that of a node; `None` while none answers.
async fn difference_ms(store: &Store, clock: &dyn Clock) -> Option<i64> {
    let before_ms = clock.now_ms() as i64;
    let words = "SELECT toUnixTimestamp(now()) FROM system.local";
    let rows = store.cluster.say(words).await.ok()?.into_rows_result().ok()?;
    let (there_ms,) = rows.first_row::<(i64,)>().ok()?;
    let after_ms = clock.now_ms() as i64;
    // The node looked at its clock somewhere between the two.
    Some((before_ms + after_ms) / 2 - there_ms)
}
