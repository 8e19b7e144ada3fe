//! One client's state, and the way from a command to the engine.
//!
//! A connection calls [`Session::enter`], executes all its input, calls [`Session::leave`], and holds
//! its output until [`Session::durable`] answers; a pipeline of n writes costs one fsync. Families use
//! the small methods below (`read`, `write`, `update`, `key`) and nothing else of the database, so
//! gates, limits, time and the highest sequence number are dealt with here once.

mod access;
mod change_feed;
mod events;
mod isolated;
mod merged;
mod multi;
mod runs;
mod subscriptions;
mod timing;
mod transactions;

use std::{
    mem,
    sync::{Arc, OnceLock},
};

use smallvec::SmallVec;

use crate::{
    client::{Client, Paused},
    command::{Args, Command, CommandId, Flag, Row, dispatch, lookup_after},
    database::Core,
    engine::{Engine, KeyRef, MAX_KEY_BYTES, Sequence, memory::out_of_memory},
    error::{Error, ErrorKind, Result},
    publish::{Bell, Wording},
    reply::{Mark, ReplyWriter},
    transaction::Transaction,
    yield_now::yield_now,
};

pub use self::change_feed::FollowedFeed;
pub(crate) use self::events::Kept as KeptEvent;
pub use self::transactions::Before;
use self::{
    subscriptions::{Subscriptions, Unpublished, is_subscription},
    timing::Timing,
    transactions::Isolated,
};

/// A client's state: chosen database, rights, what its replies wait for.
pub struct Session {
    core: Arc<Core>,
    worker: usize,
    inside: bool,
    selected: u8,
    authenticated: bool,
    closing: bool,
    replies: Replies,
    now_ms: u64,
    highest: Sequence,
    timing: Timing,
    /// The command before: mostly the next is the same again.
    latest: CommandId,
    /// Nobody has a transaction open, this client least of all: the engine is asked directly.
    direct: bool,
    /// The transaction that the running command belongs to.
    scope: Option<Arc<Transaction>>,
    /// Gate and time are kept from the first to the last command of an EXEC.
    pinned: bool,
    /// Commands are queued by MULTI or belong to a transaction, so each is looked at first.
    gathers: bool,
    isolated: Option<Box<Isolated>>,
    /// Made when somebody first asks: library calls never do.
    client: OnceLock<Arc<Client>>,
    registered: bool,
    /// Who hears of messages for this client.
    bell: Option<Arc<Bell>>,
    subscriptions: Option<Box<Subscriptions>>,
    /// What it is told of changes.
    feed: Option<Box<FollowedFeed>>,
    /// It gets what answers no command: then not every command is allowed.
    hears: bool,
    /// Messages have to stand right behind the reply.
    mail_due: bool,
    /// It has published something since threads were last woken.
    published: bool,
    /// What EXEC publishes once it is applied.
    unpublished: Vec<Unpublished>,
    /// As what the next change is told of.
    wording: Wording,
}

/// What becomes of replies, as CLIENT REPLY says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replies {
    /// They are sent.
    On,
    /// They are left out.
    Off,
    /// The one to the running command and the next are left out.
    SkipNext,
    /// The one to the running command is left out.
    Skip,
}

/// How many bytes a value may have.
#[derive(Clone, Copy)]
pub(crate) struct ValueLimit(usize);

impl ValueLimit {
    #[inline]
    pub(crate) fn check(self, bytes: usize) -> Result<()> {
        if bytes > self.0 {
            let message = "string exceeds maximum allowed size (--max-value-bytes)";
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }
}

impl Session {
    /// A session on `worker`'s gate and counters.
    pub(crate) fn new(core: Arc<Core>, worker: usize) -> Self {
        let authenticated = !core.settings.needs_password();
        Self {
            core,
            worker,
            inside: false,
            selected: 0,
            authenticated,
            closing: false,
            replies: Replies::On,
            now_ms: 0,
            highest: 0,
            timing: Timing::default(),
            latest: CommandId::Ping,
            direct: true,
            scope: None,
            pinned: false,
            gathers: false,
            isolated: None,
            client: OnceLock::new(),
            registered: false,
            bell: None,
            subscriptions: None,
            feed: None,
            hears: false,
            mail_due: false,
            published: false,
            unpublished: Vec::new(),
            wording: Wording::Plain,
        }
    }

    /// Says where the client comes from and came in, and has it listed among the connected ones until
    /// the session is dropped.
    pub fn set_address(&mut self, peer: impl Into<String>, local: impl Into<String>) {
        self.client().label(|labels| (labels.peer, labels.local) = (peer.into(), local.into()));
        self.core.clients.add(self.client());
        self.registered = true;
    }

