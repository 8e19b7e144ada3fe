//! What happened is called by its name: set, delete, expire, evict, clear, swap.

use std::{sync::Arc, time::Duration};

use tresor::{
    ChangeKind::{self, Clear, Delete, Evict, Expire, Set, Swap},
    Database, PutOptions,
    engine::memory::{Eviction, MemoryLimit},
};
use tresor_testkit::deadline::wait_until;

use crate::stores::{ALL, Kept, Place, after, plain, read_all, reader};

fn kinds(store: &Database, since: u64) -> Vec<(ChangeKind, String)> {
    let (told, gaps) = read_all(&mut reader(store, since));
    assert_eq!(gaps, []);
    told.iter().map(plain).map(|(_, kind, key)| (kind, key)).collect()
}

/// Begins to keep changes where nobody did; where that is.
fn begin(store: &Database) -> u64 {
    store.change_feed(&Default::default()).unwrap().next_page(Duration::ZERO).unwrap().position.sequence
}

#[test]
fn an_entry_goes_for_the_reason_that_is_told() {
    for kept in ALL {
        let place = Place::new(kept);
        let store = place.open();
        let since = begin(&store);
        store.put("stays", 1).unwrap();
        store.put("goes", 1).unwrap();
        store.put_with("short", 1, PutOptions::new().expires_in(Duration::from_secs(5))).unwrap();
        store.expire("stays", Duration::from_secs(3600)).unwrap();
        assert!(store.delete("goes").unwrap());
        place.clock.advance(Duration::from_secs(6));
        let wanted = [
            (Set, "stays"),
            (Set, "goes"),
            (Set, "short"),
            (Set, "stays"),
            (Delete, "goes"),
            (Expire, "short"),
        ];
        let wanted = wanted.map(|(kind, key)| (kind, key.to_owned()));
        wait_until("the sweep has removed what expired", || kinds(&store, since).len() == wanted.len());
        assert_eq!(kinds(&store, since), wanted, "{kept:?}");
    }
}

#[test]
fn what_gives_way_for_want_of_memory_is_evicted() {
    for kept in [Kept::Nowhere, Kept::InLog] {
        let mut place = Place::new(kept);
        place.memory.limit = Arc::new(MemoryLimit::new(Some(400_000), Eviction::AllKeysRandom));
        let store = place.open();
        let since = begin(&store);
        for number in 0..100 {
            store.put(format!("k{number}"), "x".repeat(10_000)).unwrap();
        }
        let kinds = kinds(&store, since);
        let evicted = kinds.iter().filter(|(kind, _)| *kind == Evict).count();
        assert_eq!(evicted, 100 - usize::try_from(store.len().unwrap()).unwrap(), "{kept:?}");
        assert!(evicted > 20, "{kept:?}: {evicted}");
        assert_eq!(kinds.iter().filter(|(kind, _)| *kind == Set).count(), 100);
    }
}

#[test]
fn databases_are_cleared_and_swapped() {
    for kept in ALL {
        let place = Place::new(kept);
        let mut store = place.open();
        let since = begin(&store);
        let three = store.database(3).unwrap();
        store.put("of 0", 1).unwrap();
        three.put("of 3", 1).unwrap();
        swap(&store, 0, 3);
        store.put("later of 0", 1).unwrap();
        three.clear().unwrap();
        three.put("later of 3", 1).unwrap();
        swap(&store, 3, 5);
        three.put("last of 3", 1).unwrap();
        drop(three);
        let wanted = |database: u8| -> Vec<(ChangeKind, String)> {
            let wanted: &[(ChangeKind, &str)] = match database {
                0 => &[(Set, "of 0"), (Swap, ""), (Set, "later of 0")],
                3 => &[
                    (Set, "of 3"),
                    (Swap, ""),
                    (Clear, ""),
                    (Set, "later of 3"),
                    (Swap, ""),
                    (Set, "last of 3"),
                ],
                5 => &[(Swap, "")],
                _ => &[],
            };
            wanted.iter().map(|(kind, key)| (*kind, (*key).to_owned())).collect()
        };
        let check = |store: &Database| {
            for database in 0..16 {
                let told = kinds(&store.database(database).unwrap(), since);
                assert_eq!(told, wanted(database), "{kept:?}, database {database}");
            }
            let (told, _) = read_all(&mut store.database(3).unwrap().change_feed(&after(since)).unwrap());
            let with: Vec<_> = told.iter().filter_map(|change| change.with).collect();
            assert_eq!(with, [0, 5]);
        };
        check(&store);
        if kept != Kept::Nowhere {
            for _ in 0..2 {
                store.close().unwrap();
                store = place.open();
                check(&store);
            }
        }
    }
}

fn swap(store: &Database, first: u8, second: u8) {
    use tresor::engine::{Batch, Change};
    let written = store.engine().write(Batch::of(&[Change::Swap { first, second }]), 0).wait().unwrap();
    store.engine().durable(written.sequence).wait().unwrap();
}

#[test]
fn an_engine_without_a_feed_says_so_and_names_those_that_have_one() {
    let directory = tresor_testkit::TemporaryDirectory::new("no-feed");
    let sharded = tresor::Config::sharded([tresor::config::ShardOf::new("a", tresor::Config::memory())]);
    for config in [tresor::Config::json_file(directory.join("store.json")), sharded] {
        let store = Database::open(config).unwrap();
        let error = store.change_feed(&Default::default()).err().unwrap();
        assert_eq!(error.kind(), tresor::ErrorKind::Unsupported);
        assert!(error.to_string().contains("--engine memory and --engine disk"), "{error}");
    }
}
