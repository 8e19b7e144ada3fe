//! Reads and writes of which every server sees the same order.
//!
//! A read is SERIAL: it finishes what somebody left half done, and sees it. A write reads, decides,
//! and sets the row on the condition that its version is still the one it read; it writes value,
//! kind, version and expiry together under one time to live, so that they vanish together. The index
//! by key gets its entry before the row and loses it after: a crash between the two leaves an entry
//! too many, which scans see through, and never one too few.

use bytes::Bytes;
use futures_util::future::try_join_all;
use scylla::statement::batch::{Batch, BatchType};
use smallvec::SmallVec;
use tokio::time::Instant;
use tresor::{
    Error, ErrorKind, Result,
    engine::{Applied, Isolation, Outcome, Version},
};

use crate::{
    change::{OwnedChange, Planned, Rows, What, plan},
    cluster::unreadable,
    failure::Intent,
    ordered,
    row::{Address, Row},
    statements::Statements,
    store::{Store, pause},
    tables::was_applied,
    transactions,
};

type Columns = (Option<Bytes>, Option<i8>, Option<i64>, Option<i64>);
type MemberColumns = (Bytes, Option<Bytes>, Option<i8>, Option<i64>, Option<i64>);

/// Reads rows, in the order of their addresses.
pub(crate) async fn read(store: &Store, addresses: &[Address], isolation: Isolation) -> Result<Vec<Row>> {
    let together = isolation == Isolation::Together && addresses.len() > 1;
    if together && store.settings.transactions {
        // One partition's rows too: a transaction writes them one after another there.
        return transactions::read(store, addresses).await;
    }
    if together && addresses.iter().all(|other| other.beside(&addresses[0])) {
        return read_partition(store, addresses).await;
    }
    try_join_all(addresses.iter().map(|address| read_one(store, address))).await
}

/// Reads one row.
pub(crate) async fn read_one(store: &Store, address: &Address) -> Result<Row> {
    let Some(statements) = store.existing(address.database).await? else { return Ok(Row::default()) };
    let values = (address.database as i8, &address.key, &address.member);
    let rows = store.cluster.rows(&statements.read, values, Intent::Harmless).await?;
    let columns = rows.maybe_first_row::<Columns>().map_err(unreadable)?;
    Ok(columns.map(Row::from_columns).unwrap_or_default())
}

/// Reads rows of one partition as of one moment.
async fn read_partition(store: &Store, addresses: &[Address]) -> Result<Vec<Row>> {
    let first = &addresses[0];
    let Some(statements) = store.existing(first.database).await? else {
        return Ok(vec![Row::default(); addresses.len()]);
    };
    let members: Vec<&Bytes> = addresses.iter().map(|address| &address.member).collect();
    let values = (first.database as i8, &first.key, &members);
    let rows = store.cluster.rows(&statements.read_members, values, Intent::Harmless).await?;
    let mut found = Vec::new();
    for columns in rows.rows::<MemberColumns>().map_err(unreadable)? {
        let (member, value, kind, version, expires_at) = columns.map_err(unreadable)?;
        found.push((member, Row::from_columns((value, kind, version, expires_at))));
    }
    let row = |address: &Address| {
        found.iter().find(|(member, _)| *member == address.member).map(|(_, row)| row.clone())
    };
    Ok(addresses.iter().map(|address| row(address).unwrap_or_default()).collect())
}

/// Applies changes whole or not at all: of one key, or of several where there are transactions.
pub(crate) async fn write(store: &Store, changes: &[OwnedChange], now_ms: u64) -> Result<Outcome> {
    let deadline = store.deadline();
    let statements = store.made(changes[0].address.database).await?;
    let addresses = addresses(changes);
    let _turns = store.turns(&addresses, deadline).await?;
    if let [change] = changes
        && change.blind
        && let Some(outcome) = put_above(store, &statements, change, now_ms).await?
    {
        return Ok(outcome);
    }
    for tries in 0.. {
        let read = read(store, &addresses, Isolation::Together).await?;
        let rows: Rows = addresses.iter().cloned().zip(read).collect();
        if let Some(outcome) = attempt(store, changes, &rows, now_ms).await? {
            return Ok(outcome);
        }
        wait_for_next(tries, deadline).await?;
    }
    unreachable!("tries end with the deadline")
}

fn addresses(changes: &[OwnedChange]) -> SmallVec<[Address; 1]> {
    let mut addresses = SmallVec::new();
    for change in changes {
        if !addresses.contains(&change.address) {
            addresses.push(change.address.clone());
        }
    }
    addresses
}

