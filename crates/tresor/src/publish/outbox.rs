//! What waits for one subscriber: a bounded queue that others fill and its owner empties.
//!
//! For a connection the messages are bytes of its protocol in the order in which they go out; small ones are
//! copied behind each other, so that a batch is one piece, and larger ones are shared by all their
//! subscribers. For a program they are values. Invariant: more than the limit never waits here. Whoever is
//! over it is dropped: the queue is emptied, nothing is taken any more, and the client is closed.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use super::{Bell, Message, Names, OutputLimit, Posting};
use crate::{
    client::Client,
    engine::memory::{BufferShare, MemoryLimit},
    reply::Output,
};

/// Messages up to this many bytes are copied: cheaper than to count who has them.
const COPIED_BYTES: usize = 1024;

/// Bytes of bookkeeping for a message that is kept as a value.
const MESSAGE_BYTES: usize = size_of::<Message>();

/// The memory limit hears of steps of this many bytes: it is everybody's cache line.
const COUNTED_STEP_BYTES: usize = 16 * 1024;

/// Messages on their way to one subscriber.
pub struct Outbox {
    state: Mutex<State>,
    has_mail: AtomicBool,
    closed: AtomicBool,
    /// Who is told that there is something; the waker itself where there is none.
    bell: Option<Arc<Bell>>,
    client: Weak<Client>,
    counts: [AtomicU32; 3],
    share: BufferShare,
}

#[derive(Default)]
struct State {
    waiting: Waiting,
    /// Bytes that wait here.
    queued_bytes: usize,
    /// Bytes that were taken and are not yet with the client.
    taken_bytes: usize,
    /// Since when it has been over the soft limit, in Unix milliseconds.
    slow_since_ms: Option<u64>,
    slow_limit: Option<OutputLimit>,
    rung: bool,
    waker: Option<Waker>,
}

enum Waiting {
    Frames { protocol: u8, output: Output },
    Messages(VecDeque<Message>),
}

impl Default for Waiting {
    fn default() -> Self {
        Self::Messages(VecDeque::new())
    }
}

impl Waiting {
    /// Adds a message; how many bytes it takes.
    #[inline]
    fn push(&mut self, posting: &mut Posting<'_>) -> usize {
        match self {
            Self::Frames { protocol, output } => {
                let frame = posting.frame(*protocol);
                if frame.len() <= COPIED_BYTES {
                    output.buffer().extend_from_slice(frame);
                } else {
                    output.splice(frame.clone());
                }
                frame.len()
            }
            Self::Messages(messages) => {
                let message = posting.message();
                messages.push_back(message.clone());
                message_bytes(message)
            }
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Frames { output, .. } => output.clear(0),
            Self::Messages(messages) => *messages = VecDeque::new(),
        }
    }
}

fn message_bytes(message: &Message) -> usize {
    MESSAGE_BYTES + message.channel.len() + message.payload.len()
}

impl Outbox {
    /// One of a connection, which is woken by a bell.
    pub(crate) fn of_client(
        client: &Arc<Client>,
        bell: Option<Arc<Bell>>,
        protocol: u8,
        memory: &Arc<MemoryLimit>,
    ) -> Arc<Self> {
        let waiting = Waiting::Frames { protocol, output: Output::default() };
        Arc::new(Self::new(waiting, (Arc::downgrade(client), bell), memory))
    }

    /// One of a program.
    pub(super) fn of_program(memory: &Arc<MemoryLimit>) -> Arc<Self> {
        Arc::new(Self::new(Waiting::default(), (Weak::new(), None), memory))
    }

    fn new(
        waiting: Waiting,
        (client, bell): (Weak<Client>, Option<Arc<Bell>>),
        memory: &Arc<MemoryLimit>,
    ) -> Self {
        Self {
            state: Mutex::new(State { waiting, ..State::default() }),
            has_mail: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            bell,
            client,
            counts: Default::default(),
            share: BufferShare::new(memory.clone()),
        }
    }

    /// Takes a message in; true if that was one too many and the subscriber is dropped.
    #[inline]
    pub(super) fn post(
        self: &Arc<Self>,
        posting: &mut Posting<'_>,
        (limit, now_ms): (OutputLimit, u64),
    ) -> bool {
        if self.is_closed() {
            return false;
        }
        let mut state = self.state.lock();
        state.queued_bytes += state.waiting.push(posting);
        self.count(&state);
        let held_bytes = (state.queued_bytes + state.taken_bytes) as u64;
        if limit.hard_bytes > 0 && held_bytes > limit.hard_bytes {
            self.close(&mut state, held_bytes, "hard");
            return true;
        }
        if limit.soft_bytes > 0 && held_bytes > limit.soft_bytes {
            if self.note_slow(&mut state, limit, now_ms) {
                self.close(&mut state, held_bytes, "soft");
                return true;
            }
        } else {
            state.slow_since_ms = None;
        }
        let rings = !mem::replace(&mut state.rung, true);
        self.has_mail.store(true, Relaxed);
        if rings {
            self.ring(state);
        }
        false
    }

    fn ring(self: &Arc<Self>, mut state: parking_lot::MutexGuard<'_, State>) {
        match &self.bell {
            Some(bell) => {
                drop(state);
                bell.ring(self.clone());
            }
            None => {
                let waker = state.waker.take();
                drop(state);
                waker.into_iter().for_each(Waker::wake);
            }
        }
    }

