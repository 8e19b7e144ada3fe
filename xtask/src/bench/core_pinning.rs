//! Which core does what: the server core 0, everything else core 1.
//!
//! The whole chore pins itself once, before any row; programs it starts inherit that, and servers are
//! started through `taskset`. On a machine with a single core nothing is pinned and the report says so.

use std::thread::available_parallelism;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Outcome;

/// Where servers run, as [`SERVER_PREFIX`] says.
const SERVER_CORE: usize = 0;

/// Where the load runs.
const CLIENT_CORE: usize = 1;

/// What comes before a server's own command line.
pub(super) const SERVER_PREFIX: [&str; 3] = ["taskset", "-c", "0"];

/// Whether there are cores enough to give the server one of its own. Ask before pinning.
pub(super) fn is_possible() -> bool {
    available_parallelism().is_ok_and(|cores| cores.get() > CLIENT_CORE)
}

/// Moves this process, and what it starts from now on, to the client's core.
pub(super) fn pin_client() -> Outcome {
    let mut cores = CpuSet::new();
    cores.set(CLIENT_CORE);
    move_to(&cores)
}

/// Does something, such as to start a program, that is not bound to a core.
pub(super) fn on_all_cores<T>(does: impl FnOnce() -> T) -> Outcome<T> {
    let mut cores = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|core| cores.set(core));
    on(&cores, does)
}

/// Does something beside a server, on its core: for what the two do one after the other, without waking a core.
pub(super) fn on_the_servers_core<T>(does: impl FnOnce() -> T) -> Outcome<T> {
    let mut cores = CpuSet::new();
    cores.set(SERVER_CORE);
    on(&cores, does)
}

fn on<T>(cores: &CpuSet, does: impl FnOnce() -> T) -> Outcome<T> {
    let before = sched_getaffinity(None).map_err(|error| format!("cannot see the cores: {error}"))?;
    move_to(cores)?;
    let done = does();
    move_to(&before)?;
    Ok(done)
}

fn move_to(cores: &CpuSet) -> Outcome {
    sched_setaffinity(None, cores).map_err(|error| format!("cannot choose the cores: {error}"))
}
