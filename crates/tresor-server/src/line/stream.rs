//! Answers that may be large, written while they are sent: SHOWALL, and values of many bytes.
//!
//! No gate is held meanwhile, so a client that reads slowly stops nobody, and no more than a page of entries
//! or a piece of a value is held for it. Invariant: what is sent is durable, and an answer that cannot be
//! finished ends its connection, because half of it is out.

use std::future::poll_fn;

use bytes::Bytes;
use tokio::task::yield_now;
use tresor::{Error, engine::Kind, session::Session, transaction::OpenTransaction};

use super::answer::{begin, begin_entry, end, keep_on_one_line, write_error};
use crate::{
    found::FoundMembers,
    held::{Held, LineAnswers},
    json::{ValuePieces, write_key},
    limits::BATCH_OUTPUT_BYTES,
    link::{Closed, Link},
    listing::{Listing, View},
};

/// An answer on its way.
pub(super) struct Stream<'a> {
    pub(super) link: &'a Link,
    pub(super) held: &'a mut Held<LineAnswers>,
}

impl Stream<'_> {
    fn out(&mut self) -> &mut Vec<u8> {
        self.held.output().buffer()
    }

    /// Sends what there is once it is worth it, and lets others run.
    async fn send_if_full(&mut self) -> Result<(), Closed> {
        if self.held.output().len() < BATCH_OUTPUT_BYTES {
            return Ok(());
        }
        self.link.flush(self.held).await?;
        yield_now().await;
        if self.link.client.is_killed() { Err(Closed::Dismissed) } else { Ok(()) }
    }

    /// Answers GET with a large value.
    pub(super) async fn value(&mut self, key: &[u8], bytes: Bytes, kind: Kind) -> Result<(), Closed> {
        begin_entry(self.out(), key);
        self.pieces(&bytes, kind).await?;
        end(self.out());
        Ok(())
    }

    /// Answers FIND.
    pub(super) async fn found(&mut self, mut found: FoundMembers) -> Result<(), Closed> {
        self.out().extend_from_slice(b"{\"status\":\"Ok\",");
        loop {
            let start = self.out().len();
            let is_last = found.write_next(self.out());
            // Whatever is no stored JSON has its line breaks escaped already.
            keep_on_one_line(&mut self.out()[start..], Kind::Json);
            self.send_if_full().await?;
            if is_last {
                break;
            }
        }
        end(self.out());
        Ok(())
    }

    async fn pieces(&mut self, bytes: &[u8], kind: Kind) -> Result<(), Closed> {
        let mut pieces = ValuePieces::new(kind, bytes);
        loop {
            let start = self.out().len();
            let is_last = pieces.write_next(self.out());
            keep_on_one_line(&mut self.out()[start..], kind);
            self.send_if_full().await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Answers SHOWALL: the entries of the session's database, then what is open as of the answer's start.
    pub(super) async fn everything(&mut self, session: &Session) -> Result<(), Closed> {
        let worker = &self.link.seat.worker;
        let number = session.selected();
        // Before the entries: what is committed meanwhile shows twice rather than not at all.
        let open = worker.database.open_transactions();
        let mut listing =
            match Listing::start(View::Committed(worker.database.session(worker.number)), number).await {
                Ok(listing) => listing,
                Err(error) => {
                    write_error(self.out(), &error);
                    return Ok(());
                }
            };
        begin(self.out(), "entries");
        while let Some(frame) = poll_fn(|context| listing.poll_next(context)).await {
            let frame = frame.map_err(cut_short)?;
            let start = self.out().len();
            self.out().extend_from_slice(&frame);
            // Line breaks of any other kind of value are escaped.
            keep_on_one_line(&mut self.out()[start..], Kind::Json);
            self.send_if_full().await?;
        }
        self.transactions(&open, number).await?;
        end(self.out());
        Ok(())
    }

    async fn transactions(&mut self, open: &[OpenTransaction], number: u8) -> Result<(), Closed> {
        self.out().extend_from_slice(b",\"transactions\":[");
        for (place, transaction) in open.iter().enumerate() {
            let opening: &[u8] = if place == 0 { b"{\"transaction_id\":" } else { b",{\"transaction_id\":" };
            self.out().extend_from_slice(opening);
            self.out().extend_from_slice(itoa::Buffer::new().format(transaction.id).as_bytes());
            self.out().extend_from_slice(b",\"writes\":{");
            let writes = transaction.writes.iter().filter(|(database, ..)| *database == number);
            for (place, (_, key, value)) in writes.enumerate() {
                if place > 0 {
                    self.out().push(b',');
                }
                write_key(self.out(), key);
                self.out().push(b':');
                match value {
                    Some((bytes, kind)) => self.pieces(bytes, *kind).await?,
                    None => self.out().extend_from_slice(b"null"),
                }
                self.send_if_full().await?;
            }
            self.out().extend_from_slice(b"}}");
        }
        self.out().push(b']');
        Ok(())
    }
}

fn cut_short(error: Error) -> Closed {
    tracing::warn!(%error, "closing a client in the middle of SHOWALL: the store could not be read on");
    Closed::Refused
}
