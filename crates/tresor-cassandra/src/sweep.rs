//! Collects what is gone where Cassandra does not: rows of transactions have no time to live.
//!
//! Once an hour every row is looked at; one that has been removed or expired for a day is deleted, if
//! it is still the same. All servers of a store do so; who comes second finds nothing left.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::interval;
use tresor::{Result, clock::Clock, engine::DATABASES};

use crate::{
    failure::Intent,
    lifetime::is_forgotten,
    row::{Address, Row},
    store::Store,
    tables::was_applied,
    tokens,
};

const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Rows that are deleted together.
const TOGETHER: usize = 8;

/// Sweeps for as long as the engine's runtime lives.
pub(crate) async fn watch(store: Arc<Store>, clock: Arc<dyn Clock>) {
    let mut times = interval(INTERVAL);
    loop {
        times.tick().await;
        match all(&store, clock.now_ms()).await {
            Ok(rows) => tracing::debug!(rows, "rows that were gone for a day are collected"),
            Err(error) => {
                tracing::warn!(%error, "what is gone could not be collected; tried again in an hour")
            }
        }
    }
}

/// Deletes what was gone for a day; answers how many rows.
pub(crate) async fn all(store: &Store, now_ms: u64) -> Result<u64> {
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
