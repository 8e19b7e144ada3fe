//! Waiting for another program: polled, with a deadline, never a guess at how long something takes.
//!
//! A benchmark may sleep between two looks at a process; nothing here is part of what is timed finer
//! than [`STEP`].

use std::time::{Duration, Instant};

use crate::Outcome;

/// Between two looks.
const STEP: Duration = Duration::from_millis(1);

/// Lets time pass.
#[allow(clippy::disallowed_methods)] // Nothing here could be notified: the other side is a process.
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Looks until there is something, and says how long it took.
pub(super) fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Outcome<Option<T>>,
) -> Outcome<(T, Duration)> {
    let started = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok((found, started.elapsed()));
        }
        if started.elapsed() > patience {
            return Err(format!("waited {} s in vain for {what}", patience.as_secs()));
        }
        pause(STEP);
    }
}
