//! Encryption as its users and its attackers see it: nothing in plain on disk, and nothing changed, moved
//! or slipped in is ever shown.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use proptest::prelude::*;
use tresor::{
    ErrorKind,
    clock::SystemClock,
    engine::{
        Engine, EntryRef, Expires, Isolation, KeyRef, Kind, Order,
        memory::{MemoryEngine, MemoryOptions},
    },
    files::SystemFiles,
    layer::{
        Cipher, Codec, Compressed, CompressionOptions, Encrypted, Encryption, EncryptionKeys, Method,
        ReencryptionProgress,
    },
    oplog::LogOptions,
};
use tresor_testkit::{
    LaterEngine, ManualClock, OwnedEntry, TemporaryDirectory,
    conformance::{Subject, key, member, patch, put, put_as},
};

const OLD: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const NEW: &str = "fefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefe";

fn below() -> Subject {
    let clock = ManualClock::new();
    let engine = MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).expect("it opens");
    Subject { engine, clock }
}

fn keys(lines: &[&str]) -> EncryptionKeys {
    EncryptionKeys::parse(&lines.join("\n")).expect("these are keys")
}

fn opened(below: &Subject, lines: &[&str]) -> tresor::Result<Arc<Encrypted>> {
    Encrypted::new(below.engine.clone(), &keys(lines), Cipher::default())
}

fn above(below: &Subject, lines: &[&str], cipher: Cipher) -> Subject {
    let engine = Encrypted::new(below.engine.clone(), &keys(lines), cipher).expect("the keys are right");
    Subject { engine, clock: below.clock.clone() }
}

fn kept(below: &Subject, name: KeyRef<'_>) -> OwnedEntry {
    below.entry(name).expect("it is kept")
}

/// Puts a value below the layer.
fn slip(below: &Subject, name: KeyRef<'_>, value: &[u8]) {
    below.one(put_as(name, value, Kind::Packed, Expires::Never));
}

fn read_error(subject: &Subject, name: KeyRef<'_>) -> tresor::Error {
    let mut shown = false;
    let mut visit = |_: usize, _: Option<EntryRef<'_>>| shown = true;
    let names = [name];
    let result = subject.engine.read(&names, Isolation::Each, subject.now_ms(), &mut visit).wait();
    let error = result.expect_err("that cannot be read");
    assert!(!shown, "nothing is shown of a value that cannot be read");
    error
}

#[test]
fn a_value_changed_in_any_bit_is_an_error() {
    for cipher in Cipher::ALL {
        let below = below();
        let store = above(&below, &[OLD], cipher);
        store.put(key(b"k"), b"secret");
        let good = kept(&below, key(b"k")).value.to_vec();
        assert_eq!(good.len(), 6 + 50);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                slip(&below, key(b"k"), &bad);
                assert_eq!(read_error(&store, key(b"k")).kind(), ErrorKind::Invalid, "{cipher} byte {at}");
            }
        }
        for length in 0..good.len() {
            slip(&below, key(b"k"), &good[..length]);
            read_error(&store, key(b"k"));
        }
        slip(&below, key(b"k"), &good);
        assert_eq!(store.value(key(b"k")).as_deref(), Some(&b"secret"[..]));
    }
}

#[test]
fn values_cannot_be_swapped_or_moved() {
    let below = below();
    let store = above(&below, &[OLD], Cipher::default());
    // Of one length, and of one text when written together.
    let names = [
        key(b"ab"),
        key(b"xy"),
        key(b"a"),
        member(b"a", b"b"),
        member(b"b", b"b"),
        member(b"a", b"c"),
        member(b"ab", b"c"),
        member(b"a", b"bc"),
    ];
    for name in names {
        store.put(name, b"value");
    }
    for from in names {
        for to in names.into_iter().filter(|to| *to != from) {
            let there = kept(&below, to);
            slip(&below, to, &kept(&below, from).value);
            let error = read_error(&store, to);
            assert!(error.message().contains("moved from another key"), "{error}");
            slip(&below, to, &there.value);
        }
    }
    // A database is no part of a value's name: to swap databases moves nothing.
    store.one(tresor::engine::Change::Swap { first: 0, second: 7 });
    assert_eq!(store.value(KeyRef::new(7, b"a")).as_deref(), Some(&b"value"[..]));
}

