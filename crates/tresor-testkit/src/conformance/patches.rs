//! Patches: bytes written into a value, at every place relative to its end.

use tresor::engine::{Expires, Kind, SHARED_VALUE_BYTES};

use super::{
    Make,
    subject::{Subject, key, patch, put_as},
};

/// Inside, at the end, across the end, beyond it, and on nothing.
pub fn a_patch_writes_where_it_says(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    type Bytes = &'static [u8];
    let cases: [(Option<Bytes>, usize, Bytes, Bytes); 9] = [
        (Some(b"abcdef"), 0, b"X", b"Xbcdef"),
        (Some(b"abcdef"), 2, b"XY", b"abXYef"),
        (Some(b"abcdef"), 5, b"X", b"abcdeX"),
        (Some(b"abcdef"), 6, b"XY", b"abcdefXY"),
        (Some(b"abcdef"), 5, b"XYZ", b"abcdeXYZ"),
        (Some(b"abcdef"), 8, b"XY", b"abcdef\0\0XY"),
        (Some(b""), 2, b"XY", b"\0\0XY"),
        (None, 0, b"XY", b"XY"),
        (None, 3, b"XY", b"\0\0\0XY"),
    ];
    for (number, (before, offset, bytes, after)) in cases.into_iter().enumerate() {
        let name = [number as u8];
        if let Some(before) = before {
            subject.put(key(&name), before);
        }
        let effect = subject.one(patch(key(&name), offset, bytes));
        assert_eq!(effect.existed, before.is_some());
        let entry = subject.entry(key(&name)).expect("patched");
        assert_eq!((&entry.value[..], entry.version), (after, effect.version), "{before:?} at {offset}");
    }
}

/// A patched value is raw and keeps its expiry.
pub fn a_patch_makes_raw_and_keeps_expiry(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let at = subject.now_ms() + 60_000;
    subject.one(put_as(key(b"k"), b"[1,2]", Kind::Json, Expires::At(at)));
    subject.one(patch(key(b"k"), 1, b"7"));
    let entry = subject.entry(key(b"k")).expect("there");
    assert_eq!((&entry.value[..], entry.kind, entry.expires_at_ms), (&b"[7,2]"[..], Kind::Raw, Some(at)));
}

/// An expired value is no ground to patch: the entry starts from nothing and without an expiry.
pub fn a_patch_on_expired_starts_anew(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    subject.put_until(key(b"k"), b"abcdef", subject.now_ms() + 10);
    subject.advance_ms(10);
    assert!(!subject.one(patch(key(b"k"), 2, b"X")).existed);
    let entry = subject.entry(key(b"k")).expect("patched into being");
    assert_eq!((&entry.value[..], entry.expires_at_ms), (&b"\0\0X"[..], None));
}

/// Values small and large, and a small one that grows large, byte by byte the same.
pub fn a_patch_works_at_every_size(make: &Make<'_>) {
    let Some(subject) = Subject::able(make, |can| can.guards) else { return };
    let large = 1024 * 1024;
    for (length, offset) in [
        (10, 50),
        (63, 63),
        (SHARED_VALUE_BYTES - 1, SHARED_VALUE_BYTES - 1),
        (SHARED_VALUE_BYTES, SHARED_VALUE_BYTES),
        (SHARED_VALUE_BYTES + 1, 5),
        (3, 2 * SHARED_VALUE_BYTES),
        (large, large / 2),
        (large, large - 1),
    ] {
        let mut model: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        subject.put(key(b"k"), &model);
        let kept = subject.entry(key(b"k")).expect("there");
        subject.one(patch(key(b"k"), offset, b"patch"));
        let untouched = model.clone();
        model.resize(length.max(offset + 5), 0);
        model[offset..offset + 5].copy_from_slice(b"patch");
        assert!(subject.value(key(b"k")).as_deref() == Some(&model[..]), "{length} bytes at {offset}");
        assert!(kept.value == untouched, "a value that a reader keeps does not change under it");
    }
}
