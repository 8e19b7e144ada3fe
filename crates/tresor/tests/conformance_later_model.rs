//! The conformance suite on an engine that answers every call later, as a remote one does.

use std::sync::Arc;

use tresor_testkit::{LaterEngine, ModelEngine, conformance::Case, conformance_tests};

fn with_later_model(case: Case) {
    case(&|_| Arc::new(LaterEngine::new(Arc::new(ModelEngine::new()))));
}

conformance_tests!(with_later_model);
