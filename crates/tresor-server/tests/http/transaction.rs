//! A transaction as a client of HTTP has it: an id, and requests under it.

use std::time::Duration;

use serde_json::Value;
use tresor::{Config, config::TransactionLimits};

use crate::{
    client::{Answer, Client, request},
    running::{Running, Setup},
};

pub(crate) const JSON: &str = "Content-Type: application/json";

/// A begun transaction and a connection to use it over.
pub(crate) struct Transaction {
    pub(crate) client: Client,
    pub(crate) id: String,
}

impl Transaction {
    pub(crate) fn begin(server: &Running) -> Self {
        Self::begin_with(server, b"")
    }

    pub(crate) fn begin_with(server: &Running, body: &[u8]) -> Self {
        let mut client = server.client();
        let answer = client.request("POST", "/v1/transactions", &[JSON], body);
        assert_eq!(answer.status, 201, "{}", answer.text());
        let id = document(&answer)["transaction_id"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("location"), format!("/v1/transactions/{id}"));
        assert_eq!(answer.header("cache-control"), "no-store");
        Self { client, id }
    }

    /// The number in its id.
    pub(crate) fn number(&self) -> u64 {
        self.id.split_once('-').unwrap().0.parse().unwrap()
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/transactions/{}{rest}", self.id)
    }

    pub(crate) fn ask(&mut self, method: &str, rest: &str, body: &[u8]) -> Answer {
        let path = self.path(rest);
        let headers: &[&str] = if method == "POST" { &[JSON] } else { &[] };
        self.client.request(method, &path, headers, body)
    }

    pub(crate) fn put(&mut self, key: &str, value: &str) -> u16 {
        self.ask("PUT", &format!("/keys/{key}"), value.as_bytes()).status
    }

    /// A put whose answer is not waited for; [`answer`](Self::answer) is.
    pub(crate) fn send_put(&mut self, key: &str, value: &str) {
        let bytes = request("PUT", &self.path(&format!("/keys/{key}")), &[], value.as_bytes());
        assert!(self.client.send(&bytes));
    }

    pub(crate) fn answer(&mut self) -> Answer {
        self.client.answer_to("PUT").expect("an answer")
    }

    pub(crate) fn get(&mut self, key: &str) -> Answer {
        self.ask("GET", &format!("/keys/{key}"), b"")
    }

    pub(crate) fn commit(&mut self) -> u16 {
        self.ask("POST", "/commit", b"").status
    }
}

/// The JSON of an answer.
pub(crate) fn document(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("the answer is JSON")
}

/// That an answer is a problem of this kind, and its document.
pub(crate) fn problem(answer: &Answer, status: u16, kind: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let document = document(answer);
    assert_eq!(document["type"], format!("urn:tresor:error:{kind}"), "{document}");
    assert_eq!(document["status"], status);
    assert!(["title", "detail"].iter().all(|member| document[member].is_string()), "{document}");
    document
}

/// A server whose transactions have these limits.
pub(crate) fn limited(limits: TransactionLimits) -> Running {
    Setup { config: Config { transactions: limits, ..Config::memory() }, ..Setup::default() }.start()
}

/// A server on which waiting for a lock takes as long as it needs.
pub(crate) fn patient() -> Running {
    limited(TransactionLimits { lock_wait: Duration::from_secs(60), ..TransactionLimits::default() })
}

/// Blocks until so many requests wait for a lock.
pub(crate) fn wait_for_waiters(server: &Running, waiters: u64) {
    tresor_testkit::deadline::wait_until("requests that wait for a lock", || {
        server.database.transaction_figures().waiting == waiters
    });
}
