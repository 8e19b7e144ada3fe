//! Going through many entries: order, bounds, pages, and typed maps.

use std::{collections::BTreeMap, thread};

use tresor::{Config, Database, ErrorKind, Key, Map, Result, Value};

fn store() -> Database {
    Database::open(Config::memory()).expect("a store in memory")
}

fn keys(entries: impl Iterator<Item = Result<(Key, Value)>>) -> Vec<String> {
    entries.map(|entry| entry.expect("a page").0.to_string()).collect()
}

#[test]
fn everything_comes_in_key_order_over_many_pages() -> Result<()> {
    let store = store();
    let model: BTreeMap<String, i32> = (0..2_000).map(|n| (format!("{:x}", n * 7919 % 10_007), n)).collect();
    for (key, n) in &model {
        store.put(key, *n)?;
    }
    let seen: Vec<(String, i64)> = store
        .entries()
        .map(|entry| entry.map(|(key, value)| (key.to_string(), value.as_i64().unwrap_or(-1))))
        .collect::<Result<_>>()?;
    assert!(seen.iter().map(|(key, n)| (key, *n)).eq(model.iter().map(|(key, n)| (key, i64::from(*n)))));
    let named: Vec<Key> = store.keys().collect::<Result<_>>()?;
    assert!(named.iter().map(Key::as_str).eq(model.keys().map(|key| Some(key.as_str()))));
    let backwards = keys(store.entries().descending());
    assert!(backwards.iter().eq(model.keys().rev()));
    assert_eq!(store.len()?, 2_000);
    Ok(())
}

#[test]
fn bounds_are_kept_and_impossible_ones_give_nothing() -> Result<()> {
    let store = store();
    for key in ["a", "b", "ba", "c", "d"] {
        store.put(key, 1)?;
    }
    assert_eq!(keys(store.range("b".."c")), ["b", "ba"]);
    assert_eq!(keys(store.range("b"..="c")), ["b", "ba", "c"]);
    assert_eq!(keys(store.range("c"..)), ["c", "d"]);
    assert_eq!(keys(store.range(..b"b".to_vec())), ["a"]);
    assert_eq!(keys(store.range("b".."c").descending()), ["ba", "b"]);
    assert_eq!(keys(store.range("c".."b")), [""; 0]);
    assert_eq!(keys(store.range("b".."b")), [""; 0]);
    assert_eq!(keys(store.range("b"..="b").descending()), ["b"]);
    Ok(())
}

#[test]
fn a_prefix_ends_where_the_next_one_begins() -> Result<()> {
    let store = store();
    for key in [&b"a"[..], b"a\xff", b"a\xff\xff", b"b", b"\xff", b"\xff\xff"] {
        store.put(key, 1)?;
    }
    assert_eq!(store.with_prefix("a").count(), 3);
    assert_eq!(store.with_prefix(b"a\xff").count(), 2);
    assert_eq!(store.with_prefix(b"\xff").count(), 2);
    assert_eq!(store.with_prefix("").count(), 6);
    Ok(())
}

#[test]
fn what_is_written_while_iterating_harms_nothing() -> Result<()> {
    let store = store();
    for n in 0..1_000 {
        store.put(format!("{n:04}"), n)?;
    }
    let mut seen = 0;
    for entry in store.entries() {
        let (key, _) = entry?;
        assert!(store.delete(&key)?, "{key}");
        seen += 1;
    }
    assert_eq!((seen, store.len()?), (1_000, 0));
    Ok(())
}

#[test]
fn a_map_keeps_to_its_own_keys() -> Result<()> {
    let store = store();
    let counters: Map<String, u64> = store.map("counters")?;
    store.put("counter", "not in the map")?;
    store.put("counters;", "neither")?;
    assert!(counters.is_empty()?);
    counters.insert("alice", &3)?;
    counters.insert(&"bob".to_owned(), &5)?;
    assert_eq!(store.read("counters:alice")?, "3");
    assert_eq!(counters.get("alice")?, Some(3));
    assert_eq!(counters.get("carol")?, None);
    assert!(counters.contains("bob")?);
    assert_eq!(counters.len()?, 2);
    let all: Vec<(String, u64)> = counters.iter().collect::<Result<_>>()?;
    assert_eq!(all, [("alice".to_owned(), 3), ("bob".to_owned(), 5)]);
    assert_eq!(counters.update("bob", |n| n.map(|n| n + 1))?, Some(6));
    assert_eq!(counters.update("bob", |_| None)?, None);
    assert!(!counters.remove("bob")?);
    assert!(counters.remove("alice")?);
    assert!(counters.is_empty()?);
    assert_eq!(store.len()?, 2);
    Ok(())
}

#[test]
fn a_map_reads_what_other_front_doors_wrote_and_refuses_what_is_no_value() -> Result<()> {
    let store = store();
    let counters: Map<u32, u64> = store.map("c")?;
    store.put("c:7", "12")?; // Raw, as INCR leaves it.
    assert_eq!(counters.get(&7)?, Some(12));
    store.put("c:8", "twelve")?;
    assert_eq!(counters.get(&8).expect_err("no number").kind(), ErrorKind::Invalid);
    assert_eq!(counters.update(&8, |_| Some(1)).expect_err("no number").kind(), ErrorKind::Invalid);
    assert_eq!(store.read("c:8")?, "twelve");
    store.delete("c:8")?;
    store.put("c:x", 1)?;
    let read: Vec<_> = counters.iter().map(|entry| entry.map_err(|error| error.kind())).collect();
    assert_eq!(read, [Ok((7, 12)), Err(ErrorKind::Invalid)]);
    for name in ["", "a:b"] {
        assert_eq!(store.map::<u32, u64>(name).expect_err("no name").kind(), ErrorKind::Invalid);
    }
    let names: Map<u8, String> = store.map("names")?;
    names.insert(&1, &"5".to_owned())?;
    assert_eq!((names.get(&1)?, store.read("names:1")?.to_string()), (Some("5".into()), "\"5\"".into()));
    Ok(())
}

#[test]
fn threads_lose_no_update() -> Result<()> {
    let store = store();
    let counters: Map<String, u64> = store.map("hits")?;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    store.add("sum", 2).expect("an integer");
                    counters.update("sum", |n| Some(n.unwrap_or(0) + 3)).expect("a number");
                }
            });
        }
    });
    assert_eq!(store.read("sum")?.as_i64(), Some(4_000));
    assert_eq!(counters.get("sum")?, Some(6_000));
    Ok(())
}
