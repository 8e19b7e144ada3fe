//! Shards seen from outside: what one that fails takes with it, batches that cannot be done everywhere,
//! shards that come and go, and what is refused.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

use std::{path::Path, sync::Arc};

use tresor::{
    Error, ErrorKind, Result,
    clock::{Clock, SystemClock},
    engine::{
        Applied, Batch, Change, Content, Engine, EntryRef, Expires, Guard, Isolation, KeyRef, Kind, Order,
        Outcome, Page, Position, Scan, ValueRef,
        memory::{MemoryEngine, MemoryOptions},
    },
    files::{Files, SystemFiles},
    layer::sharded::{
        Pace, Shard, Sharded,
        ring::{Placed, Ring, hash_of_key},
    },
    oplog::{Durability, LogOptions},
};
use tresor_testkit::{FailingEngine, Fails, TemporaryDirectory, deadline::wait_until};

const NOW_MS: u64 = 1_700_000_000_000;
const FASTEST: Pace = Pace { keys_per_second: None, bytes_per_second: None };

fn memory() -> Arc<dyn Engine> {
    MemoryEngine::volatile(&MemoryOptions::default()).unwrap()
}

fn seams() -> (Arc<dyn Files>, Arc<dyn Clock>) {
    (Arc::new(SystemFiles), Arc::new(SystemClock::new()))
}

fn logged(path: &Path) -> Arc<dyn Engine> {
    let log = LogOptions { durability: Durability::Always, ..LogOptions::default() };
    MemoryEngine::open(&MemoryOptions::default(), seams(), path, log).unwrap().0
}

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Change<'a> {
    let key = KeyRef::new(0, key);
    Change::Put { key, guard: Guard::None, value, kind: Kind::Raw, expires: Expires::Never }
}

fn write(engine: &dyn Engine, changes: &[Change<'_>]) -> Result<Outcome> {
    engine.write(Batch::of(changes), NOW_MS).wait()
}

fn value(engine: &dyn Engine, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut value = None;
    let mut visit =
        |_: usize, entry: Option<EntryRef<'_>>| value = entry.map(|entry| entry.value.bytes().to_vec());
    engine.read(&[KeyRef::new(0, key)], Isolation::Each, NOW_MS, &mut visit).wait()?;
    Ok(value)
}

/// Keys that belong to `a` and to `b`, as many of each.
fn keys(count: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let placed = |number, name| Placed { number, name, weight: 1 };
    let ring = Ring::new(&[placed(0, "a"), placed(1, "b")]);
    let of = |owner| {
        let keys = (0..).map(|number| format!("key:{number}").into_bytes());
        keys.filter(move |key| ring_owner(&Ring::new(&[placed(0, "a"), placed(1, "b")]), key) == owner)
            .take(count)
            .collect()
    };
    assert_eq!(ring_owner(&ring, b"key:0"), ring_owner(&ring, b"key:0"));
    (of(0), of(1))
}

fn ring_owner(ring: &Ring, key: &[u8]) -> u8 {
    ring.owner(hash_of_key(key))
}

/// Two shards, of which the second fails on demand.
fn one_fails() -> (Arc<Sharded>, Arc<FailingEngine>) {
    let failing = FailingEngine::new(memory());
    let sharded = Sharded::new([Shard::new("a", memory()), Shard::new("b", failing.clone())]).unwrap();
    (sharded, failing)
}

fn assert_names_b(error: &Error, kind: ErrorKind) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains("shard b"), "{error}");
}

