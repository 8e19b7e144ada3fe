//! `/livez` and `/readyz`: whether the process answers, and whether it can do its work.
//!
//! Plain text in the manner of Kubernetes: `ok`, or one line a check where one fails or is asked for.

use http::{HeaderValue, Response, StatusCode, header};

use super::{
    body::Body,
    exchange::{Answer, Exchange},
};

/// Answers `/livez`: the process runs.
pub(super) fn live() -> Answer {
    Ok(text(StatusCode::OK, "ok".to_owned()))
}

/// Answers `/readyz`: the engine answers and the server is not stopping.
pub(super) async fn ready(exchange: Exchange<'_>) -> Answer {
    let is_verbose = exchange
        .parts
        .uri
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("verbose")));
    let engine = exchange.database.engine();
    let name = engine.capabilities().name;
    let checks = [
        ("engine", engine.status().await.map(|_| format!("{name} ok")).map_err(|error| error.to_string())),
        (
            "server",
            match exchange.shared.stopper.stopping() {
                true => Err("stopping".to_owned()),
                false => Ok("ok".to_owned()),
            },
        ),
    ];
    let is_ready = checks.iter().all(|(_, outcome)| outcome.is_ok());
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if is_ready && !is_verbose {
        return Ok(text(status, "ok".to_owned()));
    }
    let mut lines = String::new();
    for (check, outcome) in checks {
        let (sign, words) = match outcome {
            Ok(words) => ('+', words),
            Err(words) => ('-', words),
        };
        lines.push_str(&format!("[{sign}]{check} {words}\n"));
    }
    lines.push_str(if is_ready { "readyz check passed\n" } else { "readyz check failed\n" });
    Ok(text(status, lines))
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::Full(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
