//! Reads, pages and counts. Only a read of several keys as of one moment takes their locks: a change is
//! in the tables before its writer lets go of them.
//!
//! A page is read from the tables as they are at one moment and holds nothing between pages. A number
//! that was observed is never below that of the latest Clear or Swap, which change what every key means.

use std::ops::Bound;

use super::{
    address,
    store::{Counted, Store, Whole},
    stored::Stored,
};
use crate::{
    engine::{
        Count, Isolation, KeyRef, Order, PAGE_BYTES, Page, Position, Scan, Seen, Visit, cursors::Cursors,
    },
    error::{Error, Result},
    yield_now::yield_now,
};

/// Entries counted between two turns of others.
const COUNTED_TOGETHER: usize = 4096;

/// Shows each key's entry.
pub(super) fn read(
    store: &Store,
    keys: &[KeyRef<'_>],
    isolation: Isolation,
    now_ms: u64,
    visit: &mut Visit<'_>,
) -> Result<Seen> {
    store.check_open()?;
    let whole = store.read()?;
    let together = isolation == Isolation::Together && keys.len() > 1;
    let _locked = together.then(|| store.lock_all(keys.iter().copied()));
    let mut sequence = store.turned();
    for (index, key) in keys.iter().enumerate() {
        let physical = whole.physical(key.database);
        let found = find(&whole, physical, *key)?;
        match &found {
            Some(stored) => {
                sequence = sequence.max(stored.version);
                visit(index, Some(stored.entry()).filter(|_| !stored.is_expired(now_ms)));
            }
            None => {
                sequence = sequence.max(store.removed(key.key));
                visit(index, None);
            }
        }
    }
    Ok(Seen { sequence })
}

#[inline]
fn find(whole: &Whole, physical: u8, key: KeyRef<'_>) -> Result<Option<Stored>> {
    let encoded;
    // Most keys are their own address.
    let plain = key.member.is_empty() && !key.key.is_empty() && memchr::memchr(0, key.key).is_none();
    let address = match plain {
        true => key.key,
        false => {
            encoded = address::encode(key)?;
            &encoded
        }
    };
    whole.get(physical, address)
}

/// One page of a scan.
pub(super) fn scan(store: &Store, cursors: &Cursors, scan: &Scan<'_>, now_ms: u64) -> Result<Page> {
    store.check_open()?;
    let mut page = Page::new(scan.database);
    let whole = store.read()?;
    let Some(table) = whole.tables.entries(whole.physical(scan.database)) else {
        page.sequence = store.log.latest();
        return Ok(page);
    };
    let (lower, upper) = range(&whole, cursors, scan)?;
    if is_empty(&lower, &upper) {
        page.sequence = store.log.latest();
        return Ok(page);
    }
    let rows = table.range::<Vec<u8>, _>((lower, upper));
    let mut rows: Box<dyn Iterator<Item = fjall::Guard>> = match scan.order {
        Order::Descending => Box::new(rows.rev()),
        Order::Any | Order::Ascending => Box::new(rows),
    };
    let full = |page: &Page| page.len() >= scan.limit.max(1) || page.bytes() >= PAGE_BYTES;
    let mut last = None;
    for row in &mut rows {
        let (key, value) = row.into_inner().map_err(|error| whole.tables.failed("read from", error))?;
        let stored = Stored::decode(value.into())?;
        let Some((key, member)) = address::decode(&key) else { return Err(Error::invalid("no address")) };
        if !stored.is_expired(now_ms) {
            page.push(&key, &member, &stored.entry(), scan.content);
        }
        last = Some((key, member));
        if full(&page) {
            break;
        }
    }
    page.next = match (last, rows.next()) {
        (Some((key, member)), Some(_)) => Some(behind(cursors, scan.order, key, member)?),
        _ => None,
    };
    page.sequence = store.log.latest();
    Ok(page)
}

fn behind(cursors: &Cursors, order: Order, key: Vec<u8>, member: Vec<u8>) -> Result<Position> {
    match order {
        Order::Any => cursors.give(&key, &member),
        Order::Ascending | Order::Descending => Ok(Position::Behind { key, member }),
    }
}

type Edge = Bound<Vec<u8>>;

/// The addresses between which a page's entries lie.
fn range(whole: &Whole, cursors: &Cursors, scan: &Scan<'_>) -> Result<(Edge, Edge)> {
    let address = |key: &[u8], member: &[u8]| address::encode(KeyRef { database: 0, key, member });
    let position = match &scan.position {
        Position::Cursor(number) => cursors.place(*number)?,
        Position::Anywhere(number) => return somewhere(whole, scan.database, *number),
        position => position.clone(),
    };
    let behind = match &position {
        Position::Behind { key, member } => Some(address(key, member)?),
        _ => None,
    };
    let (mut lower, mut upper) = (Bound::Unbounded, Bound::Unbounded);
    if scan.order != Order::Any {
        lower = match scan.lower {
            Bound::Included(key) => Bound::Included(address(key, &[])?),
            // Members belong to their key: all of them are left out.
            Bound::Excluded(key) => Bound::Included(behind_members(key)?),
            Bound::Unbounded => Bound::Unbounded,
        };
        upper = match scan.upper {
            Bound::Included(key) => Bound::Excluded(behind_members(key)?),
            Bound::Excluded(key) => Bound::Excluded(address(key, &[])?),
            Bound::Unbounded => Bound::Unbounded,
        };
    }
    if let Some(behind) = behind {
        match scan.order {
            Order::Descending => upper = tighter_upper(upper, behind),
            Order::Any | Order::Ascending => lower = tighter_lower(lower, behind),
        }
    }
    Ok((lower, upper))
}

/// The smallest address behind a key and all its members: that of the next longer key.
fn behind_members(key: &[u8]) -> Result<Vec<u8>> {
    address::encode(KeyRef { database: 0, key: &[key, &[0]].concat(), member: &[] })
}

fn tighter_lower(lower: Edge, behind: Vec<u8>) -> Edge {
    match lower {
        Bound::Included(key) if key > behind => Bound::Included(key),
        Bound::Excluded(key) if key > behind => Bound::Excluded(key),
        _ => Bound::Excluded(behind),
    }
}

fn tighter_upper(upper: Edge, behind: Vec<u8>) -> Edge {
    match upper {
        Bound::Included(key) if key < behind => Bound::Included(key),
        Bound::Excluded(key) if key <= behind => Bound::Excluded(key),
        _ => Bound::Excluded(behind),
    }
}

/// Whether nothing can lie between two edges; the tables do not take such ranges.
fn is_empty(lower: &Edge, upper: &Edge) -> bool {
    match (lower, upper) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
        (
            Bound::Included(lower) | Bound::Excluded(lower),
            Bound::Included(upper) | Bound::Excluded(upper),
        ) => lower >= upper,
    }
}

