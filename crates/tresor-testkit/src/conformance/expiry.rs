//! Expiry: absent for everyone from the very millisecond, and what each change does to it.

use std::sync::Arc;

use parking_lot::Mutex;
use tresor::engine::{
    Audience, Capabilities, Change, Edited, Effect, Expires, ExpiryLag, Guard, Isolation, Kind, Order,
    Removal, Removals,
};

use super::{
    Make,
    subject::{Subject, check, delete, expire, key, put, put_as},
};
use crate::deadline::wait_until;

/// At `expires_at_ms` and later the entry is absent in reads, scans and updates; a millisecond
/// before, it is there.
pub fn expired_is_absent_at_once(make: &Make<'_>) {
    let subject = Subject::new(make);
    subject.put_until(key(b"k"), b"v", subject.now_ms() + 1000);
    subject.put(key(b"stays"), b"v");
    subject.advance_ms(999);
    assert_eq!(subject.value(key(b"k")).as_deref(), Some(&b"v"[..]));
    assert_eq!(subject.keys(0), [&b"k"[..], b"stays"]);
    subject.advance_ms(1);
    for later in [0, 1, 1_000_000] {
        subject.advance_ms(later);
        assert_eq!(subject.entry(key(b"k")), None);
        assert_eq!(subject.seen(&[key(b"k"), key(b"stays")], Isolation::Together).0[0], None);
        assert_eq!(subject.keys(0), [b"stays"]);
        if subject.engine.capabilities().ordered {
            assert_eq!(subject.all(0, Order::Ascending, 10).len(), 1);
            assert_eq!(subject.all(0, Order::Descending, 10).len(), 1);
        }
    }
    if subject.engine.capabilities().guards {
        let mut shown = true;
        let shown_to = &mut shown;
        subject
            .update(key(b"k"), move |entry| {
                *shown_to = entry.is_some();
                Ok(Edited::Keep)
            })
            .expect("an update works");
        assert!(!shown, "an edit does not see an expired entry");
        subject.one(check(key(b"k"), Guard::Absent));
        assert_eq!(subject.refused(&[check(key(b"k"), Guard::Present)]), (0, None));
    }
}

/// An entry put with an expiry that is over is absent from the start.
pub fn a_put_into_the_past_is_absent(make: &Make<'_>) {
    let subject = Subject::new(make);
    let now_ms = subject.now_ms();
    for at_ms in [0, 1, now_ms - 1, now_ms] {
        subject.put(key(b"k"), b"old");
        let effect = subject.one(put_as(key(b"k"), b"new", Kind::Raw, Expires::At(at_ms)));
        assert!(effect.existed);
        assert_eq!(subject.entry(key(b"k")), None, "expiring at {at_ms}, now {now_ms}");
        assert!(subject.keys(0).is_empty());
    }
    subject.put(key(b"k"), b"old");
    assert!(subject.one(expire(key(b"k"), Some(now_ms))).existed);
    assert_eq!(subject.entry(key(b"k")), None);
}

/// `Expires::Keep` keeps what is there; on an absent or expired entry it means never.
pub fn keep_keeps_the_expiry(make: &Make<'_>) {
    let subject = Subject::new(make);
    let at = subject.now_ms() + 1000;
    let keep = |value| put_as(key(b"k"), value, Kind::Raw, Expires::Keep);
    subject.one(keep(b"absent"));
    assert_eq!(subject.entry(key(b"k")).expect("there").expires_at_ms, None);
    subject.put_until(key(b"k"), b"v", at);
    assert!(subject.one(keep(b"kept")).existed);
    let entry = subject.entry(key(b"k")).expect("there");
    assert_eq!((&entry.value[..], entry.expires_at_ms), (&b"kept"[..], Some(at)));
    subject.advance_ms(1000);
    assert!(!subject.one(keep(b"anew")).existed);
    let entry = subject.entry(key(b"k")).expect("there");
    assert_eq!((&entry.value[..], entry.expires_at_ms), (&b"anew"[..], None));
    subject.put(key(b"k"), b"never");
    subject.one(keep(b"never"));
    assert_eq!(subject.entry(key(b"k")).expect("there").expires_at_ms, None);
}

