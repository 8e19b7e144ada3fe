//! CORS: what pages of the origins that `--cors-origin` names are told, and may read.
//!
//! Without that option no answer says a word of this, and a browser keeps every page of another origin out. The
//! password stays in the page's hands: it goes into the Authorization header, and cookies play no part, so no
//! answer allows credentials. Which origin may ask at all is decided in `access.rs`.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};

use super::{access::Hosts, body::Body, route::Route};

/// Headers of answers that a page may read besides those that any may.
const READABLE: HeaderValue = HeaderValue::from_static("ETag, Location, Retry-After, WWW-Authenticate");

/// How many seconds a browser may go by an answer to its question.
const REMEMBERED_SECONDS: HeaderValue = HeaderValue::from_static("600");

/// The answer to a browser that asks whether a page of another origin may send a request; `None` if it is
/// no such question. The sender has been checked.
pub(super) fn preflight(hosts: &Hosts, route: Route, parts: &Parts) -> Option<Response<Body>> {
    let asks = parts.method == Method::OPTIONS
        && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && route != Route::Unknown;
    if !asks || !is_foreign(hosts, &parts.headers) {
        return None;
    }
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(route.methods()));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED_SECONDS);
    if let Some(wanted) = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    Some(response)
}

/// Lets a page of an origin that may ask read the answer.
pub(super) fn share(hosts: &Hosts, request: &HeaderMap, answer: &mut HeaderMap) {
    if !hosts.have_origins() {
        return;
    }
    // Caches must not give one origin's answer to another.
    answer.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = request.get(header::ORIGIN).filter(|origin| hosts.admit_origin(origin)) {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, READABLE);
    }
}

fn is_foreign(hosts: &Hosts, headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| hosts.admit_origin(origin))
}
