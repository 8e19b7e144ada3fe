//! SQLite databases on disks that fail: syncs that fail, power that is cut, rights that are missing, room
//! that runs out, bits that flip.
//!
//! What a cut of the power leaves is made from copies: the database file as it was, and its log cut at
//! any byte behind what the engine's own syncs had covered when a write was acknowledged. So these
//! tests show that nothing is acknowledged before a sync that covers it, and that any cut of the log
//! comes back as a moment of the store's history, half-written frames included. They do not show
//! that a sync of the system reaches the disk, nor a cut in the middle of a checkpoint, for which SQLite's
//! own order of syncs is relied on.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

mod opened;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use opened::{CountedSyncs, get, on, open, put, refused, try_get, try_put};
use tresor::{
    ErrorKind,
    config::Durability,
    engine::{Batch, Change, Content, Engine, Order, Scan},
};
use tresor_sqlite::Options;
use tresor_testkit::{
    START_MS, TemporaryDirectory,
    random::{Random, seed},
};

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The store as a cut of the power leaves it: its log ends after so many bytes.
fn cut(directory: &TemporaryDirectory, path: &Path, log: &[u8], bytes: usize) -> PathBuf {
    let copy = directory.join("cut.db");
    for leftover in ["cut.db", "cut.db-wal", "cut.db-shm"] {
        let _ = fs::remove_file(directory.join(leftover));
    }
    fs::copy(path, &copy).unwrap();
    fs::write(log_of(&copy), &log[..bytes]).unwrap();
    copy
}

/// How many of the numbered writes a store holds, each of which replaces `latest` and adds a key.
fn history(path: &Path) -> u64 {
    let engine = open(path);
    let latest =
        get(&*engine, b"latest").map_or(0, |value| String::from_utf8(value).unwrap().parse().unwrap());
    let scan = Scan::all(0, Order::Ascending, Content::Keys, 10_000);
    let keys = engine.scan(&scan, START_MS).wait().unwrap().len() as u64;
    assert_eq!(keys, if latest == 0 { 0 } else { latest + 1 }, "a write is there whole or not at all");
    assert_eq!(engine.count(0).wait().unwrap().keys, keys);
    for number in 1..=latest {
        assert_eq!(get(&*engine, &number.to_be_bytes()), Some(number.to_string().into_bytes()));
    }
    put(&*engine, b"more", b"is taken");
    latest
}

#[test]
fn what_was_acknowledged_survives_any_cut_behind_its_sync() {
    let directory = TemporaryDirectory::new("sqlite-faults");
    let path = directory.join("store.db");
    let files = CountedSyncs::default();
    let engine = on(Arc::new(files.clone()), Options { checkpoint_bytes: u64::MAX, ..Options::at(&path) });
    // For each write, how much of the log the syncs before its answer had covered.
    let mut synced = vec![0];
    for number in 1..=40_u64 {
        let (name, value) = (number.to_be_bytes(), number.to_string().into_bytes());
        let changes = [opened::change(&name, &value), opened::change(b"latest", &value)];
        let outcome = engine.write(Batch::of(&changes), START_MS).wait().unwrap();
        engine.durable(outcome.sequence).wait().unwrap();
        synced.push(files.log_synced_bytes());
    }
    let log = fs::read(log_of(&path)).unwrap();
    let mut random = Random::new(seed("what_was_acknowledged_survives_any_cut_behind_its_sync"));
    for (number, synced) in synced.into_iter().enumerate() {
        // Exactly what was synced: nothing that was written later reached the disk.
        let from = synced as usize;
        let came_back = history(&cut(&directory, &path, &log, from));
        assert!(came_back >= number as u64, "write {number} was acknowledged, {came_back} came back");
        // And anything between that and everything.
        let bytes = from + random.index(log.len() - from + 1);
        let came_back = history(&cut(&directory, &path, &log, bytes));
        assert!(came_back >= number as u64, "write {number} was acknowledged, {came_back} came back");
    }
}

