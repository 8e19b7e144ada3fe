//! `/openapi.json`, and the check of answers against it: good ones pass, and each kind of wrong one is noticed.

use crate::{
    client::Answer,
    described::{DOCUMENT, check},
    running::server,
};

/// An answer with these headers.
fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Answer { status, headers, body: body.into() }
}

#[test]
fn good_answers_pass() {
    let json = ("content-type", "application/json");
    let problem = ("content-type", "application/problem+json");
    let lost = r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"x"}"#;
    for (method, target, good) in [
        ("GET", "/kv?k", answer(200, &[json], r#"{"key":"k","value":[1]}"#)),
        ("GET", "/nothing", answer(404, &[problem], lost)),
        ("HEAD", "/keys/k", answer(404, &[problem], "")),
        ("DELETE", "/keys/a%2Fb", answer(200, &[], "")),
        ("POST", "/v1/shards/rebalance", answer(202, &[json], SHARDS)),
        ("GET", "/v1/entries/k", answer(304, &[("etag", "\"0-0\"")], "")),
    ] {
        assert_eq!(check(method, target, &good), Ok(()), "{method} {target}");
    }
}

const SHARDS: &str = r#"{"shards":[],"move":{"moving":false,"keys":0,"expected_keys":0,"bytes":0,"elapsed_ms":0,
    "keys_per_second":0}}"#;

#[test]
fn wrong_answers_are_noticed() {
    let json = ("content-type", "application/json");
    let problem = ("content-type", "application/problem+json");
    let etag = ("etag", "\"0-0\"");
    let entry = r#"{"key":"k","value":1}"#;
    let lost = r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"x"}"#;
    for (method, target, wrong, complaint) in [
        ("GET", "/kv", answer(204, &[], ""), "204 is not among"),
        ("GET", "/kv", answer(200, &[("content-type", "text/html")], ""), "\"text/html\" is not among"),
        ("GET", "/kv", answer(200, &[], ""), "\"\" is not among"),
        ("GET", "/kv", answer(200, &[json], "[]"), "EntryOrEntries"),
        ("GET", "/kv", answer(200, &[json], "{"), "no JSON"),
        ("PUT", "/kv", answer(201, &[json], r#"{"key":"k"}"#), "\"value\" is a required"),
        ("PUT", "/kv", answer(201, &[json], r#"{"key":"k","value":1,"x":2}"#), "'x'"),
        ("PUT", "/kv", answer(201, &[json, etag], entry), "ETag is not described"),
        ("DELETE", "/kv", answer(200, &[json], entry), "where nothing is described"),
        ("GET", "/v1/entries/k", answer(200, &[json], "1"), "ETag is missing"),
        ("GET", "/nothing", answer(200, &[json], "1"), "200 where nothing is described"),
        ("PATCH", "/kv", answer(404, &[problem], lost), "404 where nothing is described"),
        ("GET", "/keys/k", answer(404, &[json], lost), "\"application/json\" is not among"),
        ("GET", "/keys/k", answer(400, &[problem], lost), "a problem of status 404"),
        ("GET", "/keys/k", answer(404, &[problem], r#"{"status":404}"#), "\"detail\" is a required"),
        ("POST", "/v1/command", answer(200, &[json], r#"{"result":{"a":1}}"#), "Result"),
    ] {
        let noticed = check(method, target, &wrong).expect_err(complaint);
        assert!(noticed.contains(complaint), "{noticed:?} does not say {complaint:?}");
    }
}

#[test]
fn the_server_tells_the_document() {
    let server = server();
    let answer = server.client().request("GET", "/openapi.json", &[], b"");
    assert_eq!((answer.status, answer.text()), (200, tresor_server::openapi_document()));
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters")
        {
            assert!(operation["responses"].get("400").is_some(), "{method} {path}");
        }
    }
}
