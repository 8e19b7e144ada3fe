//! The way back to a client: held until it is true, then sent with one system call.
//!
//! Replies may tell of writes that no disk has yet. [`Link::send`] waits until the engine says that
//! they are durable and only then lets them out; if that fails, nobody ever sees them. Where the
//! socket takes all at once nothing suspends.

use std::{
    future::poll_fn,
    io::{self, IoSlice, Write},
    sync::Arc,
    task::Poll,
};

use rustix::net::SendFlags;
use smallvec::SmallVec;
use tokio::{io::Interest, net::TcpStream};
use tresor::{
    Error, ErrorKind,
    client::Client,
    engine::Sequence,
    metrics::WorkerMetrics,
    reply::{Output, ReplyWriter, RespWriter},
};

use crate::worker::{Doing, Door, Seat};

/// Pieces of one vectored write.
const PIECES: usize = 32;

/// Why a connection ends. Nobody needs to know but the log at debug level.
#[derive(Debug)]
pub(crate) enum Closed {
    /// The client went away, or its socket failed.
    Gone,
    /// It asked to go, or was told to.
    Dismissed,
    /// It broke the protocol or a limit.
    Refused,
}

impl From<io::Error> for Closed {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Replies that are not sent yet.
pub(crate) struct Held {
    pub(crate) reply: ReplyWriter,
    /// How many they are.
    pub(crate) replies: usize,
}

impl Held {
    /// None yet, in a version of the protocol; whatever goes over `limit` bytes is dropped.
    pub(crate) fn new(protocol: u8, limit: usize) -> Self {
        let mut writer = RespWriter::default();
        writer.set_protocol(protocol);
        writer.output_mut().set_limit(limit);
        Self { reply: ReplyWriter::Resp(writer), replies: 0 }
    }

    /// Their bytes.
    #[inline]
    pub(crate) fn output(&mut self) -> &mut Output {
        match &mut self.reply {
            ReplyWriter::Resp(writer) => writer.output_mut(),
            ReplyWriter::Owned(_) => unreachable!("a connection writes the Redis protocol"),
        }
    }

    /// Adds an error that answers a request.
    pub(crate) fn error(&mut self, error: &Error) {
        self.replies += 1;
        self.reply.error(error);
    }

    /// Replaces all of them by the error that keeps them from being true.
    #[cold]
    fn retract(&mut self, error: &Error) {
        let wanted = self.replies.saturating_sub(self.output().take_withheld());
        self.output().clear(0);
        for _ in 0..wanted {
            self.reply.error(error);
        }
    }
}

/// One client's socket and its seat at a worker.
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    pub(crate) seat: Seat,
    /// The client as others see it, who may close it.
    pub(crate) client: Arc<Client>,
}

impl Link {
    /// Whether the connection is to end as soon as what it has begun is done.
    #[inline]
    pub(crate) fn doomed(&self) -> bool {
        self.seat.presence.doomed() || self.client.is_killed()
    }

    /// Sends what is held once everything up to `highest` is durable; nothing is held afterwards.
    #[inline]
    pub(crate) async fn send(&self, held: &mut Held, highest: Sequence) -> Result<(), Closed> {
        if held.output().overflowed() {
            tracing::warn!(
                limit = self.seat.worker.limits.output_bytes,
                "closing a client over its output limit"
            );
            return Err(Closed::Refused);
        }
        if !held.output().is_empty() {
            let (worker, waiting_bytes) = (&self.seat.worker, held.output().len());
            let waits = || self.client.set_output_bytes(waiting_bytes);
            let durable = worker.group_commit.durable(&**worker.database.engine(), highest, waits).await;
            self.client.set_output_bytes(0);
            if let Err(error) = durable {
                held.retract(&error);
                if error.kind() == ErrorKind::Poisoned {
                    self.seat.worker.stopper.fail(error);
                }
            }
            self.send_all(held.output()).await?;
            self.counters().sent_bytes.add(held.output().len() as u64);
            held.output().clear(usize::MAX);
        }
        held.replies = 0;
        held.output().take_withheld();
        Ok(())
    }

    /// The worker's counters.
    #[inline]
    pub(crate) fn counters(&self) -> &WorkerMetrics {
        self.seat.worker.database.metrics().worker(self.seat.worker.number)
    }

    /// Sends everything. Stops with an error when the connection is cut while its client does not read.
    #[inline]
    async fn send_all(&self, output: &Output) -> io::Result<()> {
        let length = output.len();
        let mut sent = 0;
        while sent < length {
            match self.send_some(output, sent) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable(length).await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[inline]
    fn send_some(&self, output: &Output, sent: usize) -> io::Result<usize> {
        if let Some(bytes) = output.plain() {
            // Straight to the system: libc's `send` is a cancellation point and costs two more calls.
            return self.stream.try_io(Interest::WRITABLE, || {
                rustix::net::send(&self.stream, &bytes[sent..], SendFlags::NOSIGNAL).map_err(io::Error::from)
            });
        }
        let mut skip = sent;
        let rest = |piece| {
            let piece: &[u8] = piece;
            let skipped = skip.min(piece.len());
            skip -= skipped;
            (skipped < piece.len()).then(|| IoSlice::new(&piece[skipped..]))
        };
        let pieces: SmallVec<[IoSlice<'_>; PIECES]> = output.pieces().filter_map(rest).take(PIECES).collect();
        self.stream.try_write_vectored(&pieces)
    }

    #[cold]
    async fn writable(&self, waiting_bytes: usize) -> io::Result<()> {
        let Seat { presence, worker, .. } = &self.seat;
        presence.doing(Doing::Sending);
        self.client.set_output_bytes(waiting_bytes);
        let result = poll_fn(|context| {
            if presence.cut() || self.client.is_killed() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            self.stream.poll_write_ready(context)
        })
        .await;
        presence.doing(Doing::Executing);
        self.client.set_output_bytes(0);
        worker.saw(presence);
        result
    }
}

/// Tells a client that there is no room for it.
pub(crate) fn refuse(mut stream: &std::net::TcpStream, door: Door) {
    match door {
        Door::Resp => {
            let mut held = Held::new(2, usize::MAX);
            held.error(&Error::invalid("max number of clients reached"));
            // A fresh socket has room for a line; if not, closing says it too.
            let _ = stream.write(held.output().plain().unwrap_or_default());
        }
        Door::Http => {
            let _ = stream.write(crate::http::TOO_MANY_CLIENTS);
        }
    }
}
