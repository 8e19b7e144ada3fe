//! What a connection's socket is doing, and when it has done nothing for too long.
//!
//! One timer a connection, looked at a few times a minute, instead of one armed and disarmed for every
//! request: a slow head, a client that does not read and an idle connection all show in five numbers.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use super::{linger::Leftover, shared::HttpLimits};

/// Counts that tell whether a connection is alive.
#[derive(Default)]
pub(super) struct Progress {
    requests: Cell<u64>,
    reads: Cell<u64>,
    writes: Cell<u64>,
    /// A request was read whole and its answer is being made: that has limits of its own.
    answering: Cell<bool>,
    /// Something came in since the last request.
    head_begun: Cell<bool>,
    /// The client takes no more for now.
    write_blocked: Cell<bool>,
}

impl Progress {
    pub(super) fn begin_answer(&self) {
        self.requests.set(self.requests.get() + 1);
        self.answering.set(true);
        self.head_begun.set(false);
    }

    pub(super) fn end_answer(&self) {
        self.answering.set(false);
        self.head_begun.set(false);
    }

    fn wrote<T>(&self, poll: &Poll<io::Result<T>>) {
        self.write_blocked.set(poll.is_pending());
        if poll.is_ready() {
            self.writes.set(self.writes.get() + 1);
        }
    }
}

/// A socket that notes what passes.
pub(super) struct Socket {
    /// There until the socket is dropped.
    stream: Option<TokioIo<TcpStream>>,
    progress: Rc<Progress>,
    leftover: Leftover,
}

impl Socket {
    /// A socket that goes to `leftover` when it is dropped.
    pub(super) fn new(stream: TcpStream, progress: Rc<Progress>, leftover: Leftover) -> Self {
        Self { stream: Some(TokioIo::new(stream)), progress, leftover }
    }

    fn stream(&mut self) -> Pin<&mut TokioIo<TcpStream>> {
        Pin::new(self.stream.as_mut().expect("only dropping takes it"))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.leftover.set(self.stream.take().map(TokioIo::into_inner));
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = self.stream().poll_read(context, buffer);
        if poll.is_ready() {
            self.progress.reads.set(self.progress.reads.get() + 1);
            self.progress.head_begun.set(!self.progress.answering.get());
        }
        poll
    }
}

impl Write for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = self.stream().poll_write(context, bytes);
        self.progress.wrote(&poll);
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = self.stream().poll_write_vectored(context, pieces);
        self.progress.wrote(&poll);
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(Write::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}

/// Watches a connection's progress.
pub(super) struct Watch {
    progress: Rc<Progress>,
    ticks: Interval,
    seen: (u64, u64, u64),
    phase: Phase,
    since: Instant,
}

/// What a connection is doing, as far as time limits go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Answering,
    /// The client has to take an answer.
    Sending,
    /// The client has begun a request.
    Head,
    Idle,
}

impl Watch {
    pub(super) fn new(progress: Rc<Progress>, limits: &HttpLimits) -> Self {
        let shortest = limits.head_timeout.min(limits.stall_timeout).min(limits.idle_timeout);
        let period = (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(5));
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { progress, ticks, seen: (0, 0, 0), phase: Phase::Idle, since: Instant::now() }
    }

    /// Answers once the connection has outstayed a limit; says which.
    pub(super) async fn outstayed(&mut self, limits: &HttpLimits) -> &'static str {
        loop {
            let now = self.ticks.tick().await;
            let (phase, seen) = self.look();
            if phase != self.phase || seen != self.seen {
                (self.phase, self.seen, self.since) = (phase, seen, now);
            }
            let (limit, words) = match phase {
                Phase::Answering => continue,
                Phase::Sending => (limits.stall_timeout, "the client takes nothing of its answer"),
                Phase::Head => (limits.head_timeout, "the head of a request did not arrive in time"),
                Phase::Idle => (limits.idle_timeout, "idle"),
            };
            if now - self.since >= limit {
                return words;
            }
        }
    }

    /// The phase, and the counts that have to rise for its time to begin anew. A head may come in bit
    /// by bit: reads do not prolong it.
    fn look(&self) -> (Phase, (u64, u64, u64)) {
        let progress = &self.progress;
        let (requests, reads, writes) =
            (progress.requests.get(), progress.reads.get(), progress.writes.get());
        let phase = match () {
            () if progress.answering.get() => Phase::Answering,
            () if progress.write_blocked.get() => Phase::Sending,
            () if progress.head_begun.get() => Phase::Head,
            () => Phase::Idle,
        };
        let reads = if phase == Phase::Head { 0 } else { reads };
        (phase, (requests, reads, writes))
    }
}
