//! The golden scripts through the library's session, over an SQLite database.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tresor::{Config, Database, clock::Clock, files::SystemFiles};
use tresor_sqlite::{Options, SqliteEngine};
use tresor_testkit::{
    ManualClock, SessionDoor, TemporaryDirectory,
    script_runner::{Door, Shape, run_folder},
};

/// What of `@requires` the engine has.
const HAS: [&str; 5] = ["tresor", "guards", "ordered", "batches", "counted"];

#[test]
fn scripts_hold_over_an_sqlite_database() {
    let directory = TemporaryDirectory::new("scripts");
    let number = AtomicU64::new(0);
    run_folder("", |run| {
        let clock = ManualClock::new();
        let path = directory.join(&format!("{}.db", number.fetch_add(1, Ordering::Relaxed)));
        let seams = (Arc::new(SystemFiles) as _, clock.clone() as Arc<dyn Clock>);
        let engine = SqliteEngine::open(Options::at(path), seams).expect("an empty store");
        let database = Database::with_clock(engine, Config::memory(), clock.clone()).expect("an open engine");
        let mut session = SessionDoor::new(&database);
        let mut execute = |words: &[Vec<u8>]| session.execute(words);
        let mut advance_ms = |ms| clock.advance(Duration::from_millis(ms));
        run(Door {
            name: "a session over an SQLite database",
            shape: Shape::Resp3,
            has: &HAS,
            execute: &mut execute,
            advance_ms: Some(&mut advance_ms),
        });
    });
}
