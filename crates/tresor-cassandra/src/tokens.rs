//! Scans in any order: by token, which is the order that the cluster keeps partitions in.
//!
//! A cursor is the token of the last partition that was shown, moved up by 2^63; pages end between
//! partitions, so no state is kept and any server can go on. How many rows are asked for follows from
//! how large they turn out to be.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tresor::{
    Error, Result,
    engine::{Content, Order, PAGE_BYTES, Page, Position, Scan},
};

use crate::{
    cluster::unreadable,
    failure::Intent,
    row::{Address, Row},
    scan::OwnedScan,
    statements::{Statements, TOKEN_PAGE},
    store::Store,
};

/// Rows with values that are asked for before anything is known of their size.
const FIRST_ROWS: usize = 32;

/// Parts of the token ring that are counted for themselves, and how many at a time.
const PARTS: i128 = 64;
const PARTS_TOGETHER: usize = 8;

/// A row with the token of its partition.
struct Found {
    token: i64,
    address: Address,
    row: Row,
}

/// The token that a cursor stands for.
fn token_of(cursor: u64) -> i64 {
    (cursor ^ (1 << 63)) as i64
}

fn cursor_of(token: i64) -> u64 {
    token as u64 ^ (1 << 63)
}

/// One page.
pub(crate) async fn page(store: &Store, scan: &OwnedScan, now_ms: u64) -> Result<Page> {
    let mut page = Page::new(scan.database);
    page.sequence = store.latest();
    let mut from = match scan.position {
        Position::Start => Some(i64::MIN),
        Position::Cursor(cursor) => token_of(cursor).checked_add(1),
        Position::Anywhere(place) => Some(token_of(place)),
        Position::Behind { .. } => return Err(Error::invalid("a scan in any order needs a cursor")),
    };
    let Some(statements) = store.existing(scan.database).await? else { return Ok(page) };
    let mut rows = FIRST_ROWS;
    while let Some(first) = from {
        let wanted = (scan.limit.max(1) - page.len()).min(TOKEN_PAGE as usize);
        let asked = if scan.content == Content::Keys { wanted } else { wanted.min(rows) };
        let (found, next) = partitions(store, &statements, (scan, first), asked).await?;
        let bytes: usize = found.iter().map(|found| found.row.value.as_ref().map_or(0, Bytes::len)).sum();
        let mean = bytes / found.len().max(1) + 1;
        rows = (PAGE_BYTES / mean).clamp(1, TOKEN_PAGE as usize);
        for Found { address, row, .. } in &found {
            if let Some(entry) = row.live(now_ms) {
                page.push(&address.key, &address.member, &entry, scan.content);
            }
        }
        from = next.and_then(|last| last.checked_add(1));
        page.next = from.and(next).map(|last| Position::Cursor(cursor_of(last)));
        if page.len() >= scan.limit.max(1) || page.bytes() >= PAGE_BYTES {
            break;
        }
    }
    Ok(page)
}

/// Rows without their values from a token on, those that are gone too; and the last one's token unless
/// they are the last of all.
pub(crate) async fn rows(
    store: &Store,
    database: u8,
    from: i64,
) -> Result<(Vec<(Address, Row)>, Option<i64>)> {
    let Some(statements) = store.existing(database).await? else { return Ok((Vec::new(), None)) };
    let (found, last) =
        partitions(store, &statements, (&all_keys(database), from), TOKEN_PAGE as usize).await?;
    Ok((found.into_iter().map(|found| (found.address, found.row)).collect(), last))
}

/// A scan of all keys.
fn all_keys(database: u8) -> OwnedScan {
    OwnedScan::of(&Scan::all(database, Order::Any, Content::Keys, TOKEN_PAGE as usize))
}

