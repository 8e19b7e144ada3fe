//! When the driver may send a request again by itself: only where nobody can notice.
//!
//! A compare-and-set is sent to another node only if the first one certainly did not begin it.
//! Whatever else is to be tried again, the engine tries, knowing what it does.

use scylla::policies::retry::{RequestInfo, RetryDecision, RetryPolicy, RetrySession};

use crate::failure::attempt_was_refused;

/// Attempts after the first.
const RETRIES: usize = 2;

/// Sends to another node what the first refused before it did anything, and what is idempotent.
#[derive(Debug)]
pub(crate) struct RetryUnnoticed;

struct Attempts(usize);

impl RetryPolicy for RetryUnnoticed {
    fn new_session(&self) -> Box<dyn RetrySession> {
        Box::new(Attempts(0))
    }
}

impl RetrySession for Attempts {
    fn decide_should_retry(&mut self, request: RequestInfo<'_>) -> RetryDecision {
        if self.0 >= RETRIES || !(request.is_idempotent || attempt_was_refused(request.error)) {
            return RetryDecision::DontRetry;
        }
        self.0 += 1;
        RetryDecision::RetryNextTarget(None)
    }

    fn reset(&mut self) {
        self.0 = 0;
    }
}
