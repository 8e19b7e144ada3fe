//! Scans of a store that stands still: every page size, both key orders, bounds, contents.

use std::ops::Bound;

use bytes::Bytes;
use tresor::engine::{Content, Expires, KeyRef, Kind, Order, PAGE_BYTES, Position, Scan};

use super::{
    Make,
    subject::{Row, Subject, delete, key, put, put_as},
};

/// Keys that share prefixes, contain zeros and 0xff, and differ in length; sorted.
fn names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = vec![vec![]];
    for first in [0_u8, 1, b'a', b'b', 0x7f, 0x80, 0xff] {
        names.push(vec![first]);
        for second in [0_u8, b'a', 0xff] {
            names.push(vec![first, second]);
            names.push(vec![first, second, 0]);
        }
    }
    names.sort();
    names
}

fn filled(make: &Make<'_>, able: fn(&tresor::engine::Capabilities) -> bool) -> Option<Subject> {
    let subject = Subject::able(make, able)?;
    for name in names() {
        subject.put(key(&name), &name);
    }
    // Another database must not show.
    subject.put(KeyRef::new(1, b"elsewhere"), b"v");
    Some(subject)
}

fn keys_of(rows: Vec<Row>) -> Vec<Vec<u8>> {
    rows.into_iter().map(|row| row.0).collect()
}

/// In any order: each entry once, for every page size.
pub fn any_order_shows_each_entry_once(make: &Make<'_>) {
    let Some(subject) = filled(make, |_| true) else { return };
    let names = names();
    for limit in 1..=names.len() + 1 {
        let mut keys = keys_of(subject.all(0, Order::Any, limit));
        keys.sort();
        assert_eq!(keys, names, "limit {limit}");
    }
}

/// By key upwards and downwards, for every page size.
pub fn key_order_goes_both_ways(make: &Make<'_>) {
    let Some(subject) = filled(make, |can| can.ordered) else { return };
    let mut names = names();
    for limit in 1..=names.len() + 1 {
        assert_eq!(keys_of(subject.all(0, Order::Ascending, limit)), names, "limit {limit}");
    }
    names.reverse();
    for limit in 1..=names.len() + 1 {
        assert_eq!(keys_of(subject.all(0, Order::Descending, limit)), names, "limit {limit}");
    }
}

/// Every pair of bounds, open, closed and missing, both ways; bounds that no key has, too.
pub fn bounds_cut_where_they_say(make: &Make<'_>) {
    let Some(subject) = filled(make, |can| can.ordered) else { return };
    let names = names();
    let edges: [&[u8]; 6] = [b"", b"\0", b"a", b"a\0", b"az", b"\xff\xff\xff"];
    let mut bounds = vec![Bound::Unbounded];
    bounds.extend(edges.iter().flat_map(|edge| [Bound::Included(*edge), Bound::Excluded(*edge)]));
    for lower in &bounds {
        for upper in &bounds {
            let mut wanted: Vec<_> =
                names.iter().filter(|name| above(lower, name) && below(upper, name)).cloned().collect();
            for order in [Order::Ascending, Order::Descending] {
                let mut scan = Scan::all(0, order, Content::Keys, 5);
                (scan.lower, scan.upper) = (*lower, *upper);
                assert_eq!(keys_of(subject.rows(scan)), wanted, "{lower:?} to {upper:?}, {order:?}");
                wanted.reverse();
            }
        }
    }
}

fn above(lower: &Bound<&[u8]>, name: &[u8]) -> bool {
    match lower {
        Bound::Unbounded => true,
        Bound::Included(edge) => name >= *edge,
        Bound::Excluded(edge) => name > *edge,
    }
}

fn below(upper: &Bound<&[u8]>, name: &[u8]) -> bool {
    match upper {
        Bound::Unbounded => true,
        Bound::Included(edge) => name <= *edge,
        Bound::Excluded(edge) => name < *edge,
    }
}

