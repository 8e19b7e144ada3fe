//! `/v1/transactions`: what is done in a transaction, step by step, and every bad request with its answer.

use serde_json::json;

use crate::{
    client::Client,
    running::server,
    transaction::{JSON, Transaction, document, problem},
};

fn committed(client: &mut Client) -> String {
    client.request("GET", "/kv", &[], b"").text().to_owned()
}

#[test]
fn a_transaction_is_seen_by_itself_alone_until_it_is_committed() {
    let server = server();
    let mut other = server.client();
    assert_eq!(other.request("PUT", "/keys/a", &[], b"before").status, 201);
    let mut transaction = Transaction::begin(&server);
    assert_eq!(transaction.put("a", "after"), 200);
    assert_eq!(transaction.put("b", "new"), 201);
    assert_eq!(transaction.get("a").body, b"after");
    assert_eq!(transaction.ask("GET", "/kv", b"").text(), r#"{"a":"after","b":"new"}"#);
    assert_eq!(committed(&mut other), r#"{"a":"before"}"#);
    let answer = transaction.ask("POST", "/commit", b"");
    assert_eq!((answer.status, answer.text()), (200, ""));
    assert_eq!(committed(&mut other), r#"{"a":"after","b":"new"}"#);
    problem(&transaction.get("a"), 404, "UnknownTransaction");
    problem(&transaction.ask("POST", "/commit", b""), 404, "UnknownTransaction");
}

#[test]
fn rollback_undoes_one_step_and_abort_all() {
    let server = server();
    let mut transaction = Transaction::begin(&server);
    let back = |transaction: &mut Transaction, expected: &str| {
        let answer = transaction.ask("POST", "/rollback", b"");
        assert_eq!((answer.status, answer.text()), (200, expected));
    };
    assert_eq!(transaction.put("a", "1"), 201);
    assert_eq!(transaction.ask("PUT", "/kv", br#"{"key":"a","value":{"n":2}}"#).status, 200);
    assert_eq!(transaction.ask("DELETE", "/keys/a", b"").status, 200);
    // It was not there: no step.
    assert_eq!(transaction.ask("DELETE", "/keys/a", b"").status, 404);
    back(&mut transaction, r#"{"key":"a","value":{"n":2}}"#);
    assert_eq!(transaction.get("a").header("content-type"), "application/json");
    back(&mut transaction, r#"{"key":"a","value":"1"}"#);
    assert_eq!(transaction.put("b", "kept"), 201);
    back(&mut transaction, r#"{"key":"b","value":null}"#);
    back(&mut transaction, r#"{"key":"a","value":null}"#);
    problem(&transaction.ask("POST", "/rollback", b""), 409, "NothingToUndo");
    // It is open all the same.
    assert_eq!(transaction.put("c", "gone"), 201);
    let answer = transaction.ask("POST", "/abort", b"");
    assert_eq!((answer.status, answer.text()), (200, ""));
    problem(&transaction.ask("POST", "/abort", b""), 404, "UnknownTransaction");
    assert_eq!(committed(&mut server.client()), "{}");
}

#[test]
fn delete_of_the_transaction_aborts_it() {
    let server = server();
    let mut transaction = Transaction::begin(&server);
    assert_eq!(transaction.put("a", "1"), 201);
    assert_eq!(transaction.ask("DELETE", "", b"").status, 200);
    problem(&transaction.ask("DELETE", "", b""), 404, "UnknownTransaction");
    assert_eq!(committed(&mut server.client()), "{}");
}

#[test]
fn keys_and_kv_are_as_outside() {
    let server = server();
    let mut transaction = Transaction::begin(&server);
    let rows: [(&str, &str, &[u8], u16, &str); 18] = [
        ("PUT", "/kv", br#"{"key":"k","value":null}"#, 201, r#"{"key":"k","value":null}"#),
        ("PUT", "/kv", br#"{"key":"k","value":"text"}"#, 200, r#"{"key":"k","value":"text"}"#),
        ("GET", "/kv?key=k", b"", 200, r#"{"key":"k","value":"text"}"#),
        ("GET", "/kv?k", b"", 200, r#"{"key":"k","value":"text"}"#),
        ("GET", "/keys/k", b"", 200, "text"),
        ("PUT", "/keys/a%2Fb%FF?ttl=100", b"raw", 201, ""),
        ("GET", "/kv?key=base64:YS9i_w==", b"", 400, ""),
        ("GET", "/kv?key=base64:YS9i/w==", b"", 200, r#"{"key":"base64:YS9i/w==","value":"raw"}"#),
        ("GET", "/keys", b"", 200, r#"{"base64:YS9i/w==":"raw","k":"text"}"#),
        ("GET", "/kv?db=3", b"", 200, "{}"),
        ("PUT", "/keys/k?db=3", b"three", 201, ""),
        ("GET", "/keys?db=3", b"", 200, r#"{"k":"three"}"#),
        ("DELETE", "/kv", br#"{"key":"k"}"#, 200, ""),
        ("DELETE", "/kv", br#"{"key":"k"}"#, 404, ""),
        ("GET", "/keys/k", b"", 404, ""),
        ("PUT", "/keys/k?ttl=0", b"", 400, ""),
        ("PUT", "/kv", b"{}", 400, ""),
        ("GET", "/keys?db=16", b"", 400, ""),
    ];
    for (method, rest, body, status, text) in rows {
        let answer = transaction.ask(method, rest, body);
        assert_eq!(answer.status, status, "{method} {rest}: {}", answer.text());
        assert!(status >= 400 || answer.text() == text, "{method} {rest}: {}", answer.text());
    }
    let head = transaction.ask("HEAD", "/keys/a%2Fb%FF", b"");
    assert_eq!((head.status, head.header("content-length")), (200, "3"));
    let path = transaction.path("/keys/j");
    let json = |client: &mut Client, body: &[u8]| client.request("PUT", &path, &[JSON], body).status;
    assert_eq!(json(&mut transaction.client, b"{"), 400);
    assert_eq!(json(&mut transaction.client, b"[1]"), 201);
    assert_eq!(transaction.commit(), 200);
    assert_eq!(committed(&mut server.client()), r#"{"base64:YS9i/w==":"raw","j":[1]}"#);
}

#[test]
fn what_expires_counts_from_the_moment_it_was_put() {
    let server = server();
    let mut transaction = Transaction::begin(&server);
    assert_eq!(transaction.ask("PUT", "/keys/k?ttl=0.2", b"v").status, 201);
    tresor_testkit::deadline::wait_until("the entry to expire", || transaction.get("k").status == 404);
    assert_eq!(transaction.commit(), 200);
    assert_eq!(committed(&mut server.client()), "{}");
}

#[test]
fn a_large_listing_shows_what_the_transaction_sees() {
    let server = server();
    let mut expected = std::collections::BTreeMap::new();
    for number in 0..700 {
        let (key, value) = (format!("k{number:03}"), format!("v{number}"));
        server.database.put(&key, value.as_str()).unwrap();
        expected.insert(key, value);
    }
    let mut transaction = Transaction::begin(&server);
    for number in [0, 255, 256, 699] {
        let key = format!("k{number:03}");
        assert_eq!(transaction.ask("DELETE", &format!("/keys/{key}"), b"").status, 200);
        expected.remove(&key);
    }
    for key in ["a", "k100x", "z"] {
        assert_eq!(transaction.put(key, "mine"), 201);
        expected.insert(key.to_owned(), "mine".to_owned());
    }
    let answer = transaction.ask("GET", "/keys", b"");
    let listed: std::collections::BTreeMap<String, String> = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(listed, expected);
    // The turn is over with the listing.
    assert_eq!(transaction.commit(), 200);
}

#[test]
fn open_transactions_of_all_doors_are_listed_by_number() {
    let server = server();
    let mut inner = server.database.begin().unwrap();
    inner.put("x", "1").unwrap();
    let mut transaction = Transaction::begin(&server);
    assert_eq!(transaction.put("a", "1"), 201);
    assert_eq!(transaction.put("b", "1"), 201);
    let answer = server.client().request("GET", "/v1/transactions", &[], b"");
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    let expected = json!({ "transactions": [
        { "transaction_id": inner.id(), "writes": 1 },
        { "transaction_id": transaction.number(), "writes": 2 },
    ]});
    assert_eq!(document(&answer), expected);
    let secret = transaction.id.split_once('-').unwrap().1;
    assert!(secret.len() == 32 && !answer.text().contains(secret));
}

#[test]
fn the_number_alone_opens_nothing() {
    let server = server();
    let mut transaction = Transaction::begin(&server);
    let inner = server.database.begin().unwrap();
    let (number, secret) = transaction.id.split_once('-').unwrap();
    let last = if secret.ends_with('0') { "1" } else { "0" };
    let zeros = "0".repeat(32);
    let strangers = [
        number.to_owned(),
        format!("{number}-"),
        format!("{number}-{zeros}"),
        format!("{number}-{}{last}", &secret[..31]),
        format!("{number}-{secret}0"),
        format!("{}-{secret}", transaction.number() + 100),
        inner.id().to_string(),
        format!("{}-{zeros}", inner.id()),
        "x".to_owned(),
        "%FF".to_owned(),
        "18446744073709551616-".to_owned() + &zeros,
    ];
    let mut client = server.client();
    for id in strangers {
        for rest in ["/commit", "/abort", "/rollback"] {
            let answer = client.request("POST", &format!("/v1/transactions/{id}{rest}"), &[JSON], b"");
            problem(&answer, 404, "UnknownTransaction");
        }
        let answer = client.request("PUT", &format!("/v1/transactions/{id}/keys/k"), &[], b"v");
        problem(&answer, 404, "UnknownTransaction");
    }
    assert_eq!(transaction.put("k", "v"), 201);
    assert_eq!(transaction.commit(), 200);
}

#[test]
fn begin_reads_its_body_strictly() {
    let server = server();
    let mut client = server.client();
    for body in [
        r#"{"timeout":0}"#,
        r#"{"timeout":-1}"#,
        r#"{"timeout":1e400}"#,
        r#"{"timeout":1e-12}"#,
        r#"{"timeout":"5"}"#,
        r#"{"time":5}"#,
        "[]",
        "{",
    ] {
        let answer = client.request("POST", "/v1/transactions", &[JSON], body.as_bytes());
        problem(&answer, 400, "Invalid");
    }
    for (body, timeout) in
        [("", 60.0), ("{}", 60.0), (r#"{"timeout":2.5}"#, 2.5), (r#"{"timeout":1e9}"#, 60.0)]
    {
        let answer = client.request("POST", "/v1/transactions", &[JSON], body.as_bytes());
        assert_eq!(document(&answer)["timeout"], timeout, "{body}");
    }
    let blanks = vec![b' '; 5000];
    assert_eq!(server.client().request("POST", "/v1/transactions", &[JSON], &blanks).status, 413);
    let text = ["Content-Type: text/plain", "X-Requested-With: test"];
    assert_eq!(client.request("POST", "/v1/transactions", &text, b"{}").status, 415);
}

#[test]
fn paths_and_methods_are_those_of_the_table() {
    let server = server();
    let mut transaction = Transaction::begin(&server);
    let wrong: [(&str, &str, &str); 10] = [
        ("PUT", "", "DELETE"),
        ("GET", "", "DELETE"),
        ("GET", "/commit", "POST"),
        ("DELETE", "/rollback", "POST"),
        ("PUT", "/abort", "POST"),
        ("PUT", "/keys", "GET, HEAD"),
        ("POST", "/kv", "GET, HEAD, PUT, DELETE"),
        ("POST", "/keys/k", "GET, HEAD, PUT, DELETE"),
        ("PATCH", "/keys/k", "GET, HEAD, PUT, DELETE"),
        ("PATCH", "/commit", "POST"),
    ];
    for (method, rest, allow) in wrong {
        let answer = transaction.ask(method, rest, b"");
        assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {rest}");
    }
    for rest in ["/", "/keys/", "/keys/a/b", "/commit/", "/nothing", "/kv/k", "//keys/a"] {
        assert_eq!(transaction.ask("GET", rest, b"").status, 404, "{rest}");
    }
    let mut client = server.client();
    for target in ["/v1/transactions/", "/v1/transactions//commit", "/v1/transaction"] {
        assert_eq!(client.request("GET", target, &[], b"").status, 404, "{target}");
    }
    let answer = client.request("DELETE", "/v1/transactions", &[], b"");
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD, POST"));
    // A page could send these without asking.
    for rest in ["/commit", "/abort", "/rollback"] {
        assert_eq!(client.request("POST", &transaction.path(rest), &[], b"").status, 415, "{rest}");
    }
    assert_eq!(client.request("POST", "/v1/transactions", &[], b"").status, 415);
    let page = ["Origin: http://evil.example", JSON];
    assert_eq!(client.request("POST", &transaction.path("/commit"), &page, b"").status, 403);
    server.database.settings().set_password(Some(b"secret"));
    assert_eq!(client.request("POST", &transaction.path("/commit"), &[JSON], b"").status, 401);
    assert_eq!(client.request("GET", "/v1/transactions", &[], b"").status, 401);
    let shown = ["Authorization: Bearer secret", "X-Requested-With: test"];
    assert_eq!(client.request("POST", &transaction.path("/commit"), &shown, b"").status, 200);
}
