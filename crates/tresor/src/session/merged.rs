//! A page of the engine with what a transaction has written laid over it.
//!
//! In key order the two are merged. In any order, what was written replaces or removes the engine's entries
//! where it meets them, and what the engine does not have comes with the first page; the transaction's locks
//! see to it that this stays so from page to page.

use std::ops::Bound;

use crate::{
    engine::{EntryRef, Kept, Order, Page, Position, Scan},
    transaction::{Target, Transaction},
};

/// What a scan goes over, keys that are not there included.
pub(super) fn target_of<'a>(scan: &Scan<'a>) -> Target<'a> {
    match scan.order {
        Order::Any => Target::whole(scan.database),
        Order::Ascending | Order::Descending => {
            Target::Range { database: scan.database, lower: scan.lower, upper: scan.upper }
        }
    }
}

/// The keys that may have to come with a first page in any order.
pub(super) fn fresh_keys(transaction: &Transaction, scan: &Scan<'_>) -> Vec<Box<[u8]>> {
    match (scan.order, &scan.position) {
        (Order::Any, Position::Start) => written_keys(transaction, scan.database, 0).0,
        _ => Vec::new(),
    }
}

/// The keys that were written in a database, and how many of them are there now.
pub(super) fn written_keys(transaction: &Transaction, database: u8, now_ms: u64) -> (Vec<Box<[u8]>>, usize) {
    transaction.with(|state| {
        let mut alive = 0;
        let written = state.overlay.written(database, (Bound::Unbounded, Bound::Unbounded));
        let keys = written.map(|(key, entry)| {
            alive += usize::from(entry.is_some_and(|entry| !entry.has_expired(now_ms)));
            key.into()
        });
        (keys.collect(), alive)
    })
}

/// Lays what was written over a page; `fresh` are the keys that the engine does not have.
pub(super) fn merge(
    transaction: &Transaction,
    scan: &Scan<'_>,
    page: Page,
    fresh: &[Box<[u8]>],
    now_ms: u64,
) -> Page {
    let mut merged = Page::new(scan.database);
    (merged.next, merged.sequence) = (page.next.clone(), page.sequence);
    let mut push = |key: &[u8], member: &[u8], entry: &EntryRef<'_>| {
        merged.push(key, member, entry, scan.content);
    };
    transaction.with(|state| {
        let overlay = &state.overlay;
        let alive = |entry: &&Kept| !entry.has_expired(now_ms);
        if scan.order == Order::Any {
            for key in fresh {
                let range = (Bound::Included(&**key), Bound::Included(&**key));
                let written = overlay.written(scan.database, range).next().and_then(|(_, entry)| entry);
                written.filter(alive).inspect(|entry| push(key, &[], &entry.as_entry()));
            }
            for (key, entry) in page.iter() {
                let range = (Bound::Included(key.key), Bound::Included(key.key));
                match overlay.written(scan.database, range).next() {
                    None => push(key.key, key.member, &entry),
                    Some((_, written)) => {
                        written.filter(alive).inspect(|entry| push(key.key, &[], &entry.as_entry()));
                    }
                }
            }
            return;
        }
        let covered = covered(scan, &page);
        let written = overlay.written(scan.database, as_range(&covered));
        let mut written: Vec<_> = written.collect();
        if scan.order == Order::Descending {
            written.reverse();
        }
        let mut written = written.into_iter().peekable();
        let before = |one: &[u8], other: &[u8]| match scan.order {
            Order::Descending => one > other,
            _ => one < other,
        };
        for (key, entry) in page.iter() {
            while let Some((own, value)) = written.next_if(|(own, _)| before(own, key.key)) {
                value.filter(alive).inspect(|entry| push(own, &[], &entry.as_entry()));
            }
            match written.next_if(|(own, _)| *own == key.key) {
                None => push(key.key, key.member, &entry),
                Some((own, value)) => {
                    value.filter(alive).inspect(|entry| push(own, &[], &entry.as_entry()));
                }
            }
        }
        for (own, value) in written {
            value.filter(alive).inspect(|entry| push(own, &[], &entry.as_entry()));
        }
    });
    merged
}

type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

fn as_range(range: &Range) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let (lower, upper) = (range.0.as_ref().map(Vec::as_slice), range.1.as_ref().map(Vec::as_slice));
    // An empty range is no range to a tree.
    match (lower, upper) {
        (Bound::Included(one) | Bound::Excluded(one), Bound::Included(other) | Bound::Excluded(other))
            if one > other
                || (one == other && !matches!((lower, upper), (Bound::Included(_), Bound::Included(_)))) =>
        {
            (Bound::Included(one), Bound::Excluded(one))
        }
        _ => (lower, upper),
    }
}

/// The keys between where a page in key order began and where the next one begins.
fn covered(scan: &Scan<'_>, page: &Page) -> Range {
    let mut range = (scan.lower.map(<[u8]>::to_vec), scan.upper.map(<[u8]>::to_vec));
    let behind = |position: &Position| match position {
        Position::Behind { key, .. } => Some(key.clone()),
        _ => None,
    };
    let (start, end) = (behind(&scan.position), page.next.as_ref().and_then(behind));
    match scan.order {
        Order::Descending => {
            range.1 = start.map_or(range.1, Bound::Excluded);
            range.0 = end.map_or(range.0, Bound::Included);
        }
        _ => {
            range.0 = start.map_or(range.0, Bound::Excluded);
            range.1 = end.map_or(range.1, Bound::Included);
        }
    }
    range
}
