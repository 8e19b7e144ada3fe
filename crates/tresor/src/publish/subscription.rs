//! Publish and subscribe as a Rust program uses it.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{Message, Names, Outbox};
use crate::{
    database::{Core, Database},
    engine::block_on,
    error::{Error, ErrorKind, Result},
};

/// Channels and patterns that a program listens to, until it is dropped.
pub struct Subscription {
    core: Arc<Core>,
    outbox: Arc<Outbox>,
    names: BTreeSet<(bool, Bytes)>,
}

impl Database {
    /// Hands a message to everyone who listens to the channel now, over whatever door; how often it was
    /// handed out. It is kept for nobody.
    ///
    /// ```
    /// # fn main() -> tresor::Result<()> {
    /// let store = tresor::Database::open(tresor::Config::memory())?;
    /// let mut news = store.subscribe(["news", "weather"]);
    /// assert_eq!(store.publish("news", "it works"), 1);
    /// let message = news.wait()?;
    /// assert_eq!((&*message.channel, &*message.payload), (&b"news"[..], &b"it works"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish(&self, channel: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> usize {
        let receivers = self.core.hub.publish(channel.as_ref(), payload.as_ref(), self.core.time.now_ms());
        self.core.hub.wake();
        receivers
    }

    /// Listens to channels from now on.
    pub fn subscribe(&self, channels: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Subscription {
        let outbox = Outbox::of_program(&self.core.memory_limit);
        let mut subscription = Subscription { core: self.core.clone(), outbox, names: BTreeSet::new() };
        channels.into_iter().for_each(|channel| subscription.add_channel(channel));
        subscription
    }
}

impl Subscription {
    /// Listens to one more channel.
    pub fn add_channel(&mut self, channel: impl AsRef<[u8]>) {
        self.add(Names::Channel, channel.as_ref());
    }

    /// Listens to every channel that matches a pattern, too. A message that comes by several ways comes as
    /// often.
    pub fn add_pattern(&mut self, pattern: impl AsRef<[u8]>) {
        self.add(Names::Pattern, pattern.as_ref());
    }

    /// Listens to a channel no more.
    pub fn remove_channel(&mut self, channel: impl AsRef<[u8]>) {
        self.remove(Names::Channel, channel.as_ref());
    }

    /// Listens to a pattern no more.
    pub fn remove_pattern(&mut self, pattern: impl AsRef<[u8]>) {
        self.remove(Names::Pattern, pattern.as_ref());
    }

    fn add(&mut self, names: Names, name: &[u8]) {
        let name = Bytes::copy_from_slice(name);
        if self.names.insert((names == Names::Pattern, name.clone())) {
            self.core.hub.add(names, &name, &self.outbox);
        }
    }

    fn remove(&mut self, names: Names, name: &[u8]) {
        if self.names.remove(&(names == Names::Pattern, Bytes::copy_from_slice(name))) {
            self.core.hub.remove(names, name, &self.outbox);
        }
    }

    /// The next message; waits for it.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) from when more waited than `client-output-buffer-limit` lets:
    /// subscribe anew.
    pub fn wait(&mut self) -> Result<Message> {
        block_on(self.next_message())
    }

    /// The same without blocking, on any runtime.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub async fn next_message(&mut self) -> Result<Message> {
        poll_fn(|context| self.poll_message(context)).await
    }

    /// The same as a poll.
    pub fn poll_message(&mut self, context: &Context<'_>) -> Poll<Result<Message>> {
        self.outbox.poll_message(context).map(|message| message.ok_or_else(too_slow))
    }

    /// The next message if there is one already.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn try_message(&mut self) -> Result<Option<Message>> {
        if self.outbox.is_closed() { Err(too_slow()) } else { Ok(self.outbox.try_message()) }
    }
}

fn too_slow() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "more messages waited than client-output-buffer-limit lets: subscribe anew, and take them sooner",
    )
}

impl Drop for Subscription {
    fn drop(&mut self) {
        for (is_pattern, name) in &self.names {
            let names = if *is_pattern { Names::Pattern } else { Names::Channel };
            self.core.hub.remove(names, name, &self.outbox);
        }
    }
}