#[test]
fn a_torn_and_scrambled_end_of_the_log_is_left_out() {
    let directory = TemporaryDirectory::new("sqlite-faults");
    let path = directory.join("store.db");
    let options = Options { checkpoint_bytes: u64::MAX, ..Options::at(&path) };
    let engine = on(Arc::new(CountedSyncs::default()), options.durability(Durability::Interval { ms: 1000 }));
    for number in 1..=10_u64 {
        let (name, value) = (number.to_be_bytes(), number.to_string().into_bytes());
        let changes = [opened::change(&name, &value), opened::change(b"latest", &value)];
        engine.write(Batch::of(&changes), START_MS).wait().unwrap();
    }
    let log = fs::read(log_of(&path)).unwrap();
    let mut random = Random::new(seed("a_torn_and_scrambled_end_of_the_log_is_left_out"));
    for _ in 0..100 {
        // Sectors of the last part that never arrived read as zeros or as anything.
        let mut torn = log.clone();
        let from = random.index(log.len());
        for sector in torn[from..].chunks_mut(512) {
            match random.below(3) {
                0 => sector.fill(0),
                1 => sector.iter_mut().for_each(|byte| *byte = random.number() as u8),
                _ => {}
            }
        }
        let bytes = torn.len();
        assert!(history(&cut(&directory, &path, &torn, bytes)) <= 10);
    }
}

#[test]
fn a_failed_sync_is_the_end_for_everyone() {
    let directory = TemporaryDirectory::new("sqlite-faults");
    let path = directory.join("store.db");
    let files = CountedSyncs::default();
    let engine = on(Arc::new(files.clone()), Options::at(&path));
    put(&*engine, b"before", b"1");
    files.fail();
    let error = try_put(&*engine, b"lost", b"2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned);
    assert!(error.message().contains("store.db"), "{error}");
    let errors = [
        try_put(&*engine, b"more", b"3").unwrap_err(),
        try_get(&*engine, b"before").unwrap_err(),
        engine.durable(0).wait().unwrap_err(),
        engine.save().wait().unwrap_err(),
        engine.status().wait().unwrap_err(),
        engine.close().wait().unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Poisoned), "{errors:?}");
    drop(engine);
    assert_eq!(get(&*open(&path), b"before").as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_file_that_may_not_be_written_is_refused_by_name() {
    if rustix::process::geteuid().is_root() {
        // Rights do not bind root: a directory that is a file does.
        let directory = TemporaryDirectory::new("sqlite-faults");
        fs::write(directory.join("file"), "").unwrap();
        let error = refused(&directory.join("file").join("store.db"));
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("file"), "{error}");
        return;
    }
    let directory = TemporaryDirectory::new("sqlite-faults");
    let path = directory.join("store.db");
    drop(open(&path));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("store.db"), "{error}");
}

/// A disk of a few mebibytes, where this process may make one.
struct SmallDisk(TemporaryDirectory);