/// A pause before the next try, or the end of all tries. Nothing was changed so far.
pub(crate) async fn wait_for_next(tries: u32, deadline: Instant) -> Result<()> {
    let next = Instant::now() + pause(tries);
    if next >= deadline {
        let message = "other servers kept changing this key for too long; try again";
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    tokio::time::sleep_until(next).await;
    Ok(())
}

/// Applies changes to rows as they were read; `None` if they are other ones by now.
pub(crate) async fn attempt(
    store: &Store,
    changes: &[OwnedChange],
    read: &Rows,
    now_ms: u64,
) -> Result<Option<Outcome>> {
    let stored = read.iter().map(|(_, row)| row.version).max().unwrap_or_default();
    let above = changes.iter().map(|change| change.above(stored)).max().unwrap_or(stored);
    let first = store.versions.take(above, changes.len() as u64);
    let Planned { rows, applied, changes: changed } = plan(changes, read, first, now_ms);
    if !changed {
        let sequence = if stored > 0 { stored } else { store.latest() };
        return Ok(Some(Outcome { sequence, applied }));
    }
    for (_, row) in &rows {
        store.check_size(row.value.as_ref().map_or(0, Bytes::len))?;
    }
    if !set(store, read, &rows, now_ms).await? {
        return Ok(None);
    }
    let sequence = rows.iter().map(|(_, row)| row.version).max().unwrap_or_default();
    Ok(Some(Outcome { sequence, applied }))
}

/// Sets rows if their versions are those that were read.
async fn set(store: &Store, read: &Rows, rows: &Rows, now_ms: u64) -> Result<bool> {
    let changed = || rows.iter().zip(read).filter(|((_, row), (_, before))| row.version != before.version);
    let entries = changed().filter(|((_, row), _)| row.is_live(now_ms));
    try_join_all(entries.map(async |((address, row), _)| {
        let statements = store.made(address.database).await?;
        ordered::insert(store, &statements, (address, row), now_ms).await
    }))
    .await?;
    let applied = match &rows[..] {
        [(address, row)] => {
            let statements = store.made(address.database).await?;
            let values = (
                store.ttl_s(row, now_ms),
                &row.value,
                row.value.as_ref().map(|_| row.kind as i8),
                row.version as i64,
                row.expires_at_ms.map(|at| at as i64),
                address.database as i8,
                &address.key,
                &address.member,
                condition(read[0].1.version),
            );
            was_applied(store.cluster.execute(&statements.set_if_version, values, Intent::Change).await?)?
        }
        _ if store.settings.transactions => transactions::set(store, read, rows).await?,
        _ => was_applied(set_together(store, read, rows, now_ms).await?)?,
    };
    if !applied {
        return Ok(false);
    }
    let gone = changed().filter(|((_, row), (_, before))| !row.is_live(now_ms) && before.value.is_some());
    try_join_all(gone.map(async |((address, row), _)| {
        let statements = store.made(address.database).await?;
        ordered::remove(store, &statements, address, row.version).await;
        Ok::<_, Error>(())
    }))
    .await?;
    Ok(true)
}

/// Sets rows of one partition, which a batch does as one.
async fn set_together(
    store: &Store,
    read: &Rows,
    rows: &Rows,
    now_ms: u64,
) -> Result<scylla::response::query_result::QueryResult> {
    let statements = store.made(rows[0].0.database).await?;
    let mut batch = Batch::new(BatchType::Unlogged);
    batch.set_consistency(scylla::statement::Consistency::Quorum);
    batch.set_serial_consistency(Some(scylla::statement::SerialConsistency::Serial));
    let mut values = Vec::new();
    for ((address, row), (_, before)) in rows.iter().zip(read) {
        batch.append_statement(statements.set_if_version.clone());
        values.push((
            store.ttl_s(row, now_ms),
            &row.value,
            row.value.as_ref().map(|_| row.kind as i8),
            // A row that is only guarded is written as it is; one that is not there stays without a version.
            condition(row.version),
            row.expires_at_ms.map(|at| at as i64),
            address.database as i8,
            &address.key,
            &address.member,
            condition(before.version),
        ));
    }
    store.cluster.batch(&batch, values, Intent::Change).await
}

/// A version as a condition asks for it: null where there is no row.
fn condition(version: Version) -> Option<i64> {
    (version > 0).then_some(version as i64)
}

/// Puts a value without a look at what was there, if that has a lower version: one round instead of
/// two. `None` where there is no row, or one from a server whose clock is ahead.
async fn put_above(
    store: &Store,
    statements: &Statements,
    change: &OwnedChange,
    now_ms: u64,
) -> Result<Option<Outcome>> {
    let What::Put { .. } = change.what else { return Ok(None) };
    let version = store.versions.take(0, 1);
    let address = &change.address;
    let before: Rows = [(address.clone(), Row::default())].into_iter().collect();
    let planned = plan(std::slice::from_ref(change), &before, version, now_ms);
    let row = &planned.rows[0].1;
    store.check_size(row.value.as_ref().map_or(0, Bytes::len))?;
    if row.is_live(now_ms) {
        ordered::insert(store, statements, (address, row), now_ms).await?;
    }
    let values = (
        store.ttl_s(row, now_ms),
        &row.value,
        row.kind as i8,
        version as i64,
        row.expires_at_ms.map(|at| at as i64),
        address.database as i8,
        &address.key,
        &address.member,
        version as i64,
    );
    let result = store.cluster.execute(&statements.set_if_below, values, Intent::Change).await?;
    if !was_applied(result)? {
        return Ok(None);
    }
    if !row.is_live(now_ms) {
        ordered::remove(store, statements, address, version).await;
    }
    let Applied::Whole(effects) = planned.applied else { return Ok(None) };
    Ok(Some(Outcome { sequence: version, applied: Applied::Whole(effects) }))
}
