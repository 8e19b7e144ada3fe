//! What is gone is said to be gone: once, and exactly what it is.

use std::time::Duration;

use tresor::{Database, FeedPosition, Gap, engine::Sequence};

use crate::stores::{Kept, Place, after, plain_all, read_all, reader};

fn put_many(store: &Database, count: usize) -> Vec<Sequence> {
    (0..count).map(|number| store.put(format!("k{}", number % 50), "x".repeat(100)).unwrap()).collect()
}

/// The first number that a reader of everything is still told.
fn oldest(store: &Database) -> Sequence {
    read_all(&mut reader(store, 0)).0.first().map_or(0, |first| first.sequence)
}

#[test]
fn log_that_a_snapshot_replaced_is_a_gap_and_what_is_kept_is_none() {
    for keep_bytes in [0, 10_000] {
        let mut place = Place::new(Kept::InLog);
        place.keep_bytes = keep_bytes;
        let mut store = place.open();
        let before = put_many(&store, 200);
        store.save().unwrap();
        let behind = put_many(&store, 20);
        let (told, gaps) = read_all(&mut reader(&store, 0));
        let first = told[0].sequence;
        assert_eq!(gaps, [Gap { from: 1, to: first - 1 }], "keeping {keep_bytes}");
        assert_eq!(told.len() as u64, behind[19] - first + 1, "nothing is missing behind the gap");
        // Two segments of 4096 bytes fit into 10,000, besides the one being written.
        let kept = before.iter().filter(|number| **number >= first).count();
        assert_eq!(kept > 35, keep_bytes > 0, "{kept} kept of {}", before.len());

        // Exactly what is gone, from wherever one comes.
        for since in [1, first / 2, first - 2] {
            let (again, gaps) = read_all(&mut reader(&store, since));
            assert_eq!(gaps, [Gap { from: since + 1, to: first - 1 }]);
            assert_eq!(plain_all(&again), plain_all(&told));
        }
        assert_eq!(read_all(&mut reader(&store, first - 1)).1, []);

        // A start leaves what is kept.
        store.close().unwrap();
        store = place.open();
        let after_restart = oldest(&store);
        assert!(after_restart >= first);
        if keep_bytes > 0 {
            assert_eq!(read_all(&mut reader(&store, behind[19] - 20)).1, [], "a reader that reconnects");
        }
    }
}

#[test]
fn a_segment_that_goes_while_it_is_read_is_a_gap_from_where_the_reader_was() {
    let mut place = Place::new(Kept::InLog);
    place.keep_bytes = 0;
    let store = place.open();
    put_many(&store, 100);
    let mut slow = store.change_feed(&after(0).limit(5)).unwrap();
    let page = slow.next_page(Duration::ZERO).unwrap();
    assert_eq!((page.changes.len(), page.gap), (5, None));
    store.save().unwrap();
    put_many(&store, 5);
    let (told, gaps) = read_all(&mut slow);
    let first = told[0].sequence;
    assert_eq!(gaps, [Gap { from: 6, to: first - 1 }]);
    assert_eq!(plain_all(&told), plain_all(&read_all(&mut reader(&store, first - 1)).0));
}

#[test]
fn a_buffer_tells_of_what_was_before_it_and_of_what_it_had_to_let_go() {
    let mut place = Place::new(Kept::Nowhere);
    place.memory.change_buffer_bytes = 200_000;
    let store = place.open();
    let before = put_many(&store, 30);
    // Nothing was kept so far: numbers up to the reader's beginning are a gap.
    let mut feed = reader(&store, 0);
    let page = feed.next_page(Duration::ZERO).unwrap();
    let gap = page.gap.unwrap();
    assert_eq!((gap.from, page.changes.len()), (1, 0));
    assert!(gap.to >= before[29]);
    let written = put_many(&store, 3000);
    let (told, gaps) = read_all(&mut feed);
    let first = told[0].sequence;
    assert_eq!(gaps, [Gap { from: gap.to + 1, to: first - 1 }]);
    assert!((500..2000).contains(&told.len()), "{} of about 1300 that fit", told.len());
    let numbers: Vec<_> = told.iter().map(|change| change.sequence).collect();
    assert_eq!(numbers, written[3000 - told.len()..]);
    // One change that is larger than all that may be kept.
    let large = store.put("large", "x".repeat(300_000)).unwrap();
    let next = store.put("next", 1).unwrap();
    let (told, gaps) = read_all(&mut feed);
    assert_eq!((gaps, told.len()), (vec![Gap { from: first + numbers.len() as u64, to: large }], 1));
    assert_eq!(told[0].sequence, next);
}

#[test]
fn numbers_of_another_store_are_a_gap_and_those_of_the_same_are_not() {
    for kept in [Kept::Nowhere, Kept::InLog] {
        let place = Place::new(kept);
        let store = place.open();
        store.change_feed(&after(0)).unwrap().next_page(Duration::ZERO).unwrap();
        let latest = *put_many(&store, 10).last().unwrap();
        let position = store.change_feed(&after(latest)).unwrap().next_page(Duration::ZERO).unwrap().position;
        let store_id = position.store_id.unwrap();
        let foreign = FeedPosition { store_id: Some(store_id ^ 1), sequence: latest - 3 };
        let (told, gaps) = read_all(&mut store.change_feed(&after(0).since(foreign)).unwrap());
        assert_eq!((told.len(), gaps), (0, vec![Gap { from: 1, to: latest }]), "{kept:?}");
        let own = FeedPosition { store_id: Some(store_id), sequence: latest - 3 };
        let (told, gaps) = read_all(&mut store.change_feed(&after(0).since(own)).unwrap());
        assert_eq!((told.len(), gaps), (3, vec![]), "{kept:?}");
        // A number that was never given.
        let (told, gaps) = read_all(&mut reader(&store, latest + 5000));
        assert_eq!((told.len(), gaps), (0, vec![Gap { from: 1, to: latest }]), "{kept:?}");
        if kept == Kept::InLog {
            store.close().unwrap();
            let store = place.open();
            let (told, gaps) = read_all(&mut store.change_feed(&after(0).since(own)).unwrap());
            assert_eq!((told.len(), gaps), (3, vec![]), "a restart keeps the store's id");
        }
    }
}

#[test]
fn numbers_that_were_left_out_are_no_gap() {
    for kept in [Kept::Nowhere, Kept::InLog, Kept::OnDisk] {
        let place = Place::new(kept);
        let store = place.open();
        let mut feed = store.change_feed(&Default::default()).unwrap();
        // A whole chunk of a buffer, and several segments of a log, end before the numbers that are left out.
        put_many(&store, 600);
        let first = store.put("a", "x".repeat(70_000)).unwrap();
        store.engine().adopt(&tresor::engine::Page::new(0), first + 1000, 0).wait().unwrap();
        let second = store.put("b", 1).unwrap();
        assert!(second > first + 1000);
        let (told, gaps) = read_all(&mut feed);
        let numbers: Vec<_> = told.iter().skip(600).map(|change| change.sequence).collect();
        assert_eq!(numbers, [first, second], "{kept:?}");
        assert_eq!(gaps, []);
        assert_eq!(read_all(&mut reader(&store, first + 10)).0.len(), 1, "{kept:?}");
    }
}
