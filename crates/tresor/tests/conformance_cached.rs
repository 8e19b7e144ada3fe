//! The conformance suite on the cache: large and small, over engines that answer at once, later, and
//! from a file.

use std::sync::Arc;

use tresor::{
    engine::{
        Engine,
        memory::{MemoryEngine, MemoryOptions},
    },
    layer::cached::{Cached, Capacity},
};
use tresor_testkit::{ManualClock, conformance::Case, conformance_tests};

fn memory(clock: &Arc<ManualClock>) -> Arc<dyn Engine> {
    MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).expect("memory needs nothing")
}

fn cached(inner: Arc<dyn Engine>, capacity: Capacity) -> Arc<dyn Engine> {
    Arc::new(Cached::new(inner, capacity).expect("there are random numbers"))
}

fn with_everything_cached(case: Case) {
    case(&|clock| cached(memory(clock), Capacity::Entries(1_000_000)));
}

conformance_tests!(with_everything_cached);

mod few_entries {
    use super::{Capacity, Case, cached, conformance_tests, memory};

    fn with_few_entries(case: Case) {
        case(&|clock| cached(memory(clock), Capacity::Entries(5)));
    }

    conformance_tests!(with_few_entries);
}

mod few_bytes {
    use super::{Capacity, Case, cached, conformance_tests, memory};

    fn with_few_bytes(case: Case) {
        case(&|clock| cached(memory(clock), Capacity::Bytes(30_000)));
    }

    conformance_tests!(with_few_bytes);
}

mod answering_later {
    use tresor_testkit::LaterEngine;

    use super::{Arc, Capacity, Case, cached, conformance_tests, memory};

    fn over_later_memory(case: Case) {
        case(&|clock| cached(Arc::new(LaterEngine::new(memory(clock))), Capacity::Entries(100)));
    }

    conformance_tests!(over_later_memory);
}

mod json_file {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::Duration,
    };

    use tresor::{
        clock::Clock,
        engine::json_file::{JsonFileEngine, JsonFileOptions},
        files::SystemFiles,
    };
    use tresor_testkit::TemporaryDirectory;

    use super::{Arc, Capacity, Case, MemoryOptions, cached, conformance_tests};

    fn over_a_json_file(case: Case) {
        let directory = TemporaryDirectory::new("conformance-cached");
        let number = AtomicU64::new(0);
        let options =
            JsonFileOptions { batch_size: 100, auto_save_interval: Duration::from_millis(50), waits: false };
        case(&|clock| {
            let path = directory.join(&format!("{}.json", number.fetch_add(1, Ordering::Relaxed)));
            let clock: Arc<dyn Clock> = clock.clone();
            let seams = (Arc::new(SystemFiles) as Arc<_>, clock);
            let file = JsonFileEngine::open(&MemoryOptions::default(), seams, &path, options);
            cached(file.expect("no file is an empty store"), Capacity::Entries(20))
        });
    }

    conformance_tests!(over_a_json_file);
}
