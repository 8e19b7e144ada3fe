//! Latency events: when commands took long, second by second, for LATENCY.
//!
//! Two events, as Redis calls them: `command`, and `fast-command` for those that should never take long. Each
//! keeps the last 160 seconds in which there was something to keep, and of each such second the worst.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;

/// Samples that an event keeps.
const SAMPLES: usize = 160;

/// What took long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LatencyEvent {
    /// A command that may take a while.
    Command,
    /// A command whose row says that it is fast.
    FastCommand,
}

impl LatencyEvent {
    pub(crate) const ALL: [Self; 2] = [Self::Command, Self::FastCommand];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::FastCommand => "fast-command",
        }
    }

    fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name().as_bytes() == name)
    }
}

/// The worst of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The second, in Unix time.
    pub(crate) at_s: u64,
    /// How long it took, in milliseconds.
    pub(crate) took_ms: u64,
}

/// What is kept of an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    /// Oldest first.
    pub(crate) samples: VecDeque<Sample>,
    /// The worst since the event was last reset, in milliseconds.
    pub(crate) worst_ms: u64,
}

impl Samples {
    fn add(&mut self, sample: Sample) {
        self.worst_ms = self.worst_ms.max(sample.took_ms);
        match self.samples.back_mut() {
            Some(latest) if latest.at_s == sample.at_s => latest.took_ms = latest.took_ms.max(sample.took_ms),
            _ => self.samples.push_back(sample),
        }
        if self.samples.len() > SAMPLES {
            self.samples.pop_front();
        }
    }
}

/// The events of a database.
#[derive(Default)]
pub(crate) struct LatencyEvents {
    threshold_ms: AtomicU64,
    events: Mutex<[Samples; LatencyEvent::ALL.len()]>,
}

impl LatencyEvents {
    /// From how many milliseconds on something is kept; 0 for never.
    pub(crate) fn threshold_ms(&self) -> u64 {
        self.threshold_ms.load(Relaxed)
    }

    pub(super) fn set_threshold_ms(&self, threshold_ms: u64) {
        self.threshold_ms.store(threshold_ms, Relaxed);
    }

    /// Whether something that took this long is to be kept.
    #[inline]
    pub(crate) fn takes(&self, spent_ns: u64) -> bool {
        let threshold_ms = self.threshold_ms();
        threshold_ms > 0 && spent_ns / 1_000_000 >= threshold_ms
    }

    /// Keeps how long something took.
    pub(crate) fn add(&self, event: LatencyEvent, sample: Sample) {
        self.events.lock()[event as usize].add(sample);
    }

    /// What is kept of an event; nothing of one that does not exist.
    pub(crate) fn samples(&self, name: &[u8]) -> Samples {
        LatencyEvent::named(name).map(|event| self.events.lock()[event as usize].clone()).unwrap_or_default()
    }

    /// The events of which something is kept.
    pub(crate) fn all(&self) -> Vec<(LatencyEvent, Samples)> {
        let events = self.events.lock();
        let all = LatencyEvent::ALL.into_iter().map(|event| (event, events[event as usize].clone()));
        all.filter(|(_, samples)| !samples.samples.is_empty()).collect()
    }

    /// Forgets the events of these names, or all; of how many something was kept.
    pub(crate) fn reset(&self, names: &[&[u8]]) -> usize {
        let mut events = self.events.lock();
        let chosen = |event: &LatencyEvent| names.is_empty() || names.contains(&event.name().as_bytes());
        let chosen = LatencyEvent::ALL.into_iter().filter(chosen);
        chosen.filter(|event| !std::mem::take(&mut events[*event as usize]).samples.is_empty()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::{LatencyEvent, LatencyEvents, Sample};

    #[test]
    fn a_second_keeps_its_worst_and_an_event_its_latest_seconds() {
        let events = LatencyEvents::default();
        for (at_s, took_ms) in [(1, 5), (1, 9), (1, 7), (2, 3)] {
            events.add(LatencyEvent::Command, Sample { at_s, took_ms });
        }
        let kept = events.samples(b"command");
        assert_eq!(kept.samples, [Sample { at_s: 1, took_ms: 9 }, Sample { at_s: 2, took_ms: 3 }]);
        assert_eq!(kept.worst_ms, 9);
        (10..200).for_each(|at_s| events.add(LatencyEvent::Command, Sample { at_s, took_ms: 1 }));
        let kept = events.samples(b"command");
        assert_eq!((kept.samples.len(), kept.samples[0].at_s, kept.worst_ms), (160, 40, 9));
        assert!(events.samples(b"fast-command").samples.is_empty());
        assert!(events.samples(b"COMMAND").samples.is_empty());
        assert_eq!(events.reset(&[b"fast-command", b"other"]), 0);
        assert_eq!(events.reset(&[]), 1);
        assert!(events.all().is_empty());
    }

    #[test]
    fn nothing_is_kept_while_it_is_off() {
        let events = LatencyEvents::default();
        assert!(!events.takes(u64::MAX));
        events.set_threshold_ms(5);
        assert!(events.takes(5_000_000) && !events.takes(4_999_999));
    }
}
