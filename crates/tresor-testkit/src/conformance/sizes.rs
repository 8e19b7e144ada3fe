//! Values and keys of every size and content.

use tresor::engine::{Content, Isolation, MAX_KEY_BYTES, Order, SHARED_VALUE_BYTES, Scan};

use super::{
    Make,
    subject::{Subject, delete, key, put},
};
use crate::random::Random;

/// Values around every boundary where an engine may store them otherwise.
pub fn values_of_every_size(make: &Make<'_>) {
    let subject = Subject::new(make);
    let mut random = Random::new(1);
    let mut sizes: Vec<usize> = (0..=300).collect();
    for edge in [4096, SHARED_VALUE_BYTES, 65_536, 1 << 20] {
        sizes.extend([edge - 1, edge, edge + 1]);
    }
    for size in &sizes {
        let value = random.bytes(*size);
        subject.put(key(&size.to_be_bytes()), &value);
        assert!(subject.value(key(&size.to_be_bytes())) == Some(value), "{size} bytes");
    }
    let mut random = Random::new(1);
    let sizes_shown: Vec<_> = subject.all(0, Order::Any, 50).iter().map(|row| row.2.value.len()).collect();
    assert_eq!(sizes_shown.iter().sum::<usize>(), sizes.iter().sum::<usize>());
    for size in &sizes {
        assert!(subject.value(key(&size.to_be_bytes())) == Some(random.bytes(*size)), "{size} bytes");
    }
}

/// A value of 64 MiB goes in, comes out, is replaced by a small one and back.
pub fn a_value_of_64_mib(make: &Make<'_>) {
    const BYTES: usize = 64 * 1024 * 1024;
    let Some(subject) = Subject::able(make, |can| can.max_value_bytes >= BYTES) else { return };
    let mut value = vec![0_u8; BYTES];
    for (at, word) in value.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&(at as u64).to_le_bytes());
    }
    subject.put(key(b"k"), b"small");
    subject.put(key(b"k"), &value);
    assert!(subject.entry(key(b"k")).is_some_and(|entry| entry.value == value));
    subject.put(key(b"k"), b"small");
    assert_eq!(subject.value(key(b"k")).as_deref(), Some(&b"small"[..]));
    subject.one(delete(key(b"k")));
    assert_eq!(subject.entry(key(b"k")), None);
}

/// Every byte, and every pair of bytes, is a key of its own.
pub fn keys_with_every_byte_value(make: &Make<'_>) {
    let subject = Subject::new(make);
    let mut names: Vec<Vec<u8>> = (0..=255_u8).map(|byte| vec![byte]).collect();
    for first in (0..=255_u8).step_by(if subject.is_far() { 85 } else { 15 }) {
        names.extend((0..=255_u8).map(|second| vec![first, second]));
    }
    names.sort();
    for name in &names {
        assert!(!subject.one(put(key(name), name)).existed, "{name:?}");
    }
    let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    for (entry, name) in subject.seen(&keys, Isolation::Each).0.iter().zip(&names) {
        assert_eq!(entry.as_ref().map(|entry| &entry.value[..]), Some(&name[..]));
    }
    assert_eq!(subject.keys(0), names);
    if subject.engine.capabilities().ordered {
        let rows = subject.rows(Scan::all(0, Order::Ascending, Content::Keys, 1000));
        assert!(rows.iter().map(|row| &row.0).eq(&names));
    }
}

/// The empty key, the longest key, and keys that differ in their last byte only.
pub fn keys_of_every_length(make: &Make<'_>) {
    let subject = Subject::new(make);
    let lengths = [0, 1, 62, 63, 64, 65, 127, 128, 255, 256, 4095, 4096, MAX_KEY_BYTES - 1, MAX_KEY_BYTES];
    let mut names = Vec::new();
    for length in lengths {
        names.push(vec![b'k'; length]);
        if length > 0 {
            names.push([&vec![b'k'; length - 1][..], b"l"].concat());
        }
    }
    for name in &names {
        assert!(!subject.one(put(key(name), &name[..name.len().min(70)])).existed, "{} bytes", name.len());
    }
    for name in &names {
        assert_eq!(subject.value(key(name)).as_deref(), Some(&name[..name.len().min(70)]));
    }
    names.sort();
    assert!(subject.keys(0) == names);
    for name in &names {
        assert!(subject.one(delete(key(name))).existed, "{} bytes", name.len());
    }
    assert!(subject.keys(0).is_empty());
}

/// The longest key with values on both sides of every boundary.
pub fn long_keys_and_large_values_together(make: &Make<'_>) {
    let subject = Subject::new(make);
    let names = [vec![0; MAX_KEY_BYTES], vec![255; MAX_KEY_BYTES], vec![0; 64], vec![]];
    for size in [0, 1, 63, 64, SHARED_VALUE_BYTES, SHARED_VALUE_BYTES + 1, 1 << 20] {
        let value = vec![size as u8; size];
        for name in &names {
            subject.put(key(name), &value);
        }
        for name in &names {
            assert!(subject.value(key(name)).as_ref() == Some(&value), "{size} bytes");
        }
    }
}
