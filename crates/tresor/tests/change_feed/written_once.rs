//! Concurrent writers, readers that come and go: each change once, in the order of numbers, none missing.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use tresor::{ChangeKind, Database, FeedPosition, engine::Sequence};
use tresor_testkit::{
    faulty_files::Survives,
    random::{Random, mix, seed},
};

use crate::stores::{ALL, Kept, Place, after, plain, plain_all, read_all, reader};

type Written = Vec<(Sequence, ChangeKind, String)>;

const WRITERS: u64 = 4;

/// Puts and deletes of keys of its own; what they were.
fn write_some(store: &Database, writer: u64, random: &mut Random, count: usize) -> Written {
    let mut written = Written::new();
    for _ in 0..count {
        let key = format!("{writer}:{}", random.below(20));
        if random.one_in(4) {
            let before = store.entry(&key).unwrap();
            if store.delete(&key).unwrap() {
                assert!(before.is_some());
                // Nobody tells the number of a deletion.
                written.push((0, ChangeKind::Delete, key));
            }
        } else {
            let version = store.put(&key, "x".repeat(random.index(90))).unwrap();
            written.push((version, ChangeKind::Set, key));
        }
    }
    written
}

/// Reads until the writers are done, and goes away now and then to come back from where it was.
fn read_on(store: &Database, done: &AtomicBool, mut random: Random) -> Written {
    let (mut told, mut since) = (Written::new(), 0);
    let mut feed = reader(store, since);
    loop {
        let finished = done.load(Ordering::Acquire);
        let page = feed.next_page(Duration::from_millis(2)).unwrap();
        assert_eq!(page.gap, None, "behind {since}");
        let taken = page.changes.iter().take(1 + random.index(page.changes.len().max(1)));
        let before = told.len();
        told.extend(taken.map(plain));
        let whole = told.len() - before == page.changes.len();
        since = if whole { page.position.sequence } else { told.last().unwrap().0 };
        if !whole || random.one_in(3) {
            let position = FeedPosition { store_id: page.position.store_id, sequence: since };
            let options = after(0).since(position).limit(1 + random.index(200));
            feed = store.change_feed(&options).unwrap();
        }
        if finished && whole && !page.more {
            return told;
        }
    }
}

/// What was told is what was written: each writer's in its order, every number once, in order.
fn check(told: &Written, written: &[Written]) {
    assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0), "numbers rise");
    for (writer, written) in written.iter().enumerate() {
        let own = |change: &&(Sequence, ChangeKind, String)| change.2.starts_with(&format!("{writer}:"));
        let told: Vec<_> = told.iter().filter(own).collect();
        assert_eq!(told.len(), written.len(), "writer {writer}");
        for (told, written) in told.iter().zip(written) {
            assert_eq!((told.1, &told.2), (written.1, &written.2));
            assert!(written.0 == 0 || written.0 == told.0, "{told:?} was {written:?}");
        }
    }
}

fn written_at_once(store: &Database, random: &Random, count: usize) -> (Written, Vec<Written>) {
    let done = AtomicBool::new(false);
    let random_of = |number: u64| Random::new(mix(random.clone().number() ^ number));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|reader| {
                let (done, random) = (&done, random_of(100 + reader));
                scope.spawn(move || read_on(store, done, random))
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let mut random = random_of(writer);
                scope.spawn(move || write_some(store, writer, &mut random, count))
            })
            .collect();
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        done.store(true, Ordering::Release);
        let mut told: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        assert_eq!(told[0], told[1]);
        (told.remove(0), written)
    })
}

#[test]
fn every_change_is_told_once_and_in_order_through_reconnects() {
    let random = Random::new(seed("every change once"));
    for kept in ALL {
        let place = Place::new(kept);
        let store = place.open();
        // Where there is no log nothing is kept before somebody asks.
        drop(store.change_feed(&after(0)).unwrap().next_page(Duration::ZERO).unwrap());
        let (told, written) = written_at_once(&store, &random, 300);
        check(&told, &written);
    }
}

