//! The way in: from a socket into a buffer that holds at least what is missing.
//!
//! A read goes into a buffer of the worker, which gets it back when it is used up or when there was
//! nothing to read; a connection keeps only the beginning of an incomplete request. Only a request
//! that is too long for the worker's buffer gets one of its own, which grows with what has arrived.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::{
    buffers::InputBuffer,
    limits::POOLED_BUFFER_BYTES,
    link::{Closed, Link},
    worker::Doing,
};

/// What was read, with what was left of the read before.
pub(crate) enum Input {
    /// In a buffer of the worker.
    Pooled { buffer: InputBuffer, length: usize },
    /// In the connection's own: a request that is too long for the worker's.
    Own(Vec<u8>),
}

impl Input {
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Pooled { buffer, length } => &buffer[..*length],
            Self::Own(bytes) => bytes,
        }
    }
}

/// What a connection keeps between two reads.
#[derive(Default)]
pub(crate) struct Intake {
    /// The beginning of a request that is incomplete.
    rest: Vec<u8>,
    /// How many bytes `rest` needs to have before decoding it again can lead anywhere.
    pub(crate) target: usize,
    /// How many more may come with a request that does not say how long it is: there is room for some of
    /// them, so that it is not read byte by byte.
    pub(crate) expected: usize,
}

impl Intake {
    /// Reads once; for a long request until it can be whole.
    #[inline]
    pub(crate) async fn receive(&mut self, link: &mut Link) -> Result<Input, Closed> {
        loop {
            if let Some(input) = self.receive_unless_mail(link).await? {
                return Ok(input);
            }
        }
    }

    /// The same; `None` when there is nothing to read and there are messages for the client.
    #[inline]
    pub(crate) async fn receive_unless_mail(&mut self, link: &mut Link) -> Result<Option<Input>, Closed> {
        let doing = if link.outbox.is_some() || link.follows { Doing::Listening } else { Doing::Reading };
        link.seat.presence.doing(doing);
        let input = poll_fn(|context| {
            if link.doomed() {
                return Poll::Ready(Err(Closed::Dismissed));
            }
            let input = match self.target > POOLED_BUFFER_BYTES {
                true => self.poll_own(link, context),
                false => self.poll_pooled(link, context),
            };
            match input {
                Poll::Pending if link.has_mail() => Poll::Ready(Ok(None)),
                input => input.map_ok(Some),
            }
        })
        .await;
        link.seat.presence.doing(Doing::Executing);
        link.seat.worker.saw(&link.seat.presence);
        input
    }

    /// Reads into a buffer of the worker, which gets it back at once if there is nothing to read.
    #[inline]
    fn poll_pooled(&mut self, link: &mut Link, context: &mut Context<'_>) -> Poll<Result<Input, Closed>> {
        let kept = self.rest.len();
        let buffers = &link.seat.worker.buffers;
        let mut buffer = buffers.take_input();
        let mut unread = ReadBuf::new(&mut buffer[kept..]);
        let result = Pin::new(&mut link.stream).poll_read(context, &mut unread);
        let read = unread.filled().len();
        match result {
            Poll::Ready(Ok(())) if read > 0 => {
                link.counters().received_bytes.add(read as u64);
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
    fn poll_own(&mut self, link: &mut Link, context: &mut Context<'_>) -> Poll<Result<Input, Closed>> {
        while self.rest.len() < self.target {
            if self.rest.len() == self.rest.capacity() {
                let missing = (self.target - self.rest.len()).max(self.expected);
                self.rest.reserve_exact(missing.min(self.rest.len().max(POOLED_BUFFER_BYTES)));
                link.client.set_input_bytes(self.rest.capacity());
            }
            let read = ready!(pin!(link.stream.read_buf(&mut self.rest)).poll(context))?;
            if read == 0 {
                return Poll::Ready(Err(Closed::Gone));
            }
            link.counters().received_bytes.add(read as u64);
            link.seat.worker.saw(&link.seat.presence);
        }
        Poll::Ready(Ok(Input::Own(std::mem::take(&mut self.rest))))
    }

    /// Keeps what has not been executed for the next read.
    #[inline]
    pub(crate) fn keep(&mut self, link: &Link, input: Input, consumed: usize) {
        match input {
            Input::Pooled { buffer, length } => {
                if consumed < length {
                    self.rest.extend_from_slice(&buffer[consumed..length]);
                    link.client.set_input_bytes(self.rest.capacity());
                } else if self.rest.capacity() > 0 {
                    self.rest = Vec::new();
                    link.client.set_input_bytes(0);
                }
                link.seat.worker.buffers.give_input(buffer);
            }
            Input::Own(mut bytes) => {
                // What is as incomplete as before keeps its room to grow.
                if consumed > 0 {
                    bytes.drain(..consumed);
                    bytes.shrink_to(self.target.min(POOLED_BUFFER_BYTES));
                }
                self.rest = bytes;
                link.client.set_input_bytes(self.rest.capacity());
            }
        }
    }
}
