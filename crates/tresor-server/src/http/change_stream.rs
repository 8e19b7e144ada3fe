//! Changes as server-sent events, for as long as the client takes them.
//!
//! A frame is one page. The next one is read only when the socket has taken this one, so a slow client costs one
//! page whatever happens meanwhile. While nothing happens that concerns it, it is told its position now and then:
//! then a client that comes back after a long silence is not told of a gap where there was nothing for it, and
//! one that has gone is noticed.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};
use tresor::{ChangeFeed, FeedPage, FeedPosition, Result};

use super::{
    changes::{write_change, write_gap},
    shared::HttpShared,
};
use crate::pace::paced_page;

/// How long nothing is sent at most.
const HEARTBEAT: Duration = Duration::from_secs(15);

type NextPage = Pin<Box<dyn Future<Output = (ChangeFeed, Result<FeedPage>)>>>;

/// Events being sent.
pub(super) struct ChangeStream {
    /// A page that is not sent yet.
    ready: Option<FeedPage>,
    /// None after an error.
    reading: Option<NextPage>,
    position: FeedPosition,
    heartbeat: Pin<Box<Sleep>>,
    stopped: Pin<Box<dyn Future<Output = ()>>>,
}

impl ChangeStream {
    /// Goes on behind a page that was read already.
    pub(super) fn new(feed: ChangeFeed, page: FeedPage, shared: &Arc<HttpShared>) -> Self {
        let shared = shared.clone();
        Self {
            position: page.position,
            reading: Some(Box::pin(next(feed, page.more))),
            ready: Some(page),
            // At once: whoever has said no position hears of one.
            heartbeat: Box::pin(sleep_until(Instant::now())),
            stopped: Box::pin(async move { shared.stopper.stopped().await }),
        }
    }

    /// The next frame; `None` when the server stops or the store fails: the client then comes back.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if self.stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        loop {
            if let Some(page) = self.ready.take() {
                self.position = page.position;
                let frame = events(&page);
                if !frame.is_empty() {
                    self.heartbeat.as_mut().reset(Instant::now() + HEARTBEAT);
                    return Poll::Ready(Some(Ok(frame.into())));
                }
            }
            let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
            let Poll::Ready((feed, page)) = reading.as_mut().poll(context) else { break };
            match page {
                Ok(page) => {
                    self.reading = Some(Box::pin(next(feed, page.more)));
                    self.ready = Some(page);
                }
                Err(error) => {
                    tracing::debug!(%error, "a change feed ends");
                    self.reading = None;
                }
            }
        }
        if self.heartbeat.as_mut().poll(context).is_ready() {
            self.heartbeat.as_mut().reset(Instant::now() + HEARTBEAT);
            // Polled, so that it wakes this task.
            let _ = self.heartbeat.as_mut().poll(context);
            return Poll::Ready(Some(Ok(format!(": here\nid: {}\n\n", self.position).into())));
        }
        Poll::Pending
    }
}

async fn next(mut feed: ChangeFeed, more: bool) -> (ChangeFeed, Result<FeedPage>) {
    let page = paced_page(&mut feed, more).await;
    (feed, page)
}

/// A page as events: first the gap, then each change.
fn events(page: &FeedPage) -> Vec<u8> {
    let mut out = Vec::new();
    let store_id = page.position.store_id;
    let id = |sequence| FeedPosition { store_id, sequence };
    if let Some(gap) = page.gap {
        out.extend_from_slice(format!("id: {}\nevent: gap\ndata: ", id(gap.to)).as_bytes());
        write_gap(&mut out, gap);
        out.extend_from_slice(b"\n\n");
    }
    for change in &page.changes {
        let (id, kind) = (id(change.sequence), change.kind.name());
        out.extend_from_slice(format!("id: {id}\nevent: {kind}\ndata: ").as_bytes());
        let begin = out.len();
        write_change(&mut out, change, store_id.unwrap_or_default());
        fold_lines(&mut out, begin);
        out.extend_from_slice(b"\n\n");
    }
    out
}

/// JSON is kept as it was written, and a line of an event ends where one of its lines does.
fn fold_lines(out: &mut Vec<u8>, begin: usize) {
    if memchr::memchr2(b'\n', b'\r', &out[begin..]).is_none() {
        return;
    }
    let data = out.split_off(begin);
    for (place, line) in data.split(|byte| matches!(byte, b'\n' | b'\r')).enumerate() {
        if place > 0 {
            out.extend_from_slice(b"\ndata: ");
        }
        out.extend_from_slice(line);
    }
}

#[cfg(test)]
mod tests {
    use super::fold_lines;

    #[test]
    fn lines_of_json_become_lines_of_the_event() {
        let mut out = b"data: {\n\"a\":\r\n1}".to_vec();
        fold_lines(&mut out, 6);
        assert_eq!(out, b"data: {\ndata: \"a\":\ndata: \ndata: 1}");
    }
}
