//! Damage to a log, everywhere it can happen: each cut and each flipped bit of a 200-record log is
//! either a tail that is cut and reported, or an error that names the file and the offset. It is
//! never wrong data and never a panic.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

mod oplog_model;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use oplog_model::{Model, change, open, put, snapshot};
use tresor::{
    Result,
    engine::{KeyRef, Kind},
    files::Files,
    oplog::{Durability, LogOptions, Logged, Recovery},
};
use tresor_testkit::faulty_files::{FaultyFiles, Survives};

const DIRECTORY: &str = "/store";
const SEGMENT: &str = "/store/000000000001.log";
const RECORDS: usize = 200;

fn options() -> LogOptions {
    LogOptions { durability: Durability::Always, segment_bytes: 24 * 1024, buffer_bytes: 4096, keep_bytes: 0 }
}

fn reopen(files: &FaultyFiles) -> Result<(Arc<tresor::oplog::Log>, Recovery, Model)> {
    let files: Arc<dyn Files> = Arc::new(files.clone());
    open(&files, Path::new(DIRECTORY), options())
}

/// A log of 200 records, each made durable on its own.
struct History {
    /// As a power cut leaves it.
    crashed: FaultyFiles,
    /// As closing leaves it.
    closed: FaultyFiles,
    /// The store and the end of the segment's records, after so many records.
    states: Vec<(Model, u64, u64)>,
}

impl History {
    fn new() -> Self {
        let files = FaultyFiles::new();
        let (log, _, mut model) = reopen(&files).unwrap();
        let mut states = vec![(model.clone(), 48, 0)];
        for round in 0..RECORDS {
            let name = [b'a' + (round % 11) as u8];
            let key = KeyRef::new((round % 3) as u8, &name);
            let value = [round as u8; 5];
            let one = match round % 6 {
                0 => Logged::Delete { key, removal: None },
                1 => Logged::Expire { key, expires_at_ms: Some(round as u64) },
                2 => Logged::Patch { key, offset: 2, bytes: &value },
                _ => Logged::Put { key, kind: Kind::Raw, expires_at_ms: None, value: &value },
            };
            let batch = [one, put(&name, b"x")];
            change(&log, &mut model, 7, &batch[..1 + usize::from(round % 10 == 9)]).unwrap();
            states.push((model.clone(), 48 + log.status().written_bytes, log.latest()));
        }
        let crashed = files.reboot(Survives::Synced);
        log.close().unwrap();
        Self { crashed, closed: files.reboot(Survives::Synced), states }
    }

    fn segment_end(&self) -> u64 {
        self.states[RECORDS].1
    }
}

fn assert_refused(result: &Result<(Arc<tresor::oplog::Log>, Recovery, Model)>, file: &str, what: &str) {
    match result {
        Ok(_) => panic!("{what}: opened"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(file) && text.contains("byte "), "{what}: {text}");
        }
    }
}

/// Runs a check for each number below `end` on two threads.
fn for_each(end: u64, check: impl Fn(u64) + Sync) {
    thread::scope(|scope| {
        for part in 0..2 {
            let check = &check;
            scope.spawn(move || (part..end).step_by(2).for_each(check));
        }
    });
}

#[test]
fn a_log_cut_anywhere_gives_exactly_the_whole_records_before_the_cut() {
    let history = History::new();
    let whole = history.crashed.contents(Path::new(SEGMENT));
    for_each(history.segment_end() + 1, |cut| {
        let files = history.crashed.reboot(Survives::Synced);
        files.cut(Path::new(SEGMENT), cut);
        let opened = reopen(&files);
        if cut < 48 {
            return assert_refused(&opened, SEGMENT, &format!("cut at {cut}"));
        }
        let (log, recovery, mut model) = opened.unwrap();
        let kept = history.states.iter().rposition(|(_, end, _)| *end <= cut).unwrap();
        let (expected, end, latest) = &history.states[kept];
        assert_eq!((&model, recovery.latest), (expected, *latest), "cut at {cut}");
        let torn = &whole[*end as usize..cut as usize];
        let torn_bytes = torn.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1);
        assert_eq!((recovery.torn_bytes, recovery.torn_records), (torn_bytes, 0), "cut at {cut}");
        // What is written from here on must not be confused by what was cut off.
        change(&log, &mut model, 8, &[put(b"next", b"one")]).unwrap();
        let (_, again, replayed) = reopen(&files.reboot(Survives::Synced)).unwrap();
        assert_eq!((&replayed, again.latest, again.torn_bytes), (&model, latest + 1, 0), "cut at {cut}");
    });
}

