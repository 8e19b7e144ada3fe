//! `/v1/changes`: what happens to entries, as server-sent events or a page at a time.
//!
//! A position is what an answer told: the store and the number of the last change, as in an ETag. Whoever comes
//! back with it goes on where it was, and hears of a gap if that is gone.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::{
    task::yield_now,
    time::{Instant, timeout_at},
};
use tresor::{ChangeFeed, ChangeKind, Error, FeedChange, FeedOptions, FeedPage, FeedPosition, Gap, Result};

use super::{
    body::Body,
    change_stream::ChangeStream,
    document::key_of_text,
    etag::Etag,
    exchange::{Answer, Exchange},
    kv::json,
    query::{database_of, decode_word, pairs, truth},
};
use crate::json::{ValuePieces, write_key};

/// The longest that a page is waited for, in seconds.
const MAX_WAIT_SECONDS: u64 = 60;

/// The header with which a reader of events comes back.
const LAST_EVENT_ID: &str = "last-event-id";

/// What a request asks for.
#[derive(Default)]
struct Asked {
    options: FeedOptions,
    database: u8,
    wait: Duration,
}

impl Asked {
    fn parse(query: Option<&str>, headers: &HeaderMap) -> Result<Self> {
        let mut asked = Self::default();
        let mut since = None;
        for (name, value) in pairs(query.unwrap_or_default()) {
            let decoded = decode_word(value)?;
            let options = asked.options.clone();
            match name {
                "db" => asked.database = database_of(value)?,
                "since" => since = Some(position(&decoded)?),
                "prefix" => asked.options = options.prefix(key_of_text(decoded)?),
                "values" if truth(name, value)? => asked.options = options.values(),
                "values" => {}
                "limit" => asked.options = options.limit(number(name, &decoded, 1024)? as usize),
                "wait" => asked.wait = Duration::from_secs(number(name, &decoded, MAX_WAIT_SECONDS)?),
                _ => {
                    let known = "db, since, prefix, values, limit and wait";
                    return Err(Error::invalid(format!("there is no parameter {name}: there are {known}")));
                }
            }
        }
        if let Some(id) = headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) {
            since = Some(position(id.as_bytes())?);
        }
        if let Some(since) = since {
            asked.options = asked.options.since(since);
        }
        Ok(asked)
    }
}

fn position(text: &[u8]) -> Result<FeedPosition> {
    String::from_utf8_lossy(text).parse()
}

fn number(name: &str, text: &[u8], most: u64) -> Result<u64> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
    number
        .filter(|number| *number <= most && (*number > 0 || name == "wait"))
        .ok_or_else(|| Error::invalid(format!("{name} must be a number of at most {most}")))
}

/// Answers a request to `/v1/changes`.
pub(super) async fn answer(exchange: Exchange<'_>) -> Answer {
    let headers = &exchange.parts.headers;
    let asked = Asked::parse(exchange.parts.uri.query(), headers)?;
    let database = exchange.database.database(asked.database)?;
    let mut feed = database.begin_change_feed(&asked.options).await?;
    let page = present(&mut feed).await?;
    let mut response = if wants_events(headers) {
        let stream = ChangeStream::new(feed, page, exchange.shared);
        let mut response = http::Response::new(Body::Changes(Box::new(stream)));
        let events = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, events);
        response
    } else {
        let page = if is_idle(&page) && !asked.wait.is_zero() {
            let coming = timeout_at(Instant::now() + asked.wait, feed.told());
            tokio::select! {
                told = coming => told.unwrap_or(Ok(page))?,
                () = exchange.shared.stopper.stopped() => page,
            }
        } else {
            page
        };
        json(Body::Full(document(&page).into()), StatusCode::OK)
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    accepted.flat_map(|accept| accept.split(',')).any(|accept| {
        accept.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("text/event-stream"))
    })
}

fn is_idle(page: &FeedPage) -> bool {
    page.gap.is_none() && page.changes.is_empty()
}

/// The first page that tells anything of what there is already, or an empty one.
async fn present(feed: &mut ChangeFeed) -> Result<FeedPage> {
    loop {
        let page = feed.page(false).await?;
        if !page.more || !is_idle(&page) {
            return Ok(page);
        }
        yield_now().await;
    }
}

/// A page as one JSON object.
fn document(page: &FeedPage) -> Vec<u8> {
    let mut out = b"{\"changes\":[".to_vec();
    for (place, change) in page.changes.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_change(&mut out, change, page.position.store_id.unwrap_or_default());
    }
    out.extend_from_slice(format!("],\"next\":\"{}\"", page.position).as_bytes());
    if let Some(gap) = page.gap {
        out.extend_from_slice(b",\"gap\":");
        write_gap(&mut out, gap);
    }
    out.push(b'}');
    out
}

/// A change as a JSON object.
pub(super) fn write_change(out: &mut Vec<u8>, change: &FeedChange, store_id: u64) {
    let (sequence, kind) = (change.sequence, change.kind.name());
    out.extend_from_slice(format!("{{\"sequence\":{sequence},\"kind\":\"{kind}\"").as_bytes());
    if !matches!(change.kind, ChangeKind::Clear | ChangeKind::Swap) {
        out.extend_from_slice(b",\"key\":");
        write_key(out, &change.key);
    }
    if let Some(with) = change.with {
        out.extend_from_slice(format!(",\"with\":{with}").as_bytes());
    }
    if let Some((value, version)) = &change.value {
        out.extend_from_slice(b",\"value\":");
        ValuePieces::new(value.kind(), value.as_bytes()).write_all(out);
        let version = Etag { store_id, version: *version };
        out.extend_from_slice(format!(",\"version\":\"{version}\"").as_bytes());
    }
    out.push(b'}');
}

/// A gap as a JSON object.
pub(super) fn write_gap(out: &mut Vec<u8>, gap: Gap) {
    out.extend_from_slice(format!("{{\"from\":{},\"to\":{}}}", gap.from, gap.to).as_bytes());
}
