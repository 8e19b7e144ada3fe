//! The golden scripts through a server whose data is on a real cluster of one node: the same answers as
//! from every other engine, but where a script says that it needs what no two partitions can do.

mod running;

use std::{sync::Arc, time::Duration};

use tresor::{
    clock::SystemClock,
    engine::{Batch, Change, DATABASES, Engine},
};
use tresor_testkit::{
    cassandra,
    script_runner::{Door, Shape, run_folder},
};

/// What of `@requires` a linearizable store has.
const HAS: [&str; 3] = ["tresor", "guards", "ordered"];

#[test]
fn scripts_hold_on_a_cluster() {
    let Some(cluster) = cassandra::shared(1) else { return };
    let options = tresor_cassandra::Options {
        keyspace: "scripts".to_owned(),
        buckets: 4,
        mset: tresor_cassandra::Mset::PerKey,
        // A machine that also builds and runs other tests is slow at times.
        request_timeout: Duration::from_secs(20),
        command_timeout: Duration::from_secs(60),
        ..tresor_cassandra::Options::at(cluster.contact_points())
    };
    run_folder("", |run| {
        let engine = tresor_cassandra::open(options.clone(), Arc::new(SystemClock::new()))
            .expect("the cluster is there");
        let clear: Vec<_> = (0..DATABASES).map(|database| Change::Clear { database }).collect();
        engine.write(Batch::of(&clear), 0).wait().expect("a keyspace can be emptied");
        let server = running::server_over(engine, running::config());
        let mut client = running::client(&server);
        let mut execute = |words: &[Vec<u8>]| client.command(words).expect("the server answers");
        run(Door {
            name: "a cluster",
            shape: Shape::Resp2,
            has: &HAS,
            execute: &mut execute,
            advance_ms: None,
        });
    });
}
