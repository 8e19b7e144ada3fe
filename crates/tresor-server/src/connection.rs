//! One client of the Redis protocol: the loop from a read to a write.
//!
//! Reads once, executes every complete request in the buffer, holds the replies until what they tell
//! of is durable, writes once. Buffers belong to the worker and are borrowed for a moment; between two
//! reads a connection keeps only the beginning of a request that is still incomplete. Nothing here
//! allocates for a request in the steady state, and with an engine that answers at once nothing
//! suspends between the read and the write.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use smallvec::SmallVec;
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    net::TcpStream,
    task::yield_now,
};
use tresor::{
    Error, ErrorKind,
    engine::{Engine, Eventual, Sequence},
    reply::{ReplyWriter, RespWriter},
    session::Session,
};

use crate::{
    limits::{BATCH_COMMANDS, BATCH_OUTPUT_BYTES, Limits, POOLED_BUFFER_BYTES},
    protocol::{Decoded, Decoder, ProtocolError, RequestBounds, Words},
    sending::{output, send_all},
    worker::{Doing, Seat},
};

/// The most neighbouring GETs that are read with one engine call.
const GETS: usize = 32;

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

/// Serves one client until it goes or has to go.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, seat: Seat) {
    let session = seat.worker.database.session(seat.worker.number);
    let mut connection = Connection {
        stream,
        session,
        reply: ReplyWriter::Resp(RespWriter::default()),
        decoder: Decoder::default(),
        rest: Vec::new(),
        target: 0,
        held: 0,
        seat,
    };
    poll_fn(|context| {
        connection.seat.presence.wakes(context.waker());
        Poll::Ready(())
    })
    .await;
    let closed = connection.run().await;
    tracing::debug!(%peer, ?closed, "connection closed");
}

struct Connection {
    stream: TcpStream,
    session: Session,
    reply: ReplyWriter,
    decoder: Decoder,
    /// The beginning of a request that is incomplete.
    rest: Vec<u8>,
    /// How many bytes `rest` needs to have before decoding it again can lead anywhere.
    target: usize,
    /// Replies in `reply`.
    held: usize,
    seat: Seat,
}

/// What was read, with what was left of the read before.
enum Input {
    /// In a buffer of the worker.
    Pooled { buffer: Box<[u8]>, length: usize },
    /// In the connection's own: a request that is too long for the worker's.
    Own(Vec<u8>),
}

impl Input {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Pooled { buffer, length } => &buffer[..*length],
            Self::Own(bytes) => bytes,
        }
    }
}

/// How a batch of requests ended.
enum Batch {
    /// All are executed; the next one needs at least so many more bytes.
    Drained(usize),
    /// It has had its share.
    Full,
    /// The client is to be disconnected once it has its replies.
    Last(Closed),
}

impl Connection {
    /// Never answers but with the reason for the end.
    async fn run(&mut self) -> Closed {
        loop {
            let input = match self.receive().await {
                Ok(input) => input,
                Err(closed) => return closed,
            };
            let consumed = match self.process(input.bytes()).await {
                Ok(consumed) => consumed,
                Err(closed) => return closed,
            };
            self.keep(input, consumed);
        }
    }

    fn limits(&self) -> &Limits {
        let worker = &self.seat.worker;
        if self.session.authenticated() { &worker.limits } else { &worker.limits_before_authentication }
    }

    #[inline]
    fn bounds(&self) -> RequestBounds {
        let limits = self.limits();
        RequestBounds {
            words: limits.request_words,
            word_bytes: limits.word_bytes,
            authenticated: self.session.authenticated(),
        }
    }

    /// Reads once; for a long request until it can be whole.
    #[inline]
    async fn receive(&mut self) -> Result<Input, Closed> {
        self.seat.presence.doing(Doing::Reading);
        let input = poll_fn(|context| {
            if self.seat.presence.doomed() {
                return Poll::Ready(Err(Closed::Dismissed));
            }
            if self.target > POOLED_BUFFER_BYTES { self.poll_own(context) } else { self.poll_pooled(context) }
        })
        .await;
        self.seat.presence.doing(Doing::Executing);
        self.seat.worker.saw(&self.seat.presence);
        input
    }

