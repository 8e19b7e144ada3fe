//! Compression as its users see it: values that shrink, methods that change, and damage that is an error.

use proptest::prelude::*;
use tresor::{
    ErrorKind,
    engine::{
        Change, Content, Engine, EntryRef, Expires, Guard, Kind, Order, PAGE_BYTES, Scan, block_on,
        memory::{MemoryEngine, MemoryOptions},
    },
    layer::{
        Cipher, Codec, Coding, Compressed, Compression, CompressionOptions, Encrypted, EncryptionKeys,
        Method, estimate,
    },
};
use tresor_testkit::{
    ManualClock, OwnedEntry,
    conformance::{Subject, check, delete, expire, guarded, key, patch, put, put_as},
};

/// A store below, to look at what is kept.
fn below() -> Subject {
    let clock = ManualClock::new();
    let engine = MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).expect("it opens");
    Subject { engine, clock }
}

fn above(below: &Subject, options: CompressionOptions) -> Subject {
    let engine = Compressed::new(below.engine.clone(), options).expect("the options are right");
    Subject { engine, clock: below.clock.clone() }
}

fn with(method: Method) -> CompressionOptions {
    CompressionOptions::with(method)
}

fn text(bytes: usize) -> Vec<u8> {
    b"{\"name\":\"Alice\",\"city\":\"Paris\"}".iter().copied().cycle().take(bytes).collect()
}

/// What the store keeps of a value.
fn kept(below: &Subject, name: &[u8]) -> OwnedEntry {
    below.entry(key(name)).expect("it is kept")
}

fn read_error(subject: &Subject, name: &[u8]) -> tresor::Error {
    let mut shown = false;
    let mut visit = |_: usize, _: Option<EntryRef<'_>>| shown = true;
    let keys = [key(name)];
    let result =
        subject.engine.read(&keys, tresor::engine::Isolation::Each, subject.now_ms(), &mut visit).wait();
    let error = result.expect_err("that cannot be read");
    assert!(!shown, "nothing is shown of a value that cannot be read");
    error
}

#[test]
fn values_shrink_from_the_threshold_on_and_only_if_they_can() {
    for method in Method::ALL {
        let below = below();
        let store = above(&below, with(*method));
        store.put(key(b"large"), &text(1000));
        store.put(key(b"small"), &text(255));
        let noise = tresor_testkit::random::Random::new(1).bytes(1000);
        store.put(key(b"noise"), &noise);
        assert_eq!(kept(&below, b"large").kind, Kind::Packed);
        assert!(kept(&below, b"large").value.len() < 200, "{method}");
        for (name, value) in [(&b"small"[..], text(255)), (b"noise", noise)] {
            assert_eq!((kept(&below, name).kind, &kept(&below, name).value[..]), (Kind::Raw, &value[..]));
        }
        assert_eq!(store.value(key(b"large")), Some(text(1000)));
    }
}

#[test]
fn values_outlive_a_change_of_method() {
    let below = below();
    let methods = [Method::None, Method::Zlib, Method::Lz4, Method::Zstd];
    for method in methods {
        let expires = Expires::At(below.now_ms() + 60_000);
        let store = above(&below, with(method));
        store.one(put_as(key(method.name().as_bytes()), &text(2000), Kind::Json, expires));
    }
    for method in methods {
        let store = above(&below, with(method));
        for written in methods {
            let entry = store.entry(key(written.name().as_bytes())).expect("it is readable");
            assert!(entry.value == text(2000) && entry.kind == Kind::Json && entry.expires_at_ms.is_some());
        }
    }
    let before = kept(&below, b"zlib");
    let store = above(&below, with(Method::None));
    store.one(patch(key(b"zlib"), 0, b"["));
    assert_eq!((before.kind, kept(&below, b"zlib").kind), (Kind::Packed, Kind::Raw));
}

#[test]
fn a_value_damaged_anywhere_is_an_error() {
    for method in Method::ALL {
        let below = below();
        let store = above(&below, with(*method));
        store.put(key(b"k"), &text(600));
        let good = kept(&below, b"k").value.to_vec();
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                below.one(put_as(key(b"k"), &bad, Kind::Packed, Expires::Never));
                let error = read_error(&store, b"k");
                assert_eq!(error.kind(), ErrorKind::Invalid);
                assert!(error.message().starts_with("the value of \"k\" in database 0 "), "{error}");
            }
        }
        for length in 0..good.len() {
            below.one(put_as(key(b"k"), &good[..length], Kind::Packed, Expires::Never));
            read_error(&store, b"k");
        }
    }
}

