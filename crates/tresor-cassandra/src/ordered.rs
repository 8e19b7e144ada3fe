//! The index by key: entries in order, spread over a fixed number of partitions.
//!
//! Each write of the index carries a timestamp: the row's version, so that the later one wins in
//! whatever order they arrive, or the row's own timestamp where the latest write wins anyway. A page
//! asks every partition for its share, puts the shares in order, and ends where the first of them
//! ran out. Beside serial rows an entry may be one too many: a scan looks at the row, shows what is
//! there, and removes what a crash has left.

use bytes::Bytes;
use futures_util::future::try_join_all;
use scylla::statement::prepared::PreparedStatement;
use tresor::{
    Error, ErrorKind, Result,
    engine::{Content, Order, PAGE_BYTES, Page, Position, Version},
};

use crate::{
    change::{OwnedChange, Rows, What},
    cluster::unreadable,
    failure::Intent,
    lifetime::ttl_s,
    linearizable,
    options::Writes,
    row::{Address, Row, UNSURE, kind_of},
    scan::OwnedScan,
    statements::{OrderedStatements, Statements},
    store::Store,
    versions::last_stamp,
};

/// Rows that a scan looks at together.
const ROWS_TOGETHER: usize = 64;

/// An entry without its row that is younger may belong to a write under way.
const STRAY_MS: u64 = 10_000;

/// The same where rows may arrive late.
const EVENTUAL_STRAY_MS: u64 = 600_000;

/// Puts the entry of a row in its place, with the row's version for a timestamp.
pub(crate) async fn insert(
    store: &Store,
    statements: &Statements,
    (address, row): (&Address, &Row),
    now_ms: u64,
) -> Result<()> {
    let Some(ordered) = &statements.ordered else { return Ok(()) };
    let values = (
        store.bucket(&address.key),
        &address.key,
        &address.member,
        row.kind as i8,
        row.version as i64,
        row.expires_at_ms.map(|at| at as i64),
        ttl_s(row, now_ms),
        row.version as i64,
    );
    // Should this fail, an entry too many is all that is left.
    store.cluster.execute(&ordered.insert, values, Intent::Harmless).await.map(drop)
}

/// Removes the entry of a row that is gone. What fails leaves an entry too many, for scans to remove.
pub(crate) async fn remove(store: &Store, statements: &Statements, address: &Address, version: Version) {
    let Some(ordered) = &statements.ordered else { return };
    let values = (version as i64, store.bucket(&address.key), &address.key, &address.member);
    if let Err(error) = store.cluster.execute(&ordered.delete, values, Intent::Harmless).await {
        tracing::debug!(%error, "an index entry was left behind");
    }
}

/// An entry of the index: the address and what it says of its row.
#[derive(Clone, Debug)]
struct Entry {
    address: Address,
    row: Row,
    /// Whether it was written together with its row, and so is as good as that.
    sure: bool,
}

/// What a bucket gave, and whether it has more.
struct Share {
    entries: Vec<Entry>,
    more: bool,
}

