//! The conformance suite on the memory engine with a log: one that syncs every change, and one of
//! small segments and buffers, so that writes have to wait for room.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tresor::{
    clock::Clock,
    engine::memory::{MemoryEngine, MemoryOptions},
    files::SystemFiles,
    oplog::{Durability, LogOptions},
};
use tresor_testkit::{ManualClock, TemporaryDirectory, conformance::Case, conformance_tests};

fn run(case: Case, log: LogOptions) {
    let directory = TemporaryDirectory::new("conformance");
    let number = AtomicU64::new(0);
    case(&|clock| {
        let store = directory.join(&number.fetch_add(1, Ordering::Relaxed).to_string());
        open(&store, clock.clone(), log)
    });
}

fn open(store: &Path, clock: Arc<ManualClock>, log: LogOptions) -> Arc<MemoryEngine> {
    let clock: Arc<dyn Clock> = clock;
    let opened = MemoryEngine::open(&MemoryOptions::default(), (Arc::new(SystemFiles), clock), store, log);
    opened.expect("an empty directory is an empty store").0
}

fn with_synced_log(case: Case) {
    run(case, LogOptions { durability: Durability::Always, ..LogOptions::default() });
}

conformance_tests!(with_synced_log);

mod little_room {
    use super::{Case, Durability, LogOptions, conformance_tests, run};

    fn with_little_room(case: Case) {
        run(
            case,
            LogOptions {
                durability: Durability::None,
                segment_bytes: 256 * 1024,
                buffer_bytes: 2 * 1024,
                keep_bytes: 0,
            },
        );
    }

    conformance_tests!(with_little_room);
}
