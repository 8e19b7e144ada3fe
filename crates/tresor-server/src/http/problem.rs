//! Errors as HTTP says them: a status and an `application/problem+json` document (RFC 9457).
//!
//! The one table from [`ErrorKind`] to a status. What is wrong with the request itself rather than
//! with the store has the type `about:blank`, whose title is the status's own phrase. Members of their
//! own (`key`, `index`, `reason`) say what a conflict was about.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::Value;
use tresor::{Error, ErrorKind, reply::error_text};

use super::body::Body;
use crate::json::key_text;

/// An answer that says what went wrong.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: Option<ErrorKind>,
    detail: String,
    headers: Vec<(HeaderName, &'static str)>,
    members: Vec<(&'static str, Value)>,
}

impl Problem {
    /// A problem with the request; `detail` names the thing and the way out.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, kind: None, detail: detail.into(), headers: Vec::new(), members: Vec::new() }
    }

    /// There is no such key.
    pub(super) fn no_such_key() -> Self {
        Error::new(ErrorKind::NotFound, "there is no such key").into()
    }

    /// Adds a header to the answer.
    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a member to the document.
    pub(super) fn member(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// Says which line of the body it is about.
    pub(super) fn at_line(mut self, line: u64) -> Self {
        self.detail = format!("line {line}: {}", self.detail);
        self.member("line", line)
    }

    /// The same problem with another status than its kind has elsewhere.
    pub(super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Names the key that was waited for, if the problem is that waiting came to nothing.
    pub(super) fn about(self, key: &[u8]) -> Self {
        if self.is_about_locks() { self.member("key", key_text(key)) } else { self }
    }

    /// The same for clients that look for Redis's words in a member `error`.
    pub(super) fn with_reply_text(self) -> Self {
        let text = match self.kind {
            Some(kind) => error_text(&Error::new(kind, self.detail.clone())),
            None => format!("ERR {}", self.detail),
        };
        self.member("error", text)
    }

    /// Whether somebody else's lock is what went wrong.
    pub(super) fn is_about_locks(&self) -> bool {
        matches!(self.kind, Some(ErrorKind::Deadlock | ErrorKind::LockTimeout))
    }

    /// Closes the connection after the answer: what follows on it cannot be trusted, or is not wanted.
    pub(super) fn closing(self) -> Self {
        self.with(header::CONNECTION, "close")
    }

    /// The error that ends all promises, if it is that.
    pub(super) fn poison(&self) -> Option<Error> {
        (self.kind == Some(ErrorKind::Poisoned)).then(|| Error::new(ErrorKind::Poisoned, self.detail.clone()))
    }

    fn document(&self) -> Bytes {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let (kind, title) = match self.kind {
            Some(kind) => (format!("urn:tresor:error:{kind:?}"), title),
            None => ("about:blank".to_owned(), title),
        };
        let mut document = serde_json::json!({
            "type": kind, "title": title, "status": self.status.as_u16(), "detail": self.detail,
        });
        for (name, value) in &self.members {
            document[*name] = value.clone();
        }
        document.to_string().into()
    }

    /// The answer.
    pub(super) fn into_response(self) -> Response<Body> {
        let document = self.document();
        let mut response = Response::new(Body::Full(document));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in self.headers {
            headers.append(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = error.kind();
        let problem = Self {
            status: status_of(kind),
            kind: Some(kind),
            detail: error.to_string(),
            headers: Vec::new(),
            members: Vec::new(),
        };
        if kind == ErrorKind::LockTimeout { problem.with(header::RETRY_AFTER, "1") } else { problem }
    }
}

fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound | ErrorKind::UnknownTransaction => StatusCode::NOT_FOUND,
        ErrorKind::Exists | ErrorKind::NothingToUndo | ErrorKind::Deadlock | ErrorKind::LockTimeout => {
            StatusCode::CONFLICT
        }
        ErrorKind::Conflict => StatusCode::PRECONDITION_FAILED,
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::OutOfMemory | ErrorKind::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Unavailable | ErrorKind::Poisoned => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::UnknownOutcome => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