#[test]
fn restarts_and_kills_lose_nothing_that_was_acknowledged() {
    let random = Random::new(seed("restarts and kills"));
    for kept in [Kept::InLog, Kept::OnDisk] {
        let mut place = Place::new(kept);
        let mut store = place.open();
        let mut all = Written::new();
        for round in 0..4_u64 {
            let mut random = Random::new(mix(random.clone().number() ^ round));
            let since = all.last().map_or(0, |last| last.0);
            let (told, written) = written_behind(&store, since, &mut random);
            check(&told, &written);
            all.extend(told);
            if random.one_in(2) {
                store.save().unwrap();
            }
            if kept == Kept::InLog && random.one_in(2) {
                place.killed();
                drop(store);
            } else {
                store.close().unwrap();
            }
            store = place.open();
            // From the very beginning, and from any place, it is the same.
            let (told, gaps) = read_all(&mut reader(&store, 0));
            assert_eq!((plain_all(&told), gaps), (all.clone(), vec![]), "round {round}");
            let at = random.index(all.len());
            let (told, gaps) = read_all(&mut reader(&store, all[at].0));
            assert_eq!((plain_all(&told), gaps), (all[at + 1..].to_vec(), vec![]), "round {round}");
        }
    }
}

fn written_behind(store: &Database, since: Sequence, random: &mut Random) -> (Written, Vec<Written>) {
    let written: Vec<_> = (0..WRITERS).map(|writer| write_some(store, writer, random, 60)).collect();
    let (told, gaps) = read_all(&mut reader(store, since));
    assert_eq!(gaps, []);
    (plain_all(&told), written)
}

#[test]
fn a_batch_is_told_in_parts_where_a_page_or_a_reader_ends_inside_it() {
    for kept in ALL {
        let place = Place::new(kept);
        let store = place.open();
        let begun = store.change_feed(&after(0)).unwrap().next_page(Duration::ZERO).unwrap().position;
        let mut batch = tresor::Changes::new();
        for number in 0..10 {
            batch.put(format!("k{number}"), "v");
        }
        store.apply(&batch).unwrap();
        let mut feed = store.change_feed(&after(0).since(begun).limit(3)).unwrap();
        let (told, _) = read_all(&mut feed);
        let keys: Vec<_> = told.iter().map(|change| plain(change).2).collect();
        assert_eq!(keys, (0..10).map(|number| format!("k{number}")).collect::<Vec<_>>(), "{kept:?}");
        for at in 0..told.len() {
            let (rest, _) = read_all(&mut reader(&store, told[at].sequence));
            assert_eq!(plain_all(&rest), plain_all(&told[at + 1..]), "{kept:?}, behind {at}");
        }
    }
}

#[test]
fn a_power_cut_takes_back_nothing_that_was_told_or_acknowledged() {
    let random = Random::new(seed("power cuts"));
    for round in 0..12_u64 {
        let mut random = Random::new(mix(random.clone().number() ^ round));
        let mut place = Place::new(Kept::InLog);
        let store = place.open();
        let done = AtomicBool::new(false);
        let (told, acknowledged, files) = thread::scope(|scope| {
            let mut writers_random = random.clone();
            let (store, done) = (&store, &done);
            let writer = scope.spawn(move || {
                let mut written = Written::new();
                while !done.load(Ordering::Acquire) {
                    written.extend(write_some(store, 0, &mut writers_random, 1));
                    if writers_random.one_in(40) {
                        store.save().unwrap();
                    }
                }
                written
            });
            let (mut feed, mut told) = (reader(store, 0), Written::new());
            let enough = 5 + random.index(80);
            while told.len() < enough {
                told.extend(feed.next_page(Duration::from_secs(5)).unwrap().changes.iter().map(plain));
            }
            // The power goes while the writer writes on.
            let files = place.files.reboot(Survives::Synced);
            done.store(true, Ordering::Release);
            (told, writer.join().unwrap(), files)
        });
        drop(store);
        place.files = files;
        let store = place.open();
        let (again, gaps) = read_all(&mut reader(&store, 0));
        assert_eq!((&plain_all(&again)[..told.len()], gaps), (&told[..], vec![]), "round {round}");
        // What came back is what the writer did first, and the entries are what the feed leads to.
        for (told, written) in again.iter().map(plain).zip(&acknowledged) {
            assert_eq!((told.1, told.2), (written.1, written.2.clone()));
        }
        let mut there = std::collections::BTreeSet::new();
        for (_, kind, key) in again.iter().map(plain) {
            if kind == ChangeKind::Set {
                there.insert(key)
            } else {
                there.remove(&key)
            };
        }
        let keys: Vec<_> = store.keys().map(|key| key.unwrap().as_str().unwrap().to_owned()).collect();
        assert_eq!(keys, there.into_iter().collect::<Vec<_>>(), "round {round}");
    }
}