    /// The client as others see it.
    pub fn client(&self) -> &Arc<Client> {
        self.client.get_or_init(|| {
            let client = self.core.clients.create(self.core.time.now_ms(), &self.core.memory_limit);
            client.note_database(self.selected);
            client
        })
    }

    /// Passes the gate and takes the time. Before the first command of a batch.
    #[inline]
    pub async fn enter(&mut self) {
        if !self.inside {
            self.core.gates.enter(self.worker).await;
            self.inside = true;
        }
        self.direct = self.scope.is_none() && !self.core.transactions.are_open();
        self.begin_timing();
    }

    /// Leaves the gate. After the last command of a batch, and before waiting for anything.
    #[inline]
    pub fn leave(&mut self) {
        self.finish_run();
        self.wake_listeners();
        if self.inside {
            if let Some(client) = self.client.get() {
                client.note_batch(self.now_ms, self.timing.latest());
            }
            self.core.gates.leave(self.worker);
            self.inside = false;
        }
    }

    /// Lets others run: gives up the gate and the thread for a moment. For work in slices.
    pub(crate) async fn breathe(&mut self) {
        self.outside(yield_now()).await;
    }

    /// Waits without holding the gate.
    pub(crate) async fn outside<T>(&mut self, wait: impl Future<Output = T>) -> T {
        if self.pinned {
            return wait.await;
        }
        self.wake_listeners();
        let inside = std::mem::take(&mut self.inside);
        if inside {
            self.core.gates.leave(self.worker);
        }
        let output = wait.await;
        if inside {
            self.core.gates.enter(self.worker).await;
            self.inside = true;
            self.direct = self.scope.is_none() && !self.core.transactions.are_open();
            self.now_ms = self.core.time.now_ms();
        }
        output
    }

    /// Whether a command may have to wait for a lock: replies that are there should go out before it.
    #[inline]
    pub fn may_wait(&self) -> bool {
        !self.direct
    }

    /// For how many milliseconds CLIENT PAUSE holds this command back; 0 is for not at all. Whoever
    /// executes commands asks first, and waits outside the gate.
    #[inline]
    pub fn held_back_ms(&self, command: Command<'_>) -> u64 {
        if command.row.has(Flag::Admin) { 0 } else { self.paused_ms(command.row.has(Flag::Write)) }
    }

    /// The same for a command of another front door, which is or is not one that writes.
    #[inline]
    pub fn paused_ms(&self, writes: bool) -> u64 {
        match self.core.clients.paused() {
            Some((whom, until_ms)) if writes || whom == Paused::Everyone => {
                until_ms.saturating_sub(self.core.time.now_ms())
            }
            _ => 0,
        }
    }

    /// The error for whatever adds data, while the memory limit is reached and nothing may be evicted.
    ///
    /// # Errors
    /// [`OutOfMemory`](ErrorKind::OutOfMemory).
    #[inline]
    pub fn may_grow(&self) -> Result<()> {
        if self.core.memory_limit.refuses() { Err(out_of_memory()) } else { Ok(()) }
    }

