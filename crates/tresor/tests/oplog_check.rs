//! `check` tells what is damaged without changing anything; `salvage` keeps what is whole; and files
//! of every released format open.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

mod oplog_model;

use std::{fs, path::Path, sync::Arc};

use oplog_model::{Model, change, open, put, snapshot};
use tresor::{
    ErrorKind, Result,
    engine::{KeyRef, Kind},
    files::Files,
    oplog::{FileKind, Log, LogOptions, Logged, Recovery, check, salvage},
};
use tresor_testkit::faulty_files::{FaultyFiles, Survives};

const DIRECTORY: &str = "/store";

fn reopen(files: &FaultyFiles, directory: &str) -> Result<(Arc<Log>, Recovery, Model)> {
    let files: Arc<dyn Files> = Arc::new(files.clone());
    open(&files, Path::new(directory), LogOptions { segment_bytes: 2048, ..LogOptions::default() })
}

/// A store with a snapshot of two blocks and some segments, as a power cut leaves it.
fn store() -> (FaultyFiles, Model) {
    let files = FaultyFiles::new();
    let (log, _, mut model) = reopen(&files, DIRECTORY).unwrap();
    for round in 0..30_u8 {
        change(&log, &mut model, 5, &[put(&[b's', round], &vec![round; 4000])]).unwrap();
    }
    snapshot(&log, &model).unwrap();
    for round in 0..30_u8 {
        change(&log, &mut model, 6, &[put(&[b'l', round], &[round; 200])]).unwrap();
    }
    (files.reboot(Survives::Synced), model)
}

fn named(files: &FaultyFiles, suffix: &str) -> Vec<std::path::PathBuf> {
    files.paths().into_iter().filter(|path| path.to_string_lossy().ends_with(suffix)).collect()
}