/// A packed value whose checksum is right, whatever it says.
fn forged(tag: u8, length: u32, data: &[u8]) -> Vec<u8> {
    let mut value = vec![tag, 0];
    value.extend_from_slice(&length.to_le_bytes());
    let checksum = crc32fast::hash(&[&value, data].concat());
    value.extend_from_slice(&checksum.to_le_bytes());
    value.extend_from_slice(data);
    value
}

#[test]
fn a_length_that_lies_is_an_error_and_takes_no_memory() {
    let codec = Compression::new(with(Method::Zlib)).expect("there is zlib");
    for tag in 1..=3 {
        for (length, data) in [(u32::MAX, &[0; 100][..]), (1 << 30, &[0; 20_000]), (40_000_000, &[1; 50])] {
            let value = forged(tag, length, data);
            let mut out = Vec::new();
            codec.decode(key(b"k"), (&value, Kind::Packed), &mut out).expect_err("that is a lie");
            assert!(out.capacity() <= data.len() * 32 * 1024, "{} bytes for {length}", out.capacity());
        }
    }
    let below = below();
    let store = above(&below, with(Method::Zstd));
    store.put(key(b"k"), &text(1000));
    let data = kept(&below, b"k").value[10..].to_vec();
    for length in [0, 1, 999, 1001, 5000] {
        below.one(put_as(key(b"k"), &forged(3, length, &data), Kind::Packed, Expires::Never));
        read_error(&store, b"k");
    }
    below.one(put_as(key(b"k"), &forged(3, 1000, &data), Kind::Packed, Expires::Never));
    assert_eq!(store.value(key(b"k")), Some(text(1000)), "the forgery is one only by its length");
}

#[test]
fn the_limit_is_on_the_decoded_size() {
    let below = below();
    let options = CompressionOptions { max_value_bytes: 5000, ..with(Method::Zstd) };
    let store = above(&below, options);
    assert_eq!(store.engine.capabilities().max_value_bytes, 5000);
    store.put(key(b"k"), &text(5000));
    let too_large = text(5001);
    let changes = [put(key(b"k"), &too_large)];
    let error = store.engine.write(tresor::engine::Batch::of(&changes), 0).wait().expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let changes = [patch(key(b"k"), 4999, b"xy"), put(key(b"other"), b"v")];
    let error = store.engine.write(tresor::engine::Batch::of(&changes), 0).wait().expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(store.keys(0), [b"k"]);
    // Guards come first.
    assert!(store.refused(&[guarded(put(key(b"k"), &too_large), Guard::Absent)]).1.is_some());

    above(&below, with(Method::Zstd)).put(key(b"k"), &text(6000));
    assert!(read_error(&store, b"k").message().contains("over the limit of 5000"));
}

proptest! {
    #[test]
    fn garbage_is_an_error(
        tag in 0_u8..40,
        length in prop_oneof![0_u32..2000, any::<u32>()],
        data in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let codec = Compression::new(with(Method::Zlib)).expect("there is zlib");
        for value in [data.clone(), forged(tag, length, &data)] {
            let mut out = Vec::new();
            // A forged checksum over random data that happens to decompress to just this length is fine.
            if let Ok(Coding::Into(kind)) = codec.decode(key(b"k"), (&value, Kind::Packed), &mut out) {
                prop_assert!(kind != Kind::Packed && out.len() == length as usize);
            }
        }
    }

    #[test]
    fn every_value_comes_back(value in prop::collection::vec(0_u8..4, 0..3000), level in 1..=9) {
        for method in Method::ALL {
            let level = method.levels().map(|_| level);
            let options = CompressionOptions { level, threshold_bytes: 0, ..with(*method) };
            let codec = Compression::new(options).expect("the level is there");
            let (mut packed, mut out) = (b"before".to_vec(), b"before".to_vec());
            match codec.encode(key(b"k"), (&value, Kind::Json), &mut packed).expect("it can be encoded") {
                Coding::AsItIs => prop_assert_eq!(&packed[..], b"before"),
                Coding::Into(kind) => {
                    prop_assert!(kind == Kind::Packed && packed.len() - 6 < value.len());
                    let coding = codec.decode(key(b"k"), (&packed[6..], kind), &mut out);
                    prop_assert_eq!(coding.expect("it is what was made"), Coding::Into(Kind::Json));
                    prop_assert_eq!(&out[6..], &value[..]);
                }
            }
        }
    }
}

