//! A disk that fails: at every call, once or for good, with writes torn and names forgotten. Whatever
//! was acknowledged is there afterwards, nothing is there that was refused, and what is there is the
//! store as it was after some change.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

mod oplog_model;

use std::{io, path::Path, sync::Arc};

use oplog_model::{Model, append, change, open, put, snapshot};
use tresor::{
    ErrorKind, Result,
    engine::{EntryRef, KeyRef, Kind, Sequence, ValueRef},
    files::Files,
    oplog::{Durability, Log, LogOptions, Logged, Recovery, Refused},
};
use tresor_testkit::{
    deadline::wait_until,
    faulty_files::{FaultyFiles, Lasts, Survives},
    random::{Random, seed},
};

const DIRECTORY: &str = "/store";

fn options(durability: Durability) -> LogOptions {
    LogOptions { durability, segment_bytes: 1024, buffer_bytes: 512, keep_bytes: 0 }
}

fn reopen(files: &FaultyFiles, durability: Durability) -> Result<(Arc<Log>, Recovery, Model)> {
    let files: Arc<dyn Files> = Arc::new(files.clone());
    open(&files, Path::new(DIRECTORY), options(durability))
}

/// What a run of the workload knows: the store after each change that was taken, and the last that
/// was acknowledged.
struct Told {
    states: Vec<Model>,
    acknowledged: Sequence,
}

impl Told {
    fn new(model: Model) -> Self {
        Self { states: vec![model], acknowledged: 0 }
    }

    fn latest(&self) -> &Model {
        &self.states[self.states.len() - 1]
    }

    /// Appends one change and waits for it; false when the store said no.
    fn change(&mut self, log: &Log, change: Logged<'_>) -> bool {
        let Ok(version) = append(log, 1, &[change]) else { return false };
        let mut model = self.latest().clone();
        model.apply(version, change);
        self.states.push(model);
        assert_eq!(version as usize, self.states.len() - 1, "a refused change took a number");
        let durable = log.durable(version).wait().is_ok();
        if durable {
            self.acknowledged = version;
        }
        durable
    }

    /// The store that came back is one that was, and at least as new as what was acknowledged.
    fn check(&self, files: &FaultyFiles, survives: Survives, durability: Durability, what: &str) -> Sequence {
        let image = files.reboot(survives);
        let (log, recovery, model) = match reopen(&image, durability) {
            Ok(opened) => opened,
            Err(error) => panic!("{what}, {survives:?}: {error}"),
        };
        let latest = recovery.latest;
        assert!(latest < self.states.len() as u64, "{what}, {survives:?}: {latest} was never taken");
        assert_eq!(model, self.states[latest as usize], "{what}, {survives:?}: at {latest}");
        log.close().unwrap();
        let (_, again, model) = reopen(&image.reboot(Survives::Synced), durability).unwrap();
        assert_eq!(
            (again.latest, &model),
            (latest, &self.states[latest as usize]),
            "{what}, {survives:?}: again"
        );
        latest
    }

    fn check_acknowledged(
        &self,
        files: &FaultyFiles,
        survives: Survives,
        durability: Durability,
        what: &str,
    ) {
        let latest = self.check(files, survives, durability, what);
        assert!(latest >= self.acknowledged, "{what}, {survives:?}: {} was lost", self.acknowledged);
    }
}

/// Changes of every kind, over several segments, with a snapshot in between; stops at the first no.
fn workload(log: &Log, told: &mut Told) -> Option<()> {
    for round in 0..36_u8 {
        let (name, value) = ([b'k', round % 9], vec![round; usize::from(round) * 5]);
        let key = KeyRef::new(round % 2, &name);
        let one = match round % 5 {
            0 => Logged::Patch { key, offset: 3, bytes: b"patch" },
            1 => Logged::Delete { key, removal: None },
            2 => Logged::Expire { key, expires_at_ms: Some(9) },
            _ => Logged::Put { key, kind: Kind::Raw, expires_at_ms: None, value: &value },
        };
        told.change(log, one).then_some(())?;
        if round == 20 {
            // A failed snapshot is no reason to stop: the log has everything.
            snapshot(log, told.latest()).ok();
        }
    }
    log.close().ok()
}

