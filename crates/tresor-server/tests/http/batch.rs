//! `POST /v1/batch`: results in order, values of every kind, and reads among the writes.

use std::{sync::Arc, thread};

use serde_json::{Value, json};
use tresor::engine::memory::{MemoryEngine, MemoryOptions};
use tresor_testkit::{LaterEngine, ModelEngine};

use crate::{
    client::{Answer, Client},
    running::{Running, Setup, server},
    transaction::{JSON, document},
};

pub(crate) fn send(client: &mut Client, operations: &Value) -> Answer {
    let body = json!({ "operations": operations }).to_string();
    client.request("POST", "/v1/batch", &[JSON], body.as_bytes())
}

/// The results of a batch that is applied.
pub(crate) fn results(client: &mut Client, operations: &Value) -> Vec<Value> {
    let answer = send(client, operations);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    document(&answer)["results"].as_array().unwrap().clone()
}

/// A result without its version, and whether it had one.
fn without_version(result: &Value) -> (Value, bool) {
    let mut result = result.clone();
    let version = result.as_object_mut().unwrap().remove("version");
    (result, version.is_some_and(|version| version.as_str().unwrap().contains('-')))
}

#[test]
fn every_operation_has_its_result_in_its_place() {
    every_operation(&server());
    let engine = MemoryEngine::volatile(&MemoryOptions::default()).unwrap();
    every_operation(&Setup { engine, ..Setup::default() }.start());
}

