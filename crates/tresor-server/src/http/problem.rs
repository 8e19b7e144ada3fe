//! Errors as HTTP says them: a status and an `application/problem+json` document (RFC 9457).
//!
//! The one table from [`ErrorKind`] to a status. What is wrong with the request itself rather than
//! with the store has the type `about:blank`, whose title is the status's own phrase.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use tresor::{Error, ErrorKind};

use super::body::Body;

/// An answer that says what went wrong.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: Option<ErrorKind>,
    detail: String,
    headers: Vec<(HeaderName, &'static str)>,
}

impl Problem {
    /// A problem with the request; `detail` names the thing and the way out.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, kind: None, detail: detail.into(), headers: Vec::new() }
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
        let document = serde_json::json!({
            "type": kind, "title": title, "status": self.status.as_u16(), "detail": self.detail,
        });
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
