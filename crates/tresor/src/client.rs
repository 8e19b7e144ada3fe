//! The clients that are connected: what CLIENT LIST shows, and how one client closes another.
//!
//! A session notes what it does in its own [`Client`] with relaxed stores, once a batch of commands;
//! whoever lists or closes clients pays for the rest. Invariant: a client is in the registry exactly
//! as long as its session has an address, so library calls and HTTP requests never appear there.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use crate::{
    command::{CATALOG, CommandId},
    engine::memory::{BufferShare, MemoryLimit},
    publish::{Bell, Outbox},
};

/// One connected client, shared by its session and by those who look at it.
pub struct Client {
    id: u64,
    connected_ms: u64,
    active_ms: AtomicU64,
    last_command: AtomicU16,
    database: AtomicU8,
    protocol: AtomicU8,
    no_evict: AtomicBool,
    no_touch: AtomicBool,
    monitors: AtomicBool,
    /// Commands that MULTI has queued, and one; 0 outside MULTI.
    queued: AtomicU64,
    watched: AtomicU64,
    killed: AtomicBool,
    /// The task that waits to be told that it is closed.
    waker: Mutex<Option<Waker>>,
    labels: Mutex<Labels>,
    input: BufferShare,
    output: BufferShare,
    /// Messages on their way to it, once it has subscribed to anything.
    outbox: OnceLock<Arc<Outbox>>,
}

/// What a client is called.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// Where it comes from.
    pub peer: String,
    /// Where it came in.
    pub local: String,
    /// The name that CLIENT SETNAME gave.
    pub name: String,
    /// The library that it says it is.
    pub library: String,
    /// That library's version.
    pub library_version: String,
}

impl Client {
    fn new(id: u64, now_ms: u64, limit: &Arc<MemoryLimit>) -> Self {
        Self {
            id,
            connected_ms: now_ms,
            active_ms: AtomicU64::new(now_ms),
            last_command: AtomicU16::new(CommandId::Ping as u16),
            database: AtomicU8::new(0),
            protocol: AtomicU8::new(2),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            monitors: AtomicBool::new(false),
            queued: AtomicU64::new(0),
            watched: AtomicU64::new(0),
            killed: AtomicBool::new(false),
            waker: Mutex::default(),
            labels: Mutex::default(),
            input: BufferShare::new(limit.clone()),
            output: BufferShare::new(limit.clone()),
            outbox: OnceLock::new(),
        }
    }

    /// Its number: never given twice while the database is open.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What it is called, as of now.
    pub fn labels(&self) -> Labels {
        self.labels.lock().clone()
    }

    /// Notes the bytes of input that wait in a buffer of its own: counted against the memory limit.
    #[inline]
    pub fn set_input_bytes(&self, bytes: usize) {
        self.input.set(bytes);
    }

    /// Notes the bytes of output that wait for the disk or for the client: counted likewise.
    #[inline]
    pub fn set_output_bytes(&self, bytes: usize) {
        self.output.set(bytes);
    }

    /// Bytes of input and of output that wait in its buffers.
    pub fn buffers(&self) -> (u64, u64) {
        (self.input.bytes(), self.output.bytes())
    }

