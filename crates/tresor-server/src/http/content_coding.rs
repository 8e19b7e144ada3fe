//! Answers in fewer bytes: which coding a client takes (`Accept-Encoding`, RFC 9110, 12.5.3), and a body coded while
//! it is sent.
//!
//! One place for all routes, behind their handlers, which know nothing of it. What is coded is another
//! representation, so its ETag is another one: the entry's with the coding's name behind it, strong as before, so
//! that it may come back in `If-Match`. Each frame is flushed: what the store has told is never held back.

use std::{
    io::{self, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::{Body as _, Frame};
use tresor::{Error, ErrorKind, Result};

use super::body::Body;

/// Shorter answers gain nothing.
const LEAST_BYTES: u64 = 1024;

/// What is coded at a time, so that a large value holds up nobody else. What is not longer is coded before its head
/// is sent, which then tells its length.
const PIECE_BYTES: usize = 64 * 1024;

/// For zstd; gzip's is likewise its fastest: a client that is near must not wait for it.
const ZSTD_LEVEL: i32 = 1;

/// A way to code a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Zstd,
}

impl Coding {
    /// Its name in headers.
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// A tag as it is without the coding's name that a coded answer has put behind it.
pub(super) fn plain_tag(tag: &str) -> &str {
    let without = |coding: Coding| tag.strip_suffix(coding.name())?.strip_suffix('-');
    [Coding::Gzip, Coding::Zstd].into_iter().find_map(without).unwrap_or(tag)
}

/// What a client takes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Accepted {
    /// The coding to be used, if any.
    coding: Option<Coding>,
    /// Whether an answer may be sent as it is.
    identity: bool,
}

impl Accepted {
    fn by(headers: &HeaderMap) -> Self {
        let said = |name: &str| quality(headers, name);
        let any = said("*");
        let of = |name: &str| said(name).or(any).unwrap_or(0.0);
        // What is not mentioned is taken, and wanted least.
        let identity = said("identity").or(any);
        let gzip = of("gzip").max(said("x-gzip").unwrap_or(0.0));
        let (quality, coding) = match of("zstd") {
            zstd if zstd > gzip => (zstd, Coding::Zstd),
            _ => (gzip, Coding::Gzip),
        };
        let is_wanted = quality > 0.0 && quality >= identity.unwrap_or(0.0);
        Self { coding: is_wanted.then_some(coding), identity: identity != Some(0.0) }
    }
}

/// How much a coding is wanted, from 0 to 1; `None` where it is not named. What cannot be read is not wanted.
fn quality(headers: &HeaderMap, name: &str) -> Option<f32> {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    codings.find_map(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        if !parts.next().is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return None;
        }
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let read = |text: &str| text.parse().ok().filter(|quality| (0.0..=1.0).contains(quality));
        Some(weight.map_or(1.0, |text| read(text).unwrap_or(0.0)))
    })
}

/// Whether text of this type becomes shorter.
fn is_compressible(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match media_type {
        "application/json" | "application/x-ndjson" | "application/javascript" | "image/svg+xml" => true,
        other => other.starts_with("text/") || other.ends_with("+json"),
    }
}

/// Codes an answer if the client wants that and it is worth it, and says on what it depends. Server-sent events are
/// small, and come as they are.
pub(super) fn code(request: &HeaderMap, response: &mut Response<Body>) {
    if response.status() == StatusCode::NOT_MODIFIED {
        return name_held_tag(request, response.headers_mut());
    }
    if matches!(response.body(), Body::Empty | Body::Changes(_))
        || response.headers().contains_key(header::CONTENT_ENCODING)
    {
        return;
    }
    let is_long = response.body().size_hint().exact().is_none_or(|bytes| bytes >= LEAST_BYTES);
    let is_worth_it = is_long && is_compressible(response.headers());
    let accepted = Accepted::by(request);
    if is_worth_it || !accepted.identity {
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    let Some(coding) = accepted.coding.filter(|_| is_worth_it || !accepted.identity) else { return };
    let Ok(coded) = CodedBody::of(std::mem::replace(response.body_mut(), Body::Empty), coding) else {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return;
    };
    *response.body_mut() = coded;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    if let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag_of_coded(tag, coding)) {
        headers.insert(header::ETAG, tag);
    }
}

/// The tag of what is not sent again is that which the client has, coded or not.
fn name_held_tag(request: &HeaderMap, headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    let coding = Accepted::by(request).coding;
    let coded = headers.get(header::ETAG).zip(coding).and_then(|(tag, coding)| tag_of_coded(tag, coding));
    let Some(tag) = coded else { return };
    let held = request.get_all(header::IF_NONE_MATCH).iter().any(|held| {
        let text = tag.to_str().unwrap_or_default();
        held.to_str().is_ok_and(|held| held.contains(text))
    });
    if held {
        headers.insert(header::ETAG, tag);
    }
}

fn tag_of_coded(tag: &HeaderValue, coding: Coding) -> Option<HeaderValue> {
    let opaque = tag.to_str().ok()?.strip_suffix('"')?;
    HeaderValue::try_from(format!("{opaque}-{}\"", coding.name())).ok()
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
        })
    }

    /// Codes bytes, so that whoever has what is returned can read all of them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Internal, "the answer could not be compressed").caused_by(error)
}