#[test]
fn a_plain_value_slipped_in_is_never_shown() {
    let below = below();
    let store = above(&below, &[OLD], Cipher::default());
    for kind in [Kind::Raw, Kind::Json] {
        below.one(put_as(key(b"k"), b"forged", kind, Expires::Never));
        assert!(read_error(&store, key(b"k")).message().contains("is not encrypted"));
        let mut edit = |_: Option<EntryRef<'_>>| panic!("the edit is shown it");
        assert!(store.engine.update(key(b"k"), 0, &mut edit).wait().is_err());
        let scan = tresor::engine::Scan::all(0, Order::Any, tresor::engine::Content::Entries, 10);
        assert!(store.engine.scan(&scan, store.now_ms()).wait().is_err());
        let changes = [patch(key(b"k"), 0, b"x"), put(key(b"other"), b"v")];
        for changes in [&changes[..1], &changes] {
            assert!(store.engine.write(tresor::engine::Batch::of(changes), 0).wait().is_err());
        }
    }
    // It can be written over.
    store.put(key(b"k"), b"anew");
    assert_eq!(store.value(key(b"k")).as_deref(), Some(&b"anew"[..]));
}

proptest! {
    #[test]
    fn garbage_is_an_error(tag in 14_u8..20, garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let keys = keys(&[OLD]);
        let codec = Encryption::new(&keys, Cipher::default());
        let mut made = Vec::new();
        codec.encode(key(b"k"), (b"v", Kind::Raw), &mut made).expect("it can be encrypted");
        // Garbage with a right tag, and behind a right header.
        for value in [[&[tag][..], &garbage].concat(), [&made[..10], &garbage].concat(), garbage] {
            let mut out = Vec::new();
            prop_assert!(codec.decode(key(b"k"), (&value, Kind::Packed), &mut out).is_err());
            prop_assert!(out.is_empty());
        }
    }
}

#[test]
fn a_store_is_opened_with_its_keys_only() {
    let below = below();
    let id = keys(&[OLD]).ids()[0];
    above(&below, &[OLD], Cipher::Aes256Gcm).put(KeyRef::new(9, b"k"), b"v");
    let error = opened(&below, &[NEW]).err().expect("the key is wrong");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains(&format!("under the key {id}, which is not among")), "{error}");
    assert!(opened(&below, &[NEW, OLD]).is_ok());

    let mut bad = kept(&below, KeyRef::new(9, b"k")).value.to_vec();
    bad[30] ^= 1;
    slip(&below, KeyRef::new(9, b"k"), &bad);
    let error = opened(&below, &[OLD]).err().expect("it was tampered with");
    assert!(error.message().contains("was changed"), "{error}");

    let plain = self::below();
    plain.put(key(b"k"), b"v");
    let error = opened(&plain, &[OLD]).err().expect("it is not encrypted");
    assert!(error.message().contains("tresor copy"), "{error}");
    let packed = self::below();
    let options = CompressionOptions { threshold_bytes: 0, ..CompressionOptions::with(Method::Lz4) };
    let engine = Compressed::new(packed.engine.clone(), options).expect("there is LZ4");
    Subject { engine, clock: packed.clock.clone() }.put(key(b"k"), &[b'x'; 500]);
    assert!(opened(&packed, &[OLD]).err().is_some_and(|error| error.message().contains("tresor copy")));
}

/// All bytes of all files in a directory.
fn on_disk(directory: &Path) -> Vec<u8> {
    let files = fs::read_dir(directory).expect("it is there");
    files.flat_map(|file| fs::read(file.expect("a file").path()).expect("it is readable")).collect()
}

