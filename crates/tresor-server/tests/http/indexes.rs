//! `/v1/indexes`: put, told of, dropped; what is refused.

use serde_json::{Value, json};
use tresor_testkit::deadline::wait_until;

use crate::{client::Client, running::server};

const JSON: &[&str] = &["content-type: application/json"];

fn put(client: &mut Client, path: &str, body: &Value) -> (u16, Value) {
    let answer = client.request("PUT", path, JSON, body.to_string().as_bytes());
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn get(client: &mut Client, path: &str) -> Value {
    serde_json::from_slice(&client.request("GET", path, &[], b"").body).expect("JSON")
}

#[test]
fn an_index_is_put_used_and_dropped() {
    let server = server();
    for number in 0..50 {
        server.database.put(format!("user:{number}"), json!({ "age": number })).unwrap();
    }
    let mut client = server.client();
    assert_eq!(get(&mut client, "/v1/indexes"), json!({ "indexes": [] }));
    let ages = json!({ "prefix": "user:", "field": "/age", "value_as": "number" });
    assert_eq!(put(&mut client, "/v1/indexes/ages", &ages).0, 201);
    assert_eq!(put(&mut client, "/v1/indexes/ages", &ages).0, 200);
    assert_eq!(put(&mut client, "/v1/indexes/ages", &json!({})).0, 409);
    wait_until("it is built", || get(&mut client, "/v1/indexes/ages")["state"] == "ready");
    let index = get(&mut client, "/v1/indexes/ages");
    for (name, expected) in [("db", json!(0)), ("entries", json!(50)), ("field", json!("/age"))] {
        assert_eq!(index[name], expected, "{index}");
    }
    let page = get(&mut client, "/v1/entries?prefix=user:&field=/age&value_from=7&value_to=7&explain=true");
    assert_eq!(page["entries"], json!([{ "key": "user:7" }]));
    assert_eq!(page["plan"]["index"], "ages");
    assert_eq!(client.request("DELETE", "/v1/indexes/ages", &[], b"").status, 200);
    for method in ["GET", "DELETE"] {
        assert_eq!(client.request(method, "/v1/indexes/ages", &[], b"").status, 404);
    }
}

#[test]
fn what_is_said_wrong_is_refused() {
    let server = server();
    let mut client = server.client();
    for (path, body, what) in [
        ("/v1/indexes/a%20b", json!({}), "named"),
        ("/v1/indexes/a?db=16", json!({}), "db must"),
        ("/v1/indexes/a", json!([]), "JSON object"),
        ("/v1/indexes/a", json!({ "colour": "red" }), "colour"),
        ("/v1/indexes/a", json!({ "metric": "l2" }), "dimensions"),
        ("/v1/indexes/a", json!({ "metric": "l3", "dimensions": 3 }), "metric"),
        ("/v1/indexes/a", json!({ "dimensions": -1 }), "dimensions"),
        ("/v1/indexes/a", json!({ "prefix": ["a"] }), "prefix"),
        ("/v1/indexes/a", json!({ "prefix": "base64:?" }), "base64"),
    ] {
        let (status, problem) = put(&mut client, path, &body);
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(status == 400 && detail.contains(what), "{path} {body}: {status} {problem}");
    }
    assert_eq!(client.request("PUT", "/v1/indexes/a", &["content-type: text/plain"], b"{}").status, 415);
    assert_eq!(client.request("POST", "/v1/indexes", JSON, b"{}").status, 405);
}
