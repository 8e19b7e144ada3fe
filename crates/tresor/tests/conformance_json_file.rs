//! The conformance suite on JSON files: one that is saved after each change, and one in batches.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tresor::{
    clock::Clock,
    engine::{
        json_file::{JsonFileEngine, JsonFileOptions},
        memory::MemoryOptions,
    },
    files::SystemFiles,
};
use tresor_testkit::{TemporaryDirectory, conformance::Case, conformance_tests};

fn run(case: Case, options: JsonFileOptions) {
    let directory = TemporaryDirectory::new("conformance");
    let number = AtomicU64::new(0);
    case(&|clock| {
        let path = directory.join(&format!("{}.json", number.fetch_add(1, Ordering::Relaxed)));
        let clock: Arc<dyn Clock> = clock.clone();
        JsonFileEngine::open(&MemoryOptions::default(), (Arc::new(SystemFiles), clock), &path, options)
            .expect("no file is an empty store")
    });
}

fn saved_after_each_change(case: Case) {
    run(case, JsonFileOptions { batch_size: 1, auto_save_interval: Duration::from_secs(10), waits: true });
}

conformance_tests!(saved_after_each_change);

mod in_batches {
    use super::{Case, Duration, JsonFileOptions, conformance_tests, run};

    fn saved_in_batches(case: Case) {
        let auto_save_interval = Duration::from_millis(50);
        run(case, JsonFileOptions { batch_size: 100, auto_save_interval, waits: false });
    }

    conformance_tests!(saved_in_batches);
}
