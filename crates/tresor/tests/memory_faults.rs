//! The memory engine on a disk that fails: at every call, once or for good, full, or cut off from power.
//!
//! A script of changes of every kind runs against the engine and a model side by side. What comes
//! back after the next start, versions included, is the store as it was after some change, and after
//! none earlier than the last that [`Engine::durable`] answered for; a change that was refused
//! changed nothing and took no number.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

mod memory_script;

use std::{
    io,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use memory_script::{Dump, NOW_MS, Step, dump, plain, put, script};
use tresor::{
    Config, Database, ErrorKind, Result,
    clock::Clock,
    engine::{
        Applied, Batch, Change, Edited, Engine, Guard, KeyRef, Outcome, Sequence,
        memory::{MemoryEngine, MemoryOptions},
    },
    files::Files,
    oplog::{Durability, LogOptions, Recovery},
};
use tresor_testkit::{
    ManualClock, ModelEngine,
    deadline::wait_until,
    faulty_files::{FaultyFiles, Lasts, Survives, fail_everywhere},
};

/// Small segments and buffers, so that a short script fills many.
fn open_with(files: &FaultyFiles, clock: Arc<dyn Clock>) -> Result<(Arc<MemoryEngine>, Recovery)> {
    let files: Arc<dyn Files> = Arc::new(files.clone());
    let log =
        LogOptions { durability: Durability::Always, segment_bytes: 1024, buffer_bytes: 512, keep_bytes: 0 };
    MemoryEngine::open(&MemoryOptions::default(), (files, clock), Path::new("/store"), log)
}

fn open(files: &FaultyFiles) -> Result<(Arc<MemoryEngine>, Recovery)> {
    open_with(files, Arc::new(StillClock::default()))
}

/// A wall clock that stands still before every expiry, so that the sweep does nothing by itself, and
/// a monotonic one that moves on whenever somebody looks, so that nobody waits to try again.
#[derive(Default)]
struct StillClock(AtomicU64);

impl Clock for StillClock {
    fn now_ms(&self) -> u64 {
        NOW_MS
    }

    fn now_ns(&self) -> u64 {
        NOW_MS * 1_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.fetch_add(10_000_000, Ordering::Relaxed)
    }
}

/// What a step of the script comes to.
struct Expected {
    step: Step,
    outcome: Option<Outcome>,
    /// The store's number and content after it.
    after: (Sequence, Dump),
}

/// The script as it goes on a good disk, checked against the model step by step.
fn expected() -> &'static [Expected] {
    static EXPECTED: OnceLock<Vec<Expected>> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let model = ModelEngine::new();
        let (engine, _) = open(&FaultyFiles::new()).unwrap();
        let mut before = (0, Dump::default());
        let expect = |step: Step| {
            let outcome = step.run(&*engine).unwrap();
            if let (Some(outcome), Some(of_model)) = (&outcome, step.run(&model).unwrap()) {
                assert_eq!(plain(outcome), plain(&of_model), "{step:?}");
            }
            let after = (engine.status().wait().unwrap().sequence, dump(&*engine));
            assert_eq!(after.1.without_versions(), dump(&model).without_versions(), "{step:?}");
            assert!(after.0 > before.0 || after == before, "{step:?} changed something without a number");
            before = after.clone();
            Expected { step, outcome, after }
        };
        script().into_iter().map(expect).collect()
    })
}

/// The store after the change of that number.
fn state(number: Sequence, what: &str) -> &'static Dump {
    static EMPTY: OnceLock<Dump> = OnceLock::new();
    let states = expected().iter().map(|expected| &expected.after);
    let mut states = std::iter::once((0, EMPTY.get_or_init(Dump::default)))
        .chain(states.map(|(number, dump)| (*number, dump)));
    let found = states.find(|(known, _)| *known == number);
    found.unwrap_or_else(|| panic!("{what}: came back at {number}, where no step ended")).1
}

/// Runs the script as far as the disk lets it, and returns the last number that was acknowledged.
fn run(engine: &dyn Engine) -> Sequence {
    let (mut acknowledged, mut latest) = (0, 0);
    for Expected { step, outcome, after } in expected() {
        let result = attempt(engine, step, state(latest, "before a step"));
        match (result, outcome) {
            // The number observed for what is not there differs with where keys lie.
            (Ok(result), outcome) => assert_eq!(applied(&result), applied(outcome), "{step:?}"),
            // A failed snapshot is no reason to stop: the log has everything.
            (Err(error), None) if error.kind() != ErrorKind::Poisoned => continue,
            (Err(error), _) => {
                if error.kind() == ErrorKind::Poisoned {
                    assert_poisoned(engine);
                }
                return acknowledged;
            }
        }
        latest = after.0;
        let Some(outcome) = outcome else { continue };
        if let Err(error) = engine.durable(outcome.sequence).wait() {
            assert_eq!(error.kind(), ErrorKind::Poisoned, "{step:?}: {error}");
            assert_poisoned(engine);
            return acknowledged;
        }
        acknowledged = acknowledged.max(outcome.sequence);
    }
    acknowledged
}

