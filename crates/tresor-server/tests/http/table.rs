//! Rows of requests and answers, run in order over one connection.

use crate::running::Running;

/// A request and what is promised of its answer.
pub(crate) struct Row {
    pub(crate) request: (&'static str, &'static str),
    pub(crate) headers: &'static [&'static str],
    pub(crate) body: &'static [u8],
    pub(crate) status: u16,
    /// Headers that the answer has, as `name: value`.
    pub(crate) has: &'static [&'static str],
    /// The whole body; `None` for whatever it is.
    pub(crate) answer: Option<&'static [u8]>,
}

/// A row without headers, to be changed from.
pub(crate) const fn row(method: &'static str, target: &'static str, body: &'static [u8], status: u16) -> Row {
    Row { request: (method, target), headers: &[], body, status, has: &[], answer: None }
}

impl Row {
    pub(crate) const fn headers(self, headers: &'static [&'static str]) -> Self {
        Self { headers, ..self }
    }

    pub(crate) const fn has(self, has: &'static [&'static str]) -> Self {
        Self { has, ..self }
    }

    pub(crate) const fn answers(self, answer: &'static [u8]) -> Self {
        Self { answer: Some(answer), ..self }
    }
}

/// Runs all rows and tells of every one that fails.
pub(crate) fn run(server: &Running, rows: &[Row]) {
    let mut client = server.client();
    let mut failures = Vec::new();
    for row in rows {
        let (method, target) = row.request;
        let answer = client.request(method, target, row.headers, row.body);
        let mut wrong = Vec::new();
        if answer.status != row.status {
            wrong.push(format!("status {} instead of {}", answer.status, row.status));
        }
        for header in row.has {
            let (name, value) = header.split_once(": ").unwrap();
            if answer.header(name) != value {
                wrong.push(format!("{name}: {:?} instead of {value:?}", answer.header(name)));
            }
        }
        if let Some(expected) = row.answer.filter(|expected| *expected != answer.body) {
            let expected = String::from_utf8_lossy(expected);
            wrong.push(format!("body {:?} instead of {expected:?}", String::from_utf8_lossy(&answer.body)));
        }
        wrong.extend(problem_is_wrong(method, &answer));
        if answer.header("connection") == "close" {
            client = server.client();
        }
        if !wrong.is_empty() {
            let body = String::from_utf8_lossy(row.body);
            failures.push(format!("{method} {target} {body}: {}", wrong.join(", ")));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// Every error is a problem document that repeats its status.
fn problem_is_wrong(method: &str, answer: &crate::client::Answer) -> Option<String> {
    if answer.status < 400 || method == "HEAD" {
        return None;
    }
    let document: serde_json::Value = match serde_json::from_slice(&answer.body) {
        Ok(document) => document,
        Err(error) => return Some(format!("no problem document: {error}")),
    };
    let whole = answer.header("content-type") == "application/problem+json"
        && document["status"] == answer.status
        && ["type", "title", "detail"].iter().all(|member| document[member].is_string());
    (!whole).then(|| format!("not a whole problem: {} {document}", answer.header("content-type")))
}
