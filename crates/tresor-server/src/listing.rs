//! Entries in key order, written while they are sent: all of a database as one JSON object, or those of a range
//! as lines.
//!
//! Holds one page of the scan and one frame, whatever the size of the store: the next page is read
//! when the client has taken this one. The gate is left between pages, so a slow reader stops nobody.
//! An entry that stays is seen once; one that comes or goes meanwhile may be seen or not, except in a
//! transaction, which locks all that it lists.

use std::{
    future::Future,
    ops::{Bound, RangeInclusive},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tresor::{
    Result,
    engine::{Content, EntryRef, KeyRef, Order, Page, Position, Scan, behind_prefix},
    session::Session,
    transaction::TransactionId,
};

use crate::{
    entry_line,
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

/// How entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// As the members of one object.
    Object,
    /// Each as a line of its own (`entry_line.rs`).
    Lines,
}

/// The keys that are listed.
struct Prefix {
    lower: Vec<u8>,
    upper: Bound<Vec<u8>>,
}

/// A listing being sent.
pub(crate) struct Listing {
    shape: Shape,
    prefix: Rc<Prefix>,
    /// The databases that are not finished, the one being read first.
    databases: RangeInclusive<u8>,
    page: Page,
    /// Entries of the page that are written.
    written: usize,
    /// A value begun but not finished.
    pieces: Option<ValuePieces<Bytes>>,
    /// What stands behind that value.
    closing: Vec<u8>,
    source: Source,
    separator: &'static [u8],
}

/// Where further pages come from.
enum Source {
    View(View),
    Reading(NextPage),
    /// Everything is written.
    Finished,
}

impl Listing {
    /// All entries of a database as one object. Reads the first page, so that a store that cannot be listed
    /// answers with an error.
    pub(crate) async fn start(view: View, number: u8) -> Result<Self> {
        Self::begin(view, Shape::Object, number..=number, b"").await
    }

    /// The entries of some databases whose keys begin with a prefix, as lines; reads the first page too.
    pub(crate) async fn lines(view: View, databases: RangeInclusive<u8>, prefix: &[u8]) -> Result<Self> {
        Self::begin(view, Shape::Lines, databases, prefix).await
    }

    async fn begin(view: View, shape: Shape, databases: RangeInclusive<u8>, prefix: &[u8]) -> Result<Self> {
        let prefix = Rc::new(Prefix { lower: prefix.to_vec(), upper: behind_prefix(prefix) });
        let (view, page) = read_page(view, *databases.start(), prefix.clone(), Position::Start).await;
        Ok(Self {
            shape,
            prefix,
            databases,
            page: page?,
            written: 0,
            pieces: None,
            closing: Vec::new(),
            source: Source::View(view),
            separator: if shape == Shape::Object { b"{" } else { b"" },
        })
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
                Source::View(view) => match self.next_place() {
                    Some((number, position)) => {
                        let reading = read_page(view, number, self.prefix.clone(), position);
                        self.source = Source::Reading(Box::pin(reading));
                    }
                    None => self.write_end(&mut frame),
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

    /// Where the next page begins: its database, and the place in it.
    fn next_place(&mut self) -> Option<(u8, Position)> {
        if let Some(position) = self.page.next.take() {
            return Some((*self.databases.start(), position));
        }
        self.databases.next();
        (!self.databases.is_empty()).then(|| (*self.databases.start(), Position::Start))
    }

    fn write_end(&self, frame: &mut Vec<u8>) {
        frame.extend_from_slice(match (self.shape, self.separator) {
            (Shape::Lines, _) => b"",
            (Shape::Object, b"{") => b"{}",
            (Shape::Object, _) => b"}",
        });
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
                    frame.append(&mut self.closing);
                }
                continue;
            }
            let Some((key, entry)) = self.page.iter().nth(self.written) else { return };
            self.written += 1;
            if !key.member.is_empty() {
                continue;
            }
            if self.shape == Shape::Object {
                frame.extend_from_slice(std::mem::replace(&mut self.separator, b","));
            }
            self.shape.write_opening(frame, key);
            if entry.value.bytes().len() > LARGE_VALUE_BYTES {
                self.pieces = Some(self.shape.pieces(&entry, entry.value.to_bytes()));
                self.shape.write_closing(&mut self.closing, &entry);
            } else {
                self.shape.pieces(&entry, entry.value.bytes()).write_all(frame);
                self.shape.write_closing(frame, &entry);
            }
        }
    }
}

impl Shape {
    fn write_opening(self, out: &mut Vec<u8>, key: KeyRef<'_>) {
        match self {
            Self::Object => {
                write_key(out, key.key);
                out.push(b':');
            }
            Self::Lines => entry_line::write_opening(out, key.database, key.key),
        }
    }

    fn pieces<B: AsRef<[u8]>>(self, entry: &EntryRef<'_>, bytes: B) -> ValuePieces<B> {
        match self {
            Self::Object => ValuePieces::new(entry.kind, bytes),
            Self::Lines => ValuePieces::on_one_line(entry.kind, bytes),
        }
    }

    fn write_closing(self, out: &mut Vec<u8>, entry: &EntryRef<'_>) {
        if self == Self::Lines {
            entry_line::write_closing(out, entry.kind, entry.expires_at_ms);
        }
    }
}

/// One page, once what it shows is durable.
async fn read_page(
    mut view: View,
    number: u8,
    prefix: Rc<Prefix>,
    position: Position,
) -> (View, Result<Page>) {
    let page = read(&mut view, number, &prefix, position).await;
    (view, page)
}

async fn read(view: &mut View, number: u8, prefix: &Prefix, position: Position) -> Result<Page> {
    let (session, transaction) = view.parts();
    session.select(number);
    let mut scan = Scan::all(number, Order::Ascending, Content::Entries, PAGE_ENTRIES);
    if !prefix.lower.is_empty() {
        scan.lower = Bound::Included(&prefix.lower);
        scan.upper = prefix.upper.as_ref().map(Vec::as_slice);
    }
    scan.position = position;
    enter(session, transaction).await?;
    let page = session.scan(&scan).await;
    leave(session, transaction);
    let page = page?;
    session.durable().await?;
    Ok(page)
}