#[test]
fn a_shard_that_fails_fails_its_own_keys_only() {
    let (sharded, failing) = one_fails();
    let (on_a, on_b) = keys(3);
    for key in on_a.iter().chain(&on_b) {
        write(&*sharded, &[put(key, b"v")]).unwrap();
    }
    failing.set(Some(Fails::Everything(ErrorKind::Unavailable)));
    for key in &on_a {
        assert_eq!(value(&*sharded, key).unwrap().as_deref(), Some(&b"v"[..]));
        write(&*sharded, &[put(key, b"w")]).unwrap();
    }
    write(&*sharded, &[put(&on_a[0], b"w"), put(&on_a[1], b"w")]).unwrap();
    for key in &on_b {
        assert_names_b(&value(&*sharded, key).unwrap_err(), ErrorKind::Unavailable);
        assert_names_b(&write(&*sharded, &[put(key, b"w")]).unwrap_err(), ErrorKind::Unavailable);
    }
    let pair = [put(&on_a[0], b"half"), put(&on_b[0], b"half")];
    assert_names_b(&write(&*sharded, &pair).unwrap_err(), ErrorKind::Unavailable);
    let scan = Scan::all(0, Order::Any, Content::Keys, 10);
    assert_names_b(&sharded.scan(&scan, NOW_MS).wait().unwrap_err(), ErrorKind::Unavailable);
    assert_names_b(&sharded.count(0).wait().unwrap_err(), ErrorKind::Unavailable);
    assert_names_b(&sharded.status().wait().unwrap_err(), ErrorKind::Unavailable);
    failing.set(Some(Fails::Writes(ErrorKind::OutOfMemory)));
    assert_names_b(&write(&*sharded, &[put(&on_b[0], b"w")]).unwrap_err(), ErrorKind::OutOfMemory);
    let each = [put(&on_a[2], b"x"), put(&on_b[0], b"x"), put(&on_a[1], b"x")];
    let each = sharded.write_each(&each, NOW_MS).wait().unwrap();
    assert_eq!(each.failures.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1]);
    failing.set(None);
    assert_eq!(value(&*sharded, &on_a[0]).unwrap().as_deref(), Some(&b"w"[..]));
    assert_eq!(value(&*sharded, &on_b[0]).unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_batch_that_one_shard_refuses_is_taken_back_everywhere() {
    let (sharded, failing) = one_fails();
    let (on_a, on_b) = keys(2);
    write(&*sharded, &[put(&on_a[0], b"before")]).unwrap();
    failing.set(Some(Fails::Writes(ErrorKind::OutOfMemory)));
    let batch = [put(&on_a[0], b"half"), put(&on_b[0], b"half"), put(&on_a[1], b"half")];
    assert_names_b(&write(&*sharded, &batch).unwrap_err(), ErrorKind::OutOfMemory);
    assert_eq!(value(&*sharded, &on_a[0]).unwrap().as_deref(), Some(&b"before"[..]));
    assert_eq!(value(&*sharded, &on_a[1]).unwrap(), None);
    assert_eq!(value(&*sharded, &on_b[0]).unwrap(), None);
    failing.set(None);
    write(&*sharded, &batch).unwrap();
    assert_eq!(value(&*sharded, &on_b[0]).unwrap().as_deref(), Some(&b"half"[..]));
}

#[test]
fn a_batch_of_which_a_shard_says_nothing_is_finished_there() {
    for fails in [Fails::Writes(ErrorKind::Unavailable), Fails::Answers] {
        let (sharded, failing) = one_fails();
        let (on_a, on_b) = keys(1);
        failing.set(Some(fails));
        let batch = [put(&on_a[0], b"whole"), put(&on_b[0], b"whole")];
        assert_names_b(&write(&*sharded, &batch).unwrap_err(), ErrorKind::UnknownOutcome);
        // Nobody sees the half: what is done is done, and what may not be done cannot be looked at.
        assert_eq!(value(&*sharded, &on_a[0]).unwrap().as_deref(), Some(&b"whole"[..]));
        assert_names_b(&value(&*sharded, &on_b[0]).unwrap_err(), ErrorKind::Unavailable);
        failing.set(None);
        wait_until("the batch is finished", || value(&*sharded, &on_b[0]).is_ok());
        assert_eq!(value(&*sharded, &on_b[0]).unwrap().as_deref(), Some(&b"whole"[..]));
    }
}

#[test]
fn a_flush_that_does_not_reach_a_shard_is_finished_there() {
    let (sharded, failing) = one_fails();
    let (on_a, on_b) = keys(5);
    for key in on_a.iter().chain(&on_b) {
        write(&*sharded, &[put(key, b"v")]).unwrap();
    }
    failing.set(Some(Fails::Writes(ErrorKind::OutOfMemory)));
    let error = write(&*sharded, &[Change::Clear { database: 0 }]).unwrap_err();
    assert_names_b(&error, ErrorKind::UnknownOutcome);
    assert_eq!(value(&*sharded, &on_a[0]).unwrap(), None);
    assert_names_b(&value(&*sharded, &on_b[0]).unwrap_err(), ErrorKind::Unavailable);
    failing.set(None);
    wait_until("the flush is finished", || sharded.count(0).wait().is_ok_and(|count| count.keys == 0));
}

#[test]
fn guards_are_looked_at_on_all_shards_before_anything_is_done() {
    let (sharded, _) = one_fails();
    let (on_a, on_b) = keys(1);
    write(&*sharded, &[put(&on_b[0], b"there")]).unwrap();
    let absent = Change::Check { key: KeyRef::new(0, &on_b[0]), guard: Guard::Absent };
    let outcome = write(&*sharded, &[put(&on_a[0], b"not this"), absent]).unwrap();
    let Applied::Refused { index: 1, version: Some(_) } = outcome.applied else { panic!("{outcome:?}") };
    assert_eq!(value(&*sharded, &on_a[0]).unwrap(), None);
}

fn fill(engine: &dyn Engine, keys: u32) {
    for number in 0..keys {
        let name = format!("key:{number}");
        write(engine, &[put(name.as_bytes(), name.as_bytes())]).unwrap();
    }
}

fn assert_full(engine: &dyn Engine, keys: u32) {
    for number in 0..keys {
        let name = format!("key:{number}").into_bytes();
        assert_eq!(value(engine, &name).unwrap(), Some(name));
    }
    assert_eq!(engine.count(0).wait().unwrap().keys, u64::from(keys));
}

#[test]
fn a_fourth_shard_takes_a_quarter_as_was_tried_out_before() {
    let sharded = Sharded::new(["a", "b", "c"].map(|name| Shard::new(name, memory()))).unwrap();
    sharded.set_pace(FASTEST);
    fill(&*sharded, 10_000);
    let tried = sharded.try_out(&[("d", 1)]).unwrap();
    let (keys, bytes) = tried.iter().fold((0, 0), |sum, moves| (sum.0 + moves.keys, sum.1 + moves.bytes));
    assert!(tried.iter().all(|moves| moves.to == "d" && moves.from != "d"), "{tried:?}");
    assert!((2300..=2700).contains(&keys), "{keys}");
    let fourth = memory();
    sharded.add(Shard::new("d", fourth.clone())).unwrap();
    let progress = sharded.wait();
    assert_eq!((progress.moving, progress.keys, progress.bytes), (false, keys, bytes));
    assert!(progress.expected_keys.abs_diff(keys) < 200, "{progress:?}");
    assert_eq!(fourth.count(0).wait().unwrap().keys, keys);
    assert_full(&*sharded, 10_000);
    assert_eq!(sharded.status().wait().unwrap().keys[0], 10_000, "nothing is left over");
    let listed = sharded.list();
    assert_eq!(listed.iter().map(|shard| &*shard.name).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert!((listed.iter().map(|shard| shard.share).sum::<f64>() - 1.0).abs() < 1e-9);
    assert!(listed.iter().all(|shard| shard.trouble.is_none() && shard.engine == "memory"), "{listed:?}");
}

#[test]
fn a_shard_that_goes_is_emptied_and_then_not_asked_any_more() {
    let first = memory();
    let sharded =
        Sharded::new([Shard::new("a", first.clone()), Shard::new("b", memory()).weighing(3)]).unwrap();
    sharded.set_pace(FASTEST);
    fill(&*sharded, 2000);
    sharded.remove("a").unwrap();
    sharded.wait();
    assert_eq!(first.status().wait().unwrap().keys[0], 0);
    first.close().wait().unwrap();
    assert_full(&*sharded, 2000);
    assert_eq!(sharded.list().len(), 1);
    assert_eq!(sharded.remove("b").unwrap_err().kind(), ErrorKind::Invalid, "it is the last");
    assert_eq!(sharded.remove("a").unwrap_err().kind(), ErrorKind::NotFound, "it is gone");
}

#[test]
fn moved_entries_keep_version_kind_and_expiry_and_later_versions_are_higher() {
    let sharded = Sharded::new([Shard::new("a", memory())]).unwrap();
    sharded.set_pace(FASTEST);
    let mut page = Page::new(3);
    let names: Vec<String> = (0..300).map(|number| format!("key:{number}")).collect();
    for (name, version) in names.iter().zip(1000..) {
        let entry = EntryRef {
            value: ValueRef::Inline(b"{}"),
            kind: Kind::Json,
            version,
            expires_at_ms: Some(NOW_MS * 2),
        };
        page.push(name.as_bytes(), b"", &entry, Content::Entries);
        page.push(name.as_bytes(), b"member", &entry, Content::Entries);
    }
    sharded.adopt(&page, 0, NOW_MS).wait().unwrap();
    let gone = write(&*sharded, &[put(b"gone", b"v")]).unwrap().effect().unwrap().version;
    write(&*sharded, &[Change::Delete { key: KeyRef::new(0, b"gone"), guard: Guard::None }]).unwrap();
    let second = memory();
    sharded.add(Shard::new("b", second.clone())).unwrap();
    sharded.wait();
    sharded.remove("a").unwrap();
    sharded.wait();
    let scan = Scan::all(3, Order::Ascending, Content::Entries, 10_000);
    let moved = second.scan(&scan, NOW_MS).wait().unwrap();
    assert_eq!(moved.len(), 600);
    let versions = |page: &Page| {
        let mut versions: Vec<_> =
            page.iter().map(|(key, entry)| (key.key.to_vec(), key.member.to_vec(), entry.version)).collect();
        versions.sort();
        versions
    };
    assert_eq!(versions(&moved), versions(&page));
    assert!(
        moved.iter().all(|(_, entry)| entry.kind == Kind::Json && entry.expires_at_ms == Some(NOW_MS * 2))
    );
    let back = write(&*sharded, &[put(b"gone", b"v")]).unwrap().effect().unwrap().version;
    assert!(back > gone, "{back} after {gone}");
}

#[test]
fn one_change_of_the_ring_at_a_time() {
    let sharded = Sharded::new([Shard::new("a", memory())]).unwrap();
    sharded.set_pace(Pace { keys_per_second: Some(1), bytes_per_second: None });
    fill(&*sharded, 1000);
    sharded.add(Shard::new("b", memory())).unwrap();
    assert!(sharded.progress().moving);
    assert_eq!(sharded.add(Shard::new("c", memory())).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(sharded.rebalance(&[("a", 2)]).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_full(&*sharded, 1000);
    sharded.set_pace(FASTEST);
    sharded.wait();
    assert_full(&*sharded, 1000);
    assert_eq!(sharded.add(Shard::new("b", memory())).unwrap_err().kind(), ErrorKind::Exists);
    assert_eq!(sharded.list().len(), 2);
}

/// Begins to move keys to `b` and stops after the first step, with so many keys still to come.
fn move_one_step(sharded: &Sharded) {
    // The next step is due after as many seconds as this one moves keys.
    sharded.set_pace(Pace { keys_per_second: Some(1), bytes_per_second: None });
    sharded.rebalance(&[("b", 3)]).unwrap();
    wait_until("the first step", || sharded.progress().keys > 0);
}

#[test]
fn a_move_that_cannot_get_on_says_why_and_gets_on_later() {
    let (sharded, failing) = one_fails();
    fill(&*sharded, 3000);
    failing.set(Some(Fails::Writes(ErrorKind::DiskFull)));
    assert_names_b(&sharded.rebalance(&[("b", 3)]).unwrap_err(), ErrorKind::DiskFull);
    failing.set(None);
    move_one_step(&sharded);
    failing.set(Some(Fails::Writes(ErrorKind::DiskFull)));
    sharded.set_pace(FASTEST);
    wait_until("it says so", || {
        sharded.progress().trouble.is_some_and(|trouble| trouble.contains("shard b"))
    });
    let (on_a, _) = keys(1);
    assert_eq!(value(&*sharded, &on_a[0]).unwrap(), Some(on_a[0].clone()));
    assert_eq!(sharded.count(0).wait().unwrap().keys, 3000);
    failing.set(None);
    assert_eq!(sharded.wait().trouble, None);
    assert_full(&*sharded, 3000);
}

#[test]
fn what_is_deleted_while_copies_lie_elsewhere_does_not_come_back() {
    let (sharded, failing) = one_fails();
    fill(&*sharded, 3000);
    move_one_step(&sharded);
    // Copies are made, but not known to be durable: the step is not done, and they stay.
    failing.set(Some(Fails::Durability(ErrorKind::Unavailable)));
    sharded.set_pace(FASTEST);
    wait_until("it says so", || sharded.progress().trouble.is_some());
    let mut deleted = Vec::new();
    for number in 0..3000 {
        let name = format!("key:{number}").into_bytes();
        let key = KeyRef::new(0, &name);
        // Those that are on the shard that fails stay for now.
        if write(&*sharded, &[Change::Delete { key, guard: Guard::None }]).is_ok() {
            deleted.push(name);
        }
    }
    assert!(deleted.len() > 500, "{}", deleted.len());
    failing.set(None);
    sharded.wait();
    for name in &deleted {
        assert_eq!(value(&*sharded, name).unwrap(), None, "{}", String::from_utf8_lossy(name));
    }
}

#[test]
fn a_restart_keeps_keys_weights_swaps_and_the_store_id() {
    let directory = TemporaryDirectory::new("sharded");
    let open = |names: &[&str]| {
        let shards = names.iter().map(|name| Shard::new(*name, logged(&directory.join(name))));
        Sharded::open(Some(&directory.join("shards")), seams(), shards.collect())
    };
    let sharded = open(&["a", "b"]).unwrap();
    sharded.set_pace(FASTEST);
    fill(&*sharded, 300);
    sharded.rebalance(&[("a", 5)]).unwrap();
    sharded.wait();
    write(&*sharded, &[Change::Swap { first: 0, second: 4 }]).unwrap();
    let store_id = sharded.status().wait().unwrap().store_id;
    sharded.close().wait().unwrap();
    drop(sharded);

    let error = open(&["a"]).err().unwrap();
    assert!(error.message().contains("shard b"), "{error}");
    let sharded = open(&["new", "b", "a"]).unwrap();
    assert_eq!(sharded.status().wait().unwrap().store_id, store_id);
    let weights: Vec<_> = sharded.list().into_iter().map(|shard| (shard.name, shard.weight)).collect();
    assert_eq!(weights, [("a".to_owned(), 5), ("b".to_owned(), 1), ("new".to_owned(), 0)]);
    assert_eq!((sharded.count(0).wait().unwrap().keys, sharded.count(4).wait().unwrap().keys), (0, 300));
    write(&*sharded, &[Change::Swap { first: 4, second: 0 }]).unwrap();
    assert_full(&*sharded, 300);
    sharded.set_pace(FASTEST);
    sharded.rebalance(&[("new", 2)]).unwrap();
    sharded.wait();
    assert_full(&*sharded, 300);
}

#[test]
fn what_cannot_be_a_shard_is_refused() {
    let refused = |shards: Vec<Shard>| Sharded::new(shards).err().unwrap();
    assert_eq!(refused(Vec::new()).kind(), ErrorKind::Invalid);
    assert_eq!(refused(vec![Shard::new("", memory())]).kind(), ErrorKind::Invalid);
    assert_eq!(refused(vec![Shard::new("a", memory()).weighing(0)]).kind(), ErrorKind::Invalid);
    assert_eq!(refused(vec![Shard::new("a", memory()).weighing(65)]).kind(), ErrorKind::Invalid);
    let twice = refused(vec![Shard::new("a", memory()), Shard::new("a", memory())]);
    assert!(twice.message().contains("two shards are called a"), "{twice}");
    let directory = TemporaryDirectory::new("sharded");
    let lasting = refused(vec![Shard::new("a", logged(&directory.join("a")))]);
    assert!(lasting.message().contains("directory"), "{lasting}");
    let open = || Sharded::open(Some(&directory.join("layer")), seams(), vec![Shard::new("a", memory())]);
    let _first = open().unwrap();
    assert_eq!(open().err().unwrap().kind(), ErrorKind::Unavailable, "it is open already");
}

#[test]
fn random_places_are_on_all_shards() {
    let sharded = Sharded::new(["a", "b", "c"].map(|name| Shard::new(name, memory()))).unwrap();
    fill(&*sharded, 300);
    let mut seen = std::collections::BTreeSet::new();
    let mut state = 1_u64;
    for _ in 0..6000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let scan = Scan { position: Position::Anywhere(state), ..Scan::all(0, Order::Any, Content::Keys, 1) };
        let page = sharded.scan(&scan, NOW_MS).wait().unwrap();
        seen.extend(page.iter().map(|(key, _)| key.key.to_vec()));
    }
    assert!(seen.len() > 270, "only {} of 300 keys were ever picked", seen.len());
}
