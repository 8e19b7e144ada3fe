//! The rows of the `/keys` table.

use std::sync::Arc;

use tresor::{Config, Database};
use tresor_testkit::{LaterEngine, ModelEngine, TemporaryDirectory};

use crate::{
    running::{Running, Setup, server},
    table::{row, run},
};

const TEXT: &[&str] = &[
    "content-type: text/plain; charset=utf-8",
    "x-content-type-options: nosniff",
    "content-security-policy: sandbox",
];
const BYTES: &[&str] = &[
    "content-type: application/octet-stream",
    "x-content-type-options: nosniff",
    "content-security-policy: sandbox",
];
const JSON: &[&str] = &[
    "content-type: application/json",
    "x-content-type-options: nosniff",
    "content-security-policy: sandbox",
];
const AS_JSON: &[&str] = &["Content-Type: application/json"];

#[test]
fn every_row_of_the_table() {
    every_row(&server());
}

/// An engine whose answers all come later is answered through in the same words.
#[test]
fn every_row_over_an_engine_that_answers_later() {
    let engine = LaterEngine::new(Arc::new(ModelEngine::new()));
    every_row(&Setup { engine: Arc::new(engine), ..Setup::default() }.start());
}

/// The memory engine, with a log that has to be on disk before anything is answered.
#[test]
fn every_row_over_a_durable_store() {
    let directory = TemporaryDirectory::new("http-durable");
    let config = Config::at(directory.path());
    let database = Database::open(config.clone()).unwrap();
    every_row(&Setup { engine: database.engine().clone(), config, ..Setup::default() }.start());
    database.close().unwrap();
    // What was answered is there after a restart.
    let database = Database::open(Config::at(directory.path())).unwrap();
    assert_eq!(database.read("b").unwrap().as_bytes(), b"\xff\x00");
    assert_eq!(database.get("k").unwrap(), None);
}

fn every_row(server: &Running) {
    run(
        server,
        &[
            row("GET", "/keys/k", b"", 404),
            row("HEAD", "/keys/k", b"", 404),
            row("PUT", "/keys/k", b"value", 201).answers(b""),
            row("PUT", "/keys/k", b"value two", 200).answers(b"").has(&["content-length: 0"]),
            row("GET", "/keys/k", b"", 200).has(TEXT).answers(b"value two"),
            row("HEAD", "/keys/k", b"", 200).has(TEXT).has(&["content-length: 9"]).answers(b""),
            row("DELETE", "/keys/k", b"", 200).answers(b""),
            row("DELETE", "/keys/k", b"", 404),
            row("GET", "/keys/k", b"", 404),
            row("GET", "/keys", b"", 200).answers(b"{}"),
            row("PUT", "/keys/empty", b"", 201),
            row("GET", "/keys/empty", b"", 200).has(TEXT).answers(b""),
            row("PUT", "/keys/b", b"\xff\x00", 201),
            row("GET", "/keys/b", b"", 200).has(BYTES).answers(b"\xff\x00"),
            row("PUT", "/keys/j", b" {\"a\": 1.0}\n", 201).headers(AS_JSON),
            row("GET", "/keys/j", b"", 200).has(JSON).answers(b" {\"a\": 1.0}\n"),
            row("PUT", "/keys/j", b"{", 400).headers(AS_JSON),
            row("PUT", "/keys/j", b"", 400).headers(AS_JSON),
            row("PUT", "/keys/j", b"\"\xff\"", 400).headers(AS_JSON),
            row("GET", "/keys/j", b"", 200).answers(b" {\"a\": 1.0}\n"),
            row("PUT", "/keys/j", b"{", 200).headers(&["Content-Type: text/html"]),
            row("GET", "/keys/j", b"", 200).has(TEXT).answers(b"{"),
            row("PUT", "/keys/x", b"v", 400).headers(&["Content-Range: bytes 0-0/5"]),
            row("PUT", "/keys/x", b"v", 415).headers(&["Content-Encoding: gzip"]),
        ],
    );
}