    /// Ready once another client has closed this one. One task may wait at a time: the last that asked.
    pub fn poll_killed(&self, context: &Context<'_>) -> Poll<()> {
        // Registered first, looked at second: a kill in between finds the waker.
        *self.waker.lock() = Some(context.waker().clone());
        if self.is_killed() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether another client has closed this one.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Relaxed)
    }

    /// Closes it: its connection is told at its next poll.
    pub fn kill(&self) {
        self.killed.store(true, Relaxed);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    pub(crate) fn label(&self, change: impl FnOnce(&mut Labels)) {
        change(&mut self.labels.lock());
    }

    #[inline]
    pub(crate) fn note_batch(&self, now_ms: u64, last: CommandId) {
        self.active_ms.store(now_ms, Relaxed);
        self.last_command.store(last as u16, Relaxed);
    }

    pub(crate) fn note_database(&self, database: u8) {
        self.database.store(database, Relaxed);
    }

    pub(crate) fn note_protocol(&self, protocol: u8) {
        self.protocol.store(protocol, Relaxed);
        if let Some(outbox) = self.outbox.get() {
            outbox.set_protocol(protocol);
        }
    }

    /// The queue of messages for it, made when first asked for.
    pub(crate) fn open_outbox(
        self: &Arc<Self>,
        bell: Option<Arc<Bell>>,
        protocol: u8,
        limit: &Arc<MemoryLimit>,
    ) -> Arc<Outbox> {
        self.outbox.get_or_init(|| Outbox::of_client(self, bell, protocol, limit)).clone()
    }

    /// To how many channels, patterns and channels of SPUBLISH it listens.
    fn subscriptions(&self) -> [u32; 3] {
        self.outbox.get().map(|outbox| outbox.counts()).unwrap_or_default()
    }

    /// Whether it listens to anything.
    pub(crate) fn listens(&self) -> bool {
        self.subscriptions() != [0; 3]
    }

    pub(crate) fn set_no_evict(&self, spared: bool) {
        self.no_evict.store(spared, Relaxed);
    }

    pub(crate) fn set_no_touch(&self, untouched: bool) {
        self.no_touch.store(untouched, Relaxed);
    }

    pub(crate) fn note_monitors(&self, monitors: bool) {
        self.monitors.store(monitors, Relaxed);
    }

    pub(crate) fn note_queued(&self, commands: Option<usize>) {
        self.queued.store(commands.map_or(0, |commands| commands as u64 + 1), Relaxed);
    }

    pub(crate) fn note_watched(&self, keys: usize) {
        self.watched.store(keys as u64, Relaxed);
    }

    /// How many keys it watches.
    pub(crate) fn watched(&self) -> u64 {
        self.watched.load(Relaxed)
    }

    /// Back to what a new client is, but for its address and library.
    pub(crate) fn reset(&self) {
        self.set_no_evict(false);
        self.set_no_touch(false);
        self.note_queued(None);
        self.note_watched(0);
        self.note_database(0);
        self.label(|labels| labels.name.clear());
    }

    /// One line as CLIENT LIST has it, without its line end. Fields are Redis 7.2's.
    pub fn line(&self, now_ms: u64) -> String {
        let labels = self.labels();
        let (input, output) = self.buffers();
        let mut flags = String::new();
        for (set, flag) in [(&self.monitors, 'O'), (&self.no_evict, 'e'), (&self.no_touch, 'T')] {
            if set.load(Relaxed) {
                flags.push(flag);
            }
        }
        if self.queued.load(Relaxed) > 0 {
            flags.push('x');
        }
        let [channels, patterns, shard_channels] = self.subscriptions();
        if self.listens() {
            flags.push('P');
        }
        let messages = self.outbox.get().map_or(0, |outbox| outbox.held_bytes() as u64);
        let flags = if flags.is_empty() { "N" } else { &flags };
        let last = &CATALOG[usize::from(self.last_command.load(Relaxed))];
        let since = |moment_ms: u64| now_ms.saturating_sub(moment_ms) / 1000;
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db={} sub={channels} \
             psub={patterns} ssub={shard_channels} \
             multi={} watch={} qbuf={input} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={output} oll={} omem={messages} \
             tot-mem={} events=r cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={}",
            self.id,
            labels.peer,
            labels.local,
            labels.name,
            since(self.connected_ms),
            since(self.active_ms.load(Relaxed)),
            self.database.load(Relaxed),
            self.queued.load(Relaxed) as i64 - 1,
            self.watched.load(Relaxed),
            u8::from(messages > 0),
            input + output + messages,
            last.name,
            self.protocol.load(Relaxed),
            labels.library,
            labels.library_version,
        );
        line
    }
}

/// Every connected client of a database.
#[derive(Default)]
pub struct Clients {
    latest_id: AtomicU64,
    connected: Mutex<BTreeMap<u64, Arc<Client>>>,
    received: AtomicU64,
    rejected: AtomicU64,
    pause: Pause,
}

#[derive(Default)]
struct Pause {
    until_ms: AtomicU64,
    writes_alone: AtomicBool,
}

/// Whom CLIENT PAUSE holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paused {
    Everyone,
    Writers,
}

impl Clients {
    pub(crate) fn create(&self, now_ms: u64, limit: &Arc<MemoryLimit>) -> Arc<Client> {
        Arc::new(Client::new(self.latest_id.fetch_add(1, Relaxed) + 1, now_ms, limit))
    }

    pub(crate) fn add(&self, client: &Arc<Client>) {
        if self.connected.lock().insert(client.id, client.clone()).is_none() {
            self.received.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn remove(&self, client: &Client) {
        self.connected.lock().remove(&client.id);
    }

    /// Counts a connection that was turned away before it had a session.
    pub fn count_rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    /// Connections taken and turned away so far.
    pub fn received_and_rejected(&self) -> (u64, u64) {
        (self.received.load(Relaxed), self.rejected.load(Relaxed))
    }

    pub(crate) fn reset_counts(&self) {
        self.received.store(0, Relaxed);
        self.rejected.store(0, Relaxed);
    }

    /// How many are connected.
    pub fn len(&self) -> usize {
        self.connected.lock().len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those connected now, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.connected.lock().values().cloned().collect()
    }

    pub(crate) fn pause(&self, until_ms: u64, whom: Paused) {
        self.pause.writes_alone.store(whom == Paused::Writers, Relaxed);
        self.pause.until_ms.store(until_ms, Relaxed);
    }

    pub(crate) fn unpause(&self) {
        self.pause.until_ms.store(0, Relaxed);
    }

    /// Whether CLIENT PAUSE may hold somebody back at this time.
    #[inline]
    pub fn is_paused(&self, now_ms: u64) -> bool {
        self.pause.until_ms.load(Relaxed) > now_ms
    }

    /// Who is held back, and until when in Unix milliseconds.
    #[inline]
    pub(crate) fn paused(&self) -> Option<(Paused, u64)> {
        let until_ms = self.pause.until_ms.load(Relaxed);
        if until_ms == 0 {
            return None;
        }
        let whom = if self.pause.writes_alone.load(Relaxed) { Paused::Writers } else { Paused::Everyone };
        Some((whom, until_ms))
    }
}
