//! Shards with logs, and the layer's own files, on a disk that fails at every call.
//!
//! A script of changes of every kind runs against three shards and a model side by side; a second one moves
//! keys. Whatever call fails, what was acknowledged is there after the next start, batches over several
//! shards are there whole or not at all, and a move goes on where it was.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

#[allow(dead_code, reason = "the memory engine's tests use more of it")]
mod memory_script;

use std::{io, path::Path, sync::Arc};

use memory_script::{Dump, dump, put, script};
use tresor::{
    ErrorKind, Result,
    clock::Clock,
    engine::{
        Batch, Change, Engine, Expires, Guard, KeyRef, Kind,
        memory::{MemoryEngine, MemoryOptions},
    },
    files::Files,
    layer::sharded::{Pace, Shard, Sharded},
    oplog::{Durability, LogOptions},
};
use tresor_testkit::{
    ManualClock, ModelEngine, START_MS,
    deadline::wait_until,
    faulty_files::{FaultyFiles, Lasts, Survives, fail_everywhere},
};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn seams(files: &FaultyFiles) -> (Arc<dyn Files>, Arc<dyn Clock>) {
    (Arc::new(files.clone()), ManualClock::new())
}

fn engine(files: &FaultyFiles, name: &str) -> Result<Arc<dyn Engine>> {
    let log =
        LogOptions { durability: Durability::Always, segment_bytes: 64 * 1024, ..LogOptions::default() };
    let path = Path::new("/shards").join(name);
    Ok(MemoryEngine::open(&MemoryOptions::default(), seams(files), &path, log)?.0)
}

fn open(files: &FaultyFiles, names: &[&str]) -> Result<Arc<Sharded>> {
    let shards: Result<Vec<Shard>> =
        names.iter().map(|name| Ok(Shard::new(*name, engine(files, name)?))).collect();
    Sharded::open(Some(Path::new("/layer")), seams(files), shards?)
}

/// What may be there: what was acknowledged, or that with the one change whose outcome nobody was told.
struct Kept {
    acknowledged: Dump,
    unsure: Option<Dump>,
}

/// Runs the script until something fails.
fn run(sharded: &Sharded) -> Kept {
    let model = ModelEngine::new();
    let shown = |engine: &dyn Engine| dump(engine).without_versions();
    let mut acknowledged = Dump::default();
    for step in script() {
        let answered = step.run(sharded).and_then(|outcome| {
            sharded.durable(outcome.as_ref().map_or(0, |outcome| outcome.sequence)).wait()
        });
        step.run(&model).unwrap();
        if answered.is_err() {
            return Kept { acknowledged, unsure: Some(shown(&model)) };
        }
        acknowledged = shown(&model);
    }
    assert_eq!(shown(sharded), acknowledged);
    Kept { acknowledged, unsure: None }
}

/// Runs the script on a disk that fails at its n-th call; false when there is no such call.
fn fail_at(call: u64, kind: io::ErrorKind, lasts: Lasts) -> bool {
    let files = FaultyFiles::new();
    files.fail_call(call, kind, lasts);
    let mut kept = Kept { acknowledged: Dump::default(), unsure: None };
    if let Ok(sharded) = open(&files, &NAMES) {
        kept = run(&sharded);
        sharded.close().wait().ok();
    }
    let failed = files.failed();
    let all = [Survives::Synced, Survives::Chance { seed: call }, Survives::Everything];
    // A disk that goes on after one failure is looked at in one way a call: that is enough for all three.
    let looks = if lasts == Lasts::Forever { &all[..] } else { &all[call as usize % 3..][..1] };
    for survives in looks.iter().copied() {
        let what = format!("{kind:?} {lasts:?} at {failed:?}, {survives:?}");
        let image = files.reboot(survives);
        let sharded = open(&image, &NAMES).unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = dump(&*sharded).without_versions();
        assert!(
            found == kept.acknowledged || Some(&found) == kept.unsure.as_ref(),
            "{what}: {found:?}\n instead of {:?}\n or {:?}",
            kept.acknowledged,
            kept.unsure
        );
        put(&*sharded, b"next", b"value").unwrap_or_else(|error| panic!("{what}: {error}"));
        let expected = dump(&*sharded).without_versions();
        let again = open(&image.reboot(Survives::Synced), &NAMES).unwrap();
        assert_eq!(dump(&*again).without_versions(), expected, "{what}: once more");
    }
    !failed.is_empty()
}

#[test]
fn batches_are_whole_whichever_disk_call_fails() {
    fail_everywhere(io::ErrorKind::Other, Lasts::Once, fail_at);
}

#[test]
fn batches_are_whole_wherever_the_disk_stops() {
    fail_everywhere(io::ErrorKind::Other, Lasts::Forever, fail_at);
}

#[test]
fn batches_are_whole_whichever_disk_call_finds_no_space() {
    fail_everywhere(io::ErrorKind::StorageFull, Lasts::Once, fail_at);
}

