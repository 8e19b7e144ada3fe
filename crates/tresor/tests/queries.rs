//! Queries beside writers, and over what is not there any more.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tresor::{
    Config, Database, PutOptions, Query,
    engine::memory::{MemoryEngine, MemoryOptions},
};
use tresor_testkit::ManualClock;

/// Entries that stay; as many come and go between them.
const STAYING: u64 = 2_000;

#[test]
fn entries_that_stay_are_found_once_while_others_come_and_go() {
    let store = Database::open(Config::memory()).expect("memory opens");
    for number in 0..STAYING {
        store.put(format!("k{number:05}-stays"), "v").expect("a put");
    }
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..STAYING).cycle().take_while(|_| !is_done.load(Ordering::Relaxed)) {
                let key = format!("k{number:05}-goes");
                store.put(&key, "v").expect("a put");
                store.delete(&key).expect("a delete");
            }
        });
        for order in ["asc", "desc", "any"] {
            for limit in [7, 128, 1000] {
                let mut seen = BTreeMap::<Vec<u8>, usize>::new();
                for found in store.find(&Query::new().glob("k*").order(order).limit(limit)) {
                    *seen.entry(found.expect("a page").key).or_default() += 1;
                }
                let staying = seen.iter().filter(|(key, _)| key.ends_with(b"stays"));
                assert_eq!(staying.clone().count() as u64, STAYING, "{order} {limit}");
                assert!(staying.clone().all(|(_, times)| *times == 1), "{order} {limit}");
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_has_expired_is_neither_found_nor_deleted() {
    let clock = ManualClock::new();
    let engine = MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).expect("memory opens");
    let store = Database::with_clock(engine, Config::memory(), clock.clone()).expect("an open engine");
    store.put("stays", "7").expect("a put");
    store.put_with("goes", "7", PutOptions::new().expires_in(Duration::from_secs(1))).expect("a put");
    let sevens = Query::new().value_from("7").value_to("7.0");
    assert_eq!(store.find(&sevens).count(), 2);
    clock.advance(Duration::from_secs(1));
    let found: Vec<_> = store.find(&sevens).map(|found| found.expect("a page").key).collect();
    assert_eq!(found, [b"stays"]);
    let named = Query::new().key("goes").key("stays");
    assert_eq!(store.delete_found(&named, false).expect("they are deleted").deleted, 1);
}

#[test]
fn what_was_left_out_is_counted_over_all_pages() {
    let store = Database::open(Config::memory()).expect("memory opens");
    for number in 0..300 {
        let value = if number % 3 == 0 { "no number".to_owned() } else { number.to_string() };
        store.put(format!("k{number:03}"), value).expect("a put");
    }
    let mut numbers = store.find(&Query::new().value_from("0").limit(10));
    assert_eq!(numbers.by_ref().count(), 200);
    assert_eq!(numbers.skipped(), 100);
}

/// A page holds some values and never all of them, however they are found: so many large ones would not fit into
/// memory.
#[test]
fn large_values_end_a_page_in_every_order() {
    const VALUE: usize = 300_000;
    const MOST: usize = 2 * 4 * 1024 * 1024 + VALUE;
    let store = Database::open(Config::memory()).expect("memory opens");
    let keys: Vec<Vec<u8>> = (0..60).map(|number| format!("k{number:02}").into_bytes()).collect();
    for key in &keys {
        store.put(key, vec![b'v'; VALUE]).expect("a put");
        store.put([b"another-", &**key].concat(), "v").expect("a put");
    }
    let named = keys.iter().fold(Query::new(), |query, key| query.key(key));
    for query in [Query::new().glob("k*"), Query::new().prefix("k"), named] {
        for order in ["asc", "desc", "any"] {
            let query = query.clone().order(order).limit(100).values();
            let (mut found, mut cursor) = (Vec::new(), None::<String>);
            loop {
                let page = store.find_page(&query, cursor.as_deref()).expect("a page");
                let values = page.entries.iter().filter_map(|entry| entry.value.as_ref());
                let bytes: usize = values.map(|(value, _)| value.len()).sum();
                assert!(bytes <= MOST, "{order}: {bytes} bytes in a page");
                found.extend(page.entries.into_iter().map(|entry| entry.key));
                cursor = page.cursor;
                if cursor.is_none() {
                    break;
                }
            }
            found.sort();
            assert_eq!(found, keys, "{order}");
        }
    }
}
