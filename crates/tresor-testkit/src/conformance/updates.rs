//! `update`: every edit, what the edit is shown, and what an error leaves behind.

use std::borrow::Cow;

use tresor::{
    Error, ErrorKind,
    engine::{Edited, Effect, Expires, Kind},
};

use super::{
    Make,
    subject::{Subject, key, put_as},
};
use crate::OwnedEntry;

/// The edit is shown the entry as it is.
pub fn an_edit_sees_the_entry(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let at = subject.now_ms() + 60_000;
    let large = vec![3; 50_000];
    for value in [&b""[..], b"[1]", &large] {
        subject.one(put_as(key(b"k"), value, Kind::Json, Expires::At(at)));
        let mut shown = None;
        let shown_to = &mut shown;
        subject
            .update(key(b"k"), move |entry| {
                *shown_to = entry.map(OwnedEntry::from);
                Ok(Edited::Keep)
            })
            .expect("an update works");
        assert!(shown == subject.entry(key(b"k")) && shown.is_some());
    }
}

/// Each kind of edit does what the change of the same name does, on an entry and on none.
pub fn each_edit_does_its_change(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let at = subject.now_ms() + 60_000;
    type Wanted = Option<(&'static [u8], Kind, Option<u64>)>;
    let put = Edited::Put { value: Cow::Borrowed(b"new"), kind: Kind::Json, expires: Expires::Keep };
    let put_at =
        Edited::Put { value: Cow::Owned(b"new".to_vec()), kind: Kind::Raw, expires: Expires::At(at + 1) };
    let patch = Edited::Patch { offset: 1, bytes: Cow::Borrowed(b"XY") };
    let old: Wanted = Some((b"old", Kind::Json, Some(at)));
    let cases: [(Edited<'static>, Wanted, Wanted); 7] = [
        (Edited::Keep, old, None),
        (put, Some((b"new", Kind::Json, Some(at))), Some((b"new", Kind::Json, None))),
        (put_at, Some((b"new", Kind::Raw, Some(at + 1))), Some((b"new", Kind::Raw, Some(at + 1)))),
        (patch, Some((b"oXY", Kind::Raw, Some(at))), Some((b"\0XY", Kind::Raw, None))),
        (Edited::Expire(Some(at + 9)), Some((b"old", Kind::Json, Some(at + 9))), None),
        (Edited::Expire(None), Some((b"old", Kind::Json, None)), None),
        (Edited::Delete, None, None),
    ];
    for (number, (edited, on_entry, on_none)) in cases.iter().enumerate() {
        for (there, wanted) in [(true, on_entry), (false, on_none)] {
            let name = [number as u8, u8::from(there)];
            if there {
                subject.one(put_as(key(&name), b"old", Kind::Json, Expires::At(at)));
            }
            let before = subject.entry(key(&name));
            let effect = subject.update(key(&name), |_| Ok(edited.clone())).expect("an update works");
            assert_eq!(effect.existed, there, "{edited:?}");
            let after = subject.entry(key(&name));
            let shown = after.as_ref().map(|entry| (&entry.value[..], entry.kind, entry.expires_at_ms));
            assert_eq!(shown, *wanted, "{edited:?} on an entry: {there}");
            match (&before, &after) {
                (_, Some(entry)) => assert_eq!(effect.version, entry.version, "{edited:?}"),
                (None, None) => assert_eq!(effect, Effect { existed: false, version: 0 }),
                (Some(before), None) => assert!(effect.version > 0 && effect.version != before.version),
            }
        }
    }
}

/// An edit that fails changes nothing, and its error is what the caller gets.
pub fn a_failed_edit_changes_nothing(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    subject.put(key(b"k"), b"v");
    let before = subject.entry(key(b"k"));
    for name in [&b"k"[..], b"nobody"] {
        let error = subject
            .update(key(name), |_| Err(Error::new(ErrorKind::Invalid, "value is not an integer")))
            .expect_err("the edit failed");
        assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, "value is not an integer"));
    }
    assert_eq!(subject.entry(key(b"k")), before);
    assert_eq!(subject.keys(0), [b"k"]);
    subject.put(key(b"k"), b"the key is not left locked");
}

/// An edit may make a small value large and a large one small.
pub fn an_edit_changes_the_size(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    for size in [1, 100_000, 10, 16_385, 16_384, 0, 63, 64, 1 << 20, 5] {
        subject
            .update(key(b"k"), |_| {
                let value = Cow::Owned(vec![size as u8; size]);
                Ok(Edited::Put { value, kind: Kind::Raw, expires: Expires::Never })
            })
            .expect("an update works");
        assert!(subject.value(key(b"k")) == Some(vec![size as u8; size]), "{size} bytes");
    }
}
