//! The conformance suite on a real node of Cassandra 6 with Accord, where batches over several keys are
//! taken; and that what is gone there is swept.

mod emptied;

use std::{sync::Arc, time::Duration};

use tresor::engine::{Batch, Change, Engine, Expires, Guard, KeyRef, Kind};
use tresor_cassandra::{CassandraEngine, Options};
use tresor_testkit::{ManualClock, cassandra, conformance::Case, conformance_tests};

fn open(cluster: &cassandra::Cluster, keyspace: &str, clock: &Arc<ManualClock>) -> Arc<CassandraEngine> {
    let options = Options {
        keyspace: keyspace.to_owned(),
        buckets: 4,
        request_timeout: Duration::from_secs(30),
        command_timeout: Duration::from_secs(90),
        ..Options::at(cluster.contact_points())
    };
    let engine = emptied::open(options, clock);
    assert!(engine.capabilities().atomic_batches, "Accord is seen");
    engine
}

fn accord(case: Case) {
    let Some(cluster) = cassandra::shared_of(cassandra::VERSION_WITH_ACCORD, 1) else { return };
    emptied::with_keyspace("accord", |keyspace| {
        case(&|clock| open(&cluster, keyspace, clock) as Arc<dyn Engine>);
    });
}

conformance_tests!(accord);

#[test]
fn what_is_gone_for_a_day_is_swept() {
    let Some(cluster) = cassandra::shared_of(cassandra::VERSION_WITH_ACCORD, 1) else { return };
    let clock = ManualClock::new();
    let [engine, again] = ["swept"; 2].map(|keyspace| open(&cluster, keyspace, &clock));
    let now_ms = tresor::clock::Clock::now_ms(&*clock);
    let key = |name| KeyRef::new(0, name);
    let put = |name, expires| Change::Put {
        key: key(name),
        guard: Guard::None,
        value: b"value",
        kind: Kind::Raw,
        expires,
    };
    let write = |changes: &[Change<'_>]| engine.write(Batch::of(changes), now_ms).wait().expect("a batch");
    write(&[
        put(b"kept", Expires::Never),
        put(b"removed", Expires::Never),
        put(b"expiring", Expires::At(now_ms + 1000)),
        put(b"later", Expires::At(now_ms + 1_000_000_000)),
    ]);
    write(&[Change::Delete { key: key(b"removed"), guard: Guard::Present }]);
    let sweep = |engine: &CassandraEngine| engine.sweep_when_due().wait().expect("a sweep");
    let day = Duration::from_secs(25 * 60 * 60);
    assert_eq!(sweep(&engine), Some(0), "nothing is gone for long");
    clock.advance(day);
    assert_eq!(sweep(&engine), Some(2));
    assert_eq!(sweep(&again), None, "one server is enough for a day");
    clock.advance(day);
    assert_eq!(sweep(&again), Some(0), "they are gone");
    assert_eq!(engine.count(0).wait().expect("a count").keys, 2);
}