const KEYS: u32 = 700;

fn name(number: u32) -> Vec<u8> {
    format!("key:{number:04}").into_bytes()
}

fn fill(engine: &dyn Engine) {
    let names: Vec<Vec<u8>> = (0..KEYS).map(name).collect();
    let (guard, kind, expires) = (Guard::None, Kind::Raw, Expires::Never);
    let changes: Vec<Change<'_>> = names
        .iter()
        .map(|name| Change::Put { key: KeyRef::new(0, name), guard, value: name, kind, expires })
        .collect();
    let each = engine.write_each(&changes, START_MS).wait().unwrap();
    assert!(each.failures.is_empty());
    engine.durable(each.sequence).wait().unwrap();
}

/// Adds a shard and writes meanwhile, on a disk that stops at its n-th call; false when there is none.
fn move_and_stop_at(call: u64, prepared: &FaultyFiles) -> bool {
    let files = prepared.reboot(Survives::Synced);
    let sharded = open(&files, &NAMES[..2]).unwrap();
    let third = engine(&files, "c").unwrap();
    sharded.set_pace(Pace { keys_per_second: None, bytes_per_second: None });
    files.fail_call(call, io::ErrorKind::Other, Lasts::Forever);
    let mut written = Vec::new();
    let mut unsure = Vec::new();
    if sharded.add(Shard::new("c", third)).is_ok() {
        for number in (0..KEYS).step_by(9) {
            let name = name(number);
            let removes = number % 2 == 0;
            let key = KeyRef::new(0, &name);
            let (guard, kind, expires) = (Guard::None, Kind::Raw, Expires::Never);
            let change = match removes {
                true => Change::Delete { key, guard },
                false => Change::Put { key, guard, value: b"written", kind, expires },
            };
            let outcome = sharded.write(Batch::of(&[change]), START_MS).wait();
            let answered = outcome.and_then(|outcome| sharded.durable(outcome.sequence).wait());
            if let Err(error) = answered {
                assert!(matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Unavailable), "{error}");
                unsure.push((number, removes));
                break;
            }
            written.push((number, removes));
            if !sharded.progress().moving {
                break;
            }
        }
    }
    // What is stuck on a broken disk does not end by itself.
    wait_until("the move ends or the disk stops", || {
        !sharded.progress().moving || !files.failed().is_empty()
    });
    sharded.close().wait().ok();
    for survives in [Survives::Synced, Survives::Chance { seed: call }, Survives::Everything] {
        let what = format!("stopped at {:?}, {survives:?}", files.failed());
        check_move(&files.reboot(survives), &written, &unsure, &what);
    }
    !files.failed().is_empty()
}

fn check_move(files: &FaultyFiles, written: &[(u32, bool)], unsure: &[(u32, bool)], what: &str) {
    let sharded = open(files, &NAMES).unwrap_or_else(|error| panic!("{what}: {error}"));
    sharded.set_pace(Pace { keys_per_second: None, bytes_per_second: None });
    for turn in ["going on", "done"] {
        let mut there = 0;
        for number in 0..KEYS {
            let name = name(number);
            let found = value(&*sharded, &name);
            there += u64::from(found.is_some());
            let expected = |change: Option<&(u32, bool)>| match change {
                None => Some(name.clone()),
                Some((_, true)) => None,
                Some((_, false)) => Some(b"written".to_vec()),
            };
            let told = written.iter().find(|(written, _)| *written == number);
            let maybe = unsure.iter().find(|(unsure, _)| *unsure == number);
            assert!(
                found == expected(told) || (maybe.is_some() && found == expected(maybe)),
                "{what}, {turn}: key {number} is {found:?}"
            );
        }
        assert_eq!(sharded.count(0).wait().unwrap().keys, there, "{what}, {turn}");
        sharded.wait();
    }
    assert_eq!(sharded.progress().trouble, None, "{what}");
    let status = sharded.status().wait().unwrap();
    assert_eq!(status.keys[0], sharded.count(0).wait().unwrap().keys, "{what}: nothing is left over");
}

fn value(engine: &dyn Engine, key: &[u8]) -> Option<Vec<u8>> {
    let mut value = None;
    let keys = [KeyRef::new(0, key)];
    let mut visit = |_: usize, entry: Option<tresor::engine::EntryRef<'_>>| {
        value = entry.map(|entry| entry.value.bytes().to_vec());
    };
    engine.read(&keys, tresor::engine::Isolation::Each, START_MS, &mut visit).wait().unwrap();
    value
}

#[test]
fn a_move_goes_on_wherever_the_disk_stopped() {
    let files = FaultyFiles::new();
    let sharded = open(&files, &NAMES[..2]).unwrap();
    fill(&*sharded);
    sharded.close().wait().unwrap();
    let calls = (1..).take_while(|&call| move_and_stop_at(call, &files)).count();
    println!("{calls} calls");
    assert!(calls > 20, "the move makes only {calls} calls");
}