/// One page in key order.
pub(crate) async fn page(store: &Store, scan: &OwnedScan, now_ms: u64) -> Result<Page> {
    let mut page = Page::new(scan.database);
    page.sequence = store.latest();
    let Some(statements) = store.existing(scan.database).await? else { return Ok(page) };
    let Some(ordered) = &statements.ordered else {
        let message = "this store keeps no order (--cassandra-order off): scan in any order, or make a store with it on";
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    let mut place = Place::of(scan)?;
    loop {
        let (entries, more) = gather(store, ordered, scan, &place).await?;
        let last = entries.last().map(|entry| entry.address.clone());
        let cut = show(store, &statements, scan, entries, now_ms, &mut page).await?;
        let more = more || cut.is_some();
        let at = cut.or(last).filter(|_| more);
        if page.is_empty() {
            // All were strays or expired: the page goes on behind them.
            if let Some(at) = at {
                place = Place { at: Some((at.key, at.member)), inclusive: false };
                continue;
            }
        }
        page.next = at.map(|at| Position::Behind { key: at.key.to_vec(), member: at.member.to_vec() });
        return Ok(page);
    }
}

/// Where a page begins.
struct Place {
    at: Option<(Bytes, Bytes)>,
    /// Whether what is there belongs to it.
    inclusive: bool,
}

impl Place {
    /// The further of the page's position and the scan's own bound.
    fn of(scan: &OwnedScan) -> Result<Self> {
        let ascending = scan.order == Order::Ascending;
        let bound = if ascending { &scan.lower } else { &scan.upper };
        let bound = match bound {
            std::ops::Bound::Unbounded => Self { at: None, inclusive: true },
            // All members of the key belong to it: none stands before the empty one, and all before
            // a member that no key can have.
            std::ops::Bound::Included(key) => Self { at: Some((key.clone(), Bytes::new())), inclusive: true },
            std::ops::Bound::Excluded(key) => {
                Self { at: Some((key.clone(), Bytes::new())), inclusive: false }
            }
        };
        let behind = match &scan.position {
            Position::Start => return Ok(bound),
            Position::Behind { key, member } => (Bytes::from(key.clone()), Bytes::from(member.clone())),
            Position::Cursor(_) | Position::Anywhere(_) => {
                return Err(Error::invalid("a scan in key order has no cursor"));
            }
        };
        let further = match &bound.at {
            None => true,
            Some(at) if ascending => behind >= *at,
            Some(at) => behind.0 <= at.0,
        };
        Ok(if further { Self { at: Some(behind), inclusive: false } } else { bound })
    }
}

/// Entries from a place on, in order, and whether there may be more behind them.
async fn gather(
    store: &Store,
    ordered: &OrderedStatements,
    scan: &OwnedScan,
    place: &Place,
) -> Result<(Vec<Entry>, bool)> {
    let buckets = usize::from(store.settings.buckets);
    let mean = scan.limit.clamp(1, 8192) as f64 / buckets as f64;
    // Enough for the fullest bucket, mostly: then the page is as long as it was asked for.
    let limit = (mean + 3.0 * mean.sqrt()).ceil() as usize + 1;
    let shares = (0..buckets).map(|bucket| share(store, ordered, scan, (bucket as i16, place), limit));
    let shares = try_join_all(shares).await?;
    let ascending = scan.order == Order::Ascending;
    // Behind the nearest end of a share that has more nothing is known.
    let ends = shares.iter().filter(|share| share.more).filter_map(|share| share.entries.last());
    let end = if ascending {
        ends.map(|entry| entry.address.clone()).min()
    } else {
        ends.map(|entry| entry.address.clone()).max()
    };
    let mut entries: Vec<Entry> = shares.into_iter().flat_map(|share| share.entries).collect();
    entries.sort_unstable_by(|one, other| one.address.cmp(&other.address));
    if !ascending {
        entries.reverse();
    }
    let mut more = end.is_some();
    if let Some(end) = end {
        entries.retain(|entry| if ascending { entry.address <= end } else { entry.address >= end });
    }
    let wanted = entries.partition_point(|entry| within(scan, &entry.address.key));
    if wanted < entries.len() {
        entries.truncate(wanted);
        more = false;
    }
    if entries.len() > scan.limit.max(1) {
        entries.truncate(scan.limit.max(1));
        more = true;
    }
    Ok((entries, more))
}

/// Whether a key is not beyond the scan's far bound; entries come in order, so what follows is not either.
fn within(scan: &OwnedScan, key: &Bytes) -> bool {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    match (scan.order, &scan.lower, &scan.upper) {
        (Order::Ascending, _, Included(upper)) => key <= upper,
        (Order::Ascending, _, Excluded(upper)) => key < upper,
        (Order::Descending, Included(lower), _) => key >= lower,
        (Order::Descending, Excluded(lower), _) => key > lower,
        (_, _, Unbounded) | (_, Unbounded, _) | (Order::Any, _, _) => true,
    }
}

type Columns = (Bytes, Bytes, Option<i8>, Option<i64>, Option<i64>);

async fn share(
    store: &Store,
    ordered: &OrderedStatements,
    scan: &OwnedScan,
    (bucket, place): (i16, &Place),
    limit: usize,
) -> Result<Share> {
    let ascending = scan.order == Order::Ascending;
    let limit_column = limit as i32;
    let ask = async |statement: &PreparedStatement, at: &(Bytes, Bytes)| {
        let values = (bucket, &at.0, &at.1, limit_column);
        store.cluster.rows(statement, values, Intent::Harmless).await
    };
    let empty = (Bytes::new(), Bytes::new());
    let rows = match (&place.at, ascending) {
        (None, true) => ask(&ordered.from, &empty).await?,
        (None, false) => store.cluster.rows(&ordered.last, (bucket, limit_column), Intent::Harmless).await?,
        (Some(at), true) if place.inclusive => ask(&ordered.from, at).await?,
        (Some(at), true) => ask(&ordered.behind, at).await?,
        (Some(at), false) if place.inclusive => {
            store.cluster.rows(&ordered.to, (bucket, &at.0, limit_column), Intent::Harmless).await?
        }
        (Some(at), false) => ask(&ordered.before, at).await?,
    };
    let mut entries = Vec::with_capacity(rows.rows_num());
    for columns in rows.rows::<Columns>().map_err(unreadable)? {
        let (key, member, kind, version, expires_at) = columns.map_err(unreadable)?;
        entries.push(Entry {
            address: Address { database: scan.database, key, member },
            row: Row {
                value: Some(Bytes::new()),
                kind: kind_of(kind),
                version: version.unwrap_or_default() as Version,
                expires_at_ms: expires_at.map(|at| at as u64),
            },
            sure: kind.is_none_or(|kind| kind & UNSURE == 0),
        });
    }
    let more = entries.len() == limit;
    // The lower bound of an ascending scan excludes all members of its key, not only the first.
    if let (true, std::ops::Bound::Excluded(lower)) = (ascending, &scan.lower) {
        entries.retain(|entry| entry.address.key != *lower);
    }
    Ok(Share { entries, more })
}

/// Adds what is there to the page, and answers where it was cut because its values are large.
async fn show(
    store: &Store,
    statements: &Statements,
    scan: &OwnedScan,
    entries: Vec<Entry>,
    now_ms: u64,
    page: &mut Page,
) -> Result<Option<Address>> {
    let trusts = scan.content == Content::Keys && store.options.writes == Writes::Eventual;
    let look = async |entry: &Entry| {
        if trusts && entry.sure {
            return Ok(entry.row.clone());
        }
        check(store, statements, &entry.address).await
    };
    for chunk in entries.chunks(ROWS_TOGETHER) {
        let rows: Vec<Row> = try_join_all(chunk.iter().map(look)).await?;
        for (entry, row) in chunk.iter().zip(&rows) {
            match row.live(now_ms) {
                Some(shown) => {
                    page.push(&entry.address.key, &entry.address.member, &shown, scan.content);
                    if page.bytes() >= PAGE_BYTES {
                        return Ok(Some(entry.address.clone()));
                    }
                }
                None => remove_stray(store, statements, entry, row, now_ms).await,
            }
        }
    }
    Ok(None)
}

/// A row as a quorum has it: what was acknowledged is there.
async fn check(store: &Store, statements: &Statements, address: &Address) -> Result<Row> {
    let values = (address.database as i8, &address.key, &address.member);
    let rows = store.cluster.rows(&statements.check, values, Intent::Harmless).await?;
    let columns = rows.maybe_first_row().map_err(unreadable)?;
    Ok(columns.map(Row::from_columns).unwrap_or_default())
}

/// Removes an entry that has no row: first the absence is written with a version above the entry's, so
/// that a writer who has just made the entry finds the row changed and starts over; then the entry
/// goes, at that version. What expired goes by itself.
async fn remove_stray(store: &Store, statements: &Statements, entry: &Entry, row: &Row, now_ms: u64) {
    if row.value.is_some() {
        return;
    }
    let age_ms = store.versions.age_ms(entry.row.version);
    if store.options.writes == Writes::Eventual {
        if age_ms >= EVENTUAL_STRAY_MS {
            remove(store, statements, &entry.address, last_stamp(entry.row.version)).await;
        }
        return;
    }
    if age_ms < STRAY_MS {
        return;
    }
    let mark = OwnedChange {
        address: entry.address.clone(),
        guard: tresor::engine::Guard::Absent,
        what: What::Bury { above: entry.row.version },
        blind: false,
    };
    let rows: Rows = [(entry.address.clone(), row.clone())].into_iter().collect();
    match linearizable::attempt(store, &[mark], &rows, now_ms).await {
        Ok(Some(outcome)) => remove(store, statements, &entry.address, outcome.sequence).await,
        // Somebody was faster: the entry may be theirs.
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "a stray index entry stays for now"),
    }
}