#[test]
fn a_whole_store_has_nothing_wrong_and_an_open_or_missing_one_says_so() {
    let (files, _) = store();
    let report = check(&files, Path::new(DIRECTORY)).unwrap();
    assert!(report.is_whole(), "{report:?}");
    let snapshot = report.files.iter().find(|file| file.kind == FileKind::Snapshot).unwrap();
    assert_eq!((snapshot.records, snapshot.covers), (30, (30, 30)));
    let last = report.files.last().unwrap();
    assert_eq!((last.kind, last.covers.1), (FileKind::Segment, 60));
    let (_log, ..) = reopen(&files, DIRECTORY).unwrap();
    assert_eq!(check(&files, Path::new(DIRECTORY)).unwrap_err().kind(), ErrorKind::Unavailable);
    files.create_directory(Path::new("/empty")).unwrap();
    assert_eq!(check(&files, Path::new("/empty")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_damaged_segment_is_named_and_all_other_changes_are_kept() {
    let (files, model) = store();
    let segment = named(&files, ".log")[2].clone();
    files.flip_bit(&segment, 8 * 100);
    assert!(reopen(&files, DIRECTORY).is_err());
    let report = check(&files, Path::new(DIRECTORY)).unwrap();
    let problems: Vec<&String> = report.files.iter().filter_map(|file| file.problem.as_ref()).collect();
    assert!(matches!(problems[..], [one] if one.contains(&*segment.to_string_lossy())), "{report:?}");
    assert!(problems[0].contains("byte 48"), "{report:?}");

    let salvaged = salvage(&files, Path::new(DIRECTORY), Path::new("/rescued")).unwrap();
    assert_eq!((salvaged.missing_changes, salvaged.latest, salvaged.entries), (1, 60, 59), "{salvaged:?}");
    let (log, recovery, mut rescued) = reopen(&files, "/rescued").unwrap();
    assert_eq!(recovery.latest, 60);
    let lost: Vec<_> = model.entries.keys().filter(|key| !rescued.entries.contains_key(*key)).collect();
    assert_eq!(lost.len(), 1);
    assert!(rescued.entries.iter().all(|(key, entry)| model.entries.get(key) == Some(entry)));
    change(&log, &mut rescued, 7, &[put(b"goes", b"on")]).unwrap();
    let again = salvage(&files, Path::new(DIRECTORY), Path::new("/rescued")).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Exists);
}

#[test]
fn a_damaged_snapshot_gives_its_whole_blocks() {
    let (files, model) = store();
    let snapshot = named(&files, ".snapshot")[0].clone();
    files.flip_bit(&snapshot, 8 * 5000);
    let report = check(&files, Path::new(DIRECTORY)).unwrap();
    assert!(!report.is_whole());
    let salvaged = salvage(&files, Path::new(DIRECTORY), Path::new("/rescued")).unwrap();
    assert_eq!(salvaged.problems.len(), 1, "{salvaged:?}");
    // The first block has the first entries; the second one and the log are whole.
    assert!(salvaged.entries > 40 && salvaged.entries < 60, "{salvaged:?}");
    let (_, _, rescued) = reopen(&files, "/rescued").unwrap();
    assert!(rescued.entries.iter().all(|(key, entry)| model.entries.get(key) == Some(entry)));

    let (files, model) = store();
    files.cut(&snapshot, files.contents(&snapshot).len() as u64 - 3);
    let salvaged = salvage(&files, Path::new(DIRECTORY), Path::new("/rescued")).unwrap();
    assert_eq!(salvaged.entries, 60, "{salvaged:?}");
    assert_eq!(reopen(&files, "/rescued").unwrap().2, model);
}

#[test]
fn a_lost_identity_is_told_and_can_be_salvaged() {
    let (files, model) = store();
    files.remove(Path::new("/store/store")).unwrap();
    assert!(reopen(&files, DIRECTORY).is_err());
    assert!(!check(&files, Path::new(DIRECTORY)).unwrap().is_whole());
    salvage(&files, Path::new(DIRECTORY), Path::new("/rescued")).unwrap();
    assert_eq!(reopen(&files, "/rescued").unwrap().2, model);
}

/// What the fixture of format 1 was made of; run once, when the format was new.
fn fixture(log: &Log, model: &mut Model) -> Result<()> {
    let key = KeyRef { database: 3, key: b"key", member: b"member" };
    let json = Logged::Put { key, kind: Kind::Json, expires_at_ms: Some(4_000_000_000_000), value: b"[1]" };
    change(log, model, 1_700_000_000_000, &[json, put(b"gone", b"soon"), put(b"kept", b"value")])?;
    snapshot(log, model)?;
    let patch = Logged::Patch { key: KeyRef::new(0, b"kept"), offset: 6, bytes: b"!" };
    change(
        log,
        model,
        1_700_000_000_001,
        &[patch, Logged::Delete { key: KeyRef::new(0, b"gone"), removal: None }],
    )?;
    change(log, model, 1_700_000_000_002, &[Logged::Expire { key, expires_at_ms: None }])?;
    change(log, model, 1_700_000_000_003, &[put(b"cleared", b"")])?;
    let swapped = std::array::from_fn(|number| [1, 0].get(number).copied().unwrap_or(number as u8));
    change(log, model, 1_700_000_000_004, &[Logged::Mapping(swapped), Logged::Clear { database: 7 }])?;
    Ok(())
}

#[test]
fn format_1_opens() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/log-format-1");
    let expected = {
        let (log, _, mut model) = reopen(&FaultyFiles::new(), DIRECTORY).unwrap();
        fixture(&log, &mut model).unwrap();
        model
    };
    let files = FaultyFiles::new();
    for entry in fs::read_dir(&fixtures).unwrap() {
        let path = entry.unwrap().path();
        files.place(&Path::new(DIRECTORY).join(path.file_name().unwrap()), &fs::read(&path).unwrap());
    }
    assert!(check(&files, Path::new(DIRECTORY)).unwrap().is_whole());
    let (_, recovery, model) = reopen(&files, DIRECTORY).unwrap();
    assert_eq!(model, expected);
    assert_eq!((recovery.latest, recovery.snapshot, recovery.latest_time_ms), (9, 3, 1_700_000_000_004));
    assert!(!recovery.store_id_is_new && recovery.torn_bytes == 0);
}
