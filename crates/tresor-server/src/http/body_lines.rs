//! The lines of a request's body, which may be of any length: only the line that is arriving is held.
//!
//! The next piece is read when the lines of the last are taken, so a client sends no faster than they are dealt
//! with. What is limited is the line: its length, and the time that it takes to arrive.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use hyper::body::Incoming;
use tokio::time::Instant;
use tresor::engine::memory::BufferShare;

use super::{problem::Problem, request_body::next_piece, shared::HttpLimits};

/// A body that is read line by line.
pub(super) struct BodyLines<'a> {
    body: Option<Incoming>,
    limits: &'a HttpLimits,
    max_line_bytes: usize,
    /// What has arrived and is not taken.
    buffer: BytesMut,
    /// So much of it has no line's end in it.
    searched: usize,
    /// The memory that this takes.
    held: BufferShare,
    /// The number of the line that was taken last; the first is 1.
    pub(super) number: u64,
}

impl<'a> BodyLines<'a> {
    /// Lines of at most `max_line_bytes`, each within the time that `limits` give to a body of its length.
    pub(super) fn new(
        body: Option<Incoming>,
        limits: &'a HttpLimits,
        max_line_bytes: usize,
        held: BufferShare,
    ) -> Self {
        Self { body, limits, max_line_bytes, buffer: BytesMut::new(), searched: 0, held, number: 0 }
    }

    /// The next line, with its end unless it is the last; `None` behind that.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let started = Instant::now();
        self.number += 1;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                let end = self.searched + at + 1;
                return self.take(end).map(Some);
            }
            self.searched = self.buffer.len();
            if self.searched > self.max_line_bytes {
                return Err(self.too_long());
            }
            let deadline = started + self.limits.body_timeout + self.limits.time_for(self.searched);
            let piece = match &mut self.body {
                Some(body) => next_piece(body, deadline).await?,
                None => None,
            };
            match piece {
                Some(piece) => {
                    self.buffer.extend_from_slice(&piece);
                    self.held.set(self.buffer.capacity());
                }
                None => {
                    self.body = None;
                    return if self.searched == 0 { Ok(None) } else { self.take(self.searched).map(Some) };
                }
            }
        }
    }

    fn take(&mut self, end: usize) -> Result<Bytes, Problem> {
        if end > self.max_line_bytes {
            return Err(self.too_long());
        }
        self.searched = 0;
        Ok(self.buffer.split_to(end).freeze())
    }

    fn too_long(&self) -> Problem {
        let limit = self.max_line_bytes;
        let detail = format!("it is over the limit of {limit} bytes, which follows from --max-value-bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }
}
