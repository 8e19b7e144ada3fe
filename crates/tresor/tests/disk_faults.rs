//! The disk engine after a power cut: the log keeps only what was synced, the tables only what the last
//! checkpoint made durable, or all that was handed to the system, or anything between.
//!
//! The log is on a disk in memory that forgets; the tables are real files, of which the test keeps the
//! copy that a checkpoint left. A script of changes of every kind runs beside a model, and each change is
//! waited for: whatever combination comes back, the store is what the model was.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

#[allow(dead_code)] // One of its tools is for other tests.
mod memory_script;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use memory_script::{Step, dump, plain, script};
use tresor::{
    clock::Clock,
    engine::{
        Engine, Sequence,
        disk::{DiskEngine, DiskOptions},
    },
    files::Files,
    oplog::{Durability, LogOptions},
};
use tresor_testkit::{
    ManualClock, ModelEngine, TemporaryDirectory,
    faulty_files::{FaultyFiles, Survives},
    random::{Random, seed},
};

fn open(files: &FaultyFiles, tables: &Path) -> Arc<DiskEngine> {
    let options = DiskOptions { tables_path: Some(tables.to_path_buf()), ..DiskOptions::default() };
    let log =
        LogOptions { durability: Durability::Always, segment_bytes: 4096, buffer_bytes: 2048, keep_bytes: 0 };
    let clock: Arc<dyn Clock> = ManualClock::new();
    let seams = (Arc::new(files.clone()) as Arc<dyn Files>, clock);
    DiskEngine::open(&options, seams, Path::new("/store"), log).unwrap().0
}

/// A copy of a directory at a moment: the tables remove files of theirs in the background.
fn copy(from: &Path, to: &Path) {
    loop {
        let before = list(from);
        if copy_all(from, to).is_ok() && list(from) == before {
            return;
        }
        fs::remove_dir_all(to).unwrap();
    }
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_all(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

/// Every file with its length and when it was last written.
fn list(directory: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return files };
    for entry in entries.flatten() {
        let Ok(about) = entry.metadata() else { continue };
        match about.is_dir() {
            true => files.extend(list(&entry.path())),
            false => files.push((entry.path(), about.len(), about.modified().unwrap())),
        }
    }
    files.sort();
    files
}

/// The script with the versions that it brings along among those that the disk engine gives, which begins
/// far above 0.
fn raised() -> Vec<Step> {
    let raise = |version: Sequence| version + (1 << 27);
    let mut steps = script();
    for step in &mut steps {
        if let Step::Adopt(_, entry, above) = step {
            *above = raise(*above);
            *entry = entry.map(|(key, value, version)| (key, value, raise(version)));
        }
    }
    steps
}

/// Lets an engine and the model take steps; answers the tables as the last checkpoint left them.
fn run(engine: &dyn Engine, model: &ModelEngine, steps: &[Step], tables: &Path, kept: &Path) -> PathBuf {
    let mut last = kept.join("0");
    copy(tables, &last);
    for (number, step) in steps.iter().enumerate() {
        let outcome = step.run(engine).unwrap();
        let Some(outcome) = outcome else {
            last = kept.join((number + 1).to_string());
            copy(tables, &last);
            continue;
        };
        assert_eq!(plain(&outcome), plain(&step.run(model).unwrap().unwrap()), "{step:?}");
        engine.durable(outcome.sequence).wait().unwrap();
    }
    last
}

#[test]
fn a_power_cut_after_any_change_loses_nothing_acknowledged() {
    let script = raised();
    let mut random = Random::new(seed("a power cut on disk"));
    // Each trial makes and syncs real tables several times over.
    let cuts: Vec<usize> = match env::var_os("TRESOR_FULL") {
        Some(_) => (0..=script.len()).collect(),
        None => (0..4).map(|_| random.below(script.len() as u64) as usize).chain([script.len()]).collect(),
    };
    for cut in cuts {
        let directory = TemporaryDirectory::new("disk-faults");
        let (files, tables) = (FaultyFiles::default(), directory.join("tables"));
        let (engine, model) = (open(&files, &tables), ModelEngine::new());
        let synced = run(&*engine, &model, &script[..cut], &tables, &directory.join("kept"));
        let written = directory.join("written");
        copy(&tables, &written);
        let expected = dump(&model).without_versions();
        for (survives, tables) in [
            (Survives::Synced, &synced),
            (Survives::Synced, &written),
            (Survives::Everything, &synced),
            (Survives::Chance { seed: cut as u64 }, &synced),
        ] {
            let trial = directory.join("trial");
            copy(tables, &trial);
            let rebooted = files.reboot(survives);
            let engine = open(&rebooted, &trial);
            assert!(dump(&*engine).without_versions() == expected, "cut after {cut}, {survives:?}");
            drop(engine);
            fs::remove_dir_all(&trial).unwrap();
        }
    }
}
