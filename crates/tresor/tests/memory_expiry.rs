//! The memory of expired entries comes back by itself, at the dates that clocks show, whoever asks or not.
//!
//! Nothing reads the expired keys here: a read would find them absent and prove nothing.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tresor::{
    Config, Database,
    clock::{Clock, SystemClock},
    engine::{
        Batch, Change, Engine, Expires, Guard, KeyRef, Kind, Status,
        memory::{MemoryEngine, MemoryOptions},
    },
    files::Files,
    oplog::{Durability, LogOptions, Recovery},
};
use tresor_testkit::{
    ManualClock, START_MS, deadline,
    faulty_files::{FaultyFiles, Survives},
};

const DUE: u32 = 5_000;
const LATER: u32 = 20_000;

/// Puts keys `numbers`, each expiring between `first_ms` and a second later.
fn put(engine: &dyn Engine, numbers: std::ops::Range<u32>, first_ms: u64) {
    for number in numbers {
        let name = number.to_be_bytes();
        let change = Change::Put {
            key: KeyRef::new(0, &name),
            guard: Guard::None,
            value: b"0123456789abcdef0123456789abcdef",
            kind: Kind::Raw,
            expires: Expires::At(first_ms + u64::from(number % 1000)),
        };
        engine.write(Batch::of(&[change]), START_MS).wait().expect("memory takes a put");
    }
}

fn status(engine: &dyn Engine) -> Status {
    engine.status().wait().expect("memory has a status")
}

#[test]
fn a_batch_takes_what_it_let_expire_for_absent() {
    let engine = MemoryEngine::volatile(&MemoryOptions::default()).expect("it opens");
    let (key, guard) = (KeyRef::new(0, b"k"), Guard::None);
    let (kind, expires) = (Kind::Raw, Expires::At(START_MS));
    let changes = [
        Change::Put { key, guard, value: b"over", kind, expires },
        Change::Patch { key, guard, offset: 1, bytes: b"new" },
    ];
    let outcome = engine.write(Batch::of(&changes), START_MS).wait().expect("memory takes a batch");
    let tresor::engine::Applied::Whole(effects) = outcome.applied else { panic!("there is no guard") };
    assert!(!effects[1].existed);
    let mut value = None;
    let mut keep = |_: usize, entry: Option<tresor::engine::EntryRef<'_>>| {
        value = entry.map(|entry| (entry.value.bytes().to_vec(), entry.expires_at_ms));
    };
    engine.read(&[key], tresor::engine::Isolation::Each, START_MS, &mut keep).wait().expect("a read");
    assert_eq!(value, Some((b"\0new".to_vec(), None)));
}

#[test]
fn expired_entries_are_removed_beside_others_that_are_not_due() {
    // Now, in 500 years, and in between.
    for start_ms in [START_MS, START_MS * 3, START_MS * 10] {
        let clock = ManualClock::at(start_ms);
        let engine = MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).expect("it opens");
        put(&*engine, 0..LATER, start_ms + 1_000_000);
        put(&*engine, LATER..LATER + DUE, start_ms + 1_000);
        assert_eq!(status(&*engine).keys[0], u64::from(LATER + DUE));
        // The sweep's notes are some milliseconds coarse.
        clock.advance(Duration::from_millis(2_000 + 16));
        deadline::wait_for("the due entries to be gone", || {
            (status(&*engine).keys[0] <= u64::from(LATER)).then_some(())
        });
        assert_eq!(status(&*engine).keys[0], u64::from(LATER), "nothing goes before it is due");
        clock.advance(Duration::from_secs(1_000));
        deadline::wait_for("all entries to be gone", || (status(&*engine).keys[0] == 0).then_some(()));
        assert_eq!(status(&*engine).expired.removed(), u64::from(LATER + DUE));
    }
}

fn put_one(engine: &dyn Engine, key: &str, expires: Expires) {
    let key = KeyRef::new(0, key.as_bytes());
    write(engine, Change::Put { key, guard: Guard::None, value: b"value", kind: Kind::Raw, expires });
}

