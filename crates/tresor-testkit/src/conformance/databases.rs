//! Sixteen databases: apart from each other, cleared and swapped whole.

use tresor::engine::{Change, DATABASES, Guard, Isolation, KeyRef, Order, Sequence};

use super::{
    Make,
    subject::{Subject, check, guarded, put},
};

fn at(database: u8, name: &[u8]) -> KeyRef<'_> {
    KeyRef::new(database, name)
}

/// The same key in every database, each with its own value.
pub fn sixteen_databases_are_apart(make: &Make<'_>) {
    let subject = Subject::new(make);
    for database in 0..DATABASES {
        subject.put(at(database, b"k"), &[database]);
        subject.put(at(database, &[database]), b"own");
    }
    for database in 0..DATABASES {
        assert_eq!(subject.value(at(database, b"k")), Some(vec![database]));
        assert_eq!(subject.keys(database), [&[database][..], b"k"]);
        if subject.engine.capabilities().ordered {
            assert_eq!(subject.all(database, Order::Descending, 1).len(), 2);
        }
    }
}

/// Clear empties one database, at once and for good.
pub fn clear_empties_one_database(make: &Make<'_>) {
    let subject = Subject::new(make);
    let names: Vec<[u8; 2]> = (0..500_u16).map(u16::to_be_bytes).collect();
    let keys = |database| names.iter().map(move |name| at(database, name));
    subject.each(&keys(0).chain(keys(7)).map(|key| put(key, b"v")).collect::<Vec<_>>());
    subject.one(Change::Clear { database: 7 });
    assert!(subject.keys(7).is_empty());
    let gone: Vec<_> = keys(7).collect();
    assert!(subject.seen(&gone, Isolation::Each).0.iter().all(Option::is_none));
    assert_eq!(subject.keys(0).len(), 500);
    assert_eq!((subject.count(0), subject.count(7)), (500, 0));
    assert!(!subject.one(put(at(7, &names[0]), b"new")).existed);
    subject.one(Change::Clear { database: 7 });
    subject.one(Change::Clear { database: 7 });
    assert!(subject.keys(7).is_empty());
}

/// Swap exchanges two databases; reads, scans, counts and guards all follow.
pub fn swap_exchanges_two_databases(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.swap) else { return };
    subject.put(at(0, b"k"), b"zero");
    subject.put(at(3, b"k"), b"three");
    subject.put(at(3, b"only"), b"three");
    subject.put(at(5, b"k"), b"five");
    subject.one(Change::Swap { first: 0, second: 3 });
    assert_eq!(subject.value(at(0, b"k")).as_deref(), Some(&b"three"[..]));
    assert_eq!(subject.value(at(3, b"k")).as_deref(), Some(&b"zero"[..]));
    assert_eq!((subject.keys(0).len(), subject.keys(3).len(), subject.keys(5).len()), (2, 1, 1));
    assert_eq!((subject.count(0), subject.count(3), subject.count(5)), (2, 1, 1));

    subject.one(Change::Swap { first: 3, second: 5 });
    assert_eq!(subject.value(at(3, b"k")).as_deref(), Some(&b"five"[..]));
    assert_eq!(subject.value(at(5, b"k")).as_deref(), Some(&b"zero"[..]));
    subject.put(at(3, b"k"), b"written");
    assert_eq!(subject.value(at(5, b"k")).as_deref(), Some(&b"zero"[..]));
    subject.one(Change::Clear { database: 3 });
    assert_eq!((subject.keys(0).len(), subject.keys(3).len(), subject.keys(5).len()), (2, 0, 1));
}

/// Swapping twice, and with itself, changes nothing.
pub fn swaps_undo_each_other(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.swap) else { return };
    subject.put(at(1, b"k"), b"one");
    for (first, second) in [(1, 2), (2, 1), (1, 1), (4, 4)] {
        subject.one(Change::Swap { first, second });
    }
    assert_eq!(subject.value(at(1, b"k")).as_deref(), Some(&b"one"[..]));
    assert!(subject.keys(2).is_empty());
}

/// In a batch, changes before a swap go to where the database was, those after to where it is.
pub fn swap_keeps_its_place_in_a_batch(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.swap && can.atomic_batches) else { return };
    let swap = Change::Swap { first: 0, second: 1 };
    subject.apply(&[put(at(0, b"before"), b"v"), swap, put(at(0, b"after"), b"v")]);
    assert_eq!(subject.keys(0), [b"after"]);
    assert_eq!(subject.keys(1), [b"before"]);
    subject.apply(&[Change::Clear { database: 1 }, swap, put(at(1, b"last"), b"v")]);
    assert!(subject.keys(0).is_empty());
    assert_eq!(subject.keys(1), [&b"after"[..], b"last"]);
}

/// A version seen before a swap or a clear does not hold for what is there after it.
pub fn versions_notice_clear_and_swap(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.swap && can.guards) else { return };
    let zero = subject.put(at(0, b"k"), b"zero");
    let one = subject.put(at(1, b"k"), b"one");
    assert_ne!(zero, one);
    let swapped: Sequence = subject.write(&[Change::Swap { first: 0, second: 1 }]).sequence;
    assert!(swapped > 0, "a swap is numbered");
    let found = subject.refused(&[guarded(put(at(0, b"k"), b"x"), Guard::Version(zero))]).1;
    assert!(found.is_some() && found != Some(zero));
    subject.one(Change::Clear { database: 0 });
    assert_eq!(subject.refused(&[check(at(0, b"k"), Guard::Version(one))]), (0, None));
    subject.put(at(0, b"k"), b"one");
    subject.refused(&[check(at(0, b"k"), Guard::Version(one))]);
    subject.refused(&[check(at(0, b"k"), Guard::Version(zero))]);
}
