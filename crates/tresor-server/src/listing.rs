//! All entries of a database as one JSON object, in key order, written while it is sent.
//!
//! Holds one page of the scan and one frame, whatever the size of the store: the next page is read
//! when the client has taken this one. The gate is left between pages, so a slow reader stops nobody.
//! An entry that stays is seen once; one that comes or goes meanwhile may be seen or not, except in a
//! transaction, which locks all that it lists.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tresor::{
    Result,
    engine::{Content, Order, Page, Position, Scan},
    session::Session,
    transaction::TransactionId,
};

use crate::{
    http::{Turn, enter, leave},
    json::{ValuePieces, write_key},
};

/// Entries of a page.
const PAGE_ENTRIES: usize = 256;

/// A frame is sent once it is this long.
const FRAME_BYTES: usize = 64 * 1024;

/// Values above this many bytes are written in pieces of their own.
const LARGE_VALUE_BYTES: usize = 16 * 1024;

type NextPage = Pin<Box<dyn Future<Output = (View, Result<Page>)>>>;

/// Through whose eyes entries are seen.
pub(crate) enum View {
    /// What is committed.
    Committed(Session),
    /// The same with what a transaction has written, which is busy until the listing is sent.
    Transaction(Turn),
}

impl View {
    fn parts(&mut self) -> (&mut Session, Option<TransactionId>) {
        match self {
            Self::Committed(session) => (session, None),
            Self::Transaction(turn) => {
                let id = turn.number();
                (turn.session(), Some(id))
            }
        }
    }
}

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
    View(View),
    Reading(NextPage),
    /// The closing bracket is written.
    Finished,
}

impl Listing {
    /// Reads the first page, so that a store that cannot be listed answers with an error.
    pub(crate) async fn start(mut view: View, number: u8) -> Result<Self> {
        view.parts().0.select(number);
        let (view, page) = read_page(view, Position::Start).await;
        Ok(Self { page: page?, written: 0, pieces: None, source: Source::View(view), separator: b"{" })
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
                Source::View(view) => match self.page.next.take() {
                    Some(position) => self.source = Source::Reading(Box::pin(read_page(view, position))),
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
        let (view, page) = ready!(reading.as_mut().poll(context));
        self.source = Source::Finished;
        self.page = page?;
        self.written = 0;
        self.source = Source::View(view);
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
async fn read_page(mut view: View, position: Position) -> (View, Result<Page>) {
    let page = read(&mut view, position).await;
    (view, page)
}

async fn read(view: &mut View, position: Position) -> Result<Page> {
    let (session, transaction) = view.parts();
    let mut scan = Scan::all(session.selected(), Order::Ascending, Content::Entries, PAGE_ENTRIES);
    scan.position = position;
    enter(session, transaction).await?;
    let page = session.scan(&scan).await;
    leave(session, transaction);
    let page = page?;
    session.durable().await?;
    Ok(page)
}
