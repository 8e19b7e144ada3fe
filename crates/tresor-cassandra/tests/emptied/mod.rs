//! Keyspaces for cases: each has one for itself while it runs, taken from a pool and emptied for every
//! engine that the case makes, because to make and drop tables takes a node seconds.

use std::sync::{Arc, Mutex};

use tresor::engine::{Batch, Change, DATABASES, Engine};
use tresor_cassandra::{CassandraEngine, Options};
use tresor_testkit::ManualClock;

/// Keyspaces that no case has at the moment, and how many there are.
static POOL: Mutex<(Vec<String>, usize)> = Mutex::new((Vec::new(), 0));

/// Lends a keyspace whose name begins like that.
pub(crate) fn with_keyspace(prefix: &str, work: impl FnOnce(&str)) {
    let keyspace = take(prefix);
    work(&keyspace);
    POOL.lock().expect("no case panics here").0.push(keyspace);
}

fn take(prefix: &str) -> String {
    let mut pool = POOL.lock().expect("no case panics here");
    if let Some(at) = pool.0.iter().position(|name| name.starts_with(prefix)) {
        return pool.0.swap_remove(at);
    }
    pool.1 += 1;
    format!("{prefix}_{}", pool.1)
}

/// Opens a keyspace and empties it.
pub(crate) fn open(options: Options, clock: &Arc<ManualClock>) -> Arc<CassandraEngine> {
    let engine = tresor_cassandra::open(options, clock.clone()).expect("the cluster is there");
    let clear: Vec<_> = (0..DATABASES).map(|database| Change::Clear { database }).collect();
    engine.write(Batch::of(&clear), 0).wait().expect("a keyspace can be emptied");
    engine
}
