//! The golden scripts through the library's session, over the model engine and over one that answers
//! later. Those about keys and values run through the typed calls in `library_golden.rs`.

use std::sync::Arc;

use tresor::{Config, Database, engine::Engine};
use tresor_testkit::{
    LaterEngine, ModelEngine, SessionDoor,
    script_runner::{Door, Shape, run_folder},
};

/// What of `@requires` every engine here has.
const HAS: [&str; 3] = ["tresor", "guards", "ordered"];

fn over(name: &str, make: impl Fn() -> Arc<dyn Engine>) {
    run_folder("", |run| {
        let database = Database::over(make(), Config::memory()).expect("an open engine");
        let mut session = SessionDoor::new(&database);
        let mut execute = |words: &[Vec<u8>]| session.execute(words);
        run(Door { name, shape: Shape::Resp3, has: &HAS, execute: &mut execute, advance_ms: None });
    });
}

#[test]
fn scripts_hold_over_the_model_engine() {
    over("a session over the model engine", || Arc::new(ModelEngine::new()));
}

#[test]
fn scripts_hold_over_an_engine_that_answers_later() {
    over("a session over the later engine", || Arc::new(LaterEngine::new(Arc::new(ModelEngine::new()))));
}
