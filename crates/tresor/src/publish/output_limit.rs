//! How many messages may wait for a subscriber before it is dropped, as `client-output-buffer-limit` says.
//!
//! Syntax and defaults are Redis's: a class of clients, a hard limit that drops at once, a soft one that drops
//! after some seconds without a break; 0 is for none
//! (<https://redis.io/docs/latest/develop/reference/clients/#output-buffer-limits>). Only subscribers have
//! such limits here; what stands there for the other classes can be read and not be changed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::command::parse_bytes;

/// The limit of one class of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes above which a client is dropped at once; 0 for none.
    pub hard_bytes: u64,
    /// Bytes above which it may not be for longer than [`soft_seconds`](Self::soft_seconds); 0 for none.
    pub soft_bytes: u64,
    /// How long, in seconds.
    pub soft_seconds: u64,
}

/// Redis's default for subscribers.
const DEFAULT: OutputLimit = OutputLimit { hard_bytes: 32 << 20, soft_bytes: 8 << 20, soft_seconds: 60 };

/// What is told of the classes that have no such limit here.
const OTHERS: [(&[&str], OutputLimit); 2] = [
    (&["normal"], OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 }),
    (&["slave", "replica"], OutputLimit { hard_bytes: 256 << 20, soft_bytes: 64 << 20, soft_seconds: 60 }),
];

/// The limit of subscribers, which may change at any time.
#[derive(Debug)]
pub struct OutputLimits {
    hard_bytes: AtomicU64,
    soft_bytes: AtomicU64,
    soft_seconds: AtomicU64,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self {
            hard_bytes: AtomicU64::new(DEFAULT.hard_bytes),
            soft_bytes: AtomicU64::new(DEFAULT.soft_bytes),
            soft_seconds: AtomicU64::new(DEFAULT.soft_seconds),
        }
    }
}

impl OutputLimits {
    /// What holds now.
    pub fn subscribers(&self) -> OutputLimit {
        OutputLimit {
            hard_bytes: self.hard_bytes.load(Relaxed),
            soft_bytes: self.soft_bytes.load(Relaxed),
            soft_seconds: self.soft_seconds.load(Relaxed),
        }
    }

    /// Changes it.
    pub fn set_subscribers(&self, limit: OutputLimit) {
        self.hard_bytes.store(limit.hard_bytes, Relaxed);
        self.soft_bytes.store(limit.soft_bytes, Relaxed);
        self.soft_seconds.store(limit.soft_seconds, Relaxed);
    }

    /// The limits of all classes, as CONFIG GET tells them.
    pub fn text(&self) -> String {
        let line = |class: &str, limit: OutputLimit| {
            format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
        };
        let others = OTHERS.iter().map(|(names, limit)| line(names[0], *limit));
        others.chain([line("pubsub", self.subscribers())]).collect::<Vec<_>>().join(" ")
    }
}

/// The limit of subscribers in a text of classes and limits; `None` when it says nothing of them.
///
/// # Errors
/// What is wrong with the text, in Redis's words where it would refuse it too.
pub(crate) fn parse(text: &str) -> Result<Option<OutputLimit>, String> {
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    let (rows, rest) = words.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    let mut subscribers = None;
    for [class, hard, soft, seconds] in rows {
        let limit = limit_of([hard, soft, seconds])
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
        let named = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(class));
        if named(&["pubsub"]) {
            subscribers = Some(limit);
            continue;
        }
        let (_, fixed) = OTHERS
            .iter()
            .find(|(names, _)| named(names))
            .ok_or("Invalid client class specified in buffer limit configuration.")?;
        if limit != *fixed {
            return Err(format!("only the limit of pubsub clients can be changed, not that of {class}"));
        }
    }
    Ok(subscribers)
}

fn limit_of([hard, soft, seconds]: [&str; 3]) -> Option<OutputLimit> {
    Some(OutputLimit {
        hard_bytes: parse_bytes(hard.as_bytes())?,
        soft_bytes: parse_bytes(soft.as_bytes())?,
        soft_seconds: seconds.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{OutputLimit, OutputLimits, parse};

    #[test]
    fn limits_are_read_as_redis_reads_them() {
        let limit = |hard_bytes, soft_bytes, soft_seconds| {
            Ok(Some(OutputLimit { hard_bytes, soft_bytes, soft_seconds }))
        };
        assert_eq!(parse("pubsub 1mb 2kb 60"), limit(1 << 20, 2048, 60));
        assert_eq!(parse("normal 0 0 0 PUBSUB 10 5 7"), limit(10, 5, 7));
        assert_eq!(parse("pubsub 1 1 1 pubsub 2k 3 3"), limit(2000, 3, 3));
        assert_eq!(parse(""), Ok(None));
        for wrong in ["pubsub 1 2", "foo 1 2 3", "pubsub x 1 1", "pubsub 1 1 -1", "normal 1 1 1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        let told = OutputLimits::default().text();
        assert_eq!(told, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
        assert_eq!(parse(&told), limit(32 << 20, 8 << 20, 60));
    }
}