    /// Finds a command's row and checks what can be checked beforehand: name, rights, arity.
    pub fn prepare<'a>(&self, args: Args<'a>) -> Result<Command<'a>> {
        let mut row = lookup_after(self.latest, args[0]).ok_or_else(|| unknown_command(args))?;
        if row.has(Flag::Container)
            && let Some(word) = args.get(1)
        {
            row = self.subcommand(row, word)?;
        }
        let check = || {
            if !row.takes(args.len()) {
                return Err(Error::invalid(format!("wrong number of arguments for '{}' command", row.name)));
            }
            if !self.authenticated && !row.has(Flag::NoAuth) {
                return Err(Error::new(ErrorKind::Unauthorized, "Authentication required."));
            }
            Ok(Command { row, args })
        };
        check().inspect_err(|_| self.core.metrics.worker(self.worker).rejected(row.id))
    }

    fn subcommand(&self, container: &Row, word: &[u8]) -> Result<&'static Row> {
        if container.id == CommandId::Debug && !self.core.settings.allows_debug() {
            return Err(Error::invalid(
                "DEBUG command not allowed. Start the server with --enable-debug-command to allow it.",
            ));
        }
        container.find_subcommand(word).ok_or_else(|| unknown_subcommand(container, word))
    }

    /// Tells the engine which keys of this database come next, so that it may fetch them closer. Pays
    /// for a pipeline, not for a single command.
    #[inline]
    pub fn expect(&self, keys: &[&[u8]]) {
        let keys: SmallVec<[KeyRef<'_>; 16]> =
            keys.iter().map(|key| KeyRef::new(self.selected, key)).collect();
        self.core.engine.expect(&keys);
    }

    /// Executes a command and writes exactly one reply, an error included. The gate must be held.
    #[inline]
    pub async fn execute(&mut self, command: Command<'_>, reply: &mut ReplyWriter) {
        if self.queues(command, reply) {
            return;
        }
        let mark = reply.mark();
        let result = if let Err(error) = self.check_hearing(command, reply) {
            Err(error)
        } else if self.is_out_of_memory_for(command) {
            Err(out_of_memory())
        } else {
            self.begin_command(command.row.id, 1);
            let result = if self.gathers {
                Box::pin(self.execute_gathered(command, reply)).await
            } else if command.row.has(Flag::AllGates) {
                Box::pin(self.execute_alone(command, reply)).await
            } else {
                dispatch(command.row.id, self, command.args, reply).await
            };
            self.end_command(command);
            result
        };
        self.conclude(command, (mark, result), reply);
    }

    /// Puts a command behind MULTI and answers it, if it is one to be queued; else nothing is done.
    #[inline]
    pub fn queues(&mut self, command: Command<'_>, reply: &mut ReplyWriter) -> bool {
        if !self.gathers || !self.is_to_be_queued(command) {
            return false;
        }
        let mark = reply.mark();
        self.latest = command.row.id;
        let checked = match self.is_out_of_memory_for(command) {
            true => Err(out_of_memory()),
            false => self.check_hearing(command, reply),
        };
        let result = match checked {
            Ok(()) => self.enqueue(command, reply),
            Err(error) => {
                self.spoil_queue();
                Err(error)
            }
        };
        self.conclude(command, (mark, result), reply);
        true
    }

    #[inline]
    fn is_out_of_memory_for(&self, command: Command<'_>) -> bool {
        command.row.has(Flag::Denyoom) && self.core.memory_limit.refuses()
    }

    /// Replaces the reply by the error if there is one, or by nothing if the client wants none.
    #[inline]
    fn conclude(
        &mut self,
        command: Command<'_>,
        (mark, result): (Mark, Result<()>),
        reply: &mut ReplyWriter,
    ) {
        if let Err(error) = result {
            reply.rewind(mark);
            self.fail_one(command.row.id, &error, reply);
        }
        if self.replies != Replies::On {
            match is_subscription(command.row) {
                true => self.replies_passed(),
                false => self.withhold(mark, reply),
            }
        }
    }

    /// Answers a request that [`prepare`](Self::prepare) refused.
    pub fn refuse(&mut self, error: &Error, reply: &mut ReplyWriter) {
        self.spoil_queue();
        let mark = reply.mark();
        self.core.metrics.error(error);
        reply.error(error);
        if self.replies != Replies::On {
            self.withhold(mark, reply);
        }
    }

    /// Takes a reply back that the client does not want.
    #[cold]
    fn withhold(&mut self, mark: Mark, reply: &mut ReplyWriter) {
        reply.withhold(mark);
        self.replies_passed();
    }

    /// Goes on to the next reply that CLIENT REPLY says something of.
    fn replies_passed(&mut self) {
        self.replies = match self.replies {
            Replies::SkipNext => Replies::Skip,
            Replies::Skip => Replies::On,
            as_before => as_before,
        };
    }

    /// Gives up the own gate, takes all, and goes back to its own.
    async fn execute_alone(&mut self, command: Command<'_>, reply: &mut ReplyWriter) -> Result<()> {
        let core = self.core.clone();
        let alone = self.alone(&core).await?;
        let result = Box::pin(dispatch(command.row.id, self, command.args, reply)).await;
        drop(alone);
        self.come_back().await;
        result
    }

    #[inline]
    fn count_hits(&self, hits: u64, misses: u64) {
        let worker = self.core.metrics.worker(self.worker);
        if hits > 0 {
            worker.hits.add(hits);
        }
        if misses > 0 {
            worker.misses.add(misses);
        }
    }

    #[inline]
    pub(crate) fn saw(&mut self, sequence: Sequence) {
        self.highest = self.highest.max(sequence);
    }

    /// Answers when everything that the replies since the last call tell of is durable. Not while inside.
    pub async fn durable(&mut self) -> Result<()> {
        let highest = self.take_highest();
        self.core.engine.durable(highest).await
    }

    /// The highest sequence number that the replies since the last call tell of. Whoever takes it waits for
    /// it before these replies go out; if it fails, later replies have nothing to do with that.
    #[inline]
    pub fn take_highest(&mut self) -> Sequence {
        mem::take(&mut self.highest)
    }

    /// Gives back a number that was taken without sending the replies.
    pub fn give_back_highest(&mut self, highest: Sequence) {
        self.saw(highest);
    }

    /// Changes the database that keys without one belong to.
    pub fn select(&mut self, database: u8) {
        self.selected = database;
        if let Some(client) = self.client.get() {
            client.note_database(database);
        }
    }

    /// Goes on at another worker's gate and counters: for sessions that no connection owns. Not inside a gate.
    pub fn move_to(&mut self, worker: usize) {
        debug_assert!(!self.inside, "the gate that is left has to be the one that was entered");
        self.worker = worker;
    }

    /// The database that keys without one belong to.
    pub fn selected(&self) -> u8 {
        self.selected
    }

    /// Whether the client has asked, or is told, to go.
    pub fn closing(&self) -> bool {
        self.closing
    }

    /// Lets the connection end once its output is sent.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    /// Whether the client has shown the password, or needs none.
    pub fn authenticated(&self) -> bool {
        self.authenticated
    }

    /// Checks a password; from the right one on everything is allowed.
    pub fn authenticate(&mut self, user: &[u8], password: &[u8]) -> Result<()> {
        if user != b"default" || !self.core.settings.is_password(password) {
            let message = "WRONGPASS invalid username-password pair or user is disabled.";
            return Err(Error::new(ErrorKind::Unauthorized, message));
        }
        self.authenticated = true;
        Ok(())
    }

    /// Takes the client for authenticated: the front door has seen the password with the request itself.
    pub fn trust(&mut self) {
        self.authenticated = true;
    }

    /// Chooses what becomes of replies, that to the running command included.
    pub(crate) fn set_replies(&mut self, replies: Replies) {
        self.replies = replies;
    }

    /// Leaves out the reply to the running command and to the next.
    pub(crate) fn skip_next_reply(&mut self) {
        if self.replies != Replies::Off {
            self.replies = Replies::SkipNext;
        }
    }

    /// Back to what the session was at its start, but for its address.
    pub(crate) fn reset(&mut self) {
        self.authenticated = !self.core.settings.needs_password();
        self.replies = Replies::On;
        self.select(0);
        self.forget_transactions();
        self.ignore_everything();
        self.end_change_feed();
        self.client().reset();
    }

    /// The database's shared parts, for families and front doors.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Whether the running command belongs to a transaction.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.scope.is_some()
    }

    /// The engine, for whole-store commands.
    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.core.engine
    }

    /// The time of the command being executed, in Unix milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// A key of the selected database, or the error for one that is too long.
    #[inline]
    pub fn key<'a>(&self, key: &'a [u8]) -> Result<KeyRef<'a>> {
        if key.len() > MAX_KEY_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("key is longer than {MAX_KEY_BYTES} bytes: shorten it"),
            ));
        }
        Ok(KeyRef::new(self.selected, key))
    }

    /// A value, or the error for one that is too long.
    #[inline]
    pub(crate) fn value<'a>(&self, value: &'a [u8]) -> Result<&'a [u8]> {
        self.value_bytes(value.len())?;
        Ok(value)
    }

    /// The error for a value of `bytes` bytes, if that is over the configured limit.
    #[inline]
    pub fn value_bytes(&self, bytes: usize) -> Result<()> {
        self.value_limit().check(bytes)
    }

    /// The limit itself, for edits, which cannot hold on to the session.
    #[inline]
    pub(crate) fn value_limit(&self) -> ValueLimit {
        ValueLimit(self.core.config.max_value_bytes)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
        self.end_transactions();
        self.ignore_everything();
        if self.registered {
            self.core.clients.remove(self.client());
        }
    }
}

fn unknown_subcommand(container: &Row, word: &[u8]) -> Error {
    Error::invalid(format!(
        "unknown subcommand '{}'. Try {} HELP.",
        String::from_utf8_lossy(&word[..word.len().min(128)]),
        container.name.to_ascii_uppercase()
    ))
}

fn unknown_command(args: Args<'_>) -> Error {
    // Redis shows at most 128 bytes of name and arguments.
    let shown = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(128)]).into_owned();
    let mut beginning = String::new();
    for argument in &args[1..] {
        if beginning.len() >= 128 {
            break;
        }
        beginning.push_str(&format!("'{}' ", shown(argument)));
    }
    Error::invalid(format!("unknown command '{}', with args beginning with: {beginning}", shown(args[0])))
}
