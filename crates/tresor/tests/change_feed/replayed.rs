//! A random script beside its feed: the entries that the feed leads to are the store's, databases swapped or not.

use std::{collections::BTreeMap, time::Duration};

use tresor::{
    ChangeKind, Database, FeedChange, PutOptions, Value,
    engine::{Batch, Change, Guard, KeyRef},
};
use tresor_testkit::random::{Random, seed};

use crate::stores::{ALL, Kept, Place, after, read_all};

const DATABASES: u8 = 3;

type Entries = BTreeMap<Vec<u8>, Value>;

/// One random call.
fn act(store: &Database, random: &mut Random) {
    let number = random.below(u64::from(DATABASES)) as u8;
    let database = store.database(number).unwrap();
    let key = [b'k', 0xff, random.below(12) as u8];
    let write = |change: Change<'_>| {
        let written = store.engine().write(Batch::of(&[change]), 0).wait().unwrap();
        store.engine().durable(written.sequence).wait().unwrap();
    };
    match random.below(60) {
        0 => database.clear().unwrap(),
        1 | 2 => write(Change::Swap { first: number, second: (number + 1) % DATABASES }),
        3..13 => drop(database.delete(key).unwrap()),
        13..20 => {
            let bytes = random.bytes(5);
            let (offset, key) = (random.index(8), KeyRef::new(number, &key));
            write(Change::Patch { key, guard: Guard::None, offset, bytes: &bytes });
        }
        20..26 => drop(database.expire(key, Duration::from_secs(3600)).unwrap()),
        26..30 => {
            let mut batch = tresor::Changes::new();
            batch.put(key, "first").delete([key[2]]).put([key[2]], 7).put(key, "second");
            database.apply(&batch).unwrap();
        }
        30..33 => {
            let options = PutOptions::new().expires_in(Duration::from_secs(3600));
            let _ = database.put_with(key, random.number().to_string(), options).unwrap();
        }
        _ => drop(database.put(key, Value::raw(random.bytes(30))).unwrap()),
    }
}

/// What the feed of every database says, in the order of numbers.
fn told(store: &Database, since: u64) -> Vec<(u8, FeedChange)> {
    let mut all = Vec::new();
    for number in 0..DATABASES {
        let options = after(since).values().limit(7);
        let mut feed = store.database(number).unwrap().change_feed(&options).unwrap();
        let (told, gaps) = read_all(&mut feed);
        assert_eq!(gaps, []);
        all.extend(told.into_iter().map(|change| (number, change)));
    }
    all.sort_by_key(|(number, change)| (change.sequence, *number));
    all
}

fn follow(entries: &mut [Entries], number: u8, change: FeedChange) {
    let database = &mut entries[usize::from(number)];
    match change.kind {
        // Without a value the entry is gone again, which comes later.
        ChangeKind::Set => drop(change.value.map(|(value, _)| database.insert(change.key, value))),
        ChangeKind::Delete | ChangeKind::Expire | ChangeKind::Evict => drop(database.remove(&change.key)),
        ChangeKind::Clear => database.clear(),
        // Both databases tell of it.
        ChangeKind::Swap => {
            let with = change.with.unwrap();
            if number < with {
                entries.swap(usize::from(number), usize::from(with));
            }
        }
    }
}

fn stored(store: &Database, number: u8) -> Entries {
    let entries = store.database(number).unwrap().entries();
    entries.map(|entry| entry.map(|(key, value)| (key.as_bytes().to_vec(), value)).unwrap()).collect()
}

#[test]
fn whoever_follows_the_feed_has_the_entries_of_the_store() {
    let mut random = Random::new(seed("the feed followed"));
    for kept in ALL {
        let place = Place::new(kept);
        let mut store = place.open();
        let begun = store.change_feed(&Default::default()).unwrap().next_page(Duration::ZERO).unwrap();
        let (mut entries, mut since) =
            (vec![Entries::new(); usize::from(DATABASES)], begun.position.sequence);
        for round in 0..20 {
            for _ in 0..random.below(60) {
                act(&store, &mut random);
            }
            if kept != Kept::Nowhere && random.one_in(4) {
                store.close().unwrap();
                store = place.open();
            }
            for (number, change) in told(&store, since) {
                since = change.sequence;
                follow(&mut entries, number, change);
            }
            for number in 0..DATABASES {
                assert_eq!(entries[usize::from(number)], stored(&store, number), "{kept:?}, round {round}");
            }
        }
    }
}
