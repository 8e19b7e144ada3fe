//! Numbers: versions that never come twice, and sequence numbers that cover what was seen.
//!
//! Changes of one batch may share a number (the batch is one record of a log); two calls never do.

use std::collections::BTreeSet;

use tresor::engine::{
    Batch, Change, Content, Edited, Guard, Isolation, KeyRef, Kind, MAX_SEQUENCE, Order, Scan, Sequence,
};

use super::{
    Make,
    subject::{Subject, check, delete, expire, guarded, key, patch, put, put_as},
};

/// Over keys, databases, deletions, clears and swaps, no two calls give the same version.
pub fn versions_never_come_twice(make: &Make<'_>) {
    let subject = Subject::new(make);
    let can = subject.engine.capabilities();
    let mut given = BTreeSet::new();
    let by_key = subject.numbers_by_key();
    let mut take = |name: KeyRef<'_>, version: u64, what: &str| {
        assert!(version > 0 && version <= MAX_SEQUENCE, "{what}: version {version}");
        let whose = by_key.then(|| name.key.to_vec());
        assert!(given.insert((whose, version)), "{what}: version {version} came twice");
    };
    for round in 0..40_u8 {
        for number in 0..20_u8 {
            let name = [number / 6];
            let name = KeyRef::new(number % 3, &name);
            take(name, subject.put(name, b"same"), "a put");
            if (number + round) % 4 == 0 {
                take(name, subject.one(delete(name)).version, "a deletion");
            }
        }
        match round % 10 {
            4 => drop(subject.one(Change::Clear { database: 0 })),
            9 if can.swap => drop(subject.one(Change::Swap { first: 1, second: 2 })),
            _ => {}
        }
    }
}

/// Whatever changes the value, the kind or the expiry changes the version; what changes nothing
/// does not.
pub fn a_change_is_a_new_version(make: &Make<'_>) {
    let subject = Subject::new(make);
    let k = key(b"k");
    let at = Some(subject.now_ms() + 60_000);
    let mut last = subject.put(k, b"v");
    let changes = [
        put(k, b"v"),
        put_as(k, b"v", Kind::Json, tresor::engine::Expires::Keep),
        expire(k, at),
        expire(k, at),
        expire(k, None),
        patch(k, 0, b"v"),
        patch(k, 0, b"w"),
    ];
    // Patches depend on what is there, as guards do.
    let able = if subject.engine.capabilities().guards { 7 } else { 5 };
    for change in changes.into_iter().take(able) {
        let effect = subject.one(change);
        assert_ne!(effect.version, last, "{change:?}");
        assert_eq!(subject.version(k), effect.version, "{change:?}");
        last = effect.version;
    }
    if subject.engine.capabilities().guards {
        subject.one(check(k, Guard::Present));
        subject.refused(&[guarded(put(k, b"x"), Guard::Absent)]);
        subject.update(k, |_| Ok(Edited::Keep)).expect("an update works");
    }
    subject.put(key(b"another"), b"v");
    assert_eq!(subject.version(k), last);
}

/// A read has observed at least the versions that it showed, and a write those that it made.
pub fn a_sequence_covers_what_was_shown(make: &Make<'_>) {
    let subject = Subject::new(make);
    let names: Vec<[u8; 1]> = (0..40_u8).map(|number| [number]).collect();
    let mut highest = 0;
    for name in &names {
        let outcome = subject.write(&[put(key(name), b"v")]);
        let version = outcome.effect().expect("applied").version;
        assert!(outcome.sequence >= version);
        highest = highest.max(version);
    }
    for isolation in [Isolation::Each, Isolation::Together] {
        let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
        assert!(subject.seen(&keys, isolation).1 >= highest);
        for name in &names {
            let (entries, sequence) = subject.seen(&[key(name)], isolation);
            assert!(sequence >= entries[0].as_ref().expect("there").version);
        }
    }
    assert!(subject.page(&Scan::all(0, Order::Any, Content::Keys, 1)).sequence >= highest);
    assert!(subject.engine.status().wait().expect("a status").sequence >= highest);
}

/// Whoever finds a key absent has observed its removal, however it came about.
pub fn absence_covers_the_removal(make: &Make<'_>) {
    let subject = Subject::new(make);
    let observed = |subject: &Subject| -> Sequence {
        let (entries, sequence) = subject.seen(&[key(b"k")], Isolation::Each);
        assert_eq!(entries[0], None);
        sequence
    };
    subject.put(key(b"k"), b"v");
    let removal = subject.one(delete(key(b"k"))).version;
    assert!(observed(&subject) >= removal, "after a deletion");

    let version = subject.put_until(key(b"k"), b"v", subject.now_ms() + 10);
    subject.advance_ms(10);
    assert!(observed(&subject) >= version, "after expiry");

    let version = subject.put(key(b"k"), b"v");
    let clear = subject.write(&[Change::Clear { database: 0 }]).sequence;
    // Each shard numbers its own part of a clear; the answer to all of it tells the highest number.
    let least =
        if subject.engine.capabilities().name == "sharded" { version + 1 } else { version.max(clear) };
    assert!(clear > 0 && observed(&subject) >= least, "after a clear");

    let version = subject.put_until(key(b"k"), b"v", subject.now_ms() - 1);
    assert!(observed(&subject) >= version, "after a put into the past");
}

/// A refused batch, checks that hold and an edit that keeps have observed what they looked at.
pub fn refusals_cover_what_they_met(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let version = subject.put(key(b"k"), b"v");
    let outcome = subject.write(&[guarded(put(key(b"k"), b"w"), Guard::Absent)]);
    assert!(outcome.sequence >= version);
    if subject.engine.capabilities().atomic_batches {
        let checks = [check(key(b"k"), Guard::Version(version)), check(key(b"other"), Guard::Absent)];
        for batch in [Batch::of(&checks), Batch::blind(&checks)] {
            let outcome = subject.engine.write(batch, subject.now_ms()).wait().expect("checks hold");
            assert!(outcome.sequence >= version, "checks alone have seen what they met");
        }
    }
    let mut keep = |_: Option<tresor::engine::EntryRef<'_>>| Ok(Edited::Keep);
    let outcome = subject.engine.update(key(b"k"), subject.now_ms(), &mut keep).wait();
    assert!(outcome.expect("an update works").sequence >= version);
    let removal = subject.one(delete(key(b"k"))).version;
    let outcome = subject.write(&[guarded(put(key(b"k"), b"w"), Guard::Present)]);
    assert!(outcome.sequence >= removal);
    let outcome = subject.write(&[delete(key(b"k"))]);
    assert!(outcome.sequence >= removal, "a deletion of nothing has seen the absence");
}
