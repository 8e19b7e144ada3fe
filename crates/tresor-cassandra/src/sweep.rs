//! Collects what is gone where Cassandra does not: rows of transactions have no time to live.
//!
//! Once a day one of a store's servers looks at every row, and deletes what has been removed or expired
//! for a day and is still the same. Whose turn it is they settle by a compare-and-set on the moment of the
//! last sweep; a server that dies in the middle leaves the rest to the next day.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, interval_at};
use tresor::{Result, clock::Clock, engine::DATABASES};

use crate::{
    failure::Intent,
    lifetime::is_forgotten,
    row::{Address, Row},
    settings,
    store::Store,
    tables::was_applied,
    tokens,
};

/// How often a server looks whether it is time.
const LOOK: Duration = Duration::from_secs(10 * 60);

/// How long a sweep is good for.
const INTERVAL_MS: u64 = 24 * 60 * 60 * 1000;

/// The setting that has the moment of the last sweep.
const SWEPT: &str = "swept_ms";

/// Rows that are deleted together.
const TOGETHER: usize = 8;

/// Sweeps for as long as the engine's runtime lives.
pub(crate) async fn watch(store: Arc<Store>, clock: Arc<dyn Clock>) {
    let mut times = interval_at(Instant::now() + LOOK, LOOK);
    loop {
        times.tick().await;
        match when_due(&store, clock.now_ms()).await {
            Ok(None) => {}
            Ok(Some(rows)) => tracing::debug!(rows, "rows that were gone for a day are collected"),
            Err(error) => tracing::warn!(%error, "what is gone could not be collected; tried again later"),
        }
    }
}

/// Sweeps if nobody has for a day; answers how many rows were deleted then.
pub(crate) async fn when_due(store: &Store, now_ms: u64) -> Result<Option<u64>> {
    if !is_mine(store, now_ms).await? {
        return Ok(None);
    }
    all(store, now_ms).await.map(Some)
}

/// Whether it is time for a sweep, and this server's turn to do it.
async fn is_mine(store: &Store, now_ms: u64) -> Result<bool> {
    let (cluster, options) = (&store.cluster, &store.options);
    let known = settings::read(cluster, options).await?;
    let now = now_ms.to_string();
    let Some((_, last)) = known.iter().find(|(name, _)| name == SWEPT) else {
        return settings::put_if_absent(cluster, options, SWEPT, &now).await;
    };
    // What cannot be read is as good as long ago.
    if now_ms.saturating_sub(last.parse().unwrap_or(0)) < INTERVAL_MS {
        return Ok(false);
    }
    settings::put_if_same(cluster, options, SWEPT, (last, &now)).await
}

/// Deletes what was gone for a day; answers how many rows.
async fn all(store: &Store, now_ms: u64) -> Result<u64> {
    let mut deleted = 0;
    for database in 0..DATABASES {
        let mut from = Some(i64::MIN);
        while let Some(token) = from {
            let (rows, last) = tokens::rows(store, database, token).await?;
            let age_ms = |row: &Row| store.versions.age_ms(row.version);
            let gone = rows.into_iter().filter(|(_, row)| is_forgotten(row, age_ms(row), now_ms));
            let results = stream::iter(gone).map(|(address, row)| delete(store, address, row));
            let results: Vec<Result<bool>> = results.buffer_unordered(TOGETHER).collect().await;
            for result in results {
                deleted += u64::from(result?);
            }
            from = last.and_then(|last| last.checked_add(1));
        }
    }
    Ok(deleted)
}

async fn delete(store: &Store, address: Address, row: Row) -> Result<bool> {
    let Some(statements) = store.existing(address.database).await? else { return Ok(false) };
    let values = (address.database as i8, &address.key, &address.member, row.version as i64);
    let result = store.cluster.execute(&statements.delete_if_version, values, Intent::Harmless).await?;
    was_applied(result)
}
