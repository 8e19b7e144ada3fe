//! `/kv`: keys and values as JSON, and the listing that `/keys` shares.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tresor::{Error, engine::Kind};

use super::{
    access::media_type,
    body::{Body, EntryDocument},
    document::{self, Put},
    exchange::{Answer, Exchange, weigh},
    keys::check_whole,
    problem::Problem,
    query::{Lookup, Parameters},
};
use crate::{
    json::{ValuePieces, write_key},
    listing::{Listing, View},
};

/// Values up to this many bytes are answered in one piece, with their length.
const WHOLE_ANSWER_BYTES: usize = 16 * 1024;

/// What a document may be longer than the value in it: the key, escaped, and the rest.
const DOCUMENT_BYTES: usize = 256 * 1024;

/// Answers a request to `/kv`.
pub(super) async fn answer(exchange: Exchange<'_>) -> Answer {
    match exchange.parts.method {
        Method::PUT => put(exchange).await,
        Method::DELETE => delete(exchange).await,
        _ => get(exchange).await,
    }
}

async fn get(mut exchange: Exchange<'_>) -> Answer {
    let lookup = Lookup::parse(exchange.parts.uri.query())?;
    let Some(key) = lookup.key else { return list_committed(&exchange, lookup.database).await };
    exchange.session.select(lookup.database);
    let (value, kind) = exchange.load(&key).await?;
    Ok(entry(&key, value, kind, StatusCode::OK))
}

/// Answers with all entries of a database that are committed.
pub(super) async fn list_committed(exchange: &Exchange<'_>, database: u8) -> Answer {
    list(View::Committed(exchange.database.session(exchange.worker)), database).await
}

/// Answers with all entries of a database: one JSON object in key order.
pub(super) async fn list(view: View, database: u8) -> Answer {
    Ok(listing(Listing::start(view, database).await?))
}

pub(super) fn listing(listing: Listing) -> Response<Body> {
    json(Body::Listing(Box::new(listing)), StatusCode::OK)
}

async fn put(mut exchange: Exchange<'_>) -> Answer {
    let parameters = Parameters::parse(exchange.parts.uri.query())?;
    check_type(&exchange.parts.headers)?;
    let body = read_document(&mut exchange).await?;
    let mut put = weigh(body.len(), move || Put::parse(&body)).await??;
    if put.ttl.is_some() && parameters.ttl.is_some() {
        return Err(Error::invalid("ttl is both in the body and in the query: say it once").into());
    }
    put.ttl = put.ttl.or(parameters.ttl);
    exchange.session.select(parameters.database);
    let is_new = exchange.store(&put.key, (&put.value, put.kind), put.ttl).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(entry(&put.key, put.value, put.kind, status))
}

async fn delete(mut exchange: Exchange<'_>) -> Answer {
    let parameters = Parameters::parse(exchange.parts.uri.query())?;
    check_type(&exchange.parts.headers)?;
    let body = read_document(&mut exchange).await?;
    let key = document::parse_key_document(&body)?;
    exchange.session.select(parameters.database);
    exchange.remove(&key).await?;
    Ok(Response::new(Body::Empty))
}

/// Reads a body that holds a value, escaped or in base64, and its key, or several of both as large together.
pub(super) async fn read_document(exchange: &mut Exchange<'_>) -> Result<bytes::Bytes, Problem> {
    let limit = exchange.database.config().max_value_bytes.saturating_mul(2).saturating_add(DOCUMENT_BYTES);
    exchange.read_body(limit).await
}

/// Refuses types that are not JSON; forms are taken for JSON, because `curl -d` says so of any data.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    check_whole(headers)?;
    match media_type(headers).as_deref() {
        None | Some("application/json" | "application/x-www-form-urlencoded") => Ok(()),
        Some(_) => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON: send Content-Type: application/json, or use /keys for raw values",
        )),
    }
}

/// An entry as `{"key":…,"value":…}`.
pub(super) fn entry(key: &[u8], value: bytes::Bytes, kind: Kind, status: StatusCode) -> Response<Body> {
    let mut opening = Vec::with_capacity(key.len() + value.len().min(WHOLE_ANSWER_BYTES) + 32);
    opening.extend_from_slice(b"{\"key\":");
    write_key(&mut opening, key);
    opening.extend_from_slice(b",\"value\":");
    if value.len() > WHOLE_ANSWER_BYTES {
        let value = ValuePieces::new(kind, value);
        return json(Body::Entry(Box::new(EntryDocument { opening, value })), status);
    }
    ValuePieces::new(kind, value).write_all(&mut opening);
    opening.push(b'}');
    json(Body::Full(opening.into()), status)
}

pub(super) fn json(body: Body, status: StatusCode) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
