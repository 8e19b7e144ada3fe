//! The conformance suite on a real cluster of one node, in both modes of writing.
//!
//! Each case has a keyspace for itself while it runs, taken from a pool and emptied for every engine
//! that the case makes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tresor::engine::{Batch, Change, DATABASES, Engine};
use tresor_cassandra::{Options, Writes};
use tresor_testkit::{cassandra, conformance::Case, conformance_tests};

/// Keyspaces that no case has at the moment, and how many there are.
static POOL: Mutex<(Vec<String>, usize)> = Mutex::new((Vec::new(), 0));

fn take_keyspace(writes: Writes) -> String {
    let mut pool = POOL.lock().expect("no case panics here");
    let suffix = writes.to_string();
    if let Some(at) = pool.0.iter().position(|name| name.ends_with(&suffix)) {
        return pool.0.swap_remove(at);
    }
    pool.1 += 1;
    format!("conformance_{}_{suffix}", pool.1)
}

fn run(case: Case, writes: Writes) {
    let Some(cluster) = cassandra::shared(1) else { return };
    let keyspace = take_keyspace(writes);
    let options = Options {
        keyspace: keyspace.clone(),
        writes,
        buckets: 4,
        // A machine that also builds and runs other tests is slow at times.
        request_timeout: Duration::from_secs(20),
        command_timeout: Duration::from_secs(60),
        ..Options::at(cluster.contact_points())
    };
    case(&|clock| {
        let engine = tresor_cassandra::open(options.clone(), clock.clone()).expect("the cluster is there");
        let clear: Vec<_> = (0..DATABASES).map(|database| Change::Clear { database }).collect();
        engine.write(Batch::of(&clear), 0).wait().expect("a keyspace can be emptied");
        engine as Arc<dyn Engine>
    });
    POOL.lock().expect("no case panics here").0.push(keyspace);
}

fn linearizable(case: Case) {
    run(case, Writes::Linearizable);
}

conformance_tests!(linearizable);

mod eventual {
    use super::{Case, Writes, conformance_tests, run};

    fn eventual(case: Case) {
        run(case, Writes::Eventual);
    }

    conformance_tests!(eventual);
}
