//! The bodies of answers: whole, or written while they are sent.
//!
//! An enum rather than boxed bodies, because nearly every answer is a few bytes that are known. A
//! streamed body is asked for its next frame only when the socket takes more.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tresor::Error;

use super::{change_stream::ChangeStream, content_coding::CodedBody, entries_page::FoundDocument};
use crate::{json::ValuePieces, listing::Listing};

/// The body of an answer.
pub(super) enum Body {
    /// Nothing.
    Empty,
    /// These bytes.
    Full(Bytes),
    /// One large entry as JSON.
    Entry(Box<EntryDocument>),
    /// All entries as JSON.
    Listing(Box<Listing>),
    /// A page of what a query found.
    Found(Box<FoundDocument>),
    /// Changes as they happen.
    Changes(Box<ChangeStream>),
    /// Another one, compressed.
    Coded(Box<CodedBody>),
}

/// `{"key":…,"value":…}` of a value too large to be written at once.
pub(super) struct EntryDocument {
    /// Everything up to the value.
    pub(super) opening: Vec<u8>,
    /// The value.
    pub(super) value: ValuePieces<Bytes>,
}

impl EntryDocument {
    fn next_frame(mut self: Box<Self>) -> (Bytes, Body) {
        let mut frame = std::mem::take(&mut self.opening);
        if self.value.write_next(&mut frame) {
            frame.push(b'}');
            return (frame.into(), Body::Empty);
        }
        (frame.into(), Body::Entry(self))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let streamed = match &mut *self {
            Self::Listing(listing) => Some(listing.poll_next(context)),
            Self::Changes(stream) => Some(stream.poll_next(context)),
            Self::Coded(coded) => Some(coded.poll_next(context)),
            _ => None,
        };
        if let Some(polled) = streamed {
            return polled.map(|frame| frame.map(|frame| frame.map(Frame::data)));
        }
        let (frame, rest) = match std::mem::replace(&mut *self, Self::Empty) {
            Self::Full(bytes) if !bytes.is_empty() => (bytes, Self::Empty),
            Self::Entry(document) => document.next_frame(),
            Self::Found(mut document) => {
                let (frame, is_last) = document.next_frame();
                (frame.into(), if is_last { Self::Empty } else { Self::Found(document) })
            }
            Self::Full(_) | Self::Empty | Self::Listing(_) | Self::Changes(_) | Self::Coded(_) => {
                return Poll::Ready(None);
            }
        };
        *self = rest;
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Coded(coded) => coded.is_finished(),
            _ => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Entry(_) | Self::Listing(_) | Self::Found(_) | Self::Changes(_) | Self::Coded(_) => {
                SizeHint::default()
            }
        }
    }
}