/// A body being coded.
pub(super) struct CodedBody {
    plain: Body,
    /// Gone once the end is coded.
    encoder: Option<Encoder>,
}

impl CodedBody {
    /// The coded body: a short one whole, else one that is coded while it is sent.
    fn of(plain: Body, coding: Coding) -> Result<Body> {
        let mut encoder = Encoder::new(coding).map_err(failed)?;
        Ok(match &plain {
            Body::Full(bytes) if bytes.len() <= PIECE_BYTES => {
                let mut coded = encoder.write(bytes).map_err(failed)?;
                coded.append(&mut encoder.finish().map_err(failed)?);
                Body::Full(coded.into())
            }
            _ => Body::Coded(Box::new(Self { plain, encoder: Some(encoder) })),
        })
    }

    /// Whether all of it was sent.
    pub(super) fn is_finished(&self) -> bool {
        self.encoder.is_none()
    }

    /// The next frame; `None` after the last.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let Some(encoder) = &mut self.encoder else { return Poll::Ready(None) };
        let coded = match ready!(next_piece(&mut self.plain, context)) {
            Some(Ok(piece)) => encoder.write(&piece),
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => self.encoder.take().map_or(Ok(Vec::new()), Encoder::finish),
        };
        Poll::Ready(Some(coded.map(Bytes::from).map_err(failed)))
    }
}

fn next_piece(plain: &mut Body, context: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
    if let Body::Full(bytes) = plain
        && bytes.len() > PIECE_BYTES
    {
        return Poll::Ready(Some(Ok(bytes.split_to(PIECE_BYTES))));
    }
    let data = |frame: Frame<Bytes>| frame.into_data().unwrap_or_default();
    Pin::new(plain).poll_frame(context).map(|frame| frame.map(|frame| frame.map(data)))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        task::{Context, Poll, Waker},
    };

    use bytes::Bytes;
    use flate2::write::GzDecoder;
    use http::{HeaderMap, HeaderValue, header};

    use super::{Accepted, Body, CodedBody, Coding, PIECE_BYTES, plain_tag};

    #[test]
    fn the_coding_is_the_one_that_is_wanted_most() {
        let (gzip, zstd) = (Some(Coding::Gzip), Some(Coding::Zstd));
        for (lines, coding, identity) in [
            (&[][..], None, true),
            (&[""], None, true),
            (&["gzip"], gzip, true),
            (&["GZip; Q=0.1"], gzip, true),
            (&["x-gzip"], gzip, true),
            (&["gzip, deflate, br, zstd"], gzip, true),
            (&["gzip;q=0.5", "zstd"], zstd, true),
            (&["zstd"], zstd, true),
            (&["gzip;q=0"], None, true),
            (&["gzip;q=0, *"], zstd, true),
            (&["*"], gzip, true),
            (&["*;q=0"], None, false),
            (&["*;q=0, gzip"], gzip, false),
            (&["identity;q=0"], None, false),
            (&["identity;q=0, *;q=0.1"], gzip, false),
            (&["identity, gzip;q=0.5"], None, true),
            (&["identity;q=0.5, gzip;q=0.5"], gzip, true),
            (&["br, deflate"], None, true),
            (&["gzip;q=x"], None, true),
            (&["gzip;q=2"], None, true),
            (&["gzip;q=NaN"], None, true),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(line));
            }
            assert_eq!(Accepted::by(&headers), Accepted { coding, identity }, "{lines:?}");
        }
    }

    #[test]
    fn tags_of_coded_answers_mean_the_entry_s() {
        for (tag, plain) in [("a-1", "a-1"), ("a-1-gzip", "a-1"), ("a-1-zstd", "a-1"), ("a-1-br", "a-1-br")] {
            assert_eq!(plain_tag(tag), plain);
        }
    }

    #[test]
    fn what_was_sent_can_be_read_before_the_rest_comes() {
        let plain: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
        for coding in [Coding::Gzip, Coding::Zstd] {
            let body = CodedBody::of(Body::Full(plain.clone().into()), coding).unwrap();
            let Body::Coded(mut coded) = body else { panic!("it is long") };
            let mut gzip = GzDecoder::new(Vec::new());
            let mut zstd = zstd::stream::write::Decoder::new(Vec::new()).unwrap();
            let mut expected = 0;
            while let Poll::Ready(Some(frame)) = coded.poll_next(&mut Context::from_waker(Waker::noop())) {
                let frame: Bytes = frame.unwrap();
                assert!(!frame.is_empty() && frame.len() < PIECE_BYTES);
                expected = plain.len().min(expected + PIECE_BYTES);
                let read = match coding {
                    Coding::Gzip => {
                        gzip.write_all(&frame).unwrap();
                        gzip.flush().unwrap();
                        gzip.get_ref()
                    }
                    Coding::Zstd => {
                        zstd.write_all(&frame).unwrap();
                        zstd.flush().unwrap();
                        zstd.get_ref()
                    }
                };
                assert_eq!(read, &plain[..expected], "{coding:?}");
            }
            assert!(coded.is_finished());
            assert_eq!(expected, plain.len());
        }
    }
}
