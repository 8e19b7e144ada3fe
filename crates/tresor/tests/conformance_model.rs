//! The conformance suite on the model engine: shows that the cases ask for nothing that a plain
//! ordered map cannot do.

use std::sync::Arc;

use tresor_testkit::{ModelEngine, conformance::Case, conformance_tests};

fn with_model(case: Case) {
    case(&|_| Arc::new(ModelEngine::new()));
}

conformance_tests!(with_model);
