//! Values: as they were where a change says them, as they are where it does not; decoded by the layers.

use std::time::Duration;

use tresor::{
    Config, Database, FeedOptions, Value,
    engine::{Batch, Change, Guard, KeyRef},
    layer::{Cipher, CompressionOptions, EncryptionKeys, Method},
};
use tresor_testkit::TemporaryDirectory;

use crate::stores::{ALL, Place, after, read_all};

fn patch(store: &Database, key: &str, bytes: &[u8]) {
    let key = KeyRef::new(0, key.as_bytes());
    let change = Change::Patch { key, guard: Guard::None, offset: 0, bytes };
    let written = store.engine().write(Batch::of(&[change]), 0).wait().unwrap();
    store.engine().durable(written.sequence).wait().unwrap();
}

#[test]
fn a_put_tells_its_own_value_and_a_patch_the_present_one_with_its_version() {
    for kept in ALL {
        let place = Place::new(kept);
        let store = place.open();
        let mut feed = store.change_feed(&FeedOptions::new().values()).unwrap();
        let first = store.put("a", "first").unwrap();
        patch(&store, "a", b"F");
        let last = store.put("a", "last").unwrap();
        store.put("gone", "x").unwrap();
        patch(&store, "gone", b"y");
        store.delete("gone").unwrap();
        let (told, _) = read_all(&mut feed);
        let values: Vec<_> = told.iter().map(|change| change.value.clone()).collect();
        assert_eq!(values[0], Some((Value::from("first"), first)), "{kept:?}");
        assert_eq!(values[1], Some((Value::from("last"), last)), "{kept:?}: of a later version");
        assert_eq!(values[2], Some((Value::from("last"), last)));
        assert_eq!((&values[4], &values[5]), (&None, &None), "{kept:?}: it is not there any more");
    }
}

#[test]
fn no_value_is_told_to_who_asks_for_none() {
    for kept in ALL {
        let place = Place::new(kept);
        let store = place.open();
        let mut feed = store.change_feed(&FeedOptions::new()).unwrap();
        store.put("a", "first").unwrap();
        patch(&store, "a", b"F");
        assert!(read_all(&mut feed).0.iter().all(|change| change.value.is_none()), "{kept:?}");
    }
}

#[test]
fn prefixes_are_bytes_and_every_other_key_is_left_out() {
    for kept in ALL {
        let place = Place::new(kept);
        let store = place.open();
        let mut feed = store.change_feed(&FeedOptions::new().prefix([0xff, 0])).unwrap();
        for key in [&[0xff, 0][..], &[0xff, 0, 1], &[0xff, 1], &[0xff], b"", b"a"] {
            store.put(key, 1).unwrap();
        }
        let keys: Vec<_> = read_all(&mut feed).0.into_iter().map(|change| change.key).collect();
        assert_eq!(keys, [vec![0xff, 0], vec![0xff, 0, 1]], "{kept:?}");
    }
}

fn keys() -> EncryptionKeys {
    EncryptionKeys::parse(&"5a".repeat(32)).unwrap()
}

#[test]
fn values_come_back_through_compression_and_encryption_a_bounded_page_at_a_time() {
    let directory = TemporaryDirectory::new("feed-coded");
    for config in
        [Config::memory(), Config::at(directory.join("memory")), Config::disk(directory.join("disk"))]
    {
        let compression = CompressionOptions { method: Method::Zstd, ..CompressionOptions::default() };
        let config = config.compressed(compression).encrypted(keys(), Cipher::default());
        let store = Database::open(config).unwrap();
        let mut feed = store.change_feed(&FeedOptions::new().values()).unwrap();
        // Some hundred bytes each in the log, three megabytes each for the reader.
        for number in 0..10 {
            store.put(format!("k{number}"), format!("{number}").repeat(3_000_000)).unwrap();
        }
        let (mut told, mut pages) = (0, 0);
        while told < 10 {
            let page = feed.next_page(Duration::ZERO).unwrap();
            let bytes: usize = page
                .changes
                .iter()
                .filter_map(|change| change.value.as_ref())
                .map(|(value, _)| value.as_bytes().len())
                .sum();
            assert!(bytes <= 4 * 1024 * 1024, "a page of {bytes} bytes");
            for change in page.changes {
                let value = change.value.unwrap().0;
                assert_eq!(value.as_bytes(), format!("{told}").repeat(3_000_000).as_bytes());
                told += 1;
            }
            pages += 1;
        }
        assert!(pages >= 10, "{pages} pages");
        store.close().unwrap();
    }
}

#[test]
fn many_patches_of_a_large_value_are_a_bounded_page_each() {
    for kept in ALL {
        let place = Place::new(kept);
        let store = place.open();
        let since = store.change_feed(&after(0)).unwrap().next_page(Duration::ZERO).unwrap().position;
        store.put("large", "x".repeat(2_000_000)).unwrap();
        for _ in 0..20 {
            patch(&store, "large", b"y");
        }
        let mut feed = store.change_feed(&after(0).since(since).values()).unwrap();
        let (mut told, mut pages) = (0, 0);
        while told < 21 {
            let page = feed.next_page(Duration::ZERO).unwrap();
            assert!(page.changes.len() <= 2, "{kept:?}: {}", page.changes.len());
            assert!(page.more || told + page.changes.len() == 21, "{kept:?}: it leads on");
            (told, pages) = (told + page.changes.len(), pages + 1);
        }
        assert!(pages < 50, "{kept:?}: {pages} pages");
        assert_eq!(read_all(&mut feed).0.len(), 0);
    }
}
