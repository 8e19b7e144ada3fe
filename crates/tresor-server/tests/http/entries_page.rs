//! `GET /v1/entries`, `DELETE /v1/entries?…` and `POST /v1/query`: pages, every parameter, what is refused.

use serde_json::{Value, json};

use crate::{
    client::{Answer, Client},
    running::{Running, server},
    table::{row, run},
};

const JSON: &[&str] = &["content-type: application/json"];
const AS_JSON: &[&str] = &["Content-Type: application/json"];

fn filled() -> Running {
    let server = server();
    for (key, value) in [("a", "1"), ("user:1", "10"), ("user:10", "text"), ("user:2", "9.5")] {
        server.database.put(key, value).unwrap();
    }
    server.database.put("order:1", json!({"total": 12.5, "at": [0, 3]})).unwrap();
    server.database.put("order:2", json!({"total": 9, "at": [4, 0]})).unwrap();
    server
}

#[test]
fn every_parameter_of_a_page() {
    let rows = [
        ("", "a,order:1,order:2,user:1,user:10,user:2"),
        ("?prefix=user%3A", "user:1,user:10,user:2"),
        ("?glob=user:1*", "user:1,user:10"),
        ("?regex=%5Euser:.$&order=desc", "user:2,user:1"),
        ("?from=order:2&to=user:10", "order:2,user:1,user:10"),
        ("?after=order:2&before=user:10", "user:1"),
        ("?key=user:2&key=absent&key=a", "a,user:2"),
        ("?key=base64:YQ==", "a"),
        ("?prefix=user:&value_from=9.50&value_to=10.0", "user:1,user:2"),
        ("?prefix=user:&value_after=9.5", "user:1"),
        ("?value_prefix=te", "user:10"),
        ("?value_glob=*ex*", "user:10"),
        ("?value_regex=%5E%5Ba-z%5D%2B$", "user:10"),
        ("?prefix=user:&value_from=1&value_before=2&value_as=text", "user:1"),
        ("?field=/total&value_from=10", "order:1"),
        ("?field=/at&nearest=[0,0]&limit=1", "order:1"),
        ("?field=/at&nearest=[1,0]&metric=cosine&limit=1", "order:2"),
        ("?order=any&prefix=a", "a"),
        ("?db=3", ""),
    ];
    let server = filled();
    let mut client = server.client();
    for (query, keys) in rows {
        let page = page(&mut client, &format!("/v1/entries{query}"));
        assert_eq!(keys_of(&page).join(","), keys, "{query}");
    }
}

fn page(client: &mut Client, target: &str) -> Value {
    let answer = client.request("GET", target, &[], b"");
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_str(answer.text()).unwrap()
}

fn keys_of(page: &Value) -> Vec<&str> {
    page["entries"].as_array().unwrap().iter().map(|entry| entry["key"].as_str().unwrap()).collect()
}

