//! Where messages meet their subscribers.
//!
//! A channel's messages reach all its subscribers in one order, whoever publishes from wherever. Nothing here
//! waits: what a subscriber has not taken stands in its outbox, up to the limit.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use parking_lot::RwLock;

use super::{
    Bell, Outbox, OutputLimits, Posting, channels::Channels, monitors::Monitors, patterns::Patterns,
};
use crate::search::Glob;

/// What a name that somebody subscribes to is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// A channel.
    Channel,
    /// A pattern of channels.
    Pattern,
    /// A channel of SPUBLISH.
    ShardChannel,
}

/// All subscriptions of a database.
#[derive(Default)]
pub struct Hub {
    channels: Channels,
    shard_channels: Channels,
    patterns: Patterns,
    monitors: Monitors,
    bells: RwLock<Vec<Arc<Bell>>>,
    limits: OutputLimits,
    /// Subscribers dropped because they took their messages too slowly.
    dropped: AtomicU64,
}

impl Hub {
    /// A bell for the outboxes of one thread.
    pub fn bell(&self) -> Arc<Bell> {
        let bell = Arc::<Bell>::default();
        self.bells.write().push(bell.clone());
        bell
    }

    /// Wakes the threads whose outboxes got messages since this was last called.
    pub fn wake(&self) {
        self.bells.read().iter().for_each(|bell| bell.wake());
    }

    pub(crate) fn add(&self, names: Names, name: &Bytes, outbox: &Arc<Outbox>) {
        match names {
            Names::Channel => self.channels.add(name, outbox),
            Names::Pattern => self.patterns.add(name, outbox),
            Names::ShardChannel => self.shard_channels.add(name, outbox),
        }
    }

    pub(crate) fn remove(&self, names: Names, name: &[u8], outbox: &Arc<Outbox>) {
        match names {
            Names::Channel => self.channels.remove(name, outbox),
            Names::Pattern => self.patterns.remove(name, outbox),
            Names::ShardChannel => self.shard_channels.remove(name, outbox),
        }
    }

    /// Hands a message to everyone who listens to its channel now; how often it was handed out. Whoever has
    /// published calls [`wake`](Self::wake) when there is no more to come for the moment.
    pub(crate) fn publish(&self, channel: &[u8], payload: &[u8], now_ms: u64) -> usize {
        let part = self.channels.part(channel);
        let mut receivers = 0;
        if let Some(subscribers) = part.get(channel) {
            self.post(subscribers, &mut Posting::new("message", channel, payload), now_ms);
            receivers += subscribers.len();
        }
        self.patterns.matching(channel, |pattern| {
            self.post(&pattern.subscribers, &mut Posting::by(&pattern.text, channel, payload), now_ms);
            receivers += pattern.subscribers.len();
        });
        receivers
    }

    /// The same for a channel of SPUBLISH, which no pattern matches.
    pub(crate) fn publish_to_shard(&self, channel: &[u8], payload: &[u8], now_ms: u64) -> usize {
        let part = self.shard_channels.part(channel);
        let Some(subscribers) = part.get(channel) else { return 0 };
        self.post(subscribers, &mut Posting::new("smessage", channel, payload), now_ms);
        subscribers.len()
    }

    #[inline]
    fn post(&self, subscribers: &[Arc<Outbox>], posting: &mut Posting<'_>, now_ms: u64) {
        let limit = self.limits.subscribers();
        for outbox in subscribers {
            if outbox.post(posting, (limit, now_ms)) {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// Who hears of every command.
    pub(crate) fn monitors(&self) -> &Monitors {
        &self.monitors
    }

    /// Hands a line to everyone who hears of every command; [`wake`](Self::wake) as after a message.
    pub(crate) fn tell_monitors(&self, line: Bytes, now_ms: u64) {
        self.post(&self.monitors.all(), &mut Posting::of_bytes(line), now_ms);
    }

    /// How many would get a message now.
    pub(crate) fn receivers(&self, names: Names, channel: &[u8]) -> usize {
        if names == Names::ShardChannel {
            return self.shard_channels.subscribers(channel);
        }
        let mut receivers = self.channels.subscribers(channel);
        self.patterns.matching(channel, |pattern| receivers += pattern.subscribers.len());
        receivers
    }

    /// The names that have subscribers, those that match a pattern, in no order.
    pub(crate) fn names(&self, names: Names, glob: Option<&Glob>) -> Vec<Bytes> {
        match names {
            Names::ShardChannel => self.shard_channels.matching(glob),
            _ => self.channels.matching(glob),
        }
    }

    /// How many subscribers a name has.
    pub(crate) fn subscribers(&self, names: Names, name: &[u8]) -> usize {
        match names {
            Names::ShardChannel => self.shard_channels.subscribers(name),
            _ => self.channels.subscribers(name),
        }
    }

    /// How many channels, patterns and channels of SPUBLISH have subscribers.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.channels.len(), self.patterns.len(), self.shard_channels.len())
    }

    /// How much may wait for a subscriber.
    pub fn limits(&self) -> &OutputLimits {
        &self.limits
    }

    /// Subscribers that were dropped for being slow.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Drops the subscribers of a bell that have been over the soft limit for too long; to be called now and
    /// then.
    pub fn drop_slow(&self, bell: &Bell, now_ms: u64) {
        self.dropped.fetch_add(bell.drop_slow(now_ms), Relaxed);
    }

    pub(crate) fn reset_counts(&self) {
        self.dropped.store(0, Relaxed);
    }
}
