//! Entries that come from another store as they are: versions kept, and later numbers above them.

use bytes::Bytes;
use tresor::{
    ErrorKind,
    engine::{Content, Guard, KeyRef, Kind, Order, Page, Sequence, Version},
};

use super::{
    Make,
    subject::{Subject, check, delete, key, patch},
};
use crate::OwnedEntry;

/// Adopts entries of database 0; `None`, with a word, from an engine that cannot.
fn adopt(subject: &Subject, entries: &[(KeyRef<'_>, OwnedEntry)], above: Sequence) -> Option<Sequence> {
    let mut page = Page::new(0);
    for (key, entry) in entries {
        page.push(key.key, key.member, &entry.as_entry(), Content::Entries);
    }
    match subject.engine.adopt(&page, above, subject.now_ms()).wait() {
        Ok(sequence) => {
            subject.engine.durable(sequence).wait().expect("what was adopted is kept");
            Some(sequence)
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            println!("not for this engine: {error}");
            None
        }
    }
}

fn raw(value: &str, version: Version) -> OwnedEntry {
    let value = Bytes::copy_from_slice(value.as_bytes());
    OwnedEntry { value, kind: Kind::Raw, version, expires_at_ms: None }
}

/// Value, kind, version and expiry come through reads and scans; members too, and expired means absent.
pub fn adopted_entries_are_as_they_were(make: &Make<'_>) {
    let subject = Subject::new(make);
    let at_ms = Some(subject.now_ms() + 1000);
    let json = OwnedEntry { kind: Kind::Json, expires_at_ms: at_ms, ..raw("{}", 700) };
    let large = raw(&"x".repeat(50_000), 3);
    let member = KeyRef { member: b"m", ..key(b"json") };
    let entries =
        [(key(b"json"), json.clone()), (key(b"large"), large.clone()), (member, raw("member", 700))];
    if adopt(&subject, &entries, 0).is_none() {
        return;
    }
    assert_eq!(subject.entry(key(b"json")), Some(json));
    assert_eq!(subject.entry(key(b"large")), Some(large));
    let shown = |order| {
        let rows = subject.all(0, order, 2);
        let mut rows: Vec<_> = rows.into_iter().map(|row| (row.0, row.1, row.2.version)).collect();
        rows.sort();
        rows
    };
    let expected = [
        (b"json".to_vec(), b"".to_vec(), 700),
        (b"json".to_vec(), b"m".to_vec(), 700),
        (b"large".to_vec(), b"".to_vec(), 3),
    ];
    assert_eq!(shown(Order::Any), expected);
    assert_eq!(shown(Order::Ascending), expected);
    assert_eq!(subject.count(0), 3);
    subject.apply(&[check(key(b"json"), Guard::Version(700)), patch(key(b"large"), 0, b"y")]);
    subject.advance_ms(1000);
    assert_eq!(subject.entry(key(b"json")), None);
    subject.one(delete(key(b"large")));
    assert_eq!(subject.entry(key(b"large")), None);
}

/// Whatever is changed afterwards, wherever it lies, has a number above those adopted and above the one
/// that was named.
pub fn later_changes_are_numbered_above(make: &Make<'_>) {
    let subject = Subject::new(make);
    let names: Vec<[u8; 2]> = (0..600_u16).map(u16::to_be_bytes).collect();
    for name in &names {
        subject.put(key(name), b"before");
    }
    if adopt(&subject, &[(key(b"adopted"), raw("v", 200_000))], 1000).is_none() {
        return;
    }
    for name in &names {
        let version = subject.put(key(name), b"after");
        assert!(version > 200_000, "{version}");
    }
    assert_eq!(adopt(&subject, &[], 3_000_000), Some(3_000_000).max(adopt(&subject, &[], 0)));
    for name in &names {
        let version = subject.one(delete(key(name))).version;
        assert!(version > 3_000_000, "{version}");
    }
    assert_eq!(subject.entry(key(b"adopted")), Some(raw("v", 200_000)));
}

/// An entry that has a higher version is not replaced, one that has a lower one is.
pub fn what_is_newer_stays(make: &Make<'_>) {
    let subject = Subject::new(make);
    if adopt(&subject, &[(key(b"k"), raw("first", 50))], 0).is_none() {
        return;
    }
    adopt(&subject, &[(key(b"k"), raw("older", 49))], 0);
    assert_eq!(subject.entry(key(b"k")), Some(raw("first", 50)));
    adopt(&subject, &[(key(b"k"), raw("newer", 51))], 0);
    assert_eq!(subject.entry(key(b"k")), Some(raw("newer", 51)));
    let version = subject.put(key(b"k"), b"written");
    adopt(&subject, &[(key(b"k"), raw("older", 52))], 0);
    assert_eq!(subject.entry(key(b"k")), Some(raw("written", version)));
    subject.one(delete(key(b"k")));
    adopt(&subject, &[(key(b"k"), raw("back", 52))], 0);
    assert_eq!(subject.entry(key(b"k")), Some(raw("back", 52)));
}

/// Doing it again changes nothing, and needs no numbers.
pub fn adopting_twice_is_adopting_once(make: &Make<'_>) {
    let subject = Subject::new(make);
    let entries = [(key(b"a"), raw("a", 10)), (key(b"b"), raw("b", 20))];
    if adopt(&subject, &entries, 500).is_none() {
        return;
    }
    let before = subject.all(0, Order::Ascending, 10);
    adopt(&subject, &entries, 500);
    assert_eq!(subject.all(0, Order::Ascending, 10), before);
    assert_eq!(subject.count(0), 2);
}
