//! `POST /v1/batch`: guards that hold and that fail, bad requests with exact answers, and limits.

use serde_json::{Value, json};
use tresor::Config;

use crate::{
    batch::{results, send},
    running::{Setup, server},
    transaction::{JSON, document, problem},
};

#[test]
fn a_guard_that_fails_names_key_place_and_reason_and_nothing_is_done() {
    let server = server();
    let mut client = server.client();
    let first = results(&mut client, &json!([{ "op": "put", "key": "there", "value": 1 }]))[0].clone();
    let second = results(&mut client, &json!([{ "op": "put", "key": "there", "value": 2 }]))[0].clone();
    let (old, new) = (&first["version"], &second["version"]);
    let foreign = format!("ffffffffffffffff-{}", new.as_str().unwrap().split_once('-').unwrap().1);
    let absent = Value::Null;
    let rows = [
        (json!({ "op": "put", "key": "there", "value": 3, "if": "absent" }), "exists", new),
        (json!({ "op": "check", "key": "there", "if": "absent" }), "exists", new),
        (json!({ "op": "delete", "key": "there", "if": { "version": old } }), "changed", new),
        (json!({ "op": "expire", "key": "there", "ttl": 1, "if": { "version": foreign } }), "changed", new),
        (json!({ "op": "put", "key": "\u{ff}", "value": 3, "if": "present" }), "absent", &absent),
        (json!({ "op": "delete", "key": "base64:/w==", "if": "present" }), "absent", &absent),
        (json!({ "op": "check", "key": "gone", "if": { "version": new } }), "absent", &absent),
    ];
    for (guarded, reason, version) in rows {
        let batch =
            json!([{ "op": "put", "key": "a", "value": 1 }, { "op": "get", "key": "there" }, guarded]);
        let document = problem(&send(&mut client, &batch), 409, "Conflict");
        assert_eq!(document["index"], 2, "{document}");
        assert_eq!(document["key"], guarded["key"], "{document}");
        assert_eq!((&document["reason"], &document["version"]), (&reason.into(), version), "{document}");
        assert!(document["detail"].as_str().unwrap().starts_with("operations[2]: "), "{document}");
        assert_eq!(client.request("GET", "/kv", &[], b"").text(), r#"{"there":2}"#);
    }
}

#[test]
fn guards_that_hold_let_the_batch_through() {
    let server = server();
    let mut client = server.client();
    let put = results(&mut client, &json!([{ "op": "put", "key": "k", "value": 1, "if": "absent" }]));
    let version = put[0]["version"].as_str().unwrap();
    let batch = json!([
        { "op": "put", "key": "k", "value": 2, "if": { "version": version } },
        { "op": "check", "key": "k", "if": { "version": format!("\"{version}\"") } },
        { "op": "delete", "key": "k", "if": "present" },
        { "op": "put", "key": "other", "value": 2, "if": "absent" },
    ]);
    // All guards are looked at before anything is done.
    results(&mut client, &batch);
    assert_eq!(client.request("GET", "/kv", &[], b"").text(), r#"{"other":2}"#);
}

#[test]
fn bad_operations_are_told_with_their_place() {
    let server = server();
    let mut client = server.client();
    let bad = [
        json!({}),
        json!([]),
        json!("put"),
        json!({ "op": "put", "key": "k" }),
        json!({ "op": "put", "value": 1 }),
        json!({ "op": "put", "key": 1, "value": 1 }),
        json!({ "op": "put", "key": "base64:!", "value": 1 }),
        json!({ "op": "put", "key": "k", "value": { "base64": "!" } }),
        json!({ "op": "put", "key": "k", "value": 1, "ttl": 0 }),
        json!({ "op": "put", "key": "k", "value": 1, "ttl": null }),
        json!({ "op": "put", "key": "k", "value": 1, "ttl": "1" }),
        json!({ "op": "put", "key": "k", "value": 1, "iff": "absent" }),
        json!({ "op": "put", "key": "k", "value": 1, "if": "gone" }),
        json!({ "op": "put", "key": "k", "value": 1, "if": { "version": 1 } }),
        json!({ "op": "put", "key": "k", "value": 1, "if": { "version": "x" } }),
        json!({ "op": "put", "key": "k", "value": 1, "if": { "version": "1-x" } }),
        json!({ "op": "put", "key": "k", "value": 1, "if": { "etag": "1-1" } }),
        json!({ "op": "PUT", "key": "k", "value": 1 }),
        json!({ "op": "patch", "key": "k" }),
        json!({ "op": "delete", "key": "k", "value": 1 }),
        json!({ "op": "delete", "key": "k", "ttl": 1 }),
        json!({ "op": "expire", "key": "k" }),
        json!({ "op": "expire", "key": "k", "ttl": -1 }),
        json!({ "op": "check", "key": "k" }),
        json!({ "op": "get", "key": "k", "if": "present" }),
        json!({ "op": "get", "key": "k", "value": null }),
    ];
    for operation in bad {
        let batch = json!([{ "op": "put", "key": "a", "value": 1 }, operation]);
        let document = problem(&send(&mut client, &batch), 400, "Invalid");
        assert_eq!(document["index"], 1, "{operation}: {document}");
        assert!(document["detail"].as_str().unwrap().starts_with("operations[1]: "), "{document}");
    }
    let deep = format!("{}1{}", "[".repeat(101), "]".repeat(101));
    let body = format!(r#"{{"operations":[{{"op":"put","key":"k","value":{deep}}}]}}"#);
    let answer = client.request("POST", "/v1/batch", &[JSON], body.as_bytes());
    assert_eq!(problem(&answer, 400, "Invalid")["index"], 0);
    let twice = br#"{"operations":[{"op":"get","key":"k","key":"l"}]}"#;
    assert_eq!(problem(&client.request("POST", "/v1/batch", &[JSON], twice), 400, "Invalid")["index"], 0);
    assert_eq!(client.request("GET", "/kv", &[], b"").text(), "{}");
}

#[test]
fn bad_requests_are_refused_as_everywhere() {
    let server = server();
    let mut client = server.client();
    for body in ["", "{", "[]", "null", "{}", r#"{"operations":{}}"#, r#"{"operations":[],"x":1}"#] {
        let document =
            problem(&client.request("POST", "/v1/batch", &[JSON], body.as_bytes()), 400, "Invalid");
        assert_eq!(document["index"], Value::Null, "{body}");
    }
    let good = br#"{"operations":[]}"#;
    assert_eq!(client.request("POST", "/v1/batch?db=16", &[JSON], good).status, 400);
    assert_eq!(client.request("POST", "/v1/batch", &[], good).status, 415);
    let text = ["Content-Type: text/plain", "X-Requested-With: test"];
    assert_eq!(client.request("POST", "/v1/batch", &text, good).status, 415);
    let form = ["Content-Type: application/x-www-form-urlencoded", "X-Requested-With: curl"];
    assert_eq!(client.request("POST", "/v1/batch", &form, good).status, 200);
    let answer = client.request("GET", "/v1/batch", &[], b"");
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
}

#[test]
fn there_are_limits_on_everything() {
    let config = Config { max_value_bytes: 1000, ..Config::memory() };
    let server = Setup { config, ..Setup::default() }.start();
    let long = json!([{ "op": "put", "key": "k", "value": "x".repeat(300_000) }]);
    let mut client = server.client();
    assert_eq!(send(&mut client, &long).status, 413, "the body is too long");
    let most: Vec<_> = (0..10_000).map(|_| json!({ "op": "delete", "key": "k" })).collect();
    let server = crate::running::server();
    let mut client = server.client();
    assert_eq!(results(&mut client, &json!(most)).len(), 10_000);
    let more: Vec<_> = most.iter().chain(most.first()).collect();
    let document = problem(&send(&mut client, &json!(more)), 413, "TooLarge");
    assert!(document["detail"].as_str().unwrap().contains("10000"), "{document}");
    let long = "x".repeat(64 * 1024);
    let batch = json!([{ "op": "get", "key": "k" }, { "op": "get", "key": long }]);
    assert_eq!(problem(&send(&mut client, &batch), 413, "TooLarge")["index"], 1);
}

#[test]
fn a_value_over_the_limit_is_told_with_its_place() {
    let server =
        Setup { config: Config { max_value_bytes: 1000, ..Config::memory() }, ..Setup::default() }.start();
    let mut client = server.client();
    let batch = |bytes: usize| json!([{ "op": "put", "key": "a", "value": 1 }, { "op": "put", "key": "b", "value": "x".repeat(bytes) }]);
    assert_eq!(problem(&send(&mut client, &batch(1001)), 413, "TooLarge")["index"], 1);
    assert_eq!(client.request("GET", "/kv", &[], b"").text(), "{}");
    assert_eq!(send(&mut client, &batch(1000)).status, 200);
}

#[test]
fn reads_come_to_no_more_than_their_limit_and_then_nothing_is_done() {
    let server = server();
    let mut client = server.client();
    for key in ["a", "b"] {
        server.database.put(key, vec![b'x'; 9 * 1024 * 1024]).unwrap();
    }
    let batch = json!([
        { "op": "put", "key": "c", "value": 1 }, { "op": "get", "key": "a" }, { "op": "get", "key": "b" },
    ]);
    problem(&send(&mut client, &batch), 413, "TooLarge");
    assert_eq!(client.request("GET", "/keys/c", &[], b"").status, 404);
    let batch = json!([{ "op": "get", "key": "a" }, { "op": "delete", "key": "b" }]);
    let answer = send(&mut client, &batch);
    assert_eq!(document(&answer)["results"][0]["value"].as_str().unwrap().len(), 9 * 1024 * 1024);
    assert_eq!(server.database.get("b").unwrap(), None);
}