impl SmallDisk {
    fn new(mebibytes: u32) -> Option<Self> {
        let directory = TemporaryDirectory::new("sqlite-disk");
        let size = format!("size={mebibytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(directory.path())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            assert!(std::env::var_os("CI").is_none(), "a tmpfs cannot be mounted, and CI must not skip");
            println!("SKIPPED: a tmpfs cannot be mounted here");
        }
        mounted.then_some(Self(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(std::thread::panicking() || status.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_full_disk_refuses_writes_answers_reads_and_is_over_by_itself() {
    let Some(disk) = SmallDisk::new(8) else { return };
    let path = disk.0.join("store.db");
    let engine = open(&path);
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![0; 3 << 20]).unwrap();
    let value = vec![b'v'; 100_000];
    let mut written = Vec::new();
    let error = loop {
        let name = (written.len() as u64).to_be_bytes();
        match try_put(&*engine, &name, &value) {
            Ok(_) => written.push(name),
            Err(error) => break error,
        }
        assert!(written.len() < 100, "8 MiB do not hold that much");
    };
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
    assert!(error.message().contains("store.db"), "{error}");
    assert!(written.len() > 5, "only {} were taken", written.len());
    let next = (written.len() as u64).to_be_bytes();
    assert_eq!(try_get(&*engine, &next).unwrap(), None, "nothing of it was written");
    assert_eq!(engine.count(0).wait().unwrap().keys, written.len() as u64);
    for name in &written {
        assert!(get(&*engine, name).as_deref() == Some(&value[..]));
    }
    fs::remove_file(&ballast).unwrap();
    put(&*engine, &next, &value);
    engine.close().wait().unwrap();
    let engine = open(&path);
    assert_eq!(engine.count(0).wait().unwrap().keys, written.len() as u64 + 1);
    assert!(written.iter().all(|name| get(&*engine, name).as_deref() == Some(&value[..])));
}

#[test]
fn a_flipped_bit_is_an_error_and_never_another_value() {
    let directory = TemporaryDirectory::new("sqlite-faults");
    let path = directory.join("store.db");
    let engine = open(&path);
    let value = |number: u8| vec![number; usize::from(number) * 40];
    for number in 0..60_u8 {
        put(&*engine, &[number, b'k'], &value(number));
    }
    engine.write(Batch::of(&[Change::Swap { first: 0, second: 1 }]), START_MS).wait().unwrap();
    engine.write(Batch::of(&[Change::Swap { first: 0, second: 1 }]), START_MS).wait().unwrap();
    drop(engine);
    let whole = fs::read(&path).unwrap();
    let copy = directory.join("flipped.db");
    let mut random = Random::new(seed("a_flipped_bit_is_an_error_and_never_another_value"));
    let (mut refused, mut harmless) = (0, 0);
    // Of every page several bytes, and of its head, where its shape is told, all.
    let places: Vec<usize> = (0..whole.len() / 4096)
        .flat_map(|page| {
            (0..24)
                .chain((0..24).map(|_| 24 + random.index(4072)))
                .map(move |at| page * 4096 + at)
                .collect::<Vec<_>>()
        })
        .collect();
    for at in places {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << random.below(8);
        fs::write(&copy, &flipped).unwrap();
        let Ok(engine) = tresor_sqlite::open(&copy) else {
            refused += 1;
            continue;
        };
        harmless += 1;
        for number in 0..60_u8 {
            if let Ok(found) = try_get(&*engine, &[number, b'k']) {
                assert!(found == Some(value(number)), "byte {at}: key {number} is {found:?}");
            }
        }
    }
    println!("{refused} flips were refused, {harmless} were in bytes that nothing is read from");
    assert!(refused > harmless / 4, "{refused} refused, {harmless} harmless");
}

#[test]
fn a_flipped_bit_of_an_open_store_is_found_when_it_is_read() {
    let directory = TemporaryDirectory::new("sqlite-faults");
    let path = directory.join("store.db");
    let engine = open(&path);
    put(&*engine, b"k", &[b'v'; 3000]);
    engine.save().wait().unwrap();
    // Behind the engine's back, as a disk does it.
    let person = rusqlite::Connection::open(&path).unwrap();
    person.execute_batch("UPDATE stored SET value = replace(value, 'v', 'w') WHERE key = 'k'").unwrap();
    let error = try_get(&*engine, b"k").unwrap_err();
    assert!(error.message().contains("tresor check"), "{error}");
    let scan = Scan::all(0, Order::Ascending, Content::Entries, 10);
    assert_eq!(engine.scan(&scan, START_MS).wait().unwrap_err().kind(), ErrorKind::Internal);
    person.execute_batch("UPDATE stored SET expires_at_ms = 1").unwrap();
    let scan = Scan::all(0, Order::Ascending, Content::Keys, 10);
    assert_eq!(engine.scan(&scan, START_MS).wait().unwrap_err().kind(), ErrorKind::Internal);
    let changes = [Change::Delete { key: opened::key(b"k"), guard: tresor::engine::Guard::None }];
    assert_eq!(engine.write(Batch::of(&changes), START_MS).wait().unwrap_err().kind(), ErrorKind::Internal);
}
