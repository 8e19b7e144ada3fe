//! `/keys/{key}`: raw values, as they are stored.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tresor::engine::Kind;

use super::{
    access::media_type,
    body::Body,
    document::check_json,
    exchange::{Answer, Exchange, weigh},
    problem::Problem,
    query::{Parameters, decode_segment},
};

/// Answers a request for one key, whose encoded name is `segment`.
pub(super) async fn answer(mut exchange: Exchange<'_>, segment: &str) -> Answer {
    let parameters = Parameters::parse(exchange.parts.uri.query())?;
    let key = decode_segment(segment)?;
    exchange.session.select(parameters.database);
    match exchange.parts.method {
        Method::PUT => put(exchange, &key, parameters).await,
        Method::DELETE => {
            exchange.remove(&key).await?;
            Ok(Response::new(Body::Empty))
        }
        _ => {
            let (value, kind) = exchange.load(&key).await?;
            raw_value(value, kind).await
        }
    }
}

/// The value with its type. Whatever was stored, a browser must not run it as a page of this server.
pub(super) async fn raw_value(value: Bytes, kind: Kind) -> Answer {
    let content_type = match kind {
        Kind::Json => "application/json",
        Kind::Raw | Kind::Packed => {
            let text = value.clone();
            match weigh(value.len(), move || std::str::from_utf8(&text).is_ok()).await? {
                true => "text/plain; charset=utf-8",
                false => "application/octet-stream",
            }
        }
    };
    let mut response = Response::new(Body::Full(value));
    let headers = response.headers_mut();
    headers.reserve(3);
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

async fn put(mut exchange: Exchange<'_>, key: &[u8], parameters: Parameters) -> Answer {
    let (value, kind) = read_value(&mut exchange, key).await?;
    let is_new = exchange.store(key, (&value, kind), parameters.ttl).await?;
    let mut response = Response::new(Body::Empty);
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// Reads a body that is the value of `key`, and its kind.
pub(super) async fn read_value(exchange: &mut Exchange<'_>, key: &[u8]) -> Result<(Bytes, Kind), Problem> {
    let headers = &exchange.parts.headers;
    check_whole(headers)?;
    let kind = match media_type(headers).as_deref() {
        Some("application/json") => Kind::Json,
        _ => Kind::Raw,
    };
    exchange.session.key(key)?;
    let limit = exchange.database.config().max_value_bytes;
    let value = exchange.read_body(limit).await?;
    if kind == Kind::Json {
        let text = value.clone();
        weigh(value.len(), move || check_json(&text)).await??;
    }
    Ok((value, kind))
}

/// Refuses bodies that are not the value itself: compressed ones and parts of one. Stored as they
/// come, they would be read back as something else.
pub(super) fn check_whole(headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(coding) = headers.get(header::CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let detail = "send the value itself: Content-Encoding is not taken here";
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
        return Err(problem.with(header::ACCEPT_ENCODING, "identity"));
    }
    if headers.contains_key(header::CONTENT_RANGE) {
        let detail = "send the whole value: Content-Range is not taken here";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    Ok(())
}
