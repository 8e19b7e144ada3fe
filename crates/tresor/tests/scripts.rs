//! The golden scripts through the library's session, over the model engine and over one that answers
//! later. Those about keys and values run through the typed calls in `library_golden.rs`.

use std::{sync::Arc, time::Duration};

use tresor::{
    Config, Database,
    engine::{
        Engine,
        memory::{MemoryEngine, MemoryOptions},
    },
};
use tresor_testkit::{
    LaterEngine, ManualClock, ModelEngine, SessionDoor,
    script_runner::{Door, Shape, run_folder},
};

/// What of `@requires` every engine here has.
const HAS: [&str; 5] = ["tresor", "guards", "ordered", "batches", "counted"];

fn over(name: &str, make: impl Fn(Arc<ManualClock>) -> Arc<dyn Engine>) {
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
            has: &HAS,
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
fn scripts_hold_over_the_model_engine() {
    over("a session over the model engine", |_| Arc::new(ModelEngine::new()));
}

#[test]
fn scripts_hold_over_an_engine_that_answers_later() {
    over("a session over the later engine", |_| Arc::new(LaterEngine::new(Arc::new(ModelEngine::new()))));
}
