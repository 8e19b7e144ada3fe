//! Scans of a store that changes between the pages: what stays is seen exactly once.
//!
//! Changes made between pages by the same thread reach every interleaving that matters to a cursor
//! (tables that grow and shrink, neighbours that come and go); another thread adds the ones under locks.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering as Atomic},
    thread,
};

use tresor::engine::{Content, Order, Scan};

use super::{
    Make,
    subject::{Row, Subject, delete, key, put},
};
use crate::random::{Random, seed};

const STAYING: u32 = 400;

fn staying(number: u32) -> Vec<u8> {
    format!("stays:{number:04}").into_bytes()
}

fn orders(subject: &Subject) -> Vec<Order> {
    match subject.engine.capabilities().ordered {
        true => vec![Order::Any, Order::Ascending, Order::Descending],
        false => vec![Order::Any],
    }
}

fn fill(subject: &Subject) {
    for number in 0..STAYING {
        subject.put(key(&staying(number)), b"v");
    }
}

/// Each staying key once, and no key twice that was never deleted.
fn assert_each_once(rows: &[Row], how: &str) {
    let mut seen = BTreeMap::new();
    for (name, _, _) in rows.iter().filter(|row| row.0.starts_with(b"stays:")) {
        *seen.entry(name.clone()).or_insert(0) += 1;
    }
    for number in 0..STAYING {
        let times = seen.get(&staying(number)).copied().unwrap_or(0);
        assert_eq!(times, 1, "stays:{number:04} was seen {times} times: {how}");
    }
}

/// Tables grow many times over during the scan.
pub fn growing_between_pages(make: &Make<'_>) {
    let subject = Subject::new(make);
    fill(&subject);
    for order in orders(&subject) {
        let mut next = 0_u32;
        let rows = subject.rows_between(Scan::all(0, order, Content::Keys, 7), || {
            for _ in 0..if next < 6000 { 150 } else { 0 } {
                next += 1;
                subject.put(key(format!("new:{next}").as_bytes()), b"v");
            }
        });
        assert_each_once(&rows, &format!("growing, {order:?}"));
        for number in 1..=next {
            subject.one(delete(key(format!("new:{number}").as_bytes())));
        }
    }
}

/// Tables shrink during the scan.
pub fn shrinking_between_pages(make: &Make<'_>) {
    let subject = Subject::new(make);
    fill(&subject);
    for order in orders(&subject) {
        for number in 0..4000_u32 {
            subject.put(key(format!("goes:{number}").as_bytes()), b"v");
        }
        let mut going = 0..4000_u32;
        let rows = subject.rows_between(Scan::all(0, order, Content::Keys, 20), || {
            for number in going.by_ref().take(400) {
                subject.one(delete(key(format!("goes:{number}").as_bytes())));
            }
        });
        assert_each_once(&rows, &format!("shrinking, {order:?}"));
        for number in going {
            subject.one(delete(key(format!("goes:{number}").as_bytes())));
        }
    }
}

/// Entries come, go, and are written over, the staying ones too, in a random way.
pub fn churning_between_pages(make: &Make<'_>) {
    let subject = Subject::new(make);
    let mut random = Random::new(seed("churning_between_pages"));
    fill(&subject);
    for order in orders(&subject) {
        for limit in [1, 3, 50] {
            let rows = subject.rows_between(Scan::all(0, order, Content::Keys, limit), || {
                for _ in 0..random.below(20) {
                    let other = format!("other:{}", random.below(300)).into_bytes();
                    match random.below(3) {
                        0 => drop(subject.one(delete(key(&other)))),
                        1 => drop(subject.put(key(&other), b"v")),
                        _ => {
                            let value = vec![0; random.index(200)];
                            let number = random.below(u64::from(STAYING)) as u32;
                            subject.put(key(&staying(number)), &value);
                        }
                    }
                }
            });
            assert_each_once(&rows, &format!("churning, {order:?}, limit {limit}"));
        }
    }
}

/// The same with another thread that writes all the time.
pub fn scanning_beside_a_writer(make: &Make<'_>) {
    let subject = Subject::new(make);
    fill(&subject);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&subject, &done));
        for _ in 0..5 {
            for order in orders(&subject) {
                let rows = subject.rows(Scan::all(0, order, Content::Entries, 16));
                assert_each_once(&rows, &format!("beside a writer, {order:?}"));
            }
        }
        done.store(true, Atomic::SeqCst);
        assert!(writer.join().expect("the writer does not panic") > 0);
    });
}

fn write_until(subject: &Subject, done: &AtomicBool) -> u64 {
    let mut random = Random::new(7);
    let mut written = 0;
    while !done.load(Atomic::SeqCst) {
        let name = random.below(2000).to_be_bytes();
        match random.one_in(3) {
            true => drop(subject.one(delete(key(&name)))),
            false => drop(subject.one(put(key(&name), &name))),
        }
        written += 1;
    }
    written
}