fn applied(outcome: &Option<Outcome>) -> Option<&Applied> {
    outcome.as_ref().map(|outcome| &outcome.applied)
}

/// Takes a step. When the store says that it cannot for now, tries again for a while.
fn attempt(engine: &dyn Engine, step: &Step, before: &Dump) -> Result<Option<Outcome>> {
    let mut tries = 0;
    loop {
        let error = match step.run(engine) {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        if tries == 0 {
            assert_eq!(dump(engine), *before, "{step:?} was refused and changed something");
        }
        tries += 1;
        match error.kind() {
            // More often than the clock must be looked at until the log tries again.
            ErrorKind::DiskFull | ErrorKind::Unavailable if tries < 40 => {}
            ErrorKind::DiskFull | ErrorKind::Unavailable | ErrorKind::Poisoned => return Err(error),
            _ => panic!("{step:?}: {error:?}"),
        }
    }
}

/// Nothing is taken any more, and nothing is promised.
fn assert_poisoned(engine: &dyn Engine) {
    let before = dump(engine);
    for error in [
        put(engine, b"more", b"value").unwrap_err(),
        engine
            .update(KeyRef::new(0, b"more"), NOW_MS, &mut |_| {
                Ok(Edited::Patch { offset: 0, bytes: b"x"[..].into() })
            })
            .wait()
            .unwrap_err(),
        engine.durable(0).wait().unwrap_err(),
        engine.save().wait().unwrap_err(),
        clear_all(engine).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Poisoned, "{error:?}");
    }
    assert_eq!(dump(engine), before);
}

/// What the next process finds is a store that was, no older than what was acknowledged, and goes on
/// from there.
fn check(files: &FaultyFiles, survives: Survives, acknowledged: Sequence, what: &str) {
    let image = files.reboot(survives);
    let (engine, recovery) = open(&image).unwrap_or_else(|error| panic!("{what}: {error}"));
    let latest = recovery.latest;
    assert!(latest >= acknowledged, "{what}: {acknowledged} was lost, {latest} came back");
    assert_eq!(dump(&*engine), *state(latest, what), "{what}: at {latest}");
    let number = put(&*engine, b"next", b"value").unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(number, latest + 1, "{what}");
    if survives != Survives::Synced {
        return;
    }
    let expected = dump(&*engine);
    let (engine, recovery) = open(&image.reboot(Survives::Synced)).unwrap();
    assert_eq!((recovery.latest, dump(&*engine)), (number, expected), "{what}: once more");
}

/// Runs the script on a disk that fails at its n-th call; false when there is no such call.
fn fail_at(call: u64, kind: io::ErrorKind, lasts: Lasts) -> bool {
    let files = FaultyFiles::new();
    files.fail_call(call, kind, lasts);
    let mut acknowledged = 0;
    if let Ok((engine, _)) = open(&files) {
        acknowledged = run(&*engine);
        // Closing takes a snapshot and may fail like everything else.
        engine.close().wait().ok();
    }
    let failed = files.failed();
    // What one failed call leaves differs little between a process's end and a power cut's.
    let all = [Survives::Synced, Survives::Chance { seed: call }, Survives::Everything];
    for survives in all.into_iter().take(if lasts == Lasts::Forever { 3 } else { 1 }) {
        check(&files, survives, acknowledged, &format!("{kind:?} {lasts:?} at {failed:?}, {survives:?}"));
    }
    if failed.is_empty() || (kind == io::ErrorKind::StorageFull && lasts == Lasts::Once) {
        let (all, _) = expected()[expected().len() - 1].after;
        // A write into allocated space that fails is not tried again, whatever the reason.
        let poisoned = failed.iter().any(|call| !call.contains("allocate"));
        assert!(
            acknowledged == all || poisoned,
            "{failed:?}: only {acknowledged} of {all} were acknowledged"
        );
    }
    !failed.is_empty()
}

