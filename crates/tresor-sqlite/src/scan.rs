//! Pages in key order, forwards and backwards, straight from the primary key.
//!
//! A scan in any order goes by key too: its cursors are numbers that stand for keys, so an entry that
//! is there throughout is seen exactly once, whatever comes and goes beside it.

use std::{cmp::Ordering, ops::Bound};

use rusqlite::{Connection, ToSql};
use tresor::{
    Error, Result,
    engine::{Content, Order, PAGE_BYTES, Page, Position, Scan},
};

use crate::{
    random_place,
    readers::{View, whole_row},
    row::{Address, Head, OwnedAddress, Text, bytes},
    store::Store,
};

/// Where a page begins, in the direction of the scan.
enum Begin {
    Key(Bound<Vec<u8>>),
    Behind { key: Vec<u8>, member: Vec<u8> },
}

/// Rows that are looked at for one page, live or not.
const MOST_ROWS: usize = 100_000;

impl Store {
    /// One page.
    pub(crate) fn page(&self, scan: &Scan<'_>, now_ms: u64) -> Result<Page> {
        let any = scan.order == Order::Any;
        let position = match (&scan.position, any) {
            (Position::Cursor(number), true) => self.cursors.place(*number)?,
            (Position::Behind { .. }, true) => {
                return Err(Error::invalid("a scan in any order needs a cursor"));
            }
            (Position::Cursor(_) | Position::Anywhere(_), false) => {
                return Err(Error::invalid("a scan in key order has no cursor"));
            }
            (position, _) => position.clone(),
        };
        let (mut page, last) = self.reading(|connection| {
            let places = self.places.read();
            let _view = View::begin(connection)?;
            let place = places[usize::from(scan.database)];
            let begin = match &position {
                Position::Anywhere(number) => {
                    let key = random_place::pick(connection, place, *number)?;
                    Begin::Key(key.map_or(Bound::Unbounded, Bound::Included))
                }
                position => begin(scan, position),
            };
            fill(connection, (scan, place), &begin, now_ms)
        })?;
        page.next = match last {
            Some((_, key, member)) if any => Some(self.cursors.give(&key, &member)?),
            Some((_, key, member)) => Some(Position::Behind { key, member }),
            None => None,
        };
        // Not before the page was read: it must cover all that the page shows.
        page.sequence = self.progress.given();
        Ok(page)
    }
}

/// The stricter of where the page begins and the bound on that side.
fn begin(scan: &Scan<'_>, position: &Position) -> Begin {
    let bound = match scan.order {
        Order::Any => Bound::Unbounded,
        Order::Ascending => scan.lower,
        Order::Descending => scan.upper,
    };
    let Position::Behind { key, member } = position else { return Begin::Key(bound.map(<[u8]>::to_vec)) };
    let (edge, closed) = match bound {
        Bound::Unbounded => return Begin::Behind { key: key.clone(), member: member.clone() },
        Bound::Included(edge) => (edge, true),
        Bound::Excluded(edge) => (edge, false),
    };
    let order = match scan.order {
        Order::Descending => edge.cmp(key),
        Order::Any | Order::Ascending => key.as_slice().cmp(edge),
    };
    match order {
        Ordering::Greater => Begin::Behind { key: key.clone(), member: member.clone() },
        Ordering::Equal if closed => Begin::Behind { key: key.clone(), member: member.clone() },
        _ => Begin::Key(bound.map(<[u8]>::to_vec)),
    }
}

/// Reads rows into a page until it is full; the last address where the scan goes on behind it.
fn fill(
    connection: &Connection,
    (scan, place): (&Scan<'_>, i64),
    begin: &Begin,
    now_ms: u64,
) -> rusqlite::Result<Option<(Page, Option<OwnedAddress>)>> {
    let (sql, parameters) = select(scan, begin);
    let mut select = connection.prepare_cached(&sql)?;
    let mut bound: Vec<&dyn ToSql> = vec![&place];
    bound.extend(parameters.iter().map(|text| text as &dyn ToSql));
    let mut rows = select.query(bound.as_slice())?;
    let mut page = Page::new(scan.database);
    let (mut last, mut value_bytes, mut looked_at) = (None, 0, 0);
    while let Some(row) = rows.next()? {
        if page.len() >= scan.limit.max(1) || value_bytes >= PAGE_BYTES || looked_at == MOST_ROWS {
            return Ok(Some((page, last)));
        }
        looked_at += 1;
        let (Some(key), Some(member)) = (bytes(row, 0)?, bytes(row, 1)?) else { return Ok(None) };
        let address = Address { place, key, member };
        let found = match scan.content {
            Content::Entries => whole_row(row, 2, address)?,
            Content::Keys => Head::read(row, 2, address)?.map(|head| (head, &[][..])),
        };
        let Some((head, value)) = found else { return Ok(None) };
        if head.is_live(now_ms) {
            page.push(key, member, &head.entry(value), scan.content);
            value_bytes += value.len();
        }
        // Kept only where the page may end: most rows are not the last.
        if page.len() >= scan.limit.max(1) || value_bytes >= PAGE_BYTES || looked_at == MOST_ROWS {
            last = Some((place, key.to_vec(), member.to_vec()));
        }
    }
    Ok(Some((page, None)))
}

/// The statement for a page, and what it takes besides the place.
fn select<'b>(scan: &'b Scan<'_>, begin: &'b Begin) -> (String, Vec<Text<'b>>) {
    let descending = scan.order == Order::Descending;
    let (after, before, direction) = if descending { ("<", ">", "DESC") } else { (">", "<", "ASC") };
    let value = if scan.content == Content::Entries { ", value" } else { "" };
    let mut sql = format!(
        "SELECT key, member, version, kind, expires_at_ms, checksum{value} FROM stored WHERE place = ?1"
    );
    let mut parameters = Vec::new();
    match begin {
        Begin::Key(Bound::Unbounded) => {}
        Begin::Key(Bound::Included(key)) => {
            parameters.push(Text(key));
            sql += &format!(" AND key {after}= ?2");
        }
        Begin::Key(Bound::Excluded(key)) => {
            parameters.push(Text(key));
            sql += &format!(" AND key {after} ?2");
        }
        Begin::Behind { key, member } => {
            parameters.extend([Text(key), Text(member)]);
            sql += &format!(" AND (key, member) {after} (?2, ?3)");
        }
    }
    let end = match scan.order {
        Order::Any => Bound::Unbounded,
        Order::Ascending => scan.upper,
        Order::Descending => scan.lower,
    };
    if let Bound::Included(key) | Bound::Excluded(key) = end {
        let equal = if matches!(end, Bound::Included(_)) { "=" } else { "" };
        sql += &format!(" AND key {before}{equal} ?{}", parameters.len() + 2);
        parameters.push(Text(key));
    }
    sql += &format!(" ORDER BY key {direction}, member {direction}");
    (sql, parameters)
}
