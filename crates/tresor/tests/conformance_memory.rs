//! The conformance suite on the memory engine without a path.

use tresor::engine::memory::{MemoryEngine, MemoryOptions};
use tresor_testkit::{conformance::Case, conformance_tests};

fn with_volatile_memory(case: Case) {
    case(&|_| MemoryEngine::volatile(&MemoryOptions::default()).expect("a volatile store opens"));
}

conformance_tests!(with_volatile_memory);
