//! Create, read, replace, delete: what each does to one entry and what it reports.

use tresor::{
    ErrorKind,
    engine::{Effect, Expires, Isolation, Kind},
};

use super::{
    Make,
    subject::{Subject, delete, key, put, put_as},
};

/// A key that was never written is absent.
pub fn an_unknown_key_is_absent(make: &Make<'_>) {
    let subject = Subject::new(make);
    assert_eq!(subject.entry(key(b"nobody")), None);
    assert_eq!(subject.keys(0), Vec::<Vec<u8>>::new());
}

/// A put creates, the next replaces, and each says which.
pub fn put_creates_then_replaces(make: &Make<'_>) {
    let subject = Subject::new(make);
    let created = subject.one(put(key(b"k"), b"one"));
    assert!(!created.existed);
    let entry = subject.entry(key(b"k")).expect("created");
    assert_eq!((&entry.value[..], entry.kind, entry.expires_at_ms), (&b"one"[..], Kind::Raw, None));
    assert_eq!(entry.version, created.version);

    let replaced = subject.one(put(key(b"k"), b"another"));
    assert!(replaced.existed);
    let entry = subject.entry(key(b"k")).expect("replaced");
    assert_eq!((&entry.value[..], entry.version), (&b"another"[..], replaced.version));
    assert_eq!(subject.keys(0), [b"k"]);
}

/// A put replaces kind and expiry along with the value.
pub fn put_replaces_kind_and_expiry(make: &Make<'_>) {
    let subject = Subject::new(make);
    let at = subject.now_ms() + 60_000;
    subject.one(put_as(key(b"k"), b"{}", Kind::Json, Expires::At(at)));
    let entry = subject.entry(key(b"k")).expect("there");
    assert_eq!((entry.kind, entry.expires_at_ms), (Kind::Json, Some(at)));
    subject.put(key(b"k"), b"{}");
    let entry = subject.entry(key(b"k")).expect("there");
    assert_eq!((entry.kind, entry.expires_at_ms), (Kind::Raw, None));
}

/// A deletion removes, says so once, and the key can be created again.
pub fn delete_removes_once(make: &Make<'_>) {
    let subject = Subject::new(make);
    subject.put(key(b"k"), b"v");
    let deleted = subject.one(delete(key(b"k")));
    assert!(deleted.existed && deleted.version > 0, "{deleted:?}");
    assert_eq!(subject.entry(key(b"k")), None);
    assert_eq!(subject.one(delete(key(b"k"))), Effect { existed: false, version: 0 });
    assert!(!subject.one(put(key(b"k"), b"again")).existed);
    assert_eq!(subject.value(key(b"k")).as_deref(), Some(&b"again"[..]));
}

/// Deleting one key leaves its neighbours.
pub fn delete_leaves_the_others(make: &Make<'_>) {
    let subject = Subject::new(make);
    for name in [&b"a"[..], b"b", b"ab", b"a\0"] {
        subject.put(key(name), name);
    }
    subject.one(delete(key(b"a")));
    assert_eq!(subject.keys(0), [&b"a\0"[..], b"ab", b"b"]);
}

/// A read shows every key in the order asked, absent and repeated ones too.
pub fn a_read_answers_key_by_key(make: &Make<'_>) {
    let subject = Subject::new(make);
    for number in 0..50_u8 {
        subject.put(key(&[number]), &[number; 3]);
    }
    for isolation in [Isolation::Each, Isolation::Together] {
        let names: Vec<[u8; 1]> = (0..100_u8).rev().chain([7, 7, 99, 7]).map(|number| [number]).collect();
        let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
        let (entries, _) = subject.seen(&keys, isolation);
        for (name, entry) in names.iter().zip(entries) {
            let wanted = (name[0] < 50).then(|| vec![name[0]; 3]);
            assert_eq!(entry.map(|entry| entry.value.to_vec()), wanted, "key {name:?}, {isolation:?}");
        }
        assert_eq!(subject.seen(&[], isolation).0, []);
    }
}

/// Status counts the keys of each database, and those with an expiry.
pub fn status_counts_keys(make: &Make<'_>) {
    let subject = Subject::new(make);
    let at = subject.now_ms() + 60_000;
    for number in 0..30_u8 {
        subject.put(key(&[number]), b"v");
    }
    for number in 20..35_u8 {
        subject.put_until(key(&[number]), b"v", at);
    }
    subject.one(delete(key(&[0])));
    subject.one(delete(key(&[34])));
    assert_eq!((subject.count(0), subject.count(1)), (33, 0));
    // What was just counted, the figures have.
    let status = subject.engine.status().wait().expect("a status");
    assert_eq!((status.keys[0], status.expiring[0]), (33, 14));
    assert_eq!(status.keys[1..], [0; 15]);
}

/// A closed engine refuses; it neither answers wrongly nor panics.
pub fn a_closed_engine_is_unavailable(make: &Make<'_>) {
    let subject = Subject::new(make);
    subject.put(key(b"k"), b"v");
    subject.engine.close().wait().expect("closing works");
    let changes = [put(key(b"k"), b"w")];
    let batch = tresor::engine::Batch::of(&changes);
    let error = subject.engine.write(batch, subject.now_ms()).wait().expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = subject.engine.read(&[key(b"k")], Isolation::Each, subject.now_ms(), &mut |_, _| {}).wait();
    assert_eq!(error.expect_err("closed").kind(), ErrorKind::Unavailable);
}

/// What was written can be made durable and saved, and is still there.
pub fn durable_and_save_answer(make: &Make<'_>) {
    let subject = Subject::new(make);
    let outcome = subject.write(&[put(key(b"k"), b"v")]);
    subject.engine.durable(outcome.sequence).wait().expect("durable");
    match subject.engine.save().wait() {
        Ok(()) => {}
        // An engine with nowhere to save to says so.
        Err(error) => {
            assert!(!subject.engine.capabilities().durable, "saved: {error}");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }
    subject.engine.durable(0).wait().expect("nothing to wait for");
    assert_eq!(subject.value(key(b"k")).as_deref(), Some(&b"v"[..]));
}