/// A page shows value, kind, version and expiry; with `Content::Keys` everything but the value, and the
/// kind unless that stands inside the value.
pub fn a_page_shows_the_entry(make: &Make<'_>) {
    let subject = Subject::new(make);
    let at = subject.now_ms() + 60_000;
    let large = vec![9; 100_000];
    subject.one(put_as(key(b"json"), b"[1]", Kind::Json, Expires::At(at)));
    subject.put(key(b"large"), &large);
    subject.put(key(b"small"), b"v");
    let mut orders = vec![Order::Any];
    if subject.engine.capabilities().ordered {
        orders.extend([Order::Ascending, Order::Descending]);
    }
    for order in orders {
        for content in [Content::Entries, Content::Keys] {
            let rows = subject.rows(Scan::all(0, order, content, 2));
            assert_eq!(rows.len(), 3);
            for (name, _, shown) in rows {
                let mut entry = subject.entry(key(&name)).expect("there");
                if content == Content::Keys {
                    entry.value = Bytes::new();
                    if shown.kind == Kind::Packed {
                        entry.kind = Kind::Packed;
                    }
                }
                assert!(shown == entry, "{order:?}, {content:?}, {name:?}");
            }
        }
    }
}

/// An empty database is one empty page, or some.
pub fn an_empty_database_scans_empty(make: &Make<'_>) {
    let subject = Subject::new(make);
    assert!(subject.all(0, Order::Any, 10).is_empty());
    if subject.engine.capabilities().ordered {
        assert!(subject.all(3, Order::Ascending, 10).is_empty());
        assert!(subject.all(15, Order::Descending, 10).is_empty());
    }
}

/// A page ends early rather than hold many megabytes of values.
pub fn large_values_end_a_page(make: &Make<'_>) {
    let subject = Subject::new(make);
    let value = vec![1; 1024 * 1024];
    for number in 0..12_u8 {
        subject.put(key(&[number]), &value);
    }
    let order = if subject.engine.capabilities().ordered { Order::Ascending } else { Order::Any };
    let page = subject.page(&Scan::all(0, order, Content::Entries, 100));
    assert!(!page.is_empty() && page.bytes() <= PAGE_BYTES + value.len() + 100, "{} bytes", page.bytes());
    assert_eq!(subject.all(0, order, 100).len(), 12);
    assert_eq!(subject.rows(Scan::all(0, order, Content::Keys, 100)).len(), 12);
}

/// A scan goes on behind an entry that is not there, whether it was deleted or never existed.
pub fn a_page_can_begin_behind_nothing(make: &Make<'_>) {
    let Some(subject) = filled(make, |can| can.ordered) else { return };
    let names = names();
    for behind in [&b""[..], b"a", b"a\0\0", b"nobody", b"\xff\xff\xff\xff"] {
        subject.one(delete(key(behind)));
        for order in [Order::Ascending, Order::Descending] {
            let mut scan = Scan::all(0, order, Content::Keys, 4);
            scan.position = Position::Behind { key: behind.to_vec(), member: vec![] };
            let mut wanted: Vec<_> = names
                .iter()
                .filter(
                    |name| if order == Order::Ascending { &name[..] > behind } else { &name[..] < behind },
                )
                .cloned()
                .collect();
            if order == Order::Descending {
                wanted.reverse();
            }
            assert_eq!(keys_of(subject.rows(scan)), wanted, "behind {behind:?}, {order:?}");
        }
        subject.put(key(behind), behind);
        if !names.iter().any(|name| name == behind) {
            subject.one(delete(key(behind)));
        }
    }
}

/// Thousands of entries, some deleted again: scans in every order agree with each other.
pub fn many_entries_scan_alike_in_every_order(make: &Make<'_>) {
    let subject = Subject::new(make);
    let many = if subject.is_far() { 600 } else { 3000 };
    let names: Vec<Vec<u8>> = (0..many).map(|number| format!("key:{number:05}").into_bytes()).collect();
    subject.each(&names.iter().map(|name| put(key(name), name)).collect::<Vec<_>>());
    subject.each(&names.iter().step_by(3).map(|name| delete(key(name))).collect::<Vec<_>>());
    let mut left: Vec<_> =
        names.iter().enumerate().filter(|(n, _)| n % 3 != 0).map(|(_, name)| name.clone()).collect();
    for limit in [7, 100, 5000] {
        let mut keys = keys_of(subject.all(0, Order::Any, limit));
        keys.sort();
        assert_eq!(keys, left);
    }
    if subject.engine.capabilities().ordered {
        assert_eq!(keys_of(subject.all(0, Order::Ascending, 64)), left);
        left.reverse();
        assert_eq!(keys_of(subject.all(0, Order::Descending, 64)), left);
    }
}
