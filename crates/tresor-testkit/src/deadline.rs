//! Waiting for something to become true, instead of sleeping and hoping.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long a test waits for another process or thread before it gives up: far beyond what a loaded
/// machine needs, so that only a defect runs into it.
pub const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(3);

/// Polls until there is an answer; panics with `what` after [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = poll() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        thread::park_timeout(PAUSE);
    }
}

/// Polls until it is so; panics with `what` after [`PATIENCE`].
pub fn wait_until(what: &str, mut poll: impl FnMut() -> bool) {
    wait_for(what, || poll().then_some(()));
}