#[test]
fn layers_in_the_wrong_order_say_so() {
    let keys = EncryptionKeys::parse(&"11".repeat(32)).expect("a key");
    let below = below();
    let engine = Encrypted::new(below.engine.clone(), &keys, Cipher::default()).expect("it is empty");
    let encrypted = Subject { engine, clock: below.clock.clone() };
    encrypted.put(key(b"k"), &text(500));
    let error = read_error(&above(&below, with(Method::Lz4)), b"k");
    assert!(error.message().contains("open the store with its encryption keys"), "{error}");

    let under = above(&self::below(), with(Method::Lz4));
    let engine = Encrypted::new(under.engine.clone(), &keys, Cipher::default()).expect("it is empty");
    let changes = [put(key(b"k"), b"v")];
    let error = engine.write(tresor::engine::Batch::of(&changes), 0).wait().expect_err("wrong order");
    assert!(error.message().contains("compression stands above encryption"), "{error}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for (method, level) in [(Method::Zlib, 10), (Method::Zlib, 0), (Method::Zstd, 23), (Method::Lz4, 1)] {
        let options = CompressionOptions { level: Some(level), ..with(method) };
        assert_eq!(Compression::new(options).err().map(|error| error.kind()), Some(ErrorKind::Invalid));
    }
    assert_eq!("zstd".parse::<Method>().ok(), Some(Method::Zstd));
    assert!("gzip".parse::<Method>().is_err());
}

#[test]
fn pages_stay_bounded_when_decoded() {
    let below = below();
    let store = above(&below, with(Method::Zstd));
    let value = vec![b'z'; 512 * 1024];
    for number in 0..60_u8 {
        store.put(key(&[number]), &value);
    }
    for order in [Order::Any, Order::Ascending, Order::Descending] {
        let mut scan = Scan::all(0, order, Content::Entries, 1000);
        let mut seen = Vec::new();
        loop {
            let page = store.page(&scan);
            assert!(page.bytes() <= PAGE_BYTES + 2 * value.len(), "{order:?}: {} bytes", page.bytes());
            seen.extend(page.iter().map(|(key, entry)| {
                assert!(entry.value.bytes() == value);
                key.key[0]
            }));
            match page.next {
                Some(next) => scan.position = next,
                None => break,
            }
        }
        if order == Order::Descending {
            seen.reverse();
        }
        if order == Order::Any {
            seen.sort_unstable();
        }
        assert!(seen.iter().copied().eq(0..60), "{order:?}: {seen:?}");
    }
    let keys = store.page(&Scan::all(0, Order::Ascending, Content::Keys, 1000));
    assert_eq!(keys.len(), 60, "keys alone are one page");
}

#[test]
fn patches_in_a_batch_see_what_came_before_them() {
    let below = below();
    let store = above(&below, CompressionOptions { threshold_bytes: 0, ..with(Method::Zlib) });
    let (a, b) = (key(b"a"), key(b"b"));
    let other = |name| tresor::engine::KeyRef::new(1, name);
    let at = store.now_ms() + 1000;
    store.put_until(a, &text(300), at);
    store.put(other(b"a"), &[b'o'; 300]);
    let effects = store.apply(&[
        patch(a, 0, b"XX"),
        check(a, Guard::None),
        patch(a, 1, b"Y"),
        Change::Swap { first: 0, second: 1 },
        patch(a, 299, b"!!"),
        delete(other(b"a")),
        patch(other(b"a"), 2, b"new"),
        Change::Clear { database: 0 },
        patch(a, 0, b"cleared"),
        expire(a, Some(1)),
        patch(a, 1, b"after expiry"),
        patch(b, 1, b"b"),
    ]);
    let existed: Vec<bool> = effects.iter().map(|effect| effect.existed).collect();
    let wanted = [true, true, true, false, true, true, false, false, false, true, false, false];
    assert_eq!(existed, wanted);
    assert_eq!(store.value(a).as_deref(), Some(&b"\0after expiry"[..]));
    assert_eq!(store.value(b).as_deref(), Some(&b"\0b"[..]));
    let moved = store.entry(other(b"a")).expect("it was patched into being");
    assert_eq!((&moved.value[..], moved.expires_at_ms), (&b"\0\0new"[..], None));

    // One failed guard, and none of it has happened.
    let before = store.all(0, Order::Ascending, 10);
    let refusal = store.refused(&[patch(a, 0, b"?"), patch(b, 0, b"?"), check(b, Guard::Absent)]);
    assert_eq!(refusal, (2, Some(store.version(b))));
    assert_eq!(store.all(0, Order::Ascending, 10), before);
}

