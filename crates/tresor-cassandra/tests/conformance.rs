//! The conformance suite on a real cluster of one node, in both modes of writing.

mod emptied;

use std::{sync::Arc, time::Duration};

use tresor::engine::Engine;
use tresor_cassandra::{Options, Writes};
use tresor_testkit::{cassandra, conformance::Case, conformance_tests};

fn run(case: Case, writes: Writes) {
    let Some(cluster) = cassandra::shared(1) else { return };
    emptied::with_keyspace(&format!("conformance_{writes}"), |keyspace| {
        let options = Options {
            keyspace: keyspace.to_owned(),
            writes,
            buckets: 4,
            // A machine that also builds and runs other tests is slow at times.
            request_timeout: Duration::from_secs(20),
            command_timeout: Duration::from_secs(60),
            ..Options::at(cluster.contact_points())
        };
        case(&|clock| emptied::open(options.clone(), clock) as Arc<dyn Engine>);
    });
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
