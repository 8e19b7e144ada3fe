//! `/v1/entries/{key}`: one entry, with its version as ETag and conditions on it.
//!
//! Values go in and out as on `/keys/{key}`. What is more here: an answer tells the version that it is about,
//! and `If-Match` and `If-None-Match` are kept by the engine in the step that writes. What is on this path
//! exactly: `docs/http-entries.md`.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tresor::{
    Error, ErrorKind, Kind, Version,
    engine::{Change, Guard},
};

use super::{
    body::Body,
    conditions::{Conditions, Verdict, Written},
    etag::Etag,
    exchange::{Answer, Exchange, enter, leave},
    keys::{raw_value, read_value},
    problem::Problem,
    query::{Parameters, decode_segment},
    ttl::Ttl,
};
use crate::json::key_text;

/// From here on a date has five digits of a year, which HTTP cannot say.
const YEAR_10000_MS: u64 = 253_402_300_800_000;

/// Answers a request for one entry, whose encoded key is `segment`.
pub(super) async fn answer(exchange: Exchange<'_>, segment: &str) -> Answer {
    let parameters = Parameters::parse(exchange.parts.uri.query())?;
    let key = decode_segment(segment)?;
    let store_id = exchange.shared.store_id(exchange.database).await?;
    let request = Request { key: &key, store_id, conditions: conditions(&exchange, store_id)? };
    exchange.session.select(parameters.database);
    match exchange.parts.method {
        Method::PUT => put(exchange, &request, parameters.ttl).await,
        Method::DELETE => delete(exchange, &request).await,
        _ => get(exchange, &request).await,
    }
}

fn conditions(exchange: &Exchange<'_>, store_id: u64) -> Result<Conditions, Problem> {
    Ok(Conditions::parse(&exchange.parts.headers, store_id)?)
}

/// Which entry is asked for, and on which conditions.
struct Request<'a> {
    key: &'a [u8],
    store_id: u64,
    conditions: Conditions,
}

impl Request<'_> {
    /// The conditions do not hold for the entry as it is.
    fn failed(&self, version: Option<Version>) -> Problem {
        let (kind, words) = match (self.conditions.judge(version), version) {
            (Verdict::Seen, _) => (ErrorKind::Exists, "is one that If-None-Match excludes"),
            (_, Some(_)) => (ErrorKind::Conflict, "is none that If-Match names"),
            (_, None) => (ErrorKind::Conflict, "is not there, and If-Match wants it to be"),
        };
        let key = key_text(self.key);
        let shown: String = key.chars().take(64).collect();
        let detail = format!("the entry of the key {shown:?} {words}: nothing was done");
        let problem = Problem::from(Error::new(kind, detail))
            .status(StatusCode::PRECONDITION_FAILED)
            .member("key", key);
        match version {
            Some(version) => problem.member("version", self.tag(version).to_string()),
            None => problem,
        }
    }

    fn tag(&self, version: Version) -> Etag {
        Etag { store_id: self.store_id, version }
    }
}

/// What a read has found.
struct Found {
    version: Version,
    expires_at_ms: Option<u64>,
    /// Left out where the conditions make it unneeded.
    content: Option<(Bytes, Kind)>,
}

async fn get(exchange: Exchange<'_>, request: &Request<'_>) -> Answer {
    let (conditions, mut found) = (&request.conditions, None);
    enter(exchange.session, None).await?;
    let show = |entry: Option<tresor::engine::EntryRef<'_>>| {
        found = entry.map(|entry| {
            let holds = conditions.judge(Some(entry.version)) == Verdict::Holds;
            let content = holds.then(|| (entry.value.to_bytes(), entry.kind));
            Found { version: entry.version, expires_at_ms: entry.expires_at_ms, content }
        });
    };
    let read = exchange.session.read(request.key, show).await;
    leave(exchange.session, None);
    read.map_err(|error| Problem::from(error).about(request.key))?;
    exchange.session.durable().await?;
    let version = found.as_ref().map(|found| found.version);
    match (request.conditions.judge(version), found) {
        (Verdict::Changed, _) => Err(request.failed(version)),
        (_, None) => Err(Problem::no_such_key()),
        (_, Some(Found { version, expires_at_ms, content })) => {
            let mut response = match content {
                Some((value, kind)) => raw_value(value, kind).await?,
                None => not_modified(),
            };
            let headers = response.headers_mut();
            insert_tag(headers, request.tag(version))?;
            insert_expires(headers, expires_at_ms);
            Ok(response)
        }
    }
}

fn not_modified() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

async fn put(mut exchange: Exchange<'_>, request: &Request<'_>, ttl: Option<Ttl>) -> Answer {
    let (value, kind) = read_value(&mut exchange, request.key).await?;
    let key = exchange.session.key(request.key)?;
    exchange.session.value_bytes(value.len())?;
    enter(exchange.session, None).await?;
    let expires = Ttl::expires(ttl, exchange.session.now_ms());
    let change = |guard: Guard| Change::Put { key, guard, value: &value, kind, expires };
    let written = request.conditions.write(exchange.session, change).await;
    let effect = match written_durably(&mut exchange, request, written).await? {
        Written::Done(effect) => effect,
        Written::Refused(version) => return Err(request.failed(version)),
    };
    let mut response = Response::new(Body::Empty);
    if !effect.existed {
        *response.status_mut() = StatusCode::CREATED;
    }
    insert_tag(response.headers_mut(), request.tag(effect.version))?;
    Ok(response)
}

async fn delete(mut exchange: Exchange<'_>, request: &Request<'_>) -> Answer {
    let key = exchange.session.key(request.key)?;
    enter(exchange.session, None).await?;
    let change = |guard: Guard| Change::Delete { key, guard };
    let written = request.conditions.write(exchange.session, change).await;
    match written_durably(&mut exchange, request, written).await? {
        Written::Done(effect) if effect.existed => Ok(Response::new(Body::Empty)),
        Written::Done(_) => Err(Problem::no_such_key()),
        Written::Refused(version) => Err(request.failed(version)),
    }
}

/// Leaves the gate and waits until what was written, or the state that refused it, is durable.
async fn written_durably(
    exchange: &mut Exchange<'_>,
    request: &Request<'_>,
    written: tresor::Result<Written>,
) -> Result<Written, Problem> {
    leave(exchange.session, None);
    let written = written.map_err(|error| Problem::from(error).about(request.key))?;
    exchange.session.durable().await?;
    Ok(written)
}

/// Tells the version, and that nobody may answer from a copy without asking whether it still is that.
pub(super) fn insert_tag(headers: &mut HeaderMap, tag: Etag) -> Result<(), Problem> {
    let tag = HeaderValue::from_str(&format!("\"{tag}\""))
        .map_err(|error| Error::new(ErrorKind::Internal, "the ETag is no header").caused_by(error))?;
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(())
}

/// Tells when the entry goes, to the second before it.
fn insert_expires(headers: &mut HeaderMap, expires_at_ms: Option<u64>) {
    let Some(moment_ms) = expires_at_ms.filter(|moment_ms| *moment_ms < YEAR_10000_MS) else { return };
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(moment_ms));
    if let Ok(date) = HeaderValue::from_str(&date) {
        headers.insert(header::EXPIRES, date);
    }
}
