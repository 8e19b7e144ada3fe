//! Reading the body of a request, within limits of size and time.
//!
//! A length that is announced is judged before anything is read; one that is not is cut at the limit.
//! Memory grows with what has arrived, never with what was announced, and a client has to keep up a
//! least pace, so that a thousand bodies that drip hold nothing for long.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};
use tresor::engine::memory::BufferShare;

use super::{problem::Problem, shared::HttpLimits};

/// Reads all of a body of at most `max_bytes`; a long one counts in the share that `held` gives.
pub(super) async fn read_body<'s>(
    mut body: Incoming,
    max_bytes: usize,
    limits: &HttpLimits,
    held: impl FnOnce() -> &'s mut BufferShare,
) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(too_large(max_bytes));
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let first = next_piece(&mut body, Instant::now() + limits.body_timeout).await?.unwrap_or_default();
    // Small bodies arrive with the head: nothing to put together.
    if body.is_end_stream() {
        return if first.len() > max_bytes { Err(too_large(max_bytes)) } else { Ok(first) };
    }
    read_rest(body, first, max_bytes, limits, held()).await
}

async fn read_rest(
    mut body: Incoming,
    first: Bytes,
    max_bytes: usize,
    limits: &HttpLimits,
    held: &BufferShare,
) -> Result<Bytes, Problem> {
    let started = Instant::now();
    let mut whole = BytesMut::from(first);
    loop {
        if whole.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        let deadline = started + limits.body_timeout + limits.time_for(whole.len());
        match next_piece(&mut body, deadline).await? {
            Some(piece) => {
                whole.extend_from_slice(&piece);
                held.set(whole.capacity());
            }
            None => return Ok(whole.freeze()),
        }
    }
}

/// The next piece of data; `None` at the end. Trailers are dropped.
pub(super) async fn next_piece(body: &mut Incoming, deadline: Instant) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => {
                let detail = format!("the body could not be read to its end: {error}");
                return Err(Problem::new(StatusCode::BAD_REQUEST, detail).closing());
            }
            Err(_) => {
                let detail = "the body did not arrive in time: send it faster, or in smaller requests";
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail).closing());
            }
        };
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

fn too_large(max_bytes: usize) -> Problem {
    let detail = format!("the body is over the limit of {max_bytes} bytes, which --max-value-bytes sets");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail).closing()
}
