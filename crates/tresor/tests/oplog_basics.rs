//! The log on a real disk: what was appended comes back, at every level, with and without snapshots.

mod oplog_model;

use std::{fs, path::PathBuf, sync::Arc};

use oplog_model::{change, open, put, snapshot};
use tresor::{
    ErrorKind,
    engine::{KeyRef, Kind},
    files::{Files, SystemFiles},
    oplog::{Durability, LogOptions, Logged},
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
    LogOptions { durability, segment_bytes: 4096, buffer_bytes: 2048 }
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
                1 => Logged::Delete { key: member },
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
fn a_store_that_is_open_is_not_opened_twice() {
    let scratch = Scratch::new("locked");
    let (log, ..) = open(&disk(), &scratch.0, LogOptions::default()).unwrap();
    let Err(error) = open(&disk(), &scratch.0, LogOptions::default()) else { panic!("opened twice") };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(&*scratch.0.to_string_lossy()), "{error}");
    log.close().unwrap();
    open(&disk(), &scratch.0, LogOptions::default()).unwrap();
}