/// Expire sets, moves and removes the expiry and leaves value and kind.
pub fn expire_sets_and_removes(make: &Make<'_>) {
    let subject = Subject::new(make);
    let now_ms = subject.now_ms();
    let value = vec![7; 40_000];
    for value in [&b"{}"[..], &value] {
        subject.one(put_as(key(b"k"), value, Kind::Json, Expires::Never));
        for expires_at_ms in [Some(now_ms + 1000), Some(now_ms + 5000), Some(now_ms + 10), None, None] {
            let effect = subject.one(expire(key(b"k"), expires_at_ms));
            assert!(effect.existed);
            let entry = subject.entry(key(b"k")).expect("there");
            assert!(entry.value == value && entry.kind == Kind::Json);
            assert_eq!((entry.expires_at_ms, entry.version), (expires_at_ms, effect.version));
        }
    }
    subject.advance_ms(1_000_000);
    assert!(subject.entry(key(b"k")).is_some(), "a removed expiry does not come due");
}

/// Expire on an absent or expired entry does nothing and brings nothing back.
pub fn expire_on_absent_does_nothing(make: &Make<'_>) {
    let subject = Subject::new(make);
    let nothing = Effect { existed: false, version: 0 };
    assert_eq!(subject.one(expire(key(b"k"), Some(subject.now_ms() + 1000))), nothing);
    assert_eq!(subject.entry(key(b"k")), None);
    subject.put_until(key(b"k"), b"v", subject.now_ms() + 10);
    subject.advance_ms(10);
    assert_eq!(subject.one(expire(key(b"k"), None)), nothing);
    assert_eq!(subject.one(expire(key(b"k"), Some(subject.now_ms() + 1000))), nothing);
    assert_eq!(subject.entry(key(b"k")), None);
}

/// For put and delete an expired entry was not there.
pub fn changes_take_expired_for_absent(make: &Make<'_>) {
    let subject = Subject::new(make);
    subject.put_until(key(b"put"), b"v", subject.now_ms() + 10);
    subject.put_until(key(b"deleted"), b"v", subject.now_ms() + 10);
    subject.advance_ms(10);
    assert!(!subject.one(put(key(b"put"), b"new")).existed);
    assert_eq!(subject.one(delete(key(b"deleted"))), Effect { existed: false, version: 0 });
    assert_eq!(subject.keys(0), [b"put"]);
}

/// Many entries due at many moments: at each moment just those are gone that are due.
pub fn each_of_many_expires_when_due(make: &Make<'_>) {
    let subject = Subject::new(make);
    let start_ms = subject.now_ms();
    let names: Vec<[u8; 2]> = (0..600_u16).map(u16::to_be_bytes).collect();
    let (short, long) = ([1; 20], [2; 20_000]);
    let changes = names.iter().enumerate().map(|(number, name)| {
        let value = if number % 10 == 0 { &long[..] } else { &short };
        put_as(key(name), value, Kind::Raw, Expires::At(start_ms + 1 + (number as u64 * 7919) % 600))
    });
    subject.each(&changes.collect::<Vec<_>>());
    for _ in 0..6 {
        subject.advance_ms(100);
        let passed = subject.now_ms() - start_ms;
        let due = |number: usize| (number as u64 * 7919) % 600 < passed;
        let left: Vec<_> =
            (0..600).filter(|number| !due(*number)).map(|number| names[number].to_vec()).collect();
        assert_eq!(subject.keys(0), left, "{passed} ms on");
        let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
        for (number, entry) in subject.seen(&keys, Isolation::Each).0.iter().enumerate() {
            assert_eq!(entry.is_none(), due(number), "key {number}, {passed} ms on");
        }
    }
}

