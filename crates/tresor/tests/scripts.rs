//! The golden scripts through the library's session, over each engine of the library, the model, and one
//! that answers later. Those about keys and values run through the typed calls in `library_golden.rs`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tresor::{
    Config, Database,
    clock::Clock,
    engine::{
        Engine,
        disk::{DiskEngine, DiskOptions},
        json_file::{JsonFileEngine, JsonFileOptions},
        memory::{MemoryEngine, MemoryOptions},
    },
    files::{Files, SystemFiles},
    oplog::LogOptions,
};
use tresor_testkit::{
    LaterEngine, ManualClock, ModelEngine, SessionDoor, TemporaryDirectory,
    script_runner::{Door, Shape, run_folder},
};

/// What of `@requires` every engine here has.
const HAS: [&str; 6] = ["tresor", "guards", "ordered", "batches", "counted", "volatile"];

fn over(name: &str, make: impl Fn(Arc<ManualClock>) -> Arc<dyn Engine>) {
    over_one_that_has(&HAS, name, make);
}

fn over_one_that_has(has: &[&str], name: &str, make: impl Fn(Arc<ManualClock>) -> Arc<dyn Engine>) {
    run_folder("", |run| {
        let clock = ManualClock::new();
        let engine = make(clock.clone());
        let database = Database::with_clock(engine, Config::memory(), clock.clone()).expect("an open engine");
        let mut session = SessionDoor::new(&database);
        let mut execute = |words: &[Vec<u8>]| session.execute(words);
        let mut advance_ms = |ms| clock.advance(Duration::from_millis(ms));
        run(Door {
            name,
            shape: Shape::Resp3,
            has,
            execute: &mut execute,
            advance_ms: Some(&mut advance_ms),
        });
    });
}

#[test]
fn scripts_hold_over_the_memory_engine() {
    over("a session over the memory engine", |clock| {
        MemoryEngine::volatile_at(&MemoryOptions::default(), clock).expect("an empty engine")
    });
}

#[test]
fn scripts_hold_over_the_disk_engine() {
    let directory = TemporaryDirectory::new("scripts");
    let number = AtomicU64::new(0);
    // It counts keys only when asked to.
    let has = ["tresor", "guards", "ordered", "batches", "volatile"];
    over_one_that_has(&has, "a session over the disk engine", |clock| {
        let path = directory.join(&number.fetch_add(1, Ordering::Relaxed).to_string());
        let seams = (Arc::new(SystemFiles) as Arc<dyn Files>, clock as Arc<dyn Clock>);
        DiskEngine::open(&DiskOptions::default(), seams, &path, LogOptions::default())
            .expect("an empty store")
            .0
    });
}

#[test]
fn scripts_hold_over_a_json_file() {
    let directory = TemporaryDirectory::new("scripts");
    let number = AtomicU64::new(0);
    over("a session over a JSON file", |clock| {
        let path = directory.join(&format!("{}.json", number.fetch_add(1, Ordering::Relaxed)));
        let options =
            JsonFileOptions { batch_size: 1, auto_save_interval: Duration::from_secs(10), waits: true };
        let seams = (Arc::new(SystemFiles) as Arc<dyn Files>, clock as Arc<dyn Clock>);
        JsonFileEngine::open(&MemoryOptions::default(), seams, &path, options).expect("an empty engine")
    });
}

#[test]
fn scripts_hold_over_the_model_engine() {
    over("a session over the model engine", |_| Arc::new(ModelEngine::new()));
}

#[test]
fn scripts_hold_over_an_engine_that_answers_later() {
    over("a session over the later engine", |_| Arc::new(LaterEngine::new(Arc::new(ModelEngine::new()))));
}
