//! The cluster that all tests of one test binary share, since a start costs seconds and gigabytes.
//!
//! Tests that only use it have it together; one that breaks it has it alone. Whatever a test left
//! behind, killed or paused nodes, is repaired before the next one gets it.

use parking_lot::{MappedRwLockReadGuard, MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Cluster, Network, Options, VERSION, requirements};
use crate::TemporaryDirectory;

/// The shared cluster, with others. A test must not ask for it while it has it.
pub type Shared = MappedRwLockReadGuard<'static, Cluster>;

/// The shared cluster, alone.
pub type SharedAlone = MappedRwLockWriteGuard<'static, Cluster>;

enum State {
    NotStarted,
    Running(Cluster),
    /// Why it cannot start, for every test that asks.
    Failed(String),
}

static STATE: RwLock<State> = RwLock::new(State::NotStarted);

/// The cluster of this test binary with at least so many nodes, all up; started by the first test that
/// asks, on addresses that nobody else has. Its commit log is as Cassandra ships it.
///
/// `None` after saying what is missing (see [`requirements::require`]). Panics when it cannot start. It
/// is killed, and its files removed, when the process ends.
pub fn shared(nodes: usize) -> Option<Shared> {
    shared_of(VERSION, nodes)
}

/// The same of another version; all tests of a binary ask for the same one.
pub fn shared_of(version: &str, nodes: usize) -> Option<Shared> {
    if let Ok(shared) = RwLockReadGuard::try_map(STATE.read(), |state| state.whole(nodes)) {
        return Some(shared);
    }
    let state = RwLockWriteGuard::downgrade(ready(version, nodes)?);
    Some(RwLockReadGuard::map(state, |state| state.whole(nodes).expect("just made whole")))
}

/// The same for a test that kills or pauses nodes: no other test has it meanwhile.
pub fn shared_alone(nodes: usize) -> Option<SharedAlone> {
    Some(RwLockWriteGuard::map(ready(VERSION, nodes)?, |state| match state {
        State::Running(cluster) => cluster,
        State::NotStarted | State::Failed(_) => unreachable!("just made whole"),
    }))
}

fn ready(version: &str, nodes: usize) -> Option<RwLockWriteGuard<'static, State>> {
    let mut state = STATE.write();
    if matches!(*state, State::NotStarted) && !requirements::require(version) {
        return None;
    }
    let outcome = match &mut *state {
        State::NotStarted => start(version, nodes).map(|cluster| *state = State::Running(cluster)),
        State::Running(cluster) => cluster.make_whole(nodes),
        State::Failed(error) => Err(error.clone()),
    };
    if let Err(error) = outcome {
        // Its nodes are killed here, and every other test fails at once instead of waiting as long.
        *state = State::Failed(error.clone());
        drop(state);
        panic!("{error}");
    }
    Some(state)
}

fn start(version: &str, nodes: usize) -> Result<Cluster, String> {
    let directory = TemporaryDirectory::new("cassandra");
    let (version, network) = (version.to_owned(), Network::reserve()?);
    let options = Options { version, network, ..Options::default() };
    let cluster = Cluster::start_disposable(nodes, directory.path(), options)?;
    // The shells that watch over the nodes remove it: nobody drops what is static.
    std::mem::forget(directory);
    Ok(cluster)
}

impl State {
    fn whole(&self, nodes: usize) -> Option<&Cluster> {
        match self {
            Self::Running(cluster) if cluster.is_whole(nodes) => Some(cluster),
            _ => None,
        }
    }
}