    /// Reads into a buffer of the worker, which gets it back at once if there is nothing to read.
    #[inline]
    fn poll_pooled(&mut self, context: &mut Context<'_>) -> Poll<Result<Input, Closed>> {
        let kept = self.rest.len();
        let buffers = &self.seat.worker.buffers;
        let mut buffer = buffers.take_input();
        let mut unread = ReadBuf::new(&mut buffer[kept..]);
        let result = Pin::new(&mut self.stream).poll_read(context, &mut unread);
        let read = unread.filled().len();
        match result {
            Poll::Ready(Ok(())) if read > 0 => {
                if kept > 0 {
                    buffer[..kept].copy_from_slice(&self.rest);
                    self.rest.clear();
                }
                Poll::Ready(Ok(Input::Pooled { buffer, length: kept + read }))
            }
            other => {
                buffers.give_input(buffer);
                ready!(other)?;
                Poll::Ready(Err(Closed::Gone))
            }
        }
    }

    /// Reads into the connection's own buffer, which grows with what has arrived, not with what was
    /// announced.
    fn poll_own(&mut self, context: &mut Context<'_>) -> Poll<Result<Input, Closed>> {
        while self.rest.len() < self.target {
            if self.rest.len() == self.rest.capacity() {
                let missing = self.target - self.rest.len();
                self.rest.reserve_exact(missing.min(self.rest.len().max(POOLED_BUFFER_BYTES)));
            }
            if ready!(pin!(self.stream.read_buf(&mut self.rest)).poll(context))? == 0 {
                return Poll::Ready(Err(Closed::Gone));
            }
            self.seat.worker.saw(&self.seat.presence);
        }
        Poll::Ready(Ok(Input::Own(std::mem::take(&mut self.rest))))
    }

    /// Keeps what has not been executed for the next read.
    #[inline]
    fn keep(&mut self, input: Input, consumed: usize) {
        match input {
            Input::Pooled { buffer, length } => {
                if consumed < length {
                    self.rest.extend_from_slice(&buffer[consumed..length]);
                } else if self.rest.capacity() > 0 {
                    self.rest = Vec::new();
                }
                self.seat.worker.buffers.give_input(buffer);
            }
            Input::Own(mut bytes) => {
                bytes.drain(..consumed);
                bytes.shrink_to(self.target.min(POOLED_BUFFER_BYTES));
                self.rest = bytes;
            }
        }
    }

    /// Executes all complete requests and sends the replies; answers how many bytes they took.
    #[inline]
    async fn process(&mut self, input: &[u8]) -> Result<usize, Closed> {
        let mut at = 0;
        loop {
            *output(&mut self.reply).buffer() = self.seat.worker.buffers.take_output();
            self.session.enter().await;
            let batch = self.execute_batch(input, &mut at).await;
            self.session.leave();
            self.send().await?;
            match batch {
                Batch::Drained(more) => {
                    self.target = input.len() - at + more;
                    if self.target > self.limits().input_bytes {
                        tracing::warn!(
                            bytes = self.target,
                            "closing a client whose request is over the input limit"
                        );
                        return Err(Closed::Refused);
                    }
                    return Ok(at);
                }
                Batch::Full => yield_now().await,
                Batch::Last(closed) => return Err(closed),
            }
        }
    }