/// Whole partitions from a token on, about so many rows; and the token of the last one unless they are
/// the last of all.
async fn partitions(
    store: &Store,
    statements: &Statements,
    (scan, from): (&OwnedScan, i64),
    rows: usize,
) -> Result<(Vec<Found>, Option<i64>)> {
    // One more, to see whether the last partition is whole.
    let limit = rows + 1;
    let mut found = read(store, statements, scan, (from, i64::MAX), limit as i32).await?;
    if found.len() < limit {
        return Ok((found, None));
    }
    let last = found.last().map_or(from, |found| found.token);
    if found.first().is_some_and(|found| found.token == last) {
        // A partition of more rows than were asked for.
        found = read(store, statements, scan, (last, last), i32::MAX).await?;
        return Ok((found, Some(last)));
    }
    found.retain(|found| found.token != last);
    let end = found.last().map(|found| found.token);
    Ok((found, end))
}

type WholeColumns = (i64, Bytes, Bytes, Option<Bytes>, Option<i8>, Option<i64>, Option<i64>);
type KeyColumns = (i64, Bytes, Bytes, Option<i8>, Option<i64>, Option<i64>);

async fn read(
    store: &Store,
    statements: &Statements,
    scan: &OwnedScan,
    (from, to): (i64, i64),
    limit: i32,
) -> Result<Vec<Found>> {
    let database = scan.database;
    let mut found = Vec::new();
    let mut add = |token, key, member, row| {
        found.push(Found { token, address: Address { database, key, member }, row });
    };
    if scan.content == Content::Entries {
        let rows = store.cluster.rows(&statements.tokens, (from, to, limit), Intent::Harmless).await?;
        for columns in rows.rows::<WholeColumns>().map_err(unreadable)? {
            let (token, key, member, value, kind, version, at) = columns.map_err(unreadable)?;
            add(token, key, member, Row::from_columns((value, kind, version, at)));
        }
    } else {
        let rows =
            store.cluster.rows(&statements.tokens_of_keys, (from, to, limit), Intent::Harmless).await?;
        for columns in rows.rows::<KeyColumns>().map_err(unreadable)? {
            let (token, key, member, kind, version, at) = columns.map_err(unreadable)?;
            // A removed row has no kind, as it has no value.
            let value = kind.map(|_| Bytes::new());
            add(token, key, member, Row::from_columns((value, kind, version, at)));
        }
    }
    Ok(found)
}

/// What a database holds: keys, and how many of them expire.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) keys: u64,
    pub(crate) expiring: u64,
}

/// Counts a database, several parts of it at a time.
pub(crate) async fn count(store: &Store, database: u8, now_ms: u64) -> Result<Count> {
    let Some(statements) = store.existing(database).await? else { return Ok(Count::default()) };
    let width = (1_i128 << 64) / PARTS;
    let part = |number: i128| {
        let first = i128::from(i64::MIN) + number * width;
        (first as i64, (first + width - 1) as i64)
    };
    let statements = &*statements;
    stream::iter((0..PARTS).map(part))
        .map(|(first, last)| count_part(store, statements, (database, now_ms), (first, last)))
        .buffer_unordered(PARTS_TOGETHER)
        .try_fold(Count::default(), async |sum, part| {
            Ok(Count { keys: sum.keys + part.keys, expiring: sum.expiring + part.expiring })
        })
        .await
}

async fn count_part(
    store: &Store,
    statements: &Statements,
    (database, now_ms): (u8, u64),
    (first, last): (i64, i64),
) -> Result<Count> {
    let scan = all_keys(database);
    let (mut count, mut from) = (Count::default(), Some(first));
    while let Some(first) = from.filter(|first| *first <= last) {
        let mut found = read(store, statements, &scan, (first, last), TOKEN_PAGE).await?;
        from = None;
        if found.len() == TOKEN_PAGE as usize {
            // The last partition may go on: it is counted with the next rows, unless it fills them all.
            let end = found.last().map_or(last, |found| found.token);
            if found.first().is_some_and(|found| found.token == end) {
                found = read(store, statements, &scan, (end, end), i32::MAX).await?;
                from = end.checked_add(1);
            } else {
                found.retain(|found| found.token != end);
                from = Some(end);
            }
        }
        for Found { row, .. } in found.iter().filter(|found| found.row.is_live(now_ms)) {
            count.keys += 1;
            count.expiring += u64::from(row.expires_at_ms.is_some());
        }
    }
    Ok(count)
}
