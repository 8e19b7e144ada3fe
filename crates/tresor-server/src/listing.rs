//! All entries of a database as one JSON object, in key order, written while it is sent.
//!
//! Holds one page of the scan and one frame, whatever the size of the store: the next page is read
//! when the client has taken this one. The gate is left between pages, so a slow reader stops nobody.
//! An entry that stays is seen once; one that comes or goes meanwhile may be seen or not.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tresor::{
    Database, Result,
    engine::{Content, Order, Page, Position, Scan},
    session::Session,
};

use crate::json::{ValuePieces, write_key};

/// Entries of a page.
const PAGE_ENTRIES: usize = 256;

/// A frame is sent once it is this long.
const FRAME_BYTES: usize = 64 * 1024;

/// Values above this many bytes are written in pieces of their own.
const LARGE_VALUE_BYTES: usize = 16 * 1024;

type NextPage = Pin<Box<dyn Future<Output = (Session, Result<Page>)>>>;

/// A listing being sent.
pub(crate) struct Listing {
    page: Page,
    /// Entries of the page that are written.
    written: usize,
    /// A value begun but not finished.
    pieces: Option<ValuePieces<Bytes>>,
    source: Source,
    separator: &'static [u8],
}

/// Where further pages come from.
enum Source {
    Session(Session),
    Reading(NextPage),
    /// The closing bracket is written.
    Finished,
}

impl Listing {
    /// Reads the first page, so that a store that cannot be listed answers with an error.
    pub(crate) async fn start(database: &Database, worker: usize, number: u8) -> Result<Self> {
        let mut session = database.session(worker);
        session.select(number);
        let (session, page) = read_page(session, Position::Start).await;
        Ok(Self { page: page?, written: 0, pieces: None, source: Source::Session(session), separator: b"{" })
    }

    /// The next frame; `None` after the last.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let mut frame = Vec::new();
        loop {
            self.write_page(&mut frame);
            let page_is_done = self.pieces.is_none() && self.written == self.page.len();
            if frame.len() >= FRAME_BYTES || !page_is_done {
                return Poll::Ready(Some(Ok(frame.into())));
            }
            match std::mem::replace(&mut self.source, Source::Finished) {
                Source::Finished => return Poll::Ready(None),
                Source::Session(session) => match self.page.next.take() {
                    Some(position) => self.source = Source::Reading(Box::pin(read_page(session, position))),
                    None => {
                        frame.extend_from_slice(if self.separator == b"{" { b"{}" } else { b"}" });
                        return Poll::Ready(Some(Ok(frame.into())));
                    }
                },
                reading @ Source::Reading(_) => self.source = reading,
            }
            if !frame.is_empty() {
                return Poll::Ready(Some(Ok(frame.into())));
            }
            if let Err(error) = ready!(self.poll_page(context)) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let Source::Reading(reading) = &mut self.source else { return Poll::Ready(Ok(())) };
        let (session, page) = ready!(reading.as_mut().poll(context));
        self.source = Source::Finished;
        self.page = page?;
        self.written = 0;
        self.source = Source::Session(session);
        Poll::Ready(Ok(()))
    }

    /// Writes entries until the page or the frame is at its end.
    fn write_page(&mut self, frame: &mut Vec<u8>) {
        while frame.len() < FRAME_BYTES {
            if let Some(pieces) = &mut self.pieces {
                if pieces.write_next(frame) {
                    self.pieces = None;
                }
                continue;
            }
            let Some((key, entry)) = self.page.iter().nth(self.written) else { return };
            self.written += 1;
            if !key.member.is_empty() {
                continue;
            }
            frame.extend_from_slice(std::mem::replace(&mut self.separator, b","));
            write_key(frame, key.key);
            frame.push(b':');
            if entry.value.bytes().len() > LARGE_VALUE_BYTES {
                self.pieces = Some(ValuePieces::new(entry.kind, entry.value.to_bytes()));
            } else {
                ValuePieces::new(entry.kind, entry.value.bytes()).write_all(frame);
            }
        }
    }
}

/// One page, once what it shows is durable.
async fn read_page(mut session: Session, position: Position) -> (Session, Result<Page>) {
    let mut scan = Scan::all(session.selected(), Order::Ascending, Content::Entries, PAGE_ENTRIES);
    scan.position = position;
    session.enter().await;
    let page = session.scan(&scan).await;
    session.leave();
    let page = match page {
        Ok(page) => session.durable().await.map(|()| page),
        failed => failed,
    };
    (session, page)
}