fn every_operation(server: &Running) {
    let mut client = server.client();
    assert_eq!(client.request("PUT", "/keys/old", &[], b"1").status, 201);
    let batch = json!([
        { "op": "put", "key": "new", "value": { "a": 1 }, "ttl": 100 },
        { "op": "put", "key": "old", "value": null, "if": "present" },
        { "op": "expire", "key": "old", "ttl": 50.5 },
        { "op": "expire", "key": "new", "ttl": null, "if": "absent" },
        { "op": "expire", "key": "missing", "ttl": 1 },
        { "op": "delete", "key": "missing" },
        { "op": "check", "key": "missing", "if": "absent" },
        { "op": "get", "key": "new" },
        { "op": "delete", "key": "new" },
        { "op": "get", "key": "new" },
        { "op": "get", "key": "old" },
    ]);
    let seen: Vec<_> = results(&mut client, &batch).iter().map(without_version).collect();
    let expected = [
        (json!({ "existed": false }), true),
        (json!({ "existed": true }), true),
        (json!({ "existed": true }), true),
        (json!({ "existed": true }), true),
        (json!({ "existed": false }), false),
        (json!({ "existed": false }), false),
        (json!({ "existed": false }), false),
        (json!({ "existed": true, "value": { "a": 1 } }), true),
        (json!({ "existed": true }), false),
        (json!({ "existed": false }), false),
        (json!({ "existed": true, "value": null }), true),
    ];
    assert_eq!(seen, expected);
    assert_eq!(client.request("GET", "/kv", &[], b"").text(), r#"{"old":null}"#);
    assert!(server.database.ttl("old").unwrap().is_some());
}

#[test]
fn nothing_is_a_batch_too() {
    let server = server();
    assert!(results(&mut server.client(), &json!([])).is_empty());
}

#[test]
fn keys_and_values_are_as_in_kv_documents() {
    let server = server();
    let mut client = server.client();
    let values = [
        json!("text \u{20ac} \" \u{1}"),
        json!({ "base64": "AP8=" }),
        json!({ "json": { "json": 1 } }),
        json!({ "json": { "base64": "x" } }),
        json!([1, 2.5, null]),
        json!(""),
        json!(0),
    ];
    let puts: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(place, value)| json!({ "op": "put", "key": format!("k{place}"), "value": value }))
        .chain([json!({ "op": "put", "key": "base64:/w==", "value": "bytes" })])
        .collect();
    results(&mut client, &json!(puts));
    let gets: Vec<_> =
        (0..values.len()).map(|place| json!({ "op": "get", "key": format!("k{place}") })).collect();
    for (seen, value) in results(&mut client, &json!(gets)).iter().zip(&values) {
        assert_eq!(&seen["value"], value);
    }
    assert_eq!(client.request("GET", "/keys/%FF", &[], b"").body, b"bytes");
    assert_eq!(client.request("GET", "/keys/k1", &[], b"").body, b"\x00\xff");
    assert_eq!(client.request("GET", "/keys/k2", &[], b"").text(), r#"{"json":1}"#);
    // Numbers stay as they were written.
    let exact = br#"{"operations":[{"op":"put","key":"n","value":1.50e+2},{"op":"get","key":"n"}]}"#;
    let answer = client.request("POST", "/v1/batch", &[JSON], exact);
    assert!(answer.text().contains(r#""value":1.50e+2"#), "{}", answer.text());
}

#[test]
fn a_batch_goes_to_one_database() {
    let server = server();
    let mut client = server.client();
    let body = br#"{"operations":[{"op":"put","key":"k","value":"five"},{"op":"get","key":"k"}]}"#;
    assert_eq!(client.request("POST", "/v1/batch?db=5", &[JSON], body).status, 200);
    assert_eq!(client.request("GET", "/keys/k?db=5", &[], b"").body, b"five");
    assert_eq!(client.request("GET", "/keys/k", &[], b"").status, 404);
}

#[test]
fn a_read_version_is_that_of_the_put() {
    let server = server();
    let mut client = server.client();
    let put = results(&mut client, &json!([{ "op": "put", "key": "k", "value": 1 }]));
    let batch = json!([
        { "op": "get", "key": "k" },
        { "op": "check", "key": "k", "if": "present" },
        { "op": "put", "key": "k", "value": 2 },
        { "op": "get", "key": "k" },
    ]);
    let seen = results(&mut client, &batch);
    assert_eq!(seen[0]["version"], put[0]["version"]);
    assert_eq!(seen[1]["version"], put[0]["version"]);
    assert_eq!(seen[3]["version"], seen[2]["version"]);
    assert_ne!(seen[2]["version"], put[0]["version"]);
}

/// What is read and removed in one batch is had by exactly one, however many try: what was read cannot be
/// written over unnoticed.
#[test]
fn reads_and_writes_of_a_batch_are_one_step() {
    const CLIENTS: usize = 4;
    const ITEMS: usize = 150;
    let engine = Arc::new(LaterEngine::new(Arc::new(ModelEngine::new())));
    let server = Setup { engine, ..Setup::default() }.start();
    let taken: Vec<Vec<u64>> = thread::scope(|scope| {
        let mut takers = Vec::new();
        for _ in 0..CLIENTS {
            takers.push(scope.spawn(|| {
                let (mut client, mut taken) = (server.client(), Vec::new());
                loop {
                    let take = json!([{ "op": "get", "key": "item" }, { "op": "delete", "key": "item" }]);
                    let answer = send(&mut client, &take);
                    // Overtaken too often: nothing was done.
                    if answer.status == 409 {
                        continue;
                    }
                    match document(&answer)["results"][0]["value"].as_u64() {
                        Some(item) if item == ITEMS as u64 => return taken,
                        Some(item) => taken.push(item),
                        None => {}
                    }
                }
            }));
        }
        let mut client = server.client();
        for item in (0..ITEMS).chain([ITEMS; CLIENTS]) {
            let offer = json!([{ "op": "put", "key": "item", "value": item, "if": "absent" }]);
            while send(&mut client, &offer).status == 409 {}
        }
        takers.into_iter().map(|taker| taker.join().unwrap()).collect()
    });
    let mut all: Vec<u64> = taken.into_iter().flatten().collect();
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..ITEMS as u64), "{all:?}");
}
