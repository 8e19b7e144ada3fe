//! The disk engine as its users see it: it comes back, tells stores apart, and gives space back.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tresor::{
    Config, Database, ErrorKind, PutOptions,
    clock::Clock,
    config::Durability,
    engine::{
        Batch, Change, Content, Engine, Expires, Guard, KeyRef, Kind, Order, Scan,
        disk::{DiskEngine, DiskOptions},
    },
    files::SystemFiles,
    oplog::LogOptions,
};
use tresor_testkit::{
    ManualClock, TemporaryDirectory,
    deadline::wait_until,
    random::{Random, seed},
};

fn open(path: &Path, clock: &Arc<ManualClock>) -> Arc<DiskEngine> {
    let log = LogOptions { durability: Durability::Always, ..LogOptions::default() };
    let seams = (Arc::new(SystemFiles) as Arc<_>, clock.clone() as Arc<dyn Clock>);
    DiskEngine::open(&DiskOptions::default(), seams, path, log).expect("the store opens").0
}

fn rows(engine: &dyn Engine, now_ms: u64) -> usize {
    let scan = Scan::all(0, Order::Ascending, Content::Keys, 1_000_000);
    engine.scan(&scan, now_ms).wait().expect("a page").len()
}

fn put<'a>(key: &'a [u8], value: &'a [u8], expires: Expires) -> Change<'a> {
    Change::Put { key: KeyRef::new(0, key), guard: Guard::None, value, kind: Kind::Raw, expires }
}

#[test]
fn a_store_on_disk_comes_back_after_a_close_and_after_a_crash() {
    let directory = TemporaryDirectory::new("disk");
    let path = directory.join("store");
    let store = Database::open(Config::disk(&path)).expect("an empty store");
    store.put("name", "Alice").expect("a put");
    store.database(3).expect("a database").put("other", 5).expect("a put");
    store.save().expect("a checkpoint");
    store.put("later", "than the checkpoint").expect("a put");
    // As a crash leaves it: the log has everything, the tables what the checkpoint gave them.
    let crashed = directory.join("crashed");
    copy(&path, &crashed);
    store.close().expect("it closes");
    for path in [&path, &crashed] {
        let store = Database::open(Config::disk(path)).expect("the store opens");
        assert_eq!(store.read("name").expect("there").to_string(), "Alice");
        assert_eq!(store.read("later").expect("there").to_string(), "than the checkpoint");
        assert_eq!(store.database(3).expect("a database").read("other").expect("there").as_i64(), Some(5));
        store.close().expect("it closes");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}

#[test]
fn stores_of_the_two_engines_are_told_apart() {
    let directory = TemporaryDirectory::new("disk");
    let (memory, disk) = (directory.join("memory"), directory.join("disk"));
    for (path, config) in [(&memory, Config::at(&memory)), (&disk, Config::disk(&disk))] {
        let store = Database::open(config).expect("an empty store");
        store.put("k", "v").expect("a put");
        store.close().expect("it closes");
        assert!(path.exists());
    }
    let refused = |config| match Database::open(config) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error,
    };
    let error = refused(Config::disk(&memory));
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("--engine memory"), "{error}");
    let error = refused(Config::at(&disk));
    assert!(error.to_string().contains("--engine disk"), "{error}");
    // Neither try has harmed what was there.
    assert_eq!(Database::open(Config::at(&memory)).expect("it opens").len().expect("a count"), 1);
    let store = Database::open(Config::disk(&disk)).expect("it opens");
    assert_eq!(store.len().expect("a count"), 1);
    assert_eq!(refused(Config::disk(&disk)).kind(), ErrorKind::Unavailable, "it is open already");
}

#[test]
fn what_has_expired_leaves_the_tables() {
    let directory = TemporaryDirectory::new("disk");
    let clock = ManualClock::new();
    let engine = open(&directory.join("store"), &clock);
    let now_ms = clock.now_ms();
    for number in 0..1000_u32 {
        let key = number.to_be_bytes();
        let expires = if number % 2 == 0 { Expires::At(now_ms + 1000) } else { Expires::Never };
        engine.write(Batch::blind(&[put(&key, b"v", expires)]), now_ms).wait().expect("a put");
    }
    // One that is put off, and one that is to stay after all.
    let stays =
        [put(&[0, 0, 0, 0], b"v", Expires::At(now_ms + 5000)), put(&[0, 0, 0, 2], b"v", Expires::Never)];
    engine.write(Batch::blind(&stays), now_ms).wait().expect("a batch");
    clock.advance(Duration::from_millis(1000));
    assert_eq!(rows(&*engine, clock.now_ms()), 502, "absent at once");
    wait_until("the sweep", || engine.status().wait().expect("a status").expired.removed() == 498);
    // Before the beginning of time nothing has expired: what is left is what is in the tables.
    assert_eq!(rows(&*engine, 0), 502);
    clock.advance(Duration::from_millis(4000));
    wait_until("the sweep", || engine.status().wait().expect("a status").expired.removed() == 499);
    assert_eq!(rows(&*engine, 0), 501);
    // What comes in where the sweep has been already.
    for at_ms in [now_ms + 3000, 0] {
        let before = engine.status().wait().expect("a status").expired.removed();
        let late =
            [put(&[1, 0, 0, 0], b"v", Expires::At(at_ms)), put(&[1, 0, 0, 1], b"v", Expires::At(at_ms))];
        engine.write(Batch::blind(&late), now_ms).wait().expect("a batch");
        wait_until("the sweep", || engine.status().wait().expect("a status").expired.removed() == before + 2);
        assert_eq!(rows(&*engine, 0), 501);
    }
}