fn expire(engine: &dyn Engine, key: &str, expires_at_ms: Option<u64>) {
    write(engine, Change::Expire { key: KeyRef::new(0, key.as_bytes()), guard: Guard::None, expires_at_ms });
}

fn write(engine: &dyn Engine, change: Change<'_>) {
    engine.write(Batch::of(&[change]), START_MS).wait().expect("memory takes a change");
}

fn manual() -> (Arc<ManualClock>, Arc<MemoryEngine>) {
    let clock = ManualClock::new();
    let engine = MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).expect("it opens");
    (clock, engine)
}

/// A store with every change on disk, and what recovery told.
fn durable(files: &FaultyFiles, clock: &Arc<ManualClock>) -> (Arc<MemoryEngine>, Recovery) {
    let seams = (Arc::new(files.clone()) as Arc<dyn Files>, clock.clone() as Arc<dyn Clock>);
    let log = LogOptions { durability: Durability::Always, ..LogOptions::default() };
    MemoryEngine::open(&MemoryOptions::default(), seams, Path::new("store"), log).expect("it opens")
}

fn wait_for_keys(engine: &dyn Engine, keys: u64) {
    deadline::wait_until("the expired keys to be removed", || status(engine).keys[0] == keys);
}

#[test]
fn memory_is_back_within_a_second_beside_many_others() {
    let others = if std::env::var_os("TRESOR_FULL").is_some() { 1_000_000 } else { 50_000 };
    let due = others / 25;
    let clock = SystemClock::new();
    let engine = MemoryEngine::volatile(&MemoryOptions::default()).expect("it opens");
    put(&*engine, 0..others, clock.now_ms() + 3_600_000);
    let before = status(&*engine);
    put(&*engine, others..others + due, clock.now_ms() + 500);
    // The last of them, `put` having spread them over a second.
    let expired_ms = clock.now_ms() + 1_500;
    deadline::wait_until("the last to expire", || clock.now_ms() >= expired_ms);
    let started = Instant::now();
    wait_for_keys(&*engine, u64::from(others));
    assert!(started.elapsed() < Duration::from_secs(1), "it took {:?}", started.elapsed());
    let after = status(&*engine);
    assert_eq!((after.expired.removed(), after.expiring[0]), (u64::from(due), u64::from(others)));
    // Tables and notes may keep a little of the room that they had to grow to.
    let most = before.data_bytes + before.data_bytes / 20;
    assert!(after.data_bytes <= most, "{} bytes, {} before", after.data_bytes, before.data_bytes);
}

#[test]
fn an_expiry_that_is_put_off_again_and_again_costs_nothing() {
    let (clock, engine) = manual();
    for number in 0..100 {
        put_one(&*engine, &format!("{number}"), Expires::At(START_MS + 1_000));
    }
    let before = status(&*engine).data_bytes;
    for round in 1..=2_000 {
        for number in 0..100 {
            expire(&*engine, &format!("{number}"), Some(START_MS + 1_000 + round * 1_000));
        }
    }
    let after = status(&*engine).data_bytes;
    assert!(after <= before + 100 * 40 * 8, "{after} bytes, {before} before");
    clock.advance(Duration::from_secs(1_500));
    put_one(&*engine, "soon", Expires::At(START_MS + 1_600_000));
    clock.advance(Duration::from_secs(101));
    wait_for_keys(&*engine, 100);
    assert_eq!(status(&*engine).expired.removed(), 1, "an entry went before its new time");
    // A second beyond: what is noted about expiry is coarse by some milliseconds.
    clock.advance(Duration::from_secs(401));
    wait_for_keys(&*engine, 0);
    assert_eq!(status(&*engine).data_bytes, 0);
}

#[test]
fn an_expiry_that_was_drawn_nearer_holds() {
    let (clock, engine) = manual();
    put_one(&*engine, "key", Expires::At(START_MS + 1_000_000));
    expire(&*engine, "key", Some(START_MS + 1_000));
    clock.advance(Duration::from_secs(2));
    wait_for_keys(&*engine, 0);
}

