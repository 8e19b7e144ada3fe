//! The conformance suite on SQLite databases: at the level that waits for the disk, and at the one that
//! promises nothing.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tresor::{clock::Clock, config::Durability, files::SystemFiles};
use tresor_sqlite::{Options, SqliteEngine};
use tresor_testkit::{TemporaryDirectory, conformance::Case, conformance_tests};

fn run(case: Case, durability: Durability) {
    let directory = TemporaryDirectory::new("conformance");
    let number = AtomicU64::new(0);
    case(&|clock| {
        let path = directory.join(&format!("{}.db", number.fetch_add(1, Ordering::Relaxed)));
        let clock: Arc<dyn Clock> = clock.clone();
        // Small, so that checkpoints happen beside everything else.
        let options = Options { checkpoint_bytes: 256 * 1024, ..Options::at(path).durability(durability) };
        SqliteEngine::open(options, (Arc::new(SystemFiles), clock)).expect("no file is an empty store")
    });
}

fn always(case: Case) {
    run(case, Durability::Always);
}

conformance_tests!(always);

mod unsynced {
    use super::{Case, Durability, conformance_tests, run};

    fn without_syncs(case: Case) {
        run(case, Durability::None);
    }

    conformance_tests!(without_syncs);
}
