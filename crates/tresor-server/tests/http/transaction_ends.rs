//! How transactions end that nobody ends: by idleness, with the server; and how they do not.

use std::{sync::Arc, time::Duration};

use socket2::SockRef;
use tresor::config::TransactionLimits;
use tresor_testkit::{HeldEngine, ModelEngine, Moment, deadline::wait_until};

use crate::{
    client::request,
    running::{Running, Setup, server},
    transaction::{JSON, Transaction, document, limited, problem},
};

fn is_listed(server: &Running, transaction: &Transaction) -> bool {
    let listed = document(&server.client().request("GET", "/v1/transactions", &[], b""));
    let listed = listed["transactions"].as_array().unwrap();
    listed.iter().any(|shown| shown["transaction_id"] == transaction.number())
}

#[test]
fn the_idle_limit_discards_a_transaction() {
    let idle = Duration::from_millis(100);
    let server = limited(TransactionLimits { idle, ..TransactionLimits::default() });
    let mut transaction = Transaction::begin(&server);
    assert_eq!(transaction.put("k", "v"), 201);
    wait_until("idleness to be noticed", || !is_listed(&server, &transaction));
    assert_eq!(server.database.transaction_figures().idle_timeouts, 1);
    // The key is free and as it was.
    assert_eq!(server.client().request("GET", "/keys/k", &[], b"").status, 404);
    problem(&transaction.get("k"), 404, "UnknownTransaction");
    problem(&transaction.ask("POST", "/commit", b""), 404, "UnknownTransaction");
}

#[test]
fn a_transaction_may_have_a_shorter_limit_than_the_others() {
    let server = server();
    let mut lasting = Transaction::begin(&server);
    let mut short = Transaction::begin_with(&server, br#"{"timeout":0.05}"#);
    wait_until("idleness to be noticed", || !is_listed(&server, &short));
    problem(&short.get("k"), 404, "UnknownTransaction");
    assert_eq!(lasting.put("k", "v"), 201);
    assert_eq!(lasting.commit(), 200);
    assert_eq!(server.database.transaction_figures().idle_timeouts, 1);
}

#[test]
fn a_client_that_goes_does_not_end_its_transaction() {
    let server = server();
    let mut transaction = Transaction::begin(&server);
    assert_eq!(transaction.put("k", "v"), 201);
    // In the middle of a request, too.
    let path = transaction.path("/keys/other");
    let head = format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nbegun");
    assert!(transaction.client.send(head.as_bytes()));
    transaction.client = server.client();
    assert_eq!(transaction.get("k").body, b"v");
    assert_eq!(transaction.get("other").status, 404);
    assert_eq!(transaction.commit(), 200);
    assert_eq!(server.client().request("GET", "/keys/k", &[], b"").body, b"v");
}

#[test]
fn a_commit_runs_to_its_end_without_its_client() {
    let engine = HeldEngine::new(Arc::new(ModelEngine::new()));
    let server = Setup { engine: engine.clone(), ..Setup::default() }.start();
    let mut transaction = Transaction::begin(&server);
    assert_eq!(transaction.put("k", "v"), 201);
    let held = engine.hold_next(Moment::Before);
    assert!(transaction.client.send(&request("POST", &transaction.path("/commit"), &[JSON], b"")));
    wait_until("the commit to be under way", || engine.is_holding());
    let cut = SockRef::from(transaction.client.stream()).set_linger(Some(Duration::ZERO));
    cut.unwrap();
    transaction.client = server.client();
    // Nothing shows from outside that the server has seen the reset, so it gets time for a few requests.
    (0..20).for_each(|_| server.assert_serves());
    assert!(is_listed(&server, &transaction), "its locks are held until it has arrived");
    held.let_go();
    wait_until("the commit to end", || !is_listed(&server, &transaction));
    assert_eq!(server.client().request("GET", "/keys/k", &[], b"").body, b"v");
}

#[test]
fn a_listing_that_is_cut_off_frees_the_transaction() {
    let server = server();
    let value = vec![b'x'; 1_000_000];
    for number in 0..40 {
        server.database.put(format!("k{number}"), value.clone()).unwrap();
    }
    let mut transaction = Transaction::begin(&server);
    let mut reader = server.client();
    assert!(reader.send(&request("GET", &transaction.path("/kv"), &[], b"")));
    assert!(reader.until_closed_or(1_000_000) >= 1_000_000);
    drop(reader);
    assert_eq!(transaction.put("k", "v"), 201);
    assert_eq!(transaction.commit(), 200);
}

#[test]
fn one_transaction_is_used_over_any_connection_and_worker() {
    let server = Setup { workers: 4, ..Setup::default() }.start();
    let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    let transaction = Transaction::begin(&server);
    for (number, client) in clients.iter_mut().enumerate() {
        let path = transaction.path(&format!("/keys/k{number}"));
        assert_eq!(client.request("PUT", &path, &[], b"v").status, 201);
    }
    for client in &mut clients {
        let listed = client.request("GET", &transaction.path("/keys"), &[], b"");
        assert_eq!(document(&listed).as_object().unwrap().len(), 8);
    }
    assert_eq!(clients[5].request("POST", &transaction.path("/commit"), &[JSON], b"").status, 200);
    assert_eq!(server.database.len().unwrap(), 8);
}

#[test]
fn there_are_only_so_many_open_at_once() {
    let limits = TransactionLimits { max_open: 2, ..TransactionLimits::default() };
    let server = limited(limits);
    let begin = || server.client().request("POST", "/v1/transactions", &[JSON], b"");
    let mut first = Transaction::begin(&server);
    let _second = Transaction::begin_with(&server, br#"{"timeout":0.05}"#);
    wait_until("the second to be idle for too long", || server.database.transaction_figures().open == 1);
    let mut third = Transaction::begin(&server);
    let refused = problem(&begin(), 503, "Unavailable");
    assert!(refused["detail"].as_str().unwrap().contains("2 transactions"), "{refused}");
    // Nothing of the refused one is left.
    assert_eq!(server.database.transaction_figures().open, 2);
    assert_eq!(first.commit(), 200);
    assert_eq!(begin().status, 201);
    assert_eq!(third.commit(), 200);
}

#[test]
fn the_servers_end_discards_what_is_open() {
    let server = server();
    let mut transaction = Transaction::begin(&server);
    assert_eq!(transaction.put("k", "v"), 201);
    let database = server.end();
    assert!(database.open_transactions().is_empty());
    assert_eq!(database.get("k").unwrap(), None);
}