#[test]
fn nothing_is_in_plain_in_log_or_snapshot() {
    let directory = TemporaryDirectory::new("encrypted");
    let secret = b"the treasure lies under the oak";
    let open = || {
        let seams = (Arc::new(SystemFiles) as Arc<_>, Arc::new(SystemClock::new()) as Arc<_>);
        let options = (&MemoryOptions::default(), LogOptions::default());
        MemoryEngine::open(options.0, seams, directory.path(), options.1).expect("it opens").0
    };
    let write = |engine: Arc<dyn Engine>| {
        let store = Subject { engine, clock: ManualClock::new() };
        store.put(key(b"k"), secret);
        store.one(patch(key(b"k"), 40, secret));
        store.apply(&[patch(key(b"j"), 0, secret), patch(key(b"i"), 3, secret)]);
        let edited = |_: Option<EntryRef<'_>>| {
            let value = secret.to_vec().into();
            Ok(tresor::engine::Edited::Put { value, kind: Kind::Json, expires: Expires::Never })
        };
        store.update(key(b"h"), edited).expect("an update works");
        store.engine.save().wait().expect("a snapshot");
        store.put(key(b"g"), secret);
    };
    let found = |bytes: &[u8]| bytes.windows(10).any(|window| secret.windows(10).any(|part| part == window));
    {
        let engine = open();
        write(Encrypted::new(engine.clone(), &keys(&[OLD]), Cipher::default()).expect("it is empty"));
        engine.close().wait().expect("it closes");
    }
    let bytes = on_disk(directory.path());
    assert!(bytes.len() > 1000 && !found(&bytes));
    {
        let engine = open();
        let keys = keys(&[OLD]);
        let store = Encrypted::new(engine.clone(), &keys, Cipher::default()).expect("the key is right");
        let store = Subject { engine: store, clock: ManualClock::new() };
        assert_eq!(store.value(key(b"g")).as_deref(), Some(&secret[..]));
        assert_eq!(store.keys(0).len(), 5);
        // The search would find it.
        write(engine.clone());
        engine.close().wait().expect("it closes");
    }
    assert!(found(&on_disk(directory.path())));
}

#[test]
fn keys_rotate_under_writers_and_nothing_is_lost() {
    for later in [false, true] {
        let below = below();
        let mut inner = below.engine.clone();
        if later {
            inner = Arc::new(LaterEngine::new(inner));
        }
        let encrypted = Encrypted::new(inner, &keys(&[OLD]), Cipher::default()).expect("it is empty");
        let store = Subject { engine: encrypted.clone(), clock: below.clock.clone() };
        for number in 0..600_u16 {
            store.put(KeyRef::new((number % 3) as u8, &number.to_be_bytes()), &number.to_be_bytes());
        }
        let done = AtomicBool::new(false);
        let counted: u32 = thread::scope(|scope| {
            let writers: Vec<_> = (0..3_u8)
                .map(|thread| {
                    let (store, done) = (&store, &done);
                    scope.spawn(move || {
                        let mut count = 0_u32;
                        while !done.load(Ordering::Relaxed) || count < 50 {
                            let name = [b'c', count as u8 % 5];
                            let edit = |entry: Option<EntryRef<'_>>| {
                                let before = entry.map_or(0, |entry| {
                                    u32::from_le_bytes(entry.value.bytes().try_into().expect("a counter"))
                                });
                                let value = (before + 1).to_le_bytes().to_vec().into();
                                Ok(tresor::engine::Edited::Put {
                                    value,
                                    kind: Kind::Raw,
                                    expires: Expires::Keep,
                                })
                            };
                            store.update(key(&name), edit).expect("an update works");
                            store.put(KeyRef::new(4, &[thread, count as u8]), b"v");
                            count += 1;
                        }
                        count
                    })
                })
                .collect();
            encrypted.rotate(&keys(&[NEW, OLD])).expect("the old key is there still");
            let walk = encrypted.reencrypt(store.now_ms()).wait().expect("a walk");
            assert!(walk.left == 0 && walk.rewritten >= 600, "{walk:?}");
            done.store(true, Ordering::Relaxed);
            writers.into_iter().map(|writer| writer.join().expect("no panic")).sum()
        });
        let again = encrypted.reencrypt(store.now_ms()).wait().expect("a walk");
        assert_eq!(again.left, 0);
        encrypted.rotate(&keys(&[NEW])).expect("nothing is under the old key");
        let total: u32 = (0..5_u8)
            .map(|number| store.value(key(&[b'c', number])).expect("a counter"))
            .map(|value| u32::from_le_bytes(value.try_into().expect("a counter")))
            .sum();
        assert_eq!(total, counted, "every increment counts");
        for number in 0..600_u16 {
            let name = number.to_be_bytes();
            let value = store.value(KeyRef::new((number % 3) as u8, &name));
            assert_eq!(value.as_deref(), Some(&name[..]));
        }
        assert!(opened(&below, &[NEW]).is_ok(), "the new key alone opens it");
        assert_eq!(encrypted.reencrypt(store.now_ms()).wait().expect("a walk").rewritten, 0);
    }
}

