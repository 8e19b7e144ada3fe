//! Scans of a store that changes between the pages: what stays is seen exactly once.
//!
//! Changes made between pages by the same thread reach every interleaving that matters to a cursor
//! (tables that grow and shrink, neighbours that come and go); another thread adds the ones under locks.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering as Atomic},
    thread,
};

use tresor::engine::{Change, Content, KeyRef, Order, Scan};

use super::{
    Make,
    subject::{Row, Subject, delete, key, put},
};
use crate::random::{Random, seed};

const STAYING: u32 = 400;
/// So many come or go during a scan: several to each shard of an engine that has thousands.
const PASSING: u32 = 18_000;
/// In so many steps.
const STEPS: u32 = 12;

/// Engines that are far away have no tables of their own to grow.
fn passing(subject: &Subject) -> u32 {
    if subject.is_far() { PASSING / 50 } else { PASSING }
}

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
    let names: Vec<_> = (0..STAYING).map(staying).collect();
    subject.each(&names.iter().map(|name| put(key(name), b"v")).collect::<Vec<_>>());
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
        let (mut added, passing) = (0, passing(&subject));
        let rows = subject.rows_between(Scan::all(0, order, Content::Keys, 30), || {
            if added < passing {
                others(&subject, added..added + passing / STEPS, add);
                added += passing / STEPS;
            }
        });
        assert!(added > passing / 2, "the scan was over before the tables grew");
        assert_each_once(&rows, &format!("growing, {order:?}"));
        others(&subject, 0..added, delete);
    }
}

/// Tables shrink during the scan.
pub fn shrinking_between_pages(make: &Make<'_>) {
    let subject = Subject::new(make);
    fill(&subject);
    for order in orders(&subject) {
        let (mut gone, passing) = (0, passing(&subject));
        others(&subject, 0..passing, add);
        let rows = subject.rows_between(Scan::all(0, order, Content::Keys, 30), || {
            if gone < passing {
                others(&subject, gone..gone + passing / STEPS, delete);
                gone += passing / STEPS;
            }
        });
        assert_each_once(&rows, &format!("shrinking, {order:?}"));
        others(&subject, gone..passing, delete);
    }
}

/// Makes one change to each of the numbered keys that do not stay, in batches where there are any.
fn others(subject: &Subject, numbers: Range<u32>, change: fn(KeyRef<'_>) -> Change<'_>) {
    let names: Vec<_> = numbers.map(|number| format!("other:{number}").into_bytes()).collect();
    subject.each(&names.iter().map(|name| change(key(name))).collect::<Vec<_>>());
}

fn add(name: KeyRef<'_>) -> Change<'_> {
    put(name, b"v")
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
    let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| write_until(&subject, &done, &written));
        let _scanning = DoneWhenDropped(&done);
        let mut rounds = 0;
        // A writer that starts late is waited for.
        while rounds < 5 || written.load(Atomic::SeqCst) == 0 {
            rounds += 1;
            for order in orders(&subject) {
                let rows = subject.rows(Scan::all(0, order, Content::Entries, 16));
                assert_each_once(&rows, &format!("beside a writer, {order:?}"));
            }
        }
    });
}

/// Ends the writer when the scanner fails, too: the scope waits for both.
struct DoneWhenDropped<'d>(&'d AtomicBool);

impl Drop for DoneWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Atomic::SeqCst);
    }
}

fn write_until(subject: &Subject, done: &AtomicBool, written: &AtomicU64) {
    let mut random = Random::new(7);
    while !done.load(Atomic::SeqCst) {
        let name = random.below(2000).to_be_bytes();
        match random.one_in(3) {
            true => drop(subject.one(delete(key(&name)))),
            false => drop(subject.one(put(key(&name), &name))),
        }
        written.fetch_add(1, Atomic::SeqCst);
    }
}
