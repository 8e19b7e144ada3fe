//! Reads and writes where the latest write wins, in one round each.
//!
//! A row and its entry in the index are written by one logged batch under one timestamp, so that after
//! a crash both are there or neither. Cassandra refuses batches of more than 50 KiB and warns above 5:
//! a larger value is written alone, after an entry that says so, for scans to look at its row.
//! Timestamps are microseconds and rise strictly in each server.
//! Nothing can be guarded: whoever looked before it wrote may have been overtaken.

use scylla::statement::batch::{Batch, BatchType};
use smallvec::SmallVec;
use tresor::{
    Error, ErrorKind, Result,
    engine::{Applied, Effect, Guard, Outcome},
};

use crate::{
    change::{OwnedChange, Rows, What, plan},
    failure::Intent,
    lifetime::ttl_s,
    linearizable::read_one,
    row::{Address, Row, UNSURE},
    statements::Statements,
    store::Store,
    versions::version_of,
};

/// The largest value that goes into a batch: with its key it stays below what Cassandra warns about,
/// unless the key is long itself.
const BATCH_VALUE_BYTES: usize = 3 * 1024;

/// Applies changes of one key, one after another.
pub(crate) async fn write(store: &Store, changes: &[OwnedChange], now_ms: u64) -> Result<Outcome> {
    changes.iter().try_for_each(refuse_what_needs_a_guard)?;
    let statements = store.made(changes[0].address.database).await?;
    let mut effects = SmallVec::<[Effect; 1]>::new();
    let mut sequence = store.latest();
    for change in changes {
        let effect = apply(store, &statements, change, now_ms).await?;
        sequence = sequence.max(effect.version);
        effects.push(effect);
    }
    Ok(Outcome { sequence, applied: Applied::Whole(effects) })
}

/// The error for whatever depends on what is there.
fn refuse_what_needs_a_guard(change: &OwnedChange) -> Result<()> {
    let plain = matches!(change.what, What::Put { .. } | What::Expire(_) | What::Delete);
    if plain && change.guard == Guard::None {
        return Ok(());
    }
    Err(unguarded())
}

/// The error for a write that depends on what is there.
pub(crate) fn unguarded() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "this store was made with --cassandra-writes eventual, where a write cannot depend on what is there; a store made with linearizable can",
    )
}

async fn apply(store: &Store, statements: &Statements, change: &OwnedChange, now_ms: u64) -> Result<Effect> {
    // What is there matters only to the answer, to an expiry that is kept, and to one that is changed.
    let before = if change.blind { Row::default() } else { read_one(store, &change.address).await? };
    let read: Rows = [(change.address.clone(), before)].into_iter().collect();
    let stamp = store.versions.take_stamp();
    let planned = plan(std::slice::from_ref(change), &read, version_of(stamp), now_ms);
    let Applied::Whole(effects) = planned.applied else { return Err(unguarded()) };
    let (address, row) = &planned.rows[0];
    let deletes = change.blind && matches!(change.what, What::Delete);
    if planned.changes || deletes {
        store.check_size(row.value.as_ref().map_or(0, bytes::Bytes::len))?;
        put(store, statements, (address, row), stamp, now_ms).await?;
    }
    Ok(effects[0])
}

/// Writes a row and its entry, or removes both.
async fn put(
    store: &Store,
    statements: &Statements,
    (address, row): (&Address, &Row),
    stamp: u64,
    now_ms: u64,
) -> Result<()> {
    let (database, stamp, ttl) = (address.database as i8, stamp as i64, ttl_s(row, now_ms));
    let (bucket, key, member) = (store.bucket(&address.key), &address.key, &address.member);
    let (kind, version) = (row.kind as i8, row.version as i64);
    let expires_at = row.expires_at_ms.map(|at| at as i64);
    let gone = !row.is_live(now_ms);
    let set = (ttl, stamp, &row.value, kind, version, expires_at, database, key, member);
    let delete = (stamp, database, key, member);
    let Some(ordered) = &statements.ordered else {
        let done = if gone {
            store.cluster.execute(&statements.delete, delete, Intent::Change).await
        } else {
            store.cluster.execute(&statements.set, set, Intent::Change).await
        };
        return done.map(drop);
    };
    if !gone && row.value.as_ref().is_some_and(|value| value.len() > BATCH_VALUE_BYTES) {
        let insert = (bucket, key, member, kind | UNSURE, version, expires_at, ttl, stamp);
        store.cluster.execute(&ordered.insert, insert, Intent::Harmless).await?;
        return store.cluster.execute(&statements.set, set, Intent::Change).await.map(drop);
    }
    let mut batch = Batch::new(BatchType::Logged);
    batch.set_consistency(store.options.consistency.for_writes());
    batch.set_is_idempotent(true);
    let done = if gone {
        batch.append_statement(statements.delete.clone());
        batch.append_statement(ordered.delete.clone());
        store.cluster.batch(&batch, (delete, (stamp, bucket, key, member)), Intent::Change).await
    } else {
        let insert = (bucket, key, member, kind, version, expires_at, ttl, stamp);
        batch.append_statement(statements.set.clone());
        batch.append_statement(ordered.insert.clone());
        store.cluster.batch(&batch, (set, insert), Intent::Change).await
    };
    done.map(drop)
}
