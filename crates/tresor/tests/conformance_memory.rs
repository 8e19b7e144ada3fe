//! The conformance suite on the memory engine without a path.

use std::sync::Arc;

use tresor::engine::memory::{MemoryEngine, MemoryOptions};
use tresor_testkit::{conformance::Case, conformance_tests};

fn with_memory(case: Case) {
    case(&|clock| {
        MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).expect("memory needs nothing")
    });
}

conformance_tests!(with_memory);

mod answering_later {
    //! The same engine, its answers coming later as those of a remote one.

    use tresor_testkit::LaterEngine;

    use super::{Arc, Case, MemoryEngine, MemoryOptions, conformance_tests};

    fn with_later_memory(case: Case) {
        case(&|clock| {
            let memory = MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone());
            Arc::new(LaterEngine::new(memory.expect("memory needs nothing")))
        });
    }

    conformance_tests!(with_later_memory);
}