#[test]
fn many_that_expire_at_once_all_go() {
    let (directory, clock) = (TemporaryDirectory::new("disk"), ManualClock::new());
    let engine = open(&directory.join("store"), &clock);
    let names: Vec<[u8; 4]> = (0..5_000_u32).map(u32::to_be_bytes).collect();
    let at = |number: usize| Expires::At(clock.now_ms() + 1_000 + number as u64 / 1_000);
    let puts: Vec<_> = names.iter().enumerate().map(|(number, key)| put(key, b"v", at(number))).collect();
    engine.write(Batch::blind(&puts), clock.now_ms()).wait().expect("a batch");
    // Every third is written over.
    let over: Vec<_> = names.iter().step_by(3).map(|key| put(key, b"w", Expires::Never)).collect();
    engine.write(Batch::blind(&over), clock.now_ms()).wait().expect("a batch");
    clock.advance(Duration::from_secs(2));
    wait_until("the sweep", || rows(&*engine, 0) == over.len());
    assert_eq!(engine.status().wait().expect("a status").expired.removed(), 5_000 - over.len() as u64);
}

#[test]
fn what_is_deleted_gives_its_space_back() {
    let directory = TemporaryDirectory::new("disk");
    let path = directory.join("store");
    let clock = ManualClock::new();
    let engine = open(&path, &clock);
    let mut random = Random::new(seed("what_is_deleted_gives_its_space_back"));
    let keys: Vec<[u8; 4]> = (0..2000_u32).map(u32::to_be_bytes).collect();
    for key in &keys {
        // They are random, so that nothing compresses.
        let value = random.bytes(16 * 1024);
        engine.write(Batch::blind(&[put(key, &value, Expires::Never)]), 0).wait().expect("a put");
    }
    engine.save().wait().expect("a checkpoint");
    let tables = || bytes_in(&path.join("tables").join("keyspaces"));
    let full = tables();
    assert!(full > 2000 * 16 * 1024, "{full} bytes");
    for key in &keys {
        let delete = Change::Delete { key: KeyRef::new(0, key), guard: Guard::None };
        engine.write(Batch::blind(&[delete]), 0).wait().expect("a delete");
    }
    engine.save().wait().expect("a checkpoint");
    // Tables are merged in the background, and their files go with the next change of the tables.
    wait_until("the space", || {
        engine.write(Batch::blind(&[put(b"more", b"v", Expires::Never)]), 0).wait().expect("a put");
        engine.save().wait().expect("a checkpoint");
        tables() < full / 10
    });
}

fn bytes_in(directory: &Path) -> u64 {
    let mut files = Vec::new();
    list(directory, &mut files);
    files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
}

#[test]
fn numbers_rise_after_a_restart() {
    let directory = TemporaryDirectory::new("disk");
    let path = directory.join("store");
    let clock = ManualClock::new();
    let mut highest = 0;
    for round in 0..3_u8 {
        let engine = open(&path, &clock);
        let (key, now_ms) = ([round], clock.now_ms());
        let changes = [put(&key, b"v", Expires::Never)];
        let sequence = engine.write(Batch::of(&changes), now_ms).wait().expect("a put").sequence;
        assert!(sequence > highest, "{sequence} after {highest}");
        highest = sequence;
        engine.close().wait().expect("it closes");
    }
}

#[test]
fn an_expiry_holds_after_a_restart() {
    let directory = TemporaryDirectory::new("disk");
    let path = directory.join("store");
    let store = Database::open(Config::disk(&path)).expect("an empty store");
    let hour = Duration::from_secs(3600);
    store.put_with("soon", "gone", PutOptions::new().expires_in(hour)).expect("a put");
    store.close().expect("it closes");
    let store = Database::open(Config::disk(&path)).expect("the store opens");
    let left = store.ttl("soon").expect("an answer").expect("it expires");
    assert!(left <= hour && left > hour / 2, "{left:?}");
}

#[test]
fn a_flipped_bit_gives_an_error_or_the_right_value() {
    let directory = TemporaryDirectory::new("disk");
    let (path, seed) = (directory.join("store"), seed("a flipped bit on disk"));
    let value = |number: u32| format!("value {number} ").repeat(20);
    let store = Database::open(Config::disk(&path)).expect("an empty store");
    for number in 0..200 {
        store.put(format!("key {number}"), value(number)).expect("a put");
    }
    store.close().expect("it closes");
    let mut random = Random::new(seed);
    for _ in 0..if env::var_os("TRESOR_FULL").is_some() { 500 } else { 12 } {
        let damaged = directory.join("damaged");
        copy(&path, &damaged);
        let what = flip(&damaged, &mut random);
        if let Ok(store) = Database::open(Config::disk(&damaged)) {
            for number in 0..200 {
                match store.get(format!("key {number}")) {
                    Ok(found) => {
                        let found = found.map(|found| found.to_string());
                        assert_eq!(found, Some(value(number)), "key {number}, {what}");
                    }
                    Err(error) => assert_ne!(error.kind(), ErrorKind::NotFound, "{what}"),
                }
            }
        }
        fs::remove_dir_all(&damaged).expect("the copy can go");
    }
}

/// Flips a bit somewhere in a store's files; says where.
fn flip(store: &Path, random: &mut Random) -> String {
    let mut files = Vec::new();
    list(store, &mut files);
    files.sort();
    let file = &files[random.below(files.len() as u64) as usize];
    let mut bytes = fs::read(file).expect("a file of the store");
    let at = random.below(bytes.len() as u64) as usize;
    let bit = random.below(8);
    bytes[at] ^= 1 << bit;
    fs::write(file, bytes).expect("a file of the store");
    format!("bit {bit} of byte {at} in {}", file.display())
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => list(&path, files),
            // Tables that were merged go meanwhile.
            false if fs::metadata(&path).is_ok_and(|file| file.len() > 0) => files.push(path),
            false => {}
        }
    }
}