#[test]
fn keys_are_percent_encoded_bytes() {
    run(
        &server(),
        &[
            row("GET", "/keys/", b"", 404),
            row("PUT", "/keys/", b"v", 404),
            row("PUT", "/keys/a/b", b"v", 404),
            row("PUT", "/keys/a%2Fb", b"slash", 201),
            row("GET", "/keys/a%2fb", b"", 200).answers(b"slash"),
            row("PUT", "/keys/%00", b"nul", 201),
            row("GET", "/keys/%00", b"", 200).answers(b"nul"),
            row("PUT", "/keys/..", b"dots", 201),
            row("GET", "/keys/%2e%2e", b"", 200).answers(b"dots"),
            row("PUT", "/keys/%C3%A9", b"e", 201),
            row("GET", "/keys/%c3%a9", b"", 200).answers(b"e"),
            row("GET", "/keys/%", b"", 400),
            row("GET", "/keys/%4", b"", 400),
            row("GET", "/keys/%gg", b"", 400),
            row("PUT", "/keys/%e9", b"latin", 201),
            row("GET", "/keys/%E9", b"", 200).answers(b"latin"),
            row("GET", "/keys", b"", 200).answers(
                "{\"\\u0000\":\"nul\",\"..\":\"dots\",\"a/b\":\"slash\",\"\u{e9}\":\"e\",\"base64:6Q==\":\"latin\"}"
                    .as_bytes(),
            ),
        ],
    );
}

#[test]
fn databases_and_times_to_live() {
    run(
        &server(),
        &[
            row("PUT", "/keys/k?db=3", b"three", 201),
            row("GET", "/keys/k", b"", 404),
            row("GET", "/keys/k?db=3", b"", 200).answers(b"three"),
            row("DELETE", "/keys/k?db=2", b"", 404),
            row("DELETE", "/keys/k?db=3", b"", 200),
            row("GET", "/keys/k?db=16", b"", 400),
            row("GET", "/keys/k?db=", b"", 400),
            row("PUT", "/keys/k?ttl=0", b"v", 400),
            row("PUT", "/keys/k?ttl=-1", b"v", 400),
            row("PUT", "/keys/k?ttl=x", b"v", 400),
            row("PUT", "/keys/k?ttl=inf", b"v", 400),
            row("PUT", "/keys/k?ttl=100", b"v", 201),
            row("GET", "/keys/k", b"", 200),
        ],
    );
}

#[test]
fn an_entry_with_a_time_to_live_goes() {
    let server = server();
    let mut client = server.client();
    for (method, target, body) in [
        ("PUT", "/keys/k?ttl=0.05", &b"v"[..]),
        ("PUT", "/kv", br#"{"key":"k","value":"v","ttl":0.05}"#),
        ("PUT", "/kv?ttl=0.05", br#"{"key":"k","value":"v"}"#),
    ] {
        assert_eq!(client.request(method, target, &[], body).status, 201, "{target}");
        tresor_testkit::deadline::wait_until("the entry to expire", || {
            client.request("GET", "/keys/k", &[], b"").status == 404
        });
    }
}

#[test]
fn a_large_value_goes_in_and_out() {
    let server = server();
    let mut client = server.client();
    let value: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    assert_eq!(client.request("PUT", "/keys/large", &[], &value).status, 201);
    let answer = client.request("GET", "/keys/large", &[], b"");
    assert_eq!(answer.header("content-length"), "3000000");
    assert!(answer.body == value);
    let json = client.request("GET", "/kv?large", &[], b"");
    let parsed: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!(parsed["value"]["base64"].as_str().unwrap().len(), 4_000_000);
    assert_eq!(client.request("PUT", "/kv", &[], parsed.to_string().as_bytes()).status, 200);
    assert!(client.request("GET", "/keys/large", &[], b"").body == value);
}