    /// Notes that it is over the soft limit; true when it has been for too long.
    #[cold]
    fn note_slow(self: &Arc<Self>, state: &mut State, limit: OutputLimit, now_ms: u64) -> bool {
        match state.slow_since_ms {
            Some(since_ms) => now_ms.saturating_sub(since_ms) > limit.soft_seconds.saturating_mul(1000),
            None => {
                (state.slow_since_ms, state.slow_limit) = (Some(now_ms), Some(limit));
                if let Some(bell) = &self.bell {
                    bell.note_slow(self);
                }
                false
            }
        }
    }

    /// Whether it is over the soft limit as it was when it went over; drops it if that is too long ago, and
    /// then says so in the second place.
    pub(super) fn look_whether_slow(self: &Arc<Self>, now_ms: u64) -> (bool, bool) {
        let mut state = self.state.lock();
        let (Some(_), Some(limit)) = (state.slow_since_ms, state.slow_limit) else { return (false, false) };
        let held_bytes = (state.queued_bytes + state.taken_bytes) as u64;
        if self.is_closed() || held_bytes <= limit.soft_bytes {
            state.slow_since_ms = None;
            return (false, false);
        }
        let too_long = self.note_slow(&mut state, limit, now_ms);
        if too_long {
            self.close(&mut state, held_bytes, "soft");
        }
        (!too_long, too_long)
    }

    #[cold]
    fn close(&self, state: &mut State, held_bytes: u64, limit: &str) {
        self.closed.store(true, Relaxed);
        state.waiting.clear();
        (state.queued_bytes, state.taken_bytes) = (0, 0);
        self.share.set(0);
        let client = self.client.upgrade();
        let id = client.as_ref().map(|client| client.id());
        tracing::warn!(
            client = id,
            held_bytes,
            limit,
            "dropped a subscriber that takes its messages too slowly"
        );
        if let Some(client) = client {
            client.kill();
        }
        self.has_mail.store(true, Relaxed);
        state.waker.take().into_iter().for_each(Waker::wake);
    }

    /// Whether it was dropped.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Whether there is something to take.
    #[inline]
    pub fn has_mail(&self) -> bool {
        self.has_mail.load(Relaxed)
    }

    /// Sets who is woken when there is something.
    pub fn wakes(&self, waker: &Waker) {
        self.state.lock().waker = Some(waker.clone());
    }

    /// Wakes its owner: by whoever heard the bell.
    pub fn wake(&self) {
        if let Some(waker) = &self.state.lock().waker {
            waker.wake_by_ref();
        }
    }

    /// Takes all bytes that wait. They count as waiting until [`sent`](Self::sent) says otherwise.
    pub fn take(&self) -> Output {
        let mut state = self.state.lock();
        state.rung = false;
        self.has_mail.store(false, Relaxed);
        state.taken_bytes += mem::take(&mut state.queued_bytes);
        match &mut state.waiting {
            Waiting::Frames { output, .. } => mem::take(output),
            Waiting::Messages(_) => Output::default(),
        }
    }

    /// Says how many of the bytes that were taken are still not with the client.
    pub fn sent(&self, left_bytes: usize) {
        let mut state = self.state.lock();
        state.taken_bytes = left_bytes;
        self.count(&state);
    }

    #[inline]
    fn count(&self, state: &State) {
        self.share.set((state.queued_bytes + state.taken_bytes) & !(COUNTED_STEP_BYTES - 1));
    }

    /// Ready with the next message, or with `None` once the program was dropped for being slow.
    pub(super) fn poll_message(&self, context: &Context<'_>) -> Poll<Option<Message>> {
        let mut state = self.state.lock();
        if self.is_closed() {
            return Poll::Ready(None);
        }
        match self.pop(&mut state) {
            Some(message) => Poll::Ready(Some(message)),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next message, if there is one.
    pub(super) fn try_message(&self) -> Option<Message> {
        self.pop(&mut self.state.lock())
    }

    fn pop(&self, state: &mut State) -> Option<Message> {
        let Waiting::Messages(messages) = &mut state.waiting else { return None };
        let message = messages.pop_front();
        if let Some(message) = &message {
            state.queued_bytes -= message_bytes(message);
            self.count(state);
        } else {
            state.rung = false;
            self.has_mail.store(false, Relaxed);
        }
        message
    }

    /// Changes the version of the protocol from the next message on.
    pub(crate) fn set_protocol(&self, version: u8) {
        if let Waiting::Frames { protocol, .. } = &mut self.state.lock().waiting {
            *protocol = version;
        }
    }

    pub(crate) fn note_count(&self, names: Names, count: usize) {
        self.counts[names as usize].store(count as u32, Relaxed);
    }

    /// How many channels, patterns and channels of SPUBLISH it stands for.
    pub fn counts(&self) -> [u32; 3] {
        [Names::Channel, Names::Pattern, Names::ShardChannel]
            .map(|names| self.counts[names as usize].load(Relaxed))
    }

    /// Bytes that wait for the client.
    pub fn held_bytes(&self) -> usize {
        let state = self.state.lock();
        state.queued_bytes + state.taken_bytes
    }
}