#[test]
fn a_flipped_bit_is_damage_unless_it_is_in_the_tail() {
    let history = History::new();
    let last_begins = history.states[RECORDS - 1].1;
    // A little of the zeros behind the records too: they are as good a place for a flip.
    for_each((history.segment_end() + 64) * 8, |bit| {
        let files = history.crashed.reboot(Survives::Synced);
        files.flip_bit(Path::new(SEGMENT), bit);
        let opened = reopen(&files);
        let what = format!("bit {} of byte {}", bit % 8, bit / 8);
        if bit / 8 < last_begins {
            return assert_refused(&opened, SEGMENT, &what);
        }
        let (_, recovery, model) = opened.unwrap();
        let kept = if bit / 8 < history.segment_end() { RECORDS - 1 } else { RECORDS };
        assert_eq!(model, history.states[kept].0, "{what}");
        assert!(recovery.torn_bytes > 0, "{what}");
    });
}

#[test]
fn a_flipped_bit_in_a_closed_log_is_always_damage() {
    let history = History::new();
    for_each(history.segment_end() * 8, |bit| {
        // One bit of each byte: the test above went through them all.
        if bit % 8 != bit / 8 % 8 {
            return;
        }
        let files = history.closed.reboot(Survives::Synced);
        files.flip_bit(Path::new(SEGMENT), bit);
        assert_refused(&reopen(&files), SEGMENT, &format!("bit {} of byte {}", bit % 8, bit / 8));
    });
}

#[test]
fn a_flipped_or_missing_byte_of_any_other_file_is_damage() {
    let files = FaultyFiles::new();
    let (log, _, mut model) = reopen(&files).unwrap();
    for round in 0..20_u8 {
        change(&log, &mut model, 1, &[put(&[round], &[round; 30])]).unwrap();
    }
    let end = snapshot(&log, &model).unwrap();
    change(&log, &mut model, 2, &[put(b"after", b"")]).unwrap();
    let crashed = files.reboot(Survives::Synced);
    assert_eq!(reopen(&crashed.reboot(Survives::Synced)).unwrap().2, model);
    for path in [format!("/store/{end:012x}.snapshot"), "/store/store".to_owned()] {
        let size = crashed.contents(Path::new(&path)).len() as u64;
        for_each(size, |byte| {
            let files = crashed.reboot(Survives::Synced);
            files.flip_bit(Path::new(&path), byte * 8 + byte % 8);
            assert_refused(&reopen(&files), &path, &format!("byte {byte} of {path}"));
        });
        for_each(size, |cut| {
            let files = crashed.reboot(Survives::Synced);
            files.cut(Path::new(&path), cut);
            assert_refused(&reopen(&files), &path, &format!("{path} cut at {cut}"));
        });
    }
}

#[test]
fn a_missing_segment_is_damage() {
    let files = FaultyFiles::new();
    let (log, _, mut model) = reopen(&files).unwrap();
    for round in 0..30_u8 {
        change(&log, &mut model, 1, &[put(&[round], &vec![round; 5000])]).unwrap();
    }
    let crashed = files.reboot(Survives::Synced);
    let segments: Vec<PathBuf> =
        crashed.paths().into_iter().filter(|path| path.to_string_lossy().ends_with(".log")).collect();
    assert!(segments.len() > 3, "{segments:?}");
    for missing in &segments[..segments.len() - 1] {
        let files = crashed.reboot(Survives::Synced);
        files.remove(missing).unwrap();
        let Err(error) = reopen(&files) else { panic!("opened without {}", missing.display()) };
        assert!(error.to_string().contains(".log"), "{error}");
    }
}
