//! The way back to a client: held until it is true, then sent with one system call.
//!
//! Replies may tell of writes that no disk has yet. [`Link::send`] waits until the engine says that
//! they are durable and only then lets them out; if that fails, nobody ever sees them. Where the
//! socket takes all at once nothing suspends.

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice, Write},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use rustix::net::SendFlags;
use smallvec::SmallVec;
use tokio::{io::Interest, net::TcpStream};
use tresor::{
    Error, ErrorKind, client::Client, engine::Sequence, metrics::WorkerMetrics, publish::Outbox,
    reply::Output, session::Session,
};

use crate::{
    held::{Answers, Held, LineAnswers},
    worker::{Doing, Door, Seat},
};

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

/// One client's socket and its seat at a worker.
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    pub(crate) seat: Seat,
    /// The client as others see it, who may close it.
    pub(crate) client: Arc<Client>,
    /// Messages for the client, once it has subscribed to anything.
    pub(crate) outbox: Option<Arc<Outbox>>,
    /// It is told of changes: it may be silent for as long as it likes.
    pub(crate) follows: bool,
}

impl Link {
    /// Sits a client down: its session, listed among the connected ones, and the way to it.
    pub(crate) async fn open(stream: TcpStream, peer: SocketAddr, seat: Seat) -> (Self, Session) {
        let mut session = seat.worker.database.session(seat.worker.number);
        let local = stream.local_addr().map_or_else(|_| String::new(), |local| local.to_string());
        session.set_address(peer.to_string(), local);
        session.set_bell(seat.worker.bell.clone());
        let client = session.client().clone();
        poll_fn(|context| {
            seat.presence.wakes(context.waker());
            // Whether it is killed is looked at before every read.
            let _ = client.poll_killed(context);
            Poll::Ready(())
        })
        .await;
        (Self { stream, seat, client, outbox: None, follows: false }, session)
    }

    /// Whether messages wait for the client.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.has_mail())
    }

    /// Sends the messages that wait for the client.
    pub(crate) async fn deliver(&self) -> Result<(), Closed> {
        let Some(outbox) = &self.outbox else { return Ok(()) };
        let messages = outbox.take();
        self.send_all(&messages, |left| {
            outbox.sent(left);
            0
        })
        .await?;
        outbox.sent(0);
        self.counters().sent_bytes.add(messages.len() as u64);
        Ok(())
    }

    /// Sends messages for as long as what was replied is not durable; then it is, or never will be.
    pub(crate) async fn deliver_until_durable(&self, highest: Sequence) -> Result<(), Closed> {
        let worker = &self.seat.worker;
        let mut durable = pin!(worker.group_commit.durable(&**worker.database.engine(), highest, || {}));
        loop {
            let mail = poll_fn(|context| match durable.as_mut().poll(context) {
                Poll::Pending if self.has_mail() && !self.client.is_killed() => Poll::Ready(true),
                durable => durable.map(|_| false),
            });
            if !mail.await {
                return Ok(());
            }
            self.deliver().await?;
        }
    }

    /// Whether the connection is to end as soon as what it has begun is done.
    #[inline]
    pub(crate) fn doomed(&self) -> bool {
        self.seat.presence.doomed() || self.client.is_killed()
    }

    /// Sends what is held once everything up to `highest` is durable; nothing is held afterwards.
    #[inline]
    pub(crate) async fn send<A: Answers>(&self, held: &mut Held<A>, highest: Sequence) -> Result<(), Closed> {
        if held.output().overflowed() {
            tracing::warn!(
                limit = self.seat.worker.limits.output_bytes,
                "closing a client over its output limit"
            );
            return Err(Closed::Refused);
        }
        if !held.output().is_empty() {
            if let Err(error) = self.durable(highest, held.output().len()).await {
                held.retract(&error);
            }
            self.flush(held).await?;
        }
        held.replies = 0;
        held.output().take_withheld();
        Ok(())
    }

    /// Answers when everything up to `highest` is durable, while so many bytes wait for that. A store that
    /// can promise nothing any more stops the server.
    #[inline]
    pub(crate) async fn durable(&self, highest: Sequence, waiting_bytes: usize) -> tresor::Result<()> {
        let worker = &self.seat.worker;
        let waits = || self.client.set_output_bytes(waiting_bytes);
        let durable = worker.group_commit.durable(&**worker.database.engine(), highest, waits).await;
        self.client.set_output_bytes(0);
        durable.inspect_err(|error| {
            if error.kind() == ErrorKind::Poisoned {
                worker.stopper.fail(error.again());
            }
        })
    }

    /// Sends what is held as it is.
    #[inline]
    pub(crate) async fn flush<A: Answers>(&self, held: &mut Held<A>) -> Result<(), Closed> {
        let length = held.output().len();
        self.send_all(held.output(), |_| length).await?;
        self.counters().sent_bytes.add(held.output().len() as u64);
        held.output().clear(usize::MAX);
        Ok(())
    }

    /// The worker's counters.
    #[inline]
    pub(crate) fn counters(&self) -> &WorkerMetrics {
        self.seat.worker.database.metrics().worker(self.seat.worker.number)
    }

    /// Sends everything. Stops with an error when the connection is cut while its client does not read.
    /// `stuck` hears how many bytes are left when it does not, and says for how many the client is counted.
    #[inline]
    async fn send_all(&self, output: &Output, stuck: impl Fn(usize) -> usize) -> io::Result<()> {
        let length = output.len();
        let mut sent = 0;
        while sent < length {
            match self.send_some(output, sent) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.writable(stuck(length - sent)).await?;
                }
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

/// Tells a client that there is no room for it. A fresh socket has room for a line; if not, closing says it
/// too.
pub(crate) fn refuse(mut stream: &std::net::TcpStream, door: Door) {
    const FULL: &str = "max number of clients reached";
    let _ = match door {
        Door::Resp => {
            let mut held = Held::resp(2, usize::MAX);
            held.error(&Error::invalid(FULL));
            stream.write(held.output().plain().unwrap_or_default())
        }
        Door::Line => {
            let mut held = Held::<LineAnswers>::default();
            held.error(&Error::new(ErrorKind::Unavailable, FULL));
            stream.write(held.output().plain().unwrap_or_default())
        }
        Door::Http => stream.write(crate::http::TOO_MANY_CLIENTS),
    };
}