#[test]
fn what_was_made_to_stay_stays() {
    let (clock, engine) = manual();
    for number in 0..1_000 {
        put_one(&*engine, &format!("kept:{number}"), Expires::Never);
    }
    let before = status(&*engine).data_bytes;
    for number in 0..1_000 {
        expire(&*engine, &format!("kept:{number}"), Some(START_MS + 1_000));
    }
    for number in 0..1_000 {
        expire(&*engine, &format!("kept:{number}"), None);
    }
    assert_eq!(status(&*engine).data_bytes, before, "notes of expiries that are no more are kept");
    put_one(&*engine, "goes", Expires::At(START_MS + 2_000));
    clock.advance(Duration::from_secs(10));
    wait_for_keys(&*engine, 1_000);
    assert_eq!(status(&*engine).expired.removed(), 1);
}

#[test]
fn expiries_hold_after_a_restart_from_the_log() {
    let (files, clock) = (FaultyFiles::new(), ManualClock::new());
    let (engine, _) = durable(&files, &clock);
    for number in 0..500 {
        put_one(&*engine, &format!("goes:{number}"), Expires::At(START_MS + 5_000));
        put_one(&*engine, &format!("stays:{number}"), Expires::At(START_MS + 5_000));
        expire(&*engine, &format!("stays:{number}"), None);
    }
    let sequence = status(&*engine).sequence;
    engine.durable(sequence).wait().expect("the disk works");
    let (engine, _) = durable(&files.reboot(Survives::Synced), &clock);
    assert_eq!(status(&*engine).keys[0], 1_000);
    clock.advance(Duration::from_secs(6));
    wait_for_keys(&*engine, 500);
}

#[test]
fn a_removal_by_expiry_is_in_the_log() {
    let (files, clock) = (FaultyFiles::new(), ManualClock::new());
    let (engine, _) = durable(&files, &clock);
    put_one(&*engine, "key", Expires::At(START_MS + 1_000));
    let written = status(&*engine).sequence;
    clock.advance(Duration::from_secs(2));
    wait_for_keys(&*engine, 0);
    let removed = status(&*engine).sequence;
    assert_eq!(removed, written + 1);
    engine.durable(removed).wait().expect("the disk works");
    // A wall clock that went back does not bring it back.
    clock.set_wall_ms(START_MS - 1_000_000);
    let (engine, recovery) = durable(&files.reboot(Survives::Synced), &clock);
    assert_eq!(status(&*engine).keys[0], 0);
    assert!(recovery.latest_time_ms >= START_MS + 1_000, "store time went back");
    // What expires between the wall clock's time and store time goes at once.
    put_one(&*engine, "late", Expires::At(START_MS + 500));
    wait_for_keys(&*engine, 0);
}

#[test]
fn expired_keys_do_not_come_back_with_the_wall_clock() {
    let (clock, engine) = manual();
    let database = Database::with_clock(engine.clone(), Config::memory(), clock.clone()).expect("it opens");
    put_one(&*engine, "key", Expires::At(START_MS + 1_000));
    assert!(database.get("key").expect("memory answers").is_some());
    clock.set_wall_ms(START_MS + 1_000);
    assert!(database.get("key").expect("memory answers").is_none());
    clock.set_wall_ms(START_MS);
    assert!(database.get("key").expect("memory answers").is_none(), "it came back");
    // The sweep has seen a later time once, and goes on from there.
    put_one(&*engine, "seen", Expires::At(START_MS + 3_000));
    clock.set_wall_ms(START_MS + 4_000);
    wait_for_keys(&*engine, 0);
    clock.set_wall_ms(START_MS);
    put_one(&*engine, "late", Expires::At(START_MS + 2_000));
    wait_for_keys(&*engine, 0);
}

#[test]
fn notes_of_what_expired_do_not_stay_behind() {
    let (clock, engine) = manual();
    put(&*engine, 0..5_000, START_MS + 1_000_000);
    let before = status(&*engine).data_bytes;
    put(&*engine, 5_000..205_000, START_MS + 1_000);
    clock.advance(Duration::from_secs(3));
    wait_for_keys(&*engine, 5_000);
    // A note has 8 bytes: those of 200,000 would be 1.6 MB.
    let kept = status(&*engine).data_bytes - before;
    assert!(kept < 800_000, "{kept} bytes of nothing");
}
