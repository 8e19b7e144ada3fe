//! The memory of expired entries comes back by itself, at the dates that clocks show, whoever asks or not.
//!
//! Nothing reads the expired keys here: a read would find them absent and prove nothing.

use std::time::Duration;

use tresor::engine::{
    Batch, Change, Engine, Expires, Guard, KeyRef, Kind, Status,
    memory::{MemoryEngine, MemoryOptions},
};
use tresor_testkit::{ManualClock, START_MS, deadline};

const DUE: u32 = 5_000;
const LATER: u32 = 20_000;

/// Puts keys `numbers`, each expiring between `first_ms` and a second later.
fn put(engine: &dyn Engine, numbers: std::ops::Range<u32>, first_ms: u64) {
    for number in numbers {
        let name = number.to_be_bytes();
        let change = Change::Put {
            key: KeyRef::new(0, &name),
            guard: Guard::None,
            value: b"0123456789abcdef0123456789abcdef",
            kind: Kind::Raw,
            expires: Expires::At(first_ms + u64::from(number % 1000)),
        };
        engine.write(Batch { changes: &[change] }, START_MS).wait().expect("memory takes a put");
    }
}

fn status(engine: &dyn Engine) -> Status {
    engine.status().wait().expect("memory has a status")
}

#[test]
fn expired_entries_are_removed_beside_others_that_are_not_due() {
    // Now, in 500 years, and in between.
    for start_ms in [START_MS, START_MS * 3, START_MS * 10] {
        let clock = ManualClock::at(start_ms);
        let engine = MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).expect("it opens");
        put(&*engine, 0..LATER, start_ms + 1_000_000);
        put(&*engine, LATER..LATER + DUE, start_ms + 1_000);
        assert_eq!(status(&*engine).keys[0], u64::from(LATER + DUE));
        // The sweep's notes are a quarter of a second coarse.
        clock.advance(Duration::from_millis(2_000 + 256));
        deadline::wait_for("the due entries to be gone", || {
            (status(&*engine).keys[0] <= u64::from(LATER)).then_some(())
        });
        assert_eq!(status(&*engine).keys[0], u64::from(LATER), "nothing goes before it is due");
        clock.advance(Duration::from_secs(1_000));
        deadline::wait_for("all entries to be gone", || (status(&*engine).keys[0] == 0).then_some(()));
        assert_eq!(status(&*engine).expired, u64::from(LATER + DUE));
    }
}