#[test]
fn a_page_is_what_was_asked_for_and_no_more() {
    run(
        &filled(),
        &[
            row("GET", "/v1/entries?prefix=user:1", b"", 200)
                .has(JSON)
                .answers(br#"{"entries":[{"key":"user:1"},{"key":"user:10"}]}"#),
            row("GET", "/v1/entries?prefix=order:&values&limit=1&explain", b"", 200).answers(
                br#"{"entries":[{"key":"order:1","value":{"at":[0,3],"total":12.5}}],"cursor":"azPPc9WZt56Wb3JkZXI6MQ","plan":{"reads":"keys >= \"order:\", < \"order;\"","order":"asc","values":"of all keys read","index":"none"}}"#,
            ),
            row("GET", "/v1/entries?prefix=user:&value_from=0", b"", 200)
                .answers(br#"{"entries":[{"key":"user:1"},{"key":"user:2"}],"skipped":1}"#),
            row("GET", "/v1/entries?field=/at&nearest=[4,3]&values=false&limit=1", b"", 200)
                .answers(br#"{"entries":[{"key":"order:2","distance":3}],"skipped":4}"#),
            row("GET", "/v1/entries?prefix=x", b"", 200).answers(br#"{"entries":[]}"#),
            row("HEAD", "/v1/entries", b"", 200).has(JSON),
            row("PUT", "/v1/entries", b"", 405),
            row("GET", "/v1/query", b"", 405),
        ],
    );
}

#[test]
fn pages_are_linked() {
    let server = server();
    for number in 0..25 {
        server.database.put(format!("k&{number:02}"), number).unwrap();
    }
    let mut client = server.client();
    let mut target = "/v1/entries?prefix=k%26&limit=10&values=true".to_owned();
    let mut sizes = Vec::new();
    let mut seen = Vec::new();
    loop {
        let answer = client.request("GET", &target, &[], b"");
        let page: Value = serde_json::from_str(answer.text()).unwrap();
        sizes.push(keys_of(&page).len());
        seen.extend(page["entries"].as_array().unwrap().iter().map(|entry| entry["value"].as_i64().unwrap()));
        match next(&answer) {
            Some(next) => target = next,
            None => break,
        }
    }
    assert_eq!(sizes, [10, 10, 5]);
    assert_eq!(seen, (0..25).collect::<Vec<_>>());
}

fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link");
    Some(link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?.to_owned())
}

#[test]
fn bad_input_is_refused_at_once() {
    let server = filled();
    let mut client = server.client();
    let cursor = page(&mut client, "/v1/entries?limit=1")["cursor"].as_str().unwrap().to_owned();
    let long = "a".repeat(5000);
    let mut targets: Vec<String> = [
        "limit=-1",
        "limit=0",
        "limit=10001",
        "limit=x",
        "colour=red",
        "regex=(",
        "regex=a%7B1000%7D%7B1000%7D",
        "cursor=nonsense",
        "cursor=",
        "value_from=a&value_as=number",
        "value_as=colour",
        "order=up",
        "field=total",
        "nearest=%5B1,NaN%5D",
        "nearest=%5B%5D",
        "nearest=%5B1,%5B2%5D%5D",
        "nearest=1&cursor=a",
        "metric=l2",
        "nearest=1&metric=far",
        "db=16",
        "values=perhaps",
        "prefix=%zz",
        "key=base64:!",
    ]
    .map(|query| format!("/v1/entries?{query}"))
    .into();
    targets.push(format!("/v1/entries?regex={long}"));
    targets.push(format!("/v1/entries?limit=1&prefix=user&cursor={cursor}"));
    for target in &targets {
        let answer = client.request("GET", target, &[], b"");
        assert_eq!(answer.status, 400, "{target}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    let huge = format!(r#"{{"regex":"{}"}}"#, "a".repeat(1024 * 1024));
    let answer = client.request("POST", "/v1/query", AS_JSON, huge.as_bytes());
    assert_eq!(answer.status, 400, "{}", answer.text());
    server.assert_serves();
}

#[test]
fn documents_ask_for_what_urls_say_badly() {
    let server = filled();
    let mut client = server.client();
    for (document, keys) in [
        (json!({}), "a,order:1,order:2,user:1,user:10,user:2"),
        (json!({"key": ["a", "user:2"], "order": "desc"}), "user:2,a"),
        (json!({"where": [{"field": "/total", "from": 9}, {"field": "/at/0", "to": 3}]}), "order:1"),
        (json!({"nearest": {"vector": [4, 3], "field": "/at"}, "limit": 2}), "order:2,order:1"),
        (json!({"prefix": "user:", "nearest": [9]}), "user:2,user:1"),
        (json!({"prefix": "user:", "where": [{"glob": "*x*"}]}), "user:10"),
    ] {
        let answer = client.request("POST", "/v1/query", AS_JSON, document.to_string().as_bytes());
        let page: Value = serde_json::from_str(answer.text()).unwrap();
        assert_eq!((answer.status, keys_of(&page).join(",").as_str()), (200, keys), "{document}");
    }
    let first = client.request("POST", "/v1/query", AS_JSON, br#"{"limit":4,"values":true}"#);
    let first: Value = serde_json::from_str(first.text()).unwrap();
    let rest = json!({"limit": 4, "values": true, "cursor": first["cursor"]}).to_string();
    let rest = client.request("POST", "/v1/query", AS_JSON, rest.as_bytes());
    assert_eq!(
        rest.text(),
        r#"{"entries":[{"key":"user:10","value":"text"},{"key":"user:2","value":"9.5"}]}"#
    );
    assert_eq!(client.request("POST", "/v1/query", AS_JSON, b"{").status, 400);
    assert_eq!(client.request("POST", "/v1/query", &["Content-Type: text/plain"], b"{}").status, 415);
}

#[test]
fn what_matches_is_deleted_after_it_was_counted() {
    run(
        &filled(),
        &[
            row("DELETE", "/v1/entries", b"", 400),
            row("DELETE", "/v1/entries?nearest=1", b"", 400),
            row("DELETE", "/v1/entries?prefix=user:&dry_run=true", b"", 200)
                .answers(br#"{"matched":3,"deleted":0}"#),
            row("DELETE", "/v1/entries?prefix=user:&value_from=9", b"", 200)
                .answers(br#"{"matched":2,"deleted":2}"#),
            row("GET", "/v1/entries?prefix=user:", b"", 200).answers(br#"{"entries":[{"key":"user:10"}]}"#),
            row("DELETE", "/v1/entries?glob=*", b"", 200).answers(br#"{"matched":4,"deleted":4}"#),
            row("GET", "/v1/entries", b"", 200).answers(br#"{"entries":[]}"#),
        ],
    );
}
