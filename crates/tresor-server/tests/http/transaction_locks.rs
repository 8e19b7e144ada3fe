//! Transactions that meet at a key: one waits, one gives up, or one has to give way.

use std::time::Duration;

use tresor::config::TransactionLimits;

use crate::{
    client::request,
    running::Running,
    transaction::{JSON, Transaction, limited, patient, problem, wait_for_waiters},
};

/// A server on which nobody waits for long.
fn impatient() -> Running {
    limited(TransactionLimits { lock_wait: Duration::from_millis(100), ..TransactionLimits::default() })
}

#[test]
fn others_wait_until_the_key_is_free() {
    let server = patient();
    let mut first = Transaction::begin(&server);
    let mut second = Transaction::begin(&server);
    assert_eq!(first.put("k", "first"), 201);
    second.send_put("k", "second");
    wait_for_waiters(&server, 1);
    let mut plain = server.client();
    assert!(plain.send(&request("GET", "/keys/k", &[], b"")));
    wait_for_waiters(&server, 2);
    assert_eq!(first.commit(), 200);
    // It was there by then.
    assert_eq!(second.answer().status, 200);
    assert_eq!(second.commit(), 200);
    let read = plain.answer_to("GET").unwrap();
    assert!([&b"first"[..], b"second"].contains(&&*read.body), "{}", read.text());
    assert_eq!(server.client().request("GET", "/keys/k", &[], b"").body, b"second");
}

#[test]
fn a_lock_kept_for_too_long_is_a_conflict_that_names_the_key() {
    let server = impatient();
    let mut first = Transaction::begin(&server);
    let mut second = Transaction::begin(&server);
    assert_eq!(first.put("k%FF", "first"), 201);
    let refused = second.ask("PUT", "/keys/k%FF", b"second");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(problem(&refused, 409, "LockTimeout")["key"], "base64:a/8=");
    assert_eq!(problem(&second.get("k%FF"), 409, "LockTimeout")["key"], "base64:a/8=");
    let mut plain = server.client();
    for (method, target, body) in
        [("PUT", "/keys/k%FF", "v"), ("GET", "/keys/k%FF", ""), ("DELETE", "/keys/k%FF", "")]
    {
        let refused = plain.request(method, target, &[], body.as_bytes());
        assert_eq!(problem(&refused, 409, "LockTimeout")["key"], "base64:a/8=", "{method}");
    }
    let batch =
        br#"{"operations":[{"op":"put","key":"free","value":1},{"op":"delete","key":"base64:a/8="}]}"#;
    let refused = plain.request("POST", "/v1/batch", &[JSON], batch);
    assert_eq!(refused.header("retry-after"), "1");
    let document = problem(&refused, 409, "LockTimeout");
    assert_eq!((&document["key"], &document["index"]), (&"base64:a/8=".into(), &1.into()));
    // Nothing was done, and both transactions are open.
    assert_eq!(plain.request("GET", "/keys/free", &[], b"").status, 404);
    assert_eq!(second.put("other", "v"), 201);
    assert_eq!((first.commit(), second.commit()), (200, 200));
    assert_eq!(plain.request("GET", "/keys/k%FF", &[], b"").body, b"first");
}

#[test]
fn of_a_deadlock_the_younger_gives_way_and_is_gone() {
    let server = patient();
    let mut older = Transaction::begin(&server);
    let mut younger = Transaction::begin(&server);
    assert_eq!(older.put("a", "older"), 201);
    assert_eq!(younger.put("b", "younger"), 201);
    older.send_put("b", "older");
    wait_for_waiters(&server, 1);
    let lost = younger.ask("PUT", "/keys/a", b"younger");
    assert_eq!(problem(&lost, 409, "Deadlock")["key"], "a");
    assert_eq!(older.answer().status, 201);
    problem(&younger.get("b"), 404, "UnknownTransaction");
    problem(&younger.ask("POST", "/commit", b""), 404, "UnknownTransaction");
    assert_eq!(older.commit(), 200);
    let listed = server.client().request("GET", "/kv", &[], b"");
    assert_eq!(listed.text(), r#"{"a":"older","b":"older"}"#);
}

#[test]
fn requests_of_one_transaction_take_turns() {
    let server = patient();
    let mut holder = Transaction::begin(&server);
    assert_eq!(holder.put("k", "holder"), 201);
    let mut busy = Transaction::begin(&server);
    busy.send_put("k", "busy");
    wait_for_waiters(&server, 1);
    // Behind the one that waits; both are answered once that can go on.
    let mut second = server.client();
    assert!(second.send(&request("POST", &busy.path("/commit"), &[JSON], b"")));
    assert_eq!(holder.commit(), 200);
    assert_eq!(busy.answer().status, 200);
    assert_eq!(second.answer_to("POST").unwrap().status, 200);
    assert_eq!(server.client().request("GET", "/keys/k", &[], b"").body, b"busy");
}

#[test]
fn a_turn_that_does_not_come_is_a_conflict() {
    let server = impatient();
    let mut transaction = Transaction::begin(&server);
    let path = transaction.path("/keys/k");
    // A request that has its turn and does not end.
    let mut slow = server.client();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    );
    assert!(slow.send(head.as_bytes()));
    // Its body is asked for once it has its turn.
    assert!(slow.until_closed_or(25) >= 25);
    let refused = transaction.get("k");
    assert_eq!(refused.header("retry-after"), "1");
    problem(&refused, 409, "LockTimeout");
    assert!(slow.send(b"ok"));
    // The interim answer comes first.
    assert_eq!(slow.answer_to("PUT").unwrap().status, 201);
    assert_eq!(transaction.get("k").body, b"ok");
}

#[test]
fn a_request_that_waits_and_is_given_up_leaves_the_transaction_open() {
    let server = patient();
    let mut holder = Transaction::begin(&server);
    assert_eq!(holder.put("k", "holder"), 201);
    let mut waiting = Transaction::begin(&server);
    waiting.send_put("k", "waiting");
    wait_for_waiters(&server, 1);
    waiting.client = server.client();
    assert_eq!(holder.commit(), 200);
    assert_eq!(waiting.put("other", "v"), 201);
    assert_eq!(waiting.commit(), 200);
    assert_eq!(server.client().request("GET", "/keys/other", &[], b"").body, b"v");
}