#[test]
fn patches_of_many_threads_in_batches_lose_nothing() {
    let below = below();
    let store = above(&below, with(Method::Zstd));
    store.put(key(b"a"), &text(400));
    store.put(key(b"b"), &text(400));
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let store = &store;
            scope.spawn(move || {
                for round in 0..50 {
                    let offset = (round * 4 + thread) * 2;
                    let mark = [b'0' + thread as u8; 2];
                    store.apply(&[patch(key(b"a"), offset, &mark), patch(key(b"b"), offset, &mark)]);
                }
            });
        }
    });
    let wanted: Vec<u8> = b"00112233".iter().copied().cycle().take(400).collect();
    assert_eq!(store.value(key(b"a")), Some(wanted.clone()));
    assert_eq!(store.value(key(b"b")), Some(wanted));
}

#[test]
fn an_estimate_tells_what_each_method_saves() {
    let below = below();
    for number in 0..3000_u16 {
        let value = text(600 + usize::from(number % 100));
        below.put(key(&number.to_be_bytes()), &value);
    }
    let noise = tresor_testkit::random::Random::new(7);
    below.put(tresor::engine::KeyRef::new(5, b"noise"), &noise.clone().bytes(2000));
    let told = block_on(estimate(&*below.engine, with(Method::None), below.now_ms())).expect("a sample");
    assert_eq!(told.keys, 3001);
    assert!(told.values == 3001 && told.bytes / told.values > 500, "all of a small store: {told:?}");
    assert_eq!(told.methods.len(), Method::ALL.len());
    for method in &told.methods {
        assert!(method.compressed < told.values && method.ratio(&told) < 0.3, "{method:?}");
        assert!(method.write_ns > 0 && method.read_ns > 0, "{method:?}");
    }
    for number in 0..3000_u16 {
        below.put(tresor::engine::KeyRef::new(7, &number.to_be_bytes()), b"short");
    }
    let at_9 = CompressionOptions { level: Some(9), ..with(Method::None) };
    let told = block_on(estimate(&*below.engine, at_9, below.now_ms())).expect("a sample");
    assert!(told.keys == 6001 && (2000..=4300).contains(&told.values), "a sample of a larger one: {told:?}");
    let levels: Vec<_> = told.methods.iter().map(|method| (method.method, method.level)).collect();
    assert_eq!(levels, [(Method::Zlib, Some(9)), (Method::Lz4, None), (Method::Zstd, Some(9))]);
    let no_level = CompressionOptions { level: Some(0), ..with(Method::None) };
    let refused = block_on(estimate(&*below.engine, no_level, 0)).expect_err("no method has it");
    assert!(refused.message().contains("no method has the level 0"), "{refused}");
    let store = above(&below, with(Method::Zstd));
    store.put(key(b"packed"), &text(1000));
    above(&below, with(Method::Zstd));
    block_on(estimate(&*store.engine, with(Method::None), below.now_ms())).expect("seen from above");
    let only_packed = self::below();
    above(&only_packed, with(Method::Zstd)).put(key(b"packed"), &text(1000));
    assert!(block_on(estimate(&*only_packed.engine, with(Method::None), 0)).is_err());
    let empty = block_on(estimate(&*self::below().engine, with(Method::None), 0)).expect("an empty sample");
    assert_eq!((empty.keys, empty.values, empty.methods[0].ratio(&empty)), (0, 0, 1.0));
}
