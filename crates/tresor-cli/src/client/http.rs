//! One HTTP client for all of them: address, password, and errors in plain words.

use std::{fmt::Write as _, time::Duration};

use serde::Deserialize;
use ureq::{
    Agent, Body,
    http::{Request, Response, StatusCode},
};

use crate::{
    arguments::ServerOptions,
    failure::{Failure, Outcome},
};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of an error's body is shown.
const SHOWN_ERROR_BYTES: u64 = 4096;

/// A server to talk to.
pub(crate) struct Client {
    agent: Agent,
    server: String,
    authorization: Option<String>,
}

/// What the server said to a request that it understood.
pub(crate) enum Answer {
    /// It did it.
    Done(Response<Body>),
    /// The key is not there.
    Absent,
}

impl Client {
    /// A client for the server that the options name.
    pub(crate) fn new(options: &ServerOptions) -> Outcome<Self> {
        let server = options.server.trim_end_matches('/').to_owned();
        if !server.starts_with("http://") {
            return Err(Failure::usage(format!(
                "--server {server}: give an address such as http://127.0.0.1:8080"
            )));
        }
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .user_agent(concat!("tresor/", env!("CARGO_PKG_VERSION")))
            .build();
        let authorization = options.credentials.password()?.map(|password| format!("Bearer {password}"));
        Ok(Self { agent: config.new_agent(), server, authorization })
    }

    /// Sends a request with a body (empty for none) and sorts the answer.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Outcome<Answer> {
        let response = self.exchange(method, path, headers, body)?;
        match response.status() {
            status if status.is_success() => Ok(Answer::Done(response)),
            StatusCode::NOT_FOUND => Ok(Answer::Absent),
            _ => Err(refused(response)),
        }
    }

    /// Sends a request and returns the answer, whatever its status.
    pub(crate) fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Outcome<Response<Body>> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.server));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let request = request
            .body(body)
            .map_err(|error| Failure::usage(format!("--server {}: {error}", self.server)))?;
        let sent = if body.is_empty() && method != "PUT" {
            self.agent.run(request.map(|_| ()))
        } else {
            self.agent.run(request)
        };
        sent.map_err(|error| {
            Failure::failed(format!(
                "no answer from {}: {error}. Is the server running? Start it with `tresor serve`, or name it with --server",
                self.server
            ))
        })
    }
}

/// What the server said about a request that it did not do.
pub(super) fn refused(mut response: Response<Body>) -> Failure {
    let status = response.status();
    let body =
        response.body_mut().with_config().limit(SHOWN_ERROR_BYTES).read_to_string().unwrap_or_default();
    let problem: Option<serde_json::Value> = serde_json::from_str(&body).ok();
    let detail =
        problem.as_ref().and_then(|problem| problem["detail"].as_str().or(problem["title"].as_str()));
    let way_out =
        if status == StatusCode::UNAUTHORIZED { "; give --password or --password-file" } else { "" };
    Failure::failed(format!("the server answered {status}: {}{way_out}", detail.unwrap_or(body.trim())))
}

/// The whole body of an answer, of any size.
pub(super) fn read_whole(mut response: Response<Body>) -> Outcome<Vec<u8>> {
    let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec();
    body.map_err(|error| Failure::failed(format!("the answer broke off: {error}")))
}

/// What an answer says in JSON.
pub(super) fn read_json<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Outcome<T> {
    serde_json::from_slice(text)
        .map_err(|error| Failure::failed(format!("the answer is not what it should be: {error}")))
}

/// The path of a key under `/keys`.
pub(crate) fn key_path(key: &str) -> Outcome<String> {
    if key.is_empty() {
        return Err(Failure::usage("the empty key has no path; over HTTP it is reachable as /kv?key="));
    }
    let path = format!("/keys/{}", segment(key));
    // Clients take these two for steps in a path, escaped or not.
    if matches!(key, "." | "..") {
        return Err(Failure::usage(format!(
            "the key `{key}` has no path; over HTTP it is reachable as /kv?key={key}"
        )));
    }
    Ok(path)
}

/// A word as one segment of a path.
pub(super) fn segment(word: &str) -> String {
    let mut segment = String::new();
    for byte in word.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(byte as char);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::key_path;

    #[test]
    fn keys_become_one_path_segment() {
        assert_eq!(key_path("user:1/ä b").unwrap(), "/keys/user%3A1%2F%C3%A4%20b");
        assert!(key_path("").is_err());
        assert!(key_path("..").is_err());
    }
}