#[test]
fn a_walk_keeps_expiries_and_tells_what_is_left() {
    let below = below();
    let store = above(&below, &[OLD], Cipher::default());
    let at = store.now_ms() + 60_000;
    store.put_until(key(b"k"), b"v", at);
    store.put(key(b"damaged"), b"v");
    let engine = opened(&below, &[NEW, OLD]).expect("both keys are there");
    let mut bad = kept(&below, key(b"damaged")).value.to_vec();
    bad[40] ^= 1;
    slip(&below, key(b"damaged"), &bad);
    let walk = engine.reencrypt(store.now_ms()).wait().expect("a walk");
    assert_eq!((walk.rewritten, walk.left), (1, 1));
    assert!(walk.first_failure.is_some_and(|error| error.message().contains("\"damaged\"")));
    assert_eq!(kept(&below, key(b"damaged")).value, bad, "it is as it was");
    assert_eq!(kept(&below, key(b"k")).expires_at_ms, Some(at));
    assert_eq!(above_with(&engine, &below).value(key(b"k")).as_deref(), Some(&b"v"[..]));

    // Another cipher is taken along too.
    let other = self::below();
    above(&other, &[OLD], Cipher::XChaCha20Poly1305).put(key(b"k"), b"v");
    let engine = Encrypted::new(other.engine.clone(), &keys(&[OLD]), Cipher::Aes256Gcm).expect("it opens");
    assert_eq!(engine.reencrypt(0).wait().expect("a walk").rewritten, 1);
    assert_eq!(kept(&other, key(b"k")).value[0], 17);
}

fn above_with(engine: &Arc<Encrypted>, below: &Subject) -> Subject {
    Subject { engine: engine.clone(), clock: below.clock.clone() }
}

#[test]
fn the_key_in_use_cannot_be_rotated_away() {
    let below = below();
    let engine = opened(&below, &[OLD]).expect("it is empty");
    let id = keys(&[OLD]).ids()[0];
    let error = engine.rotate(&keys(&[NEW])).expect_err("values are under the old key");
    assert!(error.message().contains(&id.to_string()), "{error}");
    let store = above_with(&engine, &below);
    store.put(key(b"k"), b"v");
    assert_eq!(store.value(key(b"k")).as_deref(), Some(&b"v"[..]), "the keys are as they were");
}

