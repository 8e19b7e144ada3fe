//! What a client listens to or monitors, and what it has to be told in which order.
//!
//! Messages wait in the client's outbox and go out behind the replies of a batch. Where order demands it
//! (a client that hears itself, the confirmation of a subscription) the connection takes them in right behind
//! the reply, which then keeps later ones back too. Invariant: the hub knows a client by exactly the names
//! that stand here, and by none once the session is gone.

use std::{collections::BTreeSet, future::poll_fn, mem, sync::Arc, task::Poll};

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
    /// It hears of every command.
    monitors: bool,
}

impl Subscriptions {
    fn listens(&self) -> bool {
        self.names.iter().any(|names| !names.is_empty())
    }
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
    pub fn listens(&self) -> bool {
        self.subscriptions.as_ref().is_some_and(|subscriptions| subscriptions.listens())
    }

    /// Whether it hears of every command.
    pub(super) fn monitors(&self) -> bool {
        self.subscriptions.as_ref().is_some_and(|subscriptions| subscriptions.monitors)
    }

    /// The error for a command that a client may not send while it listens or monitors.
    #[inline]
    pub(super) fn check_hearing(&self, command: Command<'_>, reply: &ReplyWriter) -> Result<()> {
        if !self.hears {
            return Ok(());
        }
        if self.monitors() {
            check_monitoring(command.row)?;
        }
        self.check_listening(command.row, reply.protocol())
    }

    /// In version 2 of the protocol replies could not be told from messages.
    fn check_listening(&self, row: &Row, protocol: u8) -> Result<()> {
        use CommandId as Id;
        if protocol == 3 || !self.listens() {
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
        self.open_outbox(protocol).await;
        let core = self.core.clone();
        if let Some(subscriptions) = &mut self.subscriptions {
            let name = Bytes::copy_from_slice(name);
            if subscriptions.names[names as usize].insert(name.clone()) {
                core.hub.add(names, &name, &subscriptions.outbox);
            }
        }
        self.listened(names)
    }

    async fn open_outbox(&mut self, protocol: u8) {
        if self.subscriptions.is_some() {
            return;
        }
        let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
        let outbox = self.client().open_outbox(self.bell.clone(), protocol, &self.core.memory_limit);
        outbox.wakes(&waker);
        let names = Default::default();
        self.subscriptions = Some(Box::new(Subscriptions { outbox, names, monitors: false }));
    }

    /// Hears of every command from now on.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) inside EXEC, where what it heard would stand amid the reply.
    pub(crate) async fn begin_monitoring(&mut self, protocol: u8) -> Result<()> {
        if self.pinned {
            return Err(Error::invalid("MONITOR isn't allowed for DENY BLOCKING client"));
        }
        self.open_outbox(protocol).await;
        if let Some(subscriptions) = &mut self.subscriptions
            && !mem::replace(&mut subscriptions.monitors, true)
        {
            self.core.observers.begin_wanting();
            self.core.hub.monitors().add(&subscriptions.outbox);
            self.client().note_monitors(true);
            self.time_each();
            (self.hears, self.mail_due) = (true, true);
        }
        Ok(())
    }

    fn end_monitoring(&mut self) {
        if let Some(subscriptions) = &mut self.subscriptions
            && mem::take(&mut subscriptions.monitors)
        {
            self.core.hub.monitors().remove(&subscriptions.outbox);
            self.core.observers.end_wanting();
            self.client().note_monitors(false);
            self.hears = self.listens();
        }
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
        self.hears = plain + sharded > 0 || subscriptions.monitors;
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
        self.mail_due |= self.hears;
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

    /// Listens to nothing any more, nor monitors.
    pub(super) fn ignore_everything(&mut self) {
        self.end_monitoring();
        for names in [Names::Channel, Names::Pattern, Names::ShardChannel] {
            for name in self.names(names) {
                self.ignore(names, &name);
            }
        }
    }
}

/// A monitor only looks. The words are those of Redis, which counts monitors among its replicas.
fn check_monitoring(row: &Row) -> Result<()> {
    let publishes = row.has(Flag::PubSub) && row.has(Flag::Fast);
    match publishes || row.has(Flag::Readonly) || row.has(Flag::Write) {
        true => Err(Error::invalid("Replica can't interact with the keyspace")),
        false => Ok(()),
    }
}
