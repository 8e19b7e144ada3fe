//! The log on a real disk: what was appended comes back, at every level, with and without snapshots.

mod oplog_model;

use std::{fs, path::PathBuf, sync::Arc};

use oplog_model::{change, open, put, snapshot};
use tresor::{
    ErrorKind,
    engine::{KeyRef, Kind},
    files::{Files, SystemFiles},
    oplog::{Durability, LogOptions, Logged, check, salvage},
};

/// A directory that is gone when the test is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let unique =
            format!("tresor-{name}-{}-{:x}", std::process::id(), getrandom::u32().expect("random numbers"));
        Self(std::env::temp_dir().join(unique))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn disk() -> Arc<dyn Files> {
    Arc::new(SystemFiles)
}

fn options(durability: Durability) -> LogOptions {
    LogOptions { durability, segment_bytes: 4096, buffer_bytes: 2048, keep_bytes: 0 }
}

#[test]
fn every_kind_of_change_comes_back_at_every_level() {
    for durability in [Durability::None, Durability::Interval { ms: 20 }, Durability::Always] {
        let scratch = Scratch::new("levels");
        let (log, recovery, mut model) = open(&disk(), &scratch.0, options(durability)).unwrap();
        assert_eq!((recovery.latest, recovery.store_id_is_new), (0, true));
        for round in 0..50_u64 {
            let (key, value) = (format!("key-{}", round % 7), vec![round as u8; round as usize * 9]);
            let whole = KeyRef::new(3, key.as_bytes());
            let member = KeyRef { member: b"member", ..whole };
            let batch = [
                Logged::Put { key: whole, kind: Kind::Json, expires_at_ms: Some(round), value: &value },
                Logged::Patch { key: whole, offset: 5, bytes: b"patched" },
                put(key.as_bytes(), b""),
                Logged::Put { key: member, kind: Kind::Raw, expires_at_ms: None, value: b"m" },
                Logged::Expire { key: member, expires_at_ms: Some(u64::MAX) },
            ];
            change(&log, &mut model, 1000 + round, &batch).unwrap();
            let single = match round % 5 {
                0 => Logged::Clear { database: 3 },
                1 => Logged::Delete { key: member, removal: None },
                2 => Logged::Mapping(std::array::from_fn(|number| (number as u8 + round as u8) % 16)),
                _ => Logged::Expire { key: whole, expires_at_ms: None },
            };
            change(&log, &mut model, 1000 + round, &[single]).unwrap();
            if round == 20 {
                snapshot(&log, &model).unwrap();
            }
        }
        let latest = log.latest();
        assert_eq!(latest, 50 * 6);
        log.close().unwrap();
        let (log, again, replayed) = open(&disk(), &scratch.0, options(durability)).unwrap();
        assert_eq!(replayed, model, "{durability:?}");
        assert_eq!((again.latest, again.latest_time_ms, again.snapshot), (latest, 1049, 21 * 6));
        assert_eq!((again.torn_bytes, again.store_id), (0, recovery.store_id));
        assert_eq!(log.latest(), latest);
    }
}

#[test]
fn numbers_go_on_from_where_a_lift_says() {
    for snapshot_after in [None, Some(0), Some(1), Some(2)] {
        let scratch = Scratch::new("lift");
        let (log, _, mut model) = open(&disk(), &scratch.0, options(Durability::Always)).unwrap();
        let snap = |at, model: &_| {
            if snapshot_after == Some(at) {
                snapshot(&log, model).unwrap();
            }
        };
        change(&log, &mut model, 1, &[put(b"a", b"1")]).unwrap();
        snap(0, &model);
        assert_eq!(log.lift(1, 1_000_000).unwrap(), 1_000_000);
        assert_eq!(log.lift(1, 500).unwrap(), 1_000_000, "there is nothing to lift");
        log.durable(1_000_000).wait().unwrap();
        snap(1, &model);
        let adopted = Logged::Adopt {
            key: KeyRef::new(0, b"b"),
            version: 77,
            kind: Kind::Raw,
            expires_at_ms: Some(9),
            value: b"2",
        };
        for round in 0..200 {
            change(&log, &mut model, 2, &[adopted, put(b"c", &[round])]).unwrap();
        }
        assert_eq!(log.latest(), 1_000_400);
        snap(2, &model);
        change(&log, &mut model, 2, &[put(b"d", b"4")]).unwrap();
        log.close().unwrap();
        let report = check(&*disk(), &scratch.0).unwrap();
        assert!(report.is_whole(), "{report:?}");
        let (log, recovery, replayed) = open(&disk(), &scratch.0, options(Durability::Always)).unwrap();
        assert_eq!((recovery.latest, replayed), (1_000_401, model), "{snapshot_after:?}");
        log.close().unwrap();
        let into = scratch.0.join("salvaged");
        let salvaged = salvage(&*disk(), &scratch.0, &into).unwrap();
        assert_eq!((salvaged.missing_changes, salvaged.latest), (0, 1_000_401));
        assert!(salvaged.problems.is_empty(), "{salvaged:?}");
        let lifted = log_beyond_all_numbers(&scratch);
        assert_eq!(lifted.kind(), ErrorKind::Invalid);
    }
}

fn log_beyond_all_numbers(scratch: &Scratch) -> tresor::Error {
    let (log, ..) = open(&disk(), &scratch.0, options(Durability::Always)).expect("it opens");
    match log.lift(1, tresor::engine::MAX_SEQUENCE) {
        Err(tresor::oplog::Refused::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_that_is_open_is_not_opened_twice() {
    let scratch = Scratch::new("locked");
    let (log, ..) = open(&disk(), &scratch.0, LogOptions::default()).unwrap();
    let Err(error) = open(&disk(), &scratch.0, LogOptions::default()) else { panic!("opened twice") };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(&*scratch.0.to_string_lossy()), "{error}");
    log.close().unwrap();
    open(&disk(), &scratch.0, LogOptions::default()).unwrap();
}