/// A place between the first and the last key. Keys lie in the order of their bytes, so places are even
/// over the bytes that follow what all keys begin with, and not over the keys.
fn somewhere(whole: &Whole, database: u8, number: u64) -> Result<(Edge, Edge)> {
    let all = (Bound::Unbounded, Bound::Unbounded);
    let Some(table) = whole.tables.entries(whole.physical(database)) else { return Ok(all) };
    let key = |row: Option<fjall::Guard>| row.map(fjall::Guard::key).transpose();
    let ends = key(table.first_key_value()).and_then(|first| Ok((first, key(table.last_key_value())?)));
    let ends = ends.map_err(|error| whole.tables.failed("read from", error))?;
    let (Some(first), Some(last)) = ends else { return Ok(all) };
    let shared = first.iter().zip(last.iter()).take_while(|(first, last)| first == last).count();
    let eight = |key: &[u8]| {
        let mut word = [0; 8];
        let rest = &key[shared..];
        let length = rest.len().min(8);
        word[..length].copy_from_slice(&rest[..length]);
        u64::from_be_bytes(word)
    };
    let (from, to) = (eight(&first), eight(&last));
    let span = u128::from(to.saturating_sub(from)) + 1;
    let place = from + ((u128::from(number) * span) >> 64) as u64;
    let lower = [&first[..shared], &place.to_be_bytes()].concat();
    Ok((Bound::Included(lower), Bound::Unbounded))
}

/// Counts a database's keys, a slice at a time.
pub(super) async fn count(store: &Store, database: u8) -> Result<Count> {
    let physical = store.read()?.physical(database);
    let (mut counted, mut from) =
        (Counted { at: store.log.latest(), ..Counted::default() }, Bound::Unbounded);
    loop {
        store.check_open()?;
        let slice = count_slice(store, physical, &from, &mut counted)?;
        match slice {
            Some(last) => from = Bound::Excluded(last),
            None => break,
        }
        yield_now().await;
    }
    store.counted.lock()[usize::from(physical)] = counted;
    Ok(Count { keys: counted.keys, unsure: counted.expiring, sequence: store.log.latest() })
}

/// Counts from an address on; answers the last address if there may be more behind it.
fn count_slice(store: &Store, physical: u8, from: &Edge, counted: &mut Counted) -> Result<Option<Vec<u8>>> {
    let whole = store.read()?;
    let Some(table) = whole.tables.entries(physical) else { return Ok(None) };
    let mut rows = 0;
    for row in table.range::<Vec<u8>, _>((from.clone(), Bound::Unbounded)) {
        let (key, value) = row.into_inner().map_err(|error| whole.tables.failed("read from", error))?;
        counted.keys += 1;
        counted.expiring += u64::from(Stored::decode(value.into())?.expires_at_ms.is_some());
        rows += 1;
        if rows == COUNTED_TOGETHER {
            return Ok(Some(key.to_vec()));
        }
    }
    Ok(None)
}

/// Keys and expiring keys of a physical database: as counted if nothing has changed since, else about.
pub(super) fn about(store: &Store, whole: &Whole, physical: u8) -> (u64, u64) {
    let counted = store.counted.lock()[usize::from(physical)];
    match whole.tables.entries(physical) {
        None => (0, 0),
        Some(_) if counted.at == store.log.latest() => (counted.keys, counted.expiring),
        Some(table) => (table.approximate_len() as u64, counted.expiring),
    }
}