#[test]
fn a_rotation_that_has_begun_loses_no_key() {
    let below = below();
    let engine = opened(&below, &[OLD]).expect("it is empty");
    let store = above_with(&engine, &below);
    store.put(key(b"k"), b"v");
    engine.begin_rotation(&keys(&[NEW])).expect_err("values are under the old key");
    engine.begin_rotation(&keys(&[NEW, OLD])).expect("both are there");
    // A file without the old key, while a value is under it.
    engine.begin_rotation(&keys(&[NEW])).expect("the key in use is there");
    let ids = [keys(&[NEW]).ids()[0], keys(&[OLD]).ids()[0]];
    assert_eq!(engine.key_ids(), ids, "the old one stays to read with");
    assert_eq!(store.value(key(b"k")).as_deref(), Some(&b"v"[..]));
    assert_eq!(engine.reencrypt(0).wait().expect("a walk").rewritten, 1);
    engine.rotate(&keys(&[NEW])).expect("nothing is under the old key");
    assert_eq!(engine.key_ids(), ids[..1]);
    assert_eq!(store.value(key(b"k")).as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_walk_can_be_watched_and_stopped() {
    let below = below();
    let store = above(&below, &[OLD], Cipher::default());
    for number in 0..1000_u16 {
        store.put(key(&number.to_be_bytes()), b"v");
    }
    let engine = opened(&below, &[NEW, OLD]).expect("both keys are there");
    let progress = ReencryptionProgress::default();
    // The time is asked for before each page: from the second on there is to be no more.
    let pages = AtomicU64::new(0);
    let now_ms = || {
        if pages.fetch_add(1, Ordering::Relaxed) == 2 {
            progress.stop();
        }
        0
    };
    let walk = engine.reencrypt_watched(&progress, &now_ms).wait().expect("a walk");
    assert!(walk.stopped && (1..1000).contains(&walk.rewritten), "{walk:?}");
    assert_eq!((progress.looked_at(), progress.rewritten()), (walk.rewritten, walk.rewritten));
    let rest = engine.reencrypt(0).wait().expect("a walk");
    assert!(!rest.stopped && rest.rewritten == 1000 - walk.rewritten, "{rest:?}");
}

#[test]
fn keys_are_read_from_text() {
    let base64 = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let text = format!("# the current one\n\n  {NEW}  \n{}\n", OLD.to_uppercase());
    let read = EncryptionKeys::parse(&text).expect("two keys");
    assert_eq!(read.ids().len(), 2);
    assert_eq!(read.ids()[1], keys(&[base64]).ids()[0]);
    assert_eq!(read.ids()[1], keys(&[base64.trim_end_matches('=')]).ids()[0]);
    assert_eq!(read.ids()[1].to_string().len(), 16);
    for (wrong, said) in [
        ("", "there is no encryption key"),
        ("# nothing\n", "there is no encryption key"),
        (&OLD[1..], "line 1 of"),
        (&format!("{NEW}\n{}g", &OLD[1..]), "line 2 of"),
        (&format!("{NEW}\n{base64}\n{OLD}"), "line 3 of the encryption keys repeats"),
        (&format!("{OLD}00"), "line 1 of"),
        ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", "line 1 of"),
    ] {
        let error = EncryptionKeys::parse(wrong).expect_err("that is wrong");
        assert!(error.message().contains(said), "{error}");
        assert!(!error.to_string().contains(&OLD[..8]), "no message has key material: {error}");
    }
    let shown = format!("{read:?} {:?}", read.ids());
    assert!(!shown.to_lowercase().contains(&OLD[..8]) && !shown.contains(&NEW[..8]), "{shown}");
}

#[test]
fn a_key_file_is_its_owners_alone() {
    let directory = TemporaryDirectory::new("keys");
    let path = directory.join("keys");
    fs::write(&path, format!("{NEW}\n{OLD}\n")).expect("it is written");
    for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o777, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the mode is set");
        let error = EncryptionKeys::from_file(&path).expect_err("others can reach it");
        assert!(error.message().contains("chmod 600"), "{mode:o}: {error}");
    }
    for mode in [0o600, 0o400, 0o700] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the mode is set");
        assert_eq!(EncryptionKeys::from_file(&path).expect("it is private").ids().len(), 2);
    }
    let missing = EncryptionKeys::from_file(&directory.join("nothing")).expect_err("it is not there");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let missing = EncryptionKeys::from_variable("TRESOR_NO_SUCH_VARIABLE").expect_err("it is not set");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[test]
fn the_same_value_never_looks_the_same() {
    let below = below();
    let store = above(&below, &[OLD], Cipher::default());
    store.put(key(b"k"), b"value");
    let first = kept(&below, key(b"k")).value;
    store.put(key(b"k"), b"value");
    assert_ne!(first[10..34], kept(&below, key(b"k")).value[10..34]);
    assert_ne!(first[34..], kept(&below, key(b"k")).value[34..]);
}
