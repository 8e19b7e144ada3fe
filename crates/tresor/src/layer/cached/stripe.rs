//! Whether what was read beneath may be put into the cache: one stripe for a few keys.
//!
//! A reader takes a ticket before it asks the engine beneath, and what it was told may be kept only if
//! the ticket still holds. Invariant: while a ticket holds, no write of these keys has been on its way
//! since it was given. A write whose end nobody knows (its answer was dropped, or never came) counts as
//! on its way for [`UNKNOWN_MS`] more, which is longer than engines wait for their answers.

/// How long a write may still be applied after its answer was given up, in milliseconds.
pub const UNKNOWN_MS: u64 = 60_000;

/// The end of the unknown is reckoned from when somebody next asks.
const NOT_YET_ASKED: u64 = u64::MAX;

/// The writes of a few keys.
#[derive(Clone, Default)]
pub(super) struct Stripe {
    /// Writes begun.
    generation: u64,
    /// Of these, how many have not ended.
    writers: u32,
    /// Unix milliseconds until which a write may still be applied; 0 for none.
    unknown_until_ms: u64,
}

impl Stripe {
    /// Before a write is on its way.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.generation += 1;
        self.writers += 1;
    }

    /// After a write was answered, or, if its outcome is not known, given up.
    #[inline]
    pub(super) fn end(&mut self, known: bool) {
        self.writers -= 1;
        if !known {
            self.unknown_until_ms = NOT_YET_ASKED;
        }
    }

    /// Makes all tickets void.
    pub(super) fn void(&mut self) {
        self.generation += 1;
    }

    /// Whether no write is on its way.
    #[inline]
    pub(super) fn is_quiet(&mut self, now_ms: u64) -> bool {
        if self.unknown_until_ms == NOT_YET_ASKED {
            self.unknown_until_ms = now_ms.saturating_add(UNKNOWN_MS).min(NOT_YET_ASKED - 1);
        }
        if self.unknown_until_ms <= now_ms {
            self.unknown_until_ms = 0;
        }
        self.writers == 0 && self.unknown_until_ms == 0
    }

    /// What a ticket remembers.
    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::{Stripe, UNKNOWN_MS};

    #[test]
    fn a_stripe_is_quiet_once_all_writes_have_ended() {
        let mut stripe = Stripe::default();
        assert!(stripe.is_quiet(5));
        stripe.begin();
        stripe.begin();
        stripe.end(true);
        assert!(!stripe.is_quiet(5));
        stripe.end(true);
        assert!(stripe.is_quiet(5));
    }

    #[test]
    fn an_unknown_end_is_waited_out_from_when_it_is_asked_for() {
        let mut stripe = Stripe::default();
        stripe.begin();
        stripe.end(false);
        assert!(!stripe.is_quiet(1_000_000));
        assert!(!stripe.is_quiet(1_000_000 + UNKNOWN_MS - 1));
        assert!(stripe.is_quiet(1_000_000 + UNKNOWN_MS));
        assert!(stripe.is_quiet(0), "and then it is over");
    }
}
