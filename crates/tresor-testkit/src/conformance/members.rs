//! Members: several entries under one key, kept apart from each other and from other keys.

use std::ops::Bound;

use tresor::engine::{Content, KeyRef, Order, Scan};

use super::{
    Make,
    subject::{Subject, delete, expire, key, member, patch},
};

/// Addresses whose bytes run together alike, in the order of key, then member.
const ADDRESSES: [(&[u8], &[u8]); 14] = [
    (b"", b""),
    (b"", b"\0"),
    (b"", b"abc"),
    (b"a", b""),
    (b"a", b"\0"),
    (b"a", b"\0b"),
    (b"a", b"bc"),
    (b"a", b"\xff"),
    (b"a\0", b""),
    (b"a\0", b"b"),
    (b"a\0\xff", b"\xff"),
    (b"ab", b""),
    (b"ab", b"c"),
    (b"abc", b""),
];

fn filled(subject: &Subject) {
    for (number, (key, name)) in ADDRESSES.into_iter().enumerate() {
        subject.put(member(key, name), &[number as u8]);
    }
}

/// Each address holds its own value, and loses it alone.
pub fn addresses_do_not_mix(make: &Make<'_>) {
    let subject = Subject::new(make);
    filled(&subject);
    for (gone, address) in ADDRESSES.into_iter().enumerate() {
        for (number, (key, name)) in ADDRESSES.into_iter().enumerate() {
            let wanted = (number >= gone).then(|| vec![number as u8]);
            assert_eq!(subject.value(member(key, name)), wanted, "{key:?} {name:?}");
        }
        assert!(subject.one(delete(member(address.0, address.1))).existed);
    }
    assert!(subject.keys(0).is_empty());
}

/// Scans by key, then member, both ways and in pages that end between members.
pub fn members_stand_in_order(make: &Make<'_>) {
    let subject = Subject::new(make);
    filled(&subject);
    let addresses: Vec<_> = ADDRESSES.iter().map(|(key, name)| (key.to_vec(), name.to_vec())).collect();
    let shown = |order, limit| -> Vec<_> {
        subject.all(0, order, limit).into_iter().map(|(key, name, _)| (key, name)).collect()
    };
    for limit in 1..=ADDRESSES.len() {
        let mut rows = shown(Order::Any, limit);
        rows.sort();
        assert_eq!(rows, addresses);
        if subject.engine.capabilities().ordered {
            assert_eq!(shown(Order::Ascending, limit), addresses);
            let mut rows = shown(Order::Descending, limit);
            rows.reverse();
            assert_eq!(rows, addresses);
        }
    }
}

/// A bound is about keys: all members of an included key are in, none of an excluded one.
pub fn bounds_take_all_members(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.ordered) else { return };
    filled(&subject);
    for order in [Order::Ascending, Order::Descending] {
        let count = |lower, upper| {
            let mut scan = Scan::all(0, order, Content::Keys, 2);
            (scan.lower, scan.upper) = (lower, upper);
            subject.rows(scan).len()
        };
        let a: &[u8] = b"a";
        assert_eq!(count(Bound::Included(a), Bound::Included(a)), 5);
        assert_eq!(count(Bound::Excluded(a), Bound::Unbounded), 6);
        assert_eq!(count(Bound::Unbounded, Bound::Excluded(a)), 3);
        assert_eq!(count(Bound::Unbounded, Bound::Included(a)), 8);
        assert_eq!(count(Bound::Included(b""), Bound::Included(b"")), 3);
    }
}

/// Expiry and patches concern one member.
pub fn members_change_alone(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    subject.put(key(b"k"), b"head");
    subject.put(member(b"k", b"1"), b"one");
    subject.put(member(b"k", b"2"), b"two");
    let version = subject.version(member(b"k", b"2"));
    subject.one(expire(member(b"k", b"1"), Some(subject.now_ms() + 10)));
    subject.one(patch(key(b"k"), 0, b"H"));
    subject.advance_ms(10);
    assert_eq!(subject.value(key(b"k")).as_deref(), Some(&b"Head"[..]));
    assert_eq!(subject.entry(member(b"k", b"1")), None);
    assert_eq!(subject.version(member(b"k", b"2")), version);
    assert_eq!(subject.entry(KeyRef { database: 1, key: b"k", member: b"2" }), None);
}