/// Runs the workload on a disk that fails at its n-th call; false when there is no such call.
fn fail_at(call: u64, kind: io::ErrorKind, lasts: Lasts, durability: Durability) -> bool {
    let files = FaultyFiles::new();
    files.fail_call(call, kind, lasts);
    let mut told = Told::new(Model::default());
    if let Ok((log, ..)) = reopen(&files, durability) {
        workload(&log, &mut told);
    }
    let failed = files.failed();
    let what = format!("{durability:?}, {kind:?} {lasts:?} at {failed:?}");
    match durability {
        Durability::Always => {
            for survives in [Survives::Synced, Survives::Everything, Survives::Chance { seed: call }] {
                told.check_acknowledged(&files, survives, durability, &what);
            }
        }
        Durability::None | Durability::Interval { .. } => {
            if durability != Durability::None {
                told.check_acknowledged(&files, Survives::Everything, durability, &what);
            }
            told.check(&files, Survives::Synced, durability, &what);
            told.check(&files, Survives::Chance { seed: call }, durability, &what);
        }
    }
    !failed.is_empty()
}

#[test]
fn nothing_acknowledged_is_lost_whichever_disk_call_fails() {
    for durability in [Durability::Always, Durability::Interval { ms: 1 }, Durability::None] {
        for (kind, lasts) in [
            (io::ErrorKind::Other, Lasts::Once),
            (io::ErrorKind::Other, Lasts::Forever),
            (io::ErrorKind::StorageFull, Lasts::Once),
        ] {
            let calls = (1..).take_while(|&call| fail_at(call, kind, lasts, durability)).count();
            assert!(calls > 40, "the workload makes only {calls} calls");
        }
    }
}