#[test]
fn nothing_acknowledged_is_lost_whichever_disk_call_fails() {
    fail_everywhere(io::ErrorKind::Other, Lasts::Once, fail_at);
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_disk_stops() {
    fail_everywhere(io::ErrorKind::Other, Lasts::Forever, fail_at);
}

#[test]
fn nothing_acknowledged_is_lost_whichever_disk_call_finds_no_space() {
    fail_everywhere(io::ErrorKind::StorageFull, Lasts::Once, fail_at);
}

#[test]
fn a_power_cut_after_any_change_loses_nothing_acknowledged() {
    let files = FaultyFiles::new();
    let (engine, _) = open(&files).unwrap();
    for (number, Expected { step, outcome, after }) in expected().iter().enumerate() {
        assert_eq!(applied(&step.run(&*engine).unwrap()), applied(outcome));
        engine.durable(after.0).wait().unwrap();
        for survives in [Survives::Synced, Survives::Chance { seed: number as u64 }] {
            check(&files, survives, after.0, &format!("{survives:?} after step {number}"));
        }
    }
}

#[test]
fn a_full_disk_refuses_writes_answers_reads_and_is_over_by_itself() {
    let files = FaultyFiles::new();
    let clock = ManualClock::new();
    let (engine, _) = open_with(&files, clock.clone()).unwrap();
    put(&*engine, b"before", b"1").unwrap();
    files.limit_space(Some(files.used_space()));
    // Ever smaller ones, so that nothing fits in the end.
    let error = [100, 0].map(|size| (0..).find_map(|_| put(&*engine, b"filler", &vec![7; size]).err()));
    let error = error.into_iter().flatten().next_back().unwrap();
    let clear = [Change::Clear { database: 3 }];
    while engine.write(Batch::of(&clear), NOW_MS).wait().is_ok() {}
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    assert!(error.message().contains("/store"), "{error}");
    let before = dump(&*engine);
    let sequence = engine.status().wait().unwrap().sequence;
    for step in script() {
        // What has nothing to do, or may not, needs no space.
        match step.run(&*engine) {
            Ok(outcome) => assert!(outcome.unwrap().sequence <= sequence, "{step:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::DiskFull, "{step:?}"),
        }
        assert_eq!(dump(&*engine), before, "{step:?}");
    }
    let status = engine.status().wait().unwrap();
    assert_eq!(status.sequence, sequence);
    assert!(status.log.unwrap().shortage.is_some());
    // Durable reads go on: whatever is seen is on disk.
    engine.durable(sequence).wait().unwrap();
    let full = files.reboot(Survives::Synced);
    assert_eq!(dump(&*open(&full).unwrap().0), before);

    files.limit_space(None);
    wait_until("writes to resume", || {
        clock.advance(Duration::from_millis(50));
        put(&*engine, b"after", &[8; 300]).is_ok()
    });
    assert!(engine.status().wait().unwrap().log.unwrap().shortage.is_none());
    engine.save().wait().unwrap();
    let after = dump(&*engine);
    assert_eq!(dump(&*open(&files.reboot(Survives::Synced)).unwrap().0), after);
}

#[test]
fn after_a_failed_sync_every_call_of_the_library_is_poisoned() {
    let files = FaultyFiles::new();
    let clock = ManualClock::new();
    let (engine, _) = open_with(&files, clock.clone()).unwrap();
    let database = Database::with_clock(engine.clone(), Config::memory(), clock).unwrap();
    database.put("kept", "1").unwrap();
    // The next calls are one write and one sync.
    files.fail_call(2, io::ErrorKind::Other, Lasts::Once);
    let error = database.put("lost", "2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
    assert!(files.failed()[0].contains("sync"), "{:?}", files.failed());
    let calls = files.calls();
    for (what, result) in [
        ("get", database.get("kept").map(drop)),
        ("get of nothing", database.get("nothing").map(drop)),
        ("put", database.put("more", "3").map(drop)),
        ("delete", database.delete("kept").map(drop)),
        ("delete of nothing", database.delete("nothing").map(drop)),
        ("update", engine.update(KeyRef::new(0, b"k"), 1, &mut |_| Ok(Edited::Delete)).wait().map(drop)),
        ("clear", clear_all(&*engine)),
        ("save", engine.save().wait()),
        ("durable", engine.durable(1).wait()),
    ] {
        // An engine's change that does nothing is told with the durability of what it saw.
        let result = result.and_then(|()| engine.durable(0).wait());
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Poisoned, "{what}");
    }
    assert_eq!(files.calls(), calls, "nothing was tried again");
    assert_eq!(engine.close().wait().unwrap_err().kind(), ErrorKind::Poisoned);
}

fn clear_all(engine: &dyn Engine) -> Result<()> {
    let changes: Vec<Change<'_>> = (0..4).map(|database| Change::Clear { database }).collect();
    engine.write(Batch::of(&changes), NOW_MS).wait().map(drop)
}

#[test]
fn an_expiry_that_is_lifted_at_an_earlier_time_than_a_snapshots_is_not_lost() {
    let files = FaultyFiles::new();
    let clock = ManualClock::new();
    let (engine, _) = open_with(&files, clock.clone()).unwrap();
    let now_ms = clock.now_ms();
    let key = KeyRef::new(0, b"session");
    let soon = Change::Expire { key, guard: Guard::Present, expires_at_ms: Some(now_ms + 10) };
    put(&*engine, b"session", b"value").unwrap();
    engine.write(Batch::of(&[soon]), now_ms).wait().unwrap();
    // The wall clock alone is set: the sweep runs by it too, but finds nothing before the next line
    // or removes the entry, and then there is nothing to lift.
    clock.set_wall_ms(now_ms + 10);
    engine.save().wait().unwrap();
    let lifted = Change::Expire { key, guard: Guard::Present, expires_at_ms: None };
    let outcome = engine.write(Batch::of(&[lifted]), now_ms + 9).wait().unwrap();
    engine.durable(outcome.sequence).wait().unwrap();
    let expected = dump(&*engine);
    assert_eq!(dump(&*open(&files.reboot(Survives::Synced)).unwrap().0), expected);
}