/// What an engine removes because it has expired, by itself or by writing over it, is counted once, by how long
/// after it was due that was.
pub fn removals_are_counted_by_their_lag(make: &Make<'_>) {
    // The others do not remove by themselves, or lose the counts of shards that go.
    let counts = |engine: &Capabilities| ["memory", "json", "disk", "sqlite"].contains(&engine.name);
    let Some(subject) = Subject::able(make, counts) else { return };
    // A sweep may be some milliseconds coarse, but not about this moment.
    let end_ms = (subject.now_ms() + 100_000).next_multiple_of(1 << 10);
    let names: Vec<[u8; 2]> = (0..100_u16).map(u16::to_be_bytes).collect();
    let due = |lag_ms| Expires::At(end_ms - lag_ms);
    let over: Vec<_> = names.iter().map(|name| put_as(key(name), b"old", Kind::Raw, due(9))).collect();
    subject.apply(&over);
    for (name, lag_ms) in [(&b"a"[..], 0), (b"b", 3), (b"c", 3), (b"d", 70), (b"e", 30_000)] {
        subject.one(put_as(key(name), b"v", Kind::Raw, due(lag_ms)));
    }
    subject.put_until(key(b"not due"), b"v", end_ms + 1);
    subject.put(key(b"stays"), b"v");
    subject.advance_ms(end_ms - subject.now_ms());
    // Whoever comes first, this or the engine by itself.
    let new: Vec<_> = names.iter().map(|name| put(key(name), b"new")).collect();
    subject.apply(&new);
    let lag = || subject.engine.status().wait().expect("a status").expired;
    wait_until("all that expired to be removed", || lag().removed() >= 105);
    let mut expected = ExpiryLag { sum_ms: 3 + 3 + 70 + 30_000 + 100 * 9, ..ExpiryLag::default() };
    for (bound_ms, removals) in [(1, 1), (5, 2), (10, 100), (100, 1), (60_000, 1)] {
        let bound = ExpiryLag::BOUNDS_MS.iter().position(|bound| *bound == bound_ms);
        expected.counts[bound.expect("a bound")] = removals;
    }
    assert_eq!(lag(), expected);
    assert_eq!(subject.count(0), 102);
}

/// What an engine removes because it has expired it tells of, each once, with a number above its write's, as one of
/// the database that it is in then.
pub fn what_expires_is_told(make: &Make<'_>) {
    let subject = Subject::new(make);
    let removals = Arc::<Removals>::default();
    let heard = Arc::<Mutex<Vec<_>>>::default();
    let hears = heard.clone();
    removals.listen(Audience::Notifications, move |removal, key, sequence| {
        assert_eq!(removal, Removal::Expired);
        hears.lock().push((key.key.to_vec(), key.database, sequence));
    });
    if !subject.engine.tell_removals(&removals) {
        println!("not for this engine: it removes nothing by itself, or tells others of it");
        return;
    }
    removals.tell(Audience::Notifications, true);
    subject.put(key(b"stays"), b"v");
    let mut written = Vec::new();
    for round in 0..3 {
        let due = Expires::At(subject.now_ms() + 10);
        let names: Vec<[u8; 2]> = (0..50).map(|number| [round, number]).collect();
        let changes: Vec<_> = names.iter().map(|name| put_as(key(name), b"v", Kind::Raw, due)).collect();
        subject.each(&changes);
        let versions = names.iter().map(|name| subject.entry(key(name)).expect("there").version);
        written.extend(names.iter().zip(versions).map(|(name, version)| (name.to_vec(), version)));
        subject.advance_ms(10);
        // An engine may find it expired here, or by itself, some milliseconds coarse.
        assert_eq!(subject.entry(key(&names[0])), None);
        subject.advance_ms(50);
        wait_until("all removals to be told", || heard.lock().len() >= written.len());
    }
    if subject.engine.capabilities().swap {
        subject.put_until(key(b"swapped"), b"v", subject.now_ms() + 10);
        written.push((b"swapped".to_vec(), 0));
        subject.apply(&[Change::Swap { first: 0, second: 3 }]);
        subject.advance_ms(60);
        wait_until("the one in another database to be told", || heard.lock().len() >= written.len());
    }
    let mut heard = heard.lock();
    heard.sort();
    assert_eq!(heard.len(), written.len(), "each is told of once");
    for ((name, version), (told, database, sequence)) in written.iter().zip(&*heard) {
        assert_eq!((told, *database), (name, if name == b"swapped" { 3 } else { 0 }));
        assert!(sequence > version, "{name:?}: {sequence} is told of what {version} wrote");
    }
}