#[test]
fn what_was_not_synced_may_be_lost_or_torn_and_nothing_else() {
    let seed = seed("oplog_faults");
    let mut random = Random::new(seed);
    for round in 0..300 {
        let durability =
            *random.choice(&[Durability::Always, Durability::None, Durability::Interval { ms: 5 }]);
        let files = FaultyFiles::new();
        let (log, ..) = reopen(&files, durability).unwrap();
        let mut told = Told::new(Model::default());
        let changes = 1 + random.below(60);
        for number in 0..changes {
            let (name, value) = (random.bytes(1), vec![number as u8; random.index(200)]);
            let change = put(&name, &value);
            let version = append(&log, 1, &[change]).unwrap();
            let mut model = told.latest().clone();
            model.apply(version, change);
            told.states.push(model);
            // Seldom waiting leaves many records for one write.
            if random.one_in(12) {
                log.durable(version).wait().unwrap();
                told.acknowledged = version;
            }
            if random.one_in(30) {
                snapshot(&log, told.latest()).unwrap();
                told.acknowledged = version;
            }
        }
        for survives in [Survives::Synced, Survives::Chance { seed: random.number() }] {
            let what = format!("round {round}");
            match durability {
                Durability::Always => told.check_acknowledged(&files, survives, durability, &what),
                _ => {
                    told.check(&files, survives, durability, &what);
                }
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_writes_that_change_nothing_and_is_over_when_there_is_space() {
    let files = FaultyFiles::new();
    let (log, _, mut model) = reopen(&files, Durability::Always).unwrap();
    change(&log, &mut model, 1, &[put(b"before", b"1")]).unwrap();
    files.limit_space(Some(files.used_space()));
    let error = loop {
        if let Err(error) = change(&log, &mut model, 1, &[put(b"filler", &[7; 100])]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    assert!(error.message().contains(DIRECTORY), "{error}");
    let latest = log.latest();
    assert!(log.status().shortage.is_some());
    let refused = log.append(1, &[put(b"refused", &[7; 900])]);
    assert!(matches!(refused, Err(Refused::NoRoom { .. })), "{refused:?}");
    assert_eq!((log.latest(), log.status().poison), (latest, None));
    // It also comes back as it was while the disk is full.
    let full = files.reboot(Survives::Synced);
    full.limit_space(Some(full.used_space()));
    let (reopened, _, replayed) = reopen(&full, Durability::Always).unwrap();
    assert_eq!(replayed, model);
    let error = append(&reopened, 1, &[put(b"x", b"y")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull);

    files.limit_space(None);
    wait_until("writes resume", || change(&log, &mut model, 1, &[put(b"after", &[8; 300])]).is_ok());
    assert!(log.status().shortage.is_none());
    let (_, _, replayed) = reopen(&files.reboot(Survives::Synced), Durability::Always).unwrap();
    assert_eq!(replayed, model);
}

#[test]
fn a_failed_sync_poisons_for_good() {
    for durability in [Durability::Always, Durability::Interval { ms: 0 }] {
        let files = FaultyFiles::new();
        let (log, _, mut model) = reopen(&files, durability).unwrap();
        change(&log, &mut model, 1, &[put(b"kept", b"1")]).unwrap();
        // The next calls are one write and one sync.
        files.fail_call(2, io::ErrorKind::Other, Lasts::Once);
        let latest = append(&log, 1, &[put(b"lost", b"2")]).unwrap();
        let error = log.durable(latest).wait().unwrap_err();
        // The segment's name when it was opened: it was renamed since.
        assert!(files.failed()[0].contains("sync /store/segment.new"), "{:?}", files.failed());
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert!(error.to_string().contains("000000000001.log: planned failure"), "{error}");
        // Later calls would work, and are not made.
        let calls = files.calls();
        for error in [
            log.durable(latest).wait().unwrap_err(),
            log.durable(1).wait().unwrap_err(),
            log.room(1).wait().unwrap_err(),
            append(&log, 1, &[put(b"more", b"3")]).unwrap_err(),
            log.begin_snapshot().err().unwrap(),
            log.close().unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
        }
        assert!(!log.is_durable(1));
        assert_eq!(files.calls(), calls);
        // The page cache still shows what the sync lost. Once opened again, it must be on disk.
        let crashed = files.reboot(Survives::Everything);
        let (_, recovery, replayed) = reopen(&crashed, durability).unwrap();
        let (_, again, after_power_cut) = reopen(&crashed.reboot(Survives::Synced), durability).unwrap();
        assert_eq!((again.latest, after_power_cut), (recovery.latest, replayed));
        assert_eq!(recovery.latest, 2);
    }
}

#[test]
fn a_store_that_ran_below_always_and_crashed_takes_a_new_id() {
    let files = FaultyFiles::new();
    let (log, first, mut model) = reopen(&files, Durability::None).unwrap();
    change(&log, &mut model, 1, &[put(b"a", b"1")]).unwrap();
    let crashed = files.reboot(Survives::Synced);
    let (again, second, _) = reopen(&crashed, Durability::Always).unwrap();
    assert!(second.store_id_is_new && second.store_id != first.store_id);
    change(&again, &mut model, 1, &[put(b"a", b"2")]).unwrap();
    let (_, third, _) = reopen(&crashed.reboot(Survives::Synced), Durability::Always).unwrap();
    assert_eq!((third.store_id_is_new, third.store_id), (false, second.store_id));
    // Closed well, even a store below `always` keeps its id.
    log.close().unwrap();
    let (_, closed, _) = reopen(&files.reboot(Survives::Synced), Durability::None).unwrap();
    assert_eq!((closed.store_id_is_new, closed.store_id), (false, first.store_id));
}

/// One change of any kind, of few keys so that changes meet.
fn any_change(log: &Log, told: &mut Told, random: &mut Random) -> bool {
    let name = [b'a' + random.below(8) as u8];
    let value = random.bytes(random.clone().index(60));
    let key = KeyRef::new(random.below(2) as u8, &name);
    let one = match random.below(17) {
        0..5 => Logged::Put { key, kind: Kind::Json, expires_at_ms: Some(random.below(9)), value: &value },
        // An engine logs these two only for an entry that is there.
        5..8 if told.has(key) => Logged::Patch { key, offset: value.len() % 7, bytes: &value },
        8..11 if told.has(key) => Logged::Expire { key, expires_at_ms: Some(random.below(99)) },
        11..14 => Logged::Delete { key, removal: None },
        14 => Logged::Clear { database: key.database },
        15 => Logged::Mapping(std::array::from_fn(|number| (number as u8 + name[0]) % 16)),
        16 => Logged::Adopt { key, version: 1, kind: Kind::Raw, expires_at_ms: None, value: &value },
        _ => Logged::Put { key, kind: Kind::Raw, expires_at_ms: None, value: &value },
    };
    told.change(log, one)
}

impl Told {
    fn has(&self, key: KeyRef<'_>) -> bool {
        self.latest().entries.contains_key(&(key.database, key.key.to_vec(), key.member.to_vec()))
    }
}

/// Changes with snapshots among them, each taken while changes go on between any two of its entries.
fn snapshots_among_changes(log: &Log, told: &mut Told, random: &mut Random) -> Option<()> {
    for _ in 0..3 {
        for _ in 0..10 {
            any_change(log, told, random).then_some(())?;
        }
        let Ok(mut writer) = log.begin_snapshot() else { continue };
        let mut failed = false;
        for place in 0..16_u8 {
            let (database, name) = (place % 2, vec![b'a' + place / 2]);
            if let Some(entry) = told.latest().entries.get(&(database, name.clone(), vec![])) {
                let bytes = bytes::Bytes::copy_from_slice(&entry.value);
                let value = ValueRef::Shared(&bytes);
                let (kind, version, expires_at_ms) = (entry.kind, entry.version, entry.expires_at_ms);
                let entry = EntryRef { value, kind, version, expires_at_ms };
                failed |= writer.entry(KeyRef::new(database, &name), &entry).is_err();
            }
            any_change(log, told, random).then_some(())?;
        }
        let mapping = told.latest().mapping;
        any_change(log, told, random).then_some(())?;
        if failed {
            writer.abandon();
        } else {
            writer.finish(mapping).ok();
        }
    }
    Some(())
}

#[test]
fn a_snapshot_taken_while_changes_go_on_is_the_store_wherever_the_disk_stops() {
    let seed = seed("oplog_snapshots");
    for call in 1.. {
        let files = FaultyFiles::new();
        files.fail_call(call, io::ErrorKind::Other, Lasts::Forever);
        let mut told = Told::new(Model::default());
        let mut random = Random::new(seed.wrapping_add(call));
        let opened = reopen(&files, Durability::Always);
        let through =
            opened.is_ok_and(|(log, ..)| snapshots_among_changes(&log, &mut told, &mut random).is_some());
        let what = format!("seed {seed}, {:?}", files.failed());
        for survives in [Survives::Synced, Survives::Everything, Survives::Chance { seed: random.number() }] {
            told.check_acknowledged(&files, survives, Durability::Always, &what);
        }
        if through && files.failed().is_empty() {
            assert!(call > 60, "only {call} calls");
            break;
        }
    }
}

#[test]
fn a_snapshot_replaces_the_log_before_it() {
    let files = FaultyFiles::new();
    let (log, _, mut model) = reopen(&files, Durability::Always).unwrap();
    for round in 0..100_u8 {
        change(&log, &mut model, 1, &[put(&[round % 10], &[round; 100])]).unwrap();
    }
    let before = log.status().segments;
    assert!(before > 10, "{before} segments");
    let end = snapshot(&log, &model).unwrap();
    assert_eq!(end, 100);
    let status = log.status();
    assert_eq!((status.segments, status.last_snapshot, status.snapshots), (1, 100, 1));
    change(&log, &mut model, 1, &[put(b"more", b"")]).unwrap();
    assert_eq!(snapshot(&log, &model).unwrap(), 101);
    let snapshots = files.paths().iter().filter(|path| path.to_string_lossy().ends_with(".snapshot")).count();
    assert_eq!(snapshots, 1);
    // One at a time; one that was given up leaves nothing.
    let first = log.begin_snapshot().unwrap();
    assert_eq!(log.begin_snapshot().err().unwrap().kind(), ErrorKind::Unavailable);
    first.abandon();
    assert!(!files.paths().iter().any(|path| path.ends_with("snapshot.new")));
    log.begin_snapshot().unwrap();
}

#[test]
fn a_record_larger_than_a_segment_and_the_buffer_is_let_in() {
    let files = FaultyFiles::new();
    let (log, _, mut model) = reopen(&files, Durability::Always).unwrap();
    for size in [10, 5000, 10, 200_000, 3000, 10] {
        change(&log, &mut model, 1, &[put(b"large", &vec![size as u8; size])]).unwrap();
    }
    let (_, _, replayed) = reopen(&files.reboot(Survives::Synced), Durability::Always).unwrap();
    assert_eq!(replayed, model);
}

#[test]
fn many_threads_share_the_log_and_every_change_keeps_its_number() {
    let files = FaultyFiles::new();
    let (log, ..) = reopen(&files, Durability::Always).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let log = &log;
            scope.spawn(move || {
                for round in 0..100_u8 {
                    // Each change is under a key of its own and holds nothing but that.
                    let version = append(log, 1, &[put(&[thread, round], &[round; 40])]).unwrap();
                    log.durable(version).wait().unwrap();
                    assert!(log.is_durable(version));
                }
            });
        }
    });
    let (_, recovery, model) = reopen(&files.reboot(Survives::Synced), Durability::Always).unwrap();
    assert_eq!((recovery.latest, recovery.records, model.entries.len()), (400, 400, 400));
    let mut versions: Vec<u64> = model.entries.values().map(|entry| entry.version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=400).collect::<Vec<u64>>());
}
