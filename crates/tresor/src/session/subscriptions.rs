//! What a client listens to, and what it has to be told in which order.
//!
//! Messages wait in the client's outbox and go out behind the replies of a batch. Where order demands it
//! (a client that hears itself, the confirmation of a subscription) the connection takes them in right behind
//! the reply, which then keeps later ones back too. Invariant: the hub knows a client by exactly the names
//! that stand here, and by none once the session is gone.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    mem,
    sync::Arc,
    task::{Poll, Waker},
};

use bytes::Bytes;

use super::Session;
use crate::{
    command::{Command, CommandId, Flag, Row},
    error::{Error, Result},
    publish::{Bell, Names, Outbox},
    reply::ReplyWriter,
};

/// A client's subscriptions.
pub(super) struct Subscriptions {
    outbox: Arc<Outbox>,
    names: [BTreeSet<Bytes>; 3],
}

/// Whether a command begins or ends subscriptions: then it is answered by confirmations, which are messages.
pub(super) fn is_subscription(row: &Row) -> bool {
    row.has(Flag::PubSub) && !row.has(Flag::Fast) && !row.has(Flag::Subcommand)
}

/// A message of an EXEC that is not yet applied.
pub(super) struct Unpublished {
    sharded: bool,
    channel: Box<[u8]>,
    payload: Box<[u8]>,
}

/// The names of each kind, as they were.
pub(super) type Listened = [BTreeSet<Bytes>; 3];

impl Session {
    /// Says who is told when messages came for this client.
    pub fn set_bell(&mut self, bell: Arc<Bell>) {
        self.bell = Some(bell);
    }

    /// The messages on their way to this client, once it has subscribed to anything.
    #[inline]
    pub fn outbox(&self) -> Option<&Arc<Outbox>> {
        self.subscriptions.as_ref().map(|subscriptions| &subscriptions.outbox)
    }

    /// Whether messages have to stand right behind the reply that was just written; asked once.
    #[inline]
    pub fn take_mail_due(&mut self) -> bool {
        mem::take(&mut self.mail_due)
    }

    /// Takes the messages that wait in behind what was replied. Not inside the reply to EXEC.
    pub fn append_mail(&self, reply: &mut ReplyWriter) {
        if let Some(outbox) = self.outbox()
            && outbox.has_mail()
            && !self.pinned
        {
            reply.append(outbox.take());
        }
    }

    /// Whether it listens to anything.
    #[inline]
    pub fn listens(&self) -> bool {
        self.listens
    }

    /// The error for a command that a client of protocol version 2 may not send while it listens, since its
    /// reply could not be told from a message.
    #[inline]
    pub(super) fn check_listening(&self, command: Command<'_>, reply: &ReplyWriter) -> Result<()> {
        use CommandId as Id;
        let row = command.row;
        if !self.listens || reply.protocol() == 3 {
            return Ok(());
        }
        if is_subscription(row) || matches!(row.id, Id::Ping | Id::Quit | Id::Reset) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
             context",
            row.name
        )))
    }

    /// Listens to a name from now on; to how many channels and patterns it does then.
    pub(crate) async fn listen(&mut self, names: Names, name: &[u8], protocol: u8) -> usize {
        if self.subscriptions.is_none() {
            let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
            self.open_outbox(protocol, &waker);
        }
        let core = self.core.clone();
        if let Some(subscriptions) = &mut self.subscriptions {
            let name = Bytes::copy_from_slice(name);
            if subscriptions.names[names as usize].insert(name.clone()) {
                core.hub.add(names, &name, &subscriptions.outbox);
            }
        }
        self.listened(names)
    }

    fn open_outbox(&mut self, protocol: u8, waker: &Waker) {
        let outbox = self.client().open_outbox(self.bell.clone(), protocol, &self.core.memory_limit);
        outbox.wakes(waker);
        self.subscriptions = Some(Box::new(Subscriptions { outbox, names: Default::default() }));
    }

    /// Listens to a name no more; to how many it still does.
    pub(crate) fn ignore(&mut self, names: Names, name: &[u8]) -> usize {
        if let Some(subscriptions) = &mut self.subscriptions
            && subscriptions.names[names as usize].remove(name)
        {
            self.core.hub.remove(names, name, &subscriptions.outbox);
        }
        self.listened(names)
    }

    /// The names of a kind that it listens to.
    pub(crate) fn names(&self, names: Names) -> Vec<Bytes> {
        let set = self.subscriptions.as_ref().map(|subscriptions| &subscriptions.names[names as usize]);
        set.into_iter().flatten().cloned().collect()
    }

    /// Counts, for replies and for those who look; channels of SPUBLISH are counted by themselves.
    fn listened(&mut self, names: Names) -> usize {
        let Some(subscriptions) = &self.subscriptions else { return 0 };
        let count = |names: Names| subscriptions.names[names as usize].len();
        subscriptions.outbox.note_count(names, count(names));
        let plain = count(Names::Channel) + count(Names::Pattern);
        let sharded = count(Names::ShardChannel);
        self.listens = plain + sharded > 0;
        self.mail_due = true;
        if names == Names::ShardChannel { sharded } else { plain }
    }

    /// Hands a message out; how often. Inside EXEC it is handed out once EXEC is applied.
    pub(crate) fn publish(&mut self, sharded: bool, channel: &[u8], payload: &[u8]) -> usize {
        let core = self.core.clone();
        if self.pinned {
            let (channel_name, payload) = (channel.into(), payload.into());
            self.unpublished.push(Unpublished { sharded, channel: channel_name, payload });
            let names = if sharded { Names::ShardChannel } else { Names::Channel };
            return core.hub.receivers(names, channel);
        }
        self.published = true;
        // Its own messages, if these are some, stand behind the reply.
        self.mail_due |= self.listens;
        match sharded {
            true => core.hub.publish_to_shard(channel, payload, self.now_ms),
            false => core.hub.publish(channel, payload, self.now_ms),
        }
    }

    /// Hands out what EXEC has published, or forgets it.
    pub(super) fn publish_queued(&mut self, applied: bool) {
        for Unpublished { sharded, channel, payload } in mem::take(&mut self.unpublished) {
            if applied {
                self.publish(sharded, &channel, &payload);
            }
        }
    }

    /// Wakes the threads whose clients got messages from here. At the end of a batch.
    #[inline]
    pub(super) fn wake_listeners(&mut self) {
        if mem::take(&mut self.published) {
            self.core.hub.wake();
        }
    }

    /// What it listens to, to be restored.
    pub(super) fn listening_to(&self) -> Listened {
        self.subscriptions.as_ref().map(|subscriptions| subscriptions.names.clone()).unwrap_or_default()
    }

    /// Back to what it listened to before an EXEC that did not happen.
    pub(super) async fn restore_listening(&mut self, before: &Listened, protocol: u8) {
        for names in [Names::Channel, Names::Pattern, Names::ShardChannel] {
            for name in self.names(names).iter().filter(|name| !before[names as usize].contains(*name)) {
                self.ignore(names, name);
            }
            for name in &before[names as usize] {
                self.listen(names, name, protocol).await;
            }
        }
    }

    /// Listens to nothing any more.
    pub(super) fn ignore_everything(&mut self) {
        for names in [Names::Channel, Names::Pattern, Names::ShardChannel] {
            for name in self.names(names) {
                self.ignore(names, &name);
            }
        }
    }
}