    /// Executes requests from `at` on until the input or the batch's share is used up.
    #[inline]
    async fn execute_batch(&mut self, input: &[u8], at: &mut usize) -> Batch {
        let mut words = Words::new();
        let mut gets = SmallVec::<[&[u8]; GETS]>::new();
        for _ in 0..BATCH_COMMANDS {
            words.clear();
            let decoded = self.decoder.decode(&input[*at..], &mut words, self.bounds());
            if let Ok(Decoded::Array(bytes)) = decoded {
                *at += bytes;
                if let [name, key] = words[..]
                    && name.eq_ignore_ascii_case(b"get")
                    && self.session.authenticated()
                {
                    gets.push(key);
                    if gets.len() < GETS {
                        continue;
                    }
                    self.execute_gets(&mut gets).await;
                } else {
                    self.execute_gets(&mut gets).await;
                    self.execute(&words).await;
                }
            } else {
                self.execute_gets(&mut gets).await;
                match self.execute_other(decoded, at).await {
                    Some(end) => return end,
                    None => continue,
                }
            }
            if self.session.closing() {
                return Batch::Last(Closed::Dismissed);
            }
            if self.reply.pending_bytes() >= BATCH_OUTPUT_BYTES {
                return Batch::Full;
            }
        }
        self.execute_gets(&mut gets).await;
        Batch::Full
    }

    /// Whatever is not an array of words: inline requests, the input's end, and errors.
    #[cold]
    async fn execute_other(
        &mut self,
        decoded: Result<Decoded, ProtocolError>,
        at: &mut usize,
    ) -> Option<Batch> {
        match decoded {
            Ok(Decoded::More(bytes)) => Some(Batch::Drained(bytes)),
            Ok(Decoded::Nothing(bytes) | Decoded::Array(bytes)) => {
                *at += bytes;
                None
            }
            Ok(Decoded::Inline(bytes, owned)) => {
                *at += bytes;
                let words: Words<'_> = owned.iter().map(Vec::as_slice).collect();
                self.execute(&words).await;
                self.session.closing().then_some(Batch::Last(Closed::Dismissed))
            }
            Err(ProtocolError::Http) => Some(Batch::Last(Closed::Refused)),
            Err(error) => {
                self.held += 1;
                self.reply.error(&Error::invalid(error.to_string()));
                Some(Batch::Last(Closed::Refused))
            }
        }
    }

    #[inline]
    async fn execute_gets(&mut self, keys: &mut SmallVec<[&[u8]; GETS]>) {
        if keys.is_empty() {
            return;
        }
        self.held += keys.len();
        self.session.execute_gets(keys, &mut self.reply).await;
        keys.clear();
    }

    #[inline]
    async fn execute(&mut self, words: &[&[u8]]) {
        self.held += 1;
        match self.session.prepare(words) {
            Ok(command) => self.session.execute(command, &mut self.reply).await,
            Err(error) => self.reply.error(&error),
        }
    }

    /// Sends the replies once what they tell of is durable.
    #[inline]
    async fn send(&mut self) -> Result<(), Closed> {
        let held = std::mem::take(&mut self.held);
        if self.reply.pending_bytes() > 0 {
            if let Err(error) = durable(&**self.seat.worker.database.engine(), self.session.highest()).await {
                self.retract(held, &error);
            }
            let limit = self.limits().output_bytes;
            if self.reply.pending_bytes() > limit {
                tracing::warn!(
                    bytes = self.reply.pending_bytes(),
                    "closing a client whose replies are over the output limit"
                );
                return Err(Closed::Refused);
            }
            send_all(&self.stream, output(&mut self.reply), &self.seat).await?;
        }
        let buffer = std::mem::take(output(&mut self.reply).buffer());
        output(&mut self.reply).clear(0);
        self.seat.worker.buffers.give_output(buffer);
        Ok(())
    }

    /// Replaces all replies that are held by the error that keeps them from being true.
    #[cold]
    fn retract(&mut self, held: usize, error: &Error) {
        output(&mut self.reply).clear(0);
        for _ in 0..held {
            self.reply.error(error);
        }
        if error.kind() == ErrorKind::Poisoned {
            self.seat.worker.stopper.fail(error.again());
        }
    }
}

/// Answers when everything up to `highest` is durable. Lets the connections that have input append
/// theirs first, so that all of them share one fsync.
#[inline]
async fn durable(engine: &dyn Engine, highest: Sequence) -> tresor::Result<()> {
    match engine.durable(highest) {
        Eventual::Now(result) => result,
        later => {
            yield_now().await;
            later.await
        }
    }
}
