//! A JSON file on a disk that fails at every call, once or for good, or is full.
//!
//! A script of changes of every kind runs against the engine and a model side by side. A change that
//! is answered is in the file, whatever happens then; one that is refused has changed nothing; and the
//! file is whole at every moment.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

#[allow(dead_code, reason = "the memory engine's tests use more of it")]
mod memory_script;

use std::{io, path::Path, sync::Arc, time::Duration};

use memory_script::{Dump, dump, plain, put, script};
use tresor::{
    Config, Database, Error, ErrorKind, Result,
    clock::Clock,
    engine::{
        Batch, Change, Engine, EntryRef, Expires, Guard, Isolation, KeyRef, Kind,
        json_file::{JsonFileEngine, JsonFileOptions},
        memory::MemoryOptions,
    },
    files::Files,
};
use tresor_testkit::{
    ManualClock, ModelEngine,
    faulty_files::{FaultyFiles, Lasts, Survives, fail_everywhere},
};

const PATH: &str = "/store/data.json";

fn open(files: &FaultyFiles) -> Result<Arc<JsonFileEngine>> {
    let options = JsonFileOptions { batch_size: 1, auto_save_interval: Duration::from_secs(10), waits: true };
    let seams = (Arc::new(files.clone()) as Arc<dyn Files>, ManualClock::new() as Arc<dyn Clock>);
    JsonFileEngine::open(&MemoryOptions::default(), seams, Path::new(PATH), options)
}

/// What the file may have: what was acknowledged, and a last change whose outcome nobody was told.
struct Kept {
    acknowledged: Dump,
    unsure: Option<Dump>,
    changes: usize,
}

/// Runs the script as far as the disk lets it.
fn run(engine: &JsonFileEngine) -> Kept {
    let model = ModelEngine::new();
    let shown = |engine: &dyn Engine| dump(engine).without_versions();
    let (mut acknowledged, mut changes) = (Dump::default(), 0);
    for step in script() {
        let answered = step.run(engine).and_then(|outcome| {
            let sequence = outcome.as_ref().map_or(0, |outcome| outcome.sequence);
            engine.durable(sequence).wait().map(|()| outcome)
        });
        match answered {
            Ok(outcome) => {
                let expected = step.run(&model).unwrap();
                assert_eq!(outcome.as_ref().map(plain), expected.as_ref().map(plain), "{step:?}");
                changes += 1;
            }
            Err(error) if error.kind() == ErrorKind::Poisoned => {
                assert_poisoned(engine);
                step.run(&model).unwrap();
                return Kept { acknowledged, unsure: Some(shown(&model)), changes };
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::DiskFull | ErrorKind::Unavailable), "{error:?}");
            }
        }
        acknowledged = shown(&model);
        assert_eq!(shown(engine), acknowledged, "{step:?}");
    }
    Kept { acknowledged, unsure: None, changes }
}

fn assert_poisoned(engine: &JsonFileEngine) {
    let errors: [Error; 3] = [
        put(engine, b"more", b"value").unwrap_err(),
        engine.durable(0).wait().unwrap_err(),
        engine.save().wait().unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Poisoned), "{errors:?}");
}

/// What the next process finds is what was acknowledged, and goes on from there.
fn check(files: &FaultyFiles, survives: Survives, kept: &Kept, what: &str) {
    let image = files.reboot(survives);
    let engine = open(&image).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = dump(&*engine).without_versions();
    assert!(found == kept.acknowledged || Some(&found) == kept.unsure.as_ref(), "{what}: {found:?}");
    put(&*engine, b"next", b"value").unwrap_or_else(|error| panic!("{what}: {error}"));
    let expected = dump(&*engine).without_versions();
    let again = open(&image.reboot(Survives::Synced)).unwrap();
    assert_eq!(dump(&*again).without_versions(), expected, "{what}: once more");
}

/// Runs the script on a disk that fails at its n-th call; false when there is no such call.
fn fail_at(call: u64, kind: io::ErrorKind, lasts: Lasts) -> bool {
    let files = FaultyFiles::new();
    files.fail_call(call, kind, lasts);
    let mut kept = Kept { acknowledged: Dump::default(), unsure: None, changes: 0 };
    if let Ok(engine) = open(&files) {
        kept = run(&engine);
        // Closing has nothing left to save, or fails like everything else.
        engine.close().wait().ok();
    }
    let failed = files.failed();
    for survives in [Survives::Synced, Survives::Chance { seed: call }, Survives::Everything] {
        check(&files, survives, &kept, &format!("{kind:?} {lasts:?} at {failed:?}, {survives:?}"));
    }
    let whole = script().len();
    assert!(
        !failed.is_empty() || kept.changes == whole,
        "only {} of {whole} were acknowledged",
        kept.changes
    );
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
fn a_full_disk_refuses_writes_answers_reads_and_is_over_by_itself() {
    let files = FaultyFiles::new();
    let engine = open(&files).unwrap();
    put(&*engine, b"before", b"1").unwrap();
    let before = dump(&*engine).without_versions();
    files.limit_space(Some(files.used_space() + 100));
    let error = put(&*engine, b"large", &[b'x'; 1000]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    assert!(error.message().contains(PATH), "{error}");
    assert_eq!(dump(&*engine).without_versions(), before);
    let sequence = engine.status().wait().unwrap().sequence;
    engine.durable(sequence).wait().unwrap();
    files.limit_space(None);
    put(&*engine, b"large", &[b'x'; 1000]).unwrap();
    let after = dump(&*engine).without_versions();
    assert_eq!(dump(&*open(&files.reboot(Survives::Synced)).unwrap()).without_versions(), after);
}

/// A connection waits once for all that it has sent ahead, by the highest number.
#[test]
fn a_change_that_was_taken_back_is_not_acknowledged_with_a_later_one() {
    let files = FaultyFiles::new();
    let database = Database::over(open(&files).unwrap(), Config::memory()).unwrap();
    let put = |name: &'static [u8]| {
        let (key, expires) = (KeyRef::new(0, name), Expires::Never);
        let put = [Change::Put { key, guard: Guard::None, value: b"1", kind: Kind::Raw, expires }];
        database.engine().write(Batch::of(&put), 0).wait()
    };
    put(b"before").unwrap();
    files.fail_call(1, io::ErrorKind::StorageFull, Lasts::Once);
    let answers = [put(b"first"), put(b"second")];
    let highest = answers.iter().flatten().map(|outcome| outcome.sequence).max().unwrap();
    database.engine().durable(highest).wait().unwrap();
    let kept = open(&files.reboot(Survives::Synced)).unwrap();
    let is_there = |name| {
        let mut there = false;
        let mut visit = |_: usize, entry: Option<EntryRef<'_>>| there = entry.is_some();
        kept.read(&[KeyRef::new(0, name)], Isolation::Each, 0, &mut visit).wait().unwrap();
        there
    };
    assert!(is_there(b"before") && is_there(b"second") && !is_there(b"first"));
    assert_eq!(answers[0].as_ref().unwrap_err().kind(), ErrorKind::DiskFull);
}
