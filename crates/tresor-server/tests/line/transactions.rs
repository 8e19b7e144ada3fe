//! Transactions of several connections: who sees what, who waits, who has to give way, and what is left of
//! a client that goes.

use std::{io::ErrorKind, net::Shutdown, time::Duration};

use tresor::{Database, config::TransactionLimits};
use tresor_server::Server;
use tresor_testkit::{LineClient, deadline::wait_until};

use crate::{
    OK, code, fails, goes, holds,
    running::{line_client, server, server_limited},
};

/// Sends lines whose last that is executed has to wait for somebody's lock.
fn send_waiting(client: &mut LineClient, database: &Database, lines: &str) {
    client.send(format!("{lines}\n")).expect("the server reads");
    wait_until("it to wait for a lock", || database.transaction_figures().waiting == 1);
}

fn running() -> (Server, Database) {
    server_limited(TransactionLimits::default())
}

fn silent(client: &LineClient) -> bool {
    client.stream().set_nonblocking(true).expect("a socket takes it");
    let peeked = client.stream().peek(&mut [0]);
    client.stream().set_nonblocking(false).expect("a socket takes it");
    matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn what_is_not_committed_is_seen_inside_alone() {
    let server = server();
    let (mut writer, mut other) = (line_client(&server), line_client(&server));
    for line in ["PUT k old", "BEGIN", "PUT k new 1", "PUT fresh 1 1"] {
        goes(&mut writer, line);
    }
    let open = r#"[{"transaction_id":1,"writes":{"fresh":"1","k":"new"}}]"#;
    let all = format!(r#"{{"status":"Ok","entries":{{"k":"old"}},"transactions":{open}}}"#);
    holds(&mut other, &[("SHOWALL", &all)]);
    goes(&mut writer, "DEL k 1");
    let answer = goes(&mut other, "SHOWALL");
    assert_eq!(answer["transactions"][0]["writes"]["k"], serde_json::Value::Null);
    goes(&mut writer, "COMMIT 1");
    let all = r#"{"status":"Ok","entries":{"fresh":"1"},"transactions":[]}"#;
    holds(&mut other, &[("SHOWALL", all)]);
}

#[test]
fn an_id_of_another_connection_is_unknown() {
    let server = server();
    let (mut owner, mut thief) = (line_client(&server), line_client(&server));
    goes(&mut owner, "BEGIN");
    goes(&mut owner, "PUT k v 1");
    for line in [
        "PUT x y 1",
        "GET x 1",
        "DEL x 1",
        "DEL 1",
        "ROLLBACK 1",
        "ABORT 1",
        "COMMIT 1",
        "COMMIT @",
        "PUT k w @",
    ] {
        assert_eq!(fails(&mut thief, line), "UnknownTransaction", "{line}");
    }
    holds(&mut thief, &[("COMMITALL", r#"{"status":"Ok","committed":0}"#)]);
    holds(&mut owner, &[("COMMIT 1", OK), ("GET k", r#"{"status":"Ok","key":"k","value":"v"}"#)]);
    assert_eq!(fails(&mut owner, "GET x"), "NotFound");
}

#[test]
fn a_locked_key_is_waited_for_and_earlier_answers_are_not_kept() {
    let (server, database) = running();
    let (mut owner, mut other) = (line_client(&server), line_client(&server));
    goes(&mut owner, "BEGIN");
    goes(&mut owner, "PUT k v 1");
    send_waiting(&mut other, &database, "PING\nGET k\nPING");
    assert_eq!(other.answer().unwrap()["message"], "PONG");
    assert!(silent(&other));
    goes(&mut owner, "COMMIT 1");
    assert_eq!(other.answer().unwrap()["value"], "v");
    assert_eq!(other.answer().unwrap()["message"], "PONG");
    // A shared lock lets others read and keeps them from writing.
    goes(&mut owner, "BEGIN");
    goes(&mut owner, "GET k @");
    assert_eq!(goes(&mut other, "GET k")["value"], "v");
    send_waiting(&mut other, &database, "PUT k w");
    goes(&mut owner, "ABORT @");
    assert_eq!(other.answer().unwrap()["status"], "Ok");
}

#[test]
fn waiting_ends_at_the_limit_and_the_transaction_stays() {
    let limits = TransactionLimits { lock_wait: Duration::from_millis(100), ..TransactionLimits::default() };
    let (server, _) = server_limited(limits);
    let (mut owner, mut other) = (line_client(&server), line_client(&server));
    for line in ["PUT k old", "BEGIN", "PUT k v 1"] {
        goes(&mut owner, line);
    }
    goes(&mut other, "BEGIN");
    goes(&mut other, "PUT x y 2");
    for line in ["GET k 2", "PUT k w 2", "GET k", "PUT k w", "DEL k"] {
        assert_eq!(fails(&mut other, line), "LockTimeout", "{line}");
    }
    goes(&mut owner, "ABORT 1");
    holds(
        &mut other,
        &[
            ("COMMIT 2", OK),
            ("SHOWALL", r#"{"status":"Ok","entries":{"k":"old","x":"y"},"transactions":[]}"#),
        ],
    );
}

#[test]
fn waiting_for_oneself_is_a_deadlock_at_once_and_both_stay_open() {
    let server = server();
    let mut client = line_client(&server);
    for line in ["BEGIN", "BEGIN", "PUT k one 1", "PUT x two 2"] {
        goes(&mut client, line);
    }
    for line in ["PUT k two 2", "GET k 2", "DEL k 2", "PUT x one 1", "GET k", "PUT k plain", "DEL x"] {
        assert_eq!(fails(&mut client, line), "Deadlock", "{line}");
    }
    let all = r#"{"status":"Ok","entries":{"k":"one","x":"two"},"transactions":[]}"#;
    holds(&mut client, &[("COMMIT 2", OK), ("COMMIT 1", OK), ("SHOWALL", all)]);
}

#[test]
fn the_younger_of_a_circle_is_gone_whole() {
    let (server, database) = running();
    let (mut elder, mut younger) = (line_client(&server), line_client(&server));
    for (client, line) in [(&mut elder, "BEGIN"), (&mut younger, "BEGIN")] {
        goes(client, line);
    }
    goes(&mut elder, "PUT a elder 1");
    goes(&mut younger, "PUT b younger 2");
    send_waiting(&mut elder, &database, "PUT b elder 1");
    assert_eq!(fails(&mut younger, "PUT a younger 2"), "Deadlock");
    assert_eq!(elder.answer().unwrap()["status"], "Ok");
    for line in ["COMMIT 2", "PUT c d 2", "ABORT @"] {
        assert_eq!(fails(&mut younger, line), "UnknownTransaction", "{line}");
    }
    let all = r#"{"status":"Ok","entries":{"a":"elder","b":"elder"},"transactions":[]}"#;
    holds(&mut elder, &[("COMMIT 1", OK), ("SHOWALL", all)]);
}

#[test]
fn a_client_that_goes_is_rolled_back() {
    let (server, database) = running();
    let mut other = line_client(&server);
    for way in ["close", "shut", "QUIT"] {
        let mut leaver = line_client(&server);
        goes(&mut leaver, "BEGIN");
        goes(&mut leaver, "PUT k v @");
        goes(&mut leaver, "BEGIN");
        goes(&mut leaver, "PUT l v @");
        send_waiting(&mut other, &database, "GET k");
        match way {
            "close" => drop(leaver),
            "shut" => {
                leaver.stream().shutdown(Shutdown::Write).unwrap();
                assert_eq!(leaver.until_closed().unwrap(), b"");
            }
            _ => {
                assert_eq!(goes(&mut leaver, "QUIT")["message"], "BYE");
                assert_eq!(leaver.until_closed().unwrap(), b"");
            }
        }
        assert_eq!(code(&other.answer().unwrap()), "NotFound", "{way}");
    }
    wait_until("nothing to be left of them", || {
        other.text("SHOWALL").unwrap() == r#"{"status":"Ok","entries":{},"transactions":[]}"#
    });
}

#[test]
fn an_idle_transaction_is_aborted_and_unknown() {
    let limits = TransactionLimits { idle: Duration::from_millis(100), ..TransactionLimits::default() };
    let (server, _) = server_limited(limits);
    let (mut idler, mut other) = (line_client(&server), line_client(&server));
    goes(&mut idler, "BEGIN");
    goes(&mut idler, "PUT k v 1");
    wait_until("it to be aborted", || {
        other.text("SHOWALL").unwrap() == r#"{"status":"Ok","entries":{},"transactions":[]}"#
    });
    assert_eq!(fails(&mut idler, "COMMIT 1"), "UnknownTransaction");
    holds(&mut idler, &[("COMMITALL", r#"{"status":"Ok","committed":0}"#)]);
    assert_eq!(fails(&mut idler, "GET k"), "NotFound");
}

#[test]
fn a_begin_that_fails_leaves_nothing_for_what_was_sent_after_it() {
    let (server, _) = server_limited(TransactionLimits { max_open: 1, ..TransactionLimits::default() });
    let mut client = line_client(&server);
    goes(&mut client, "BEGIN");
    client.send("BEGIN\nPUT k v @\nCOMMIT @\n").unwrap();
    assert_eq!(code(&client.answer().unwrap()), "TooLarge");
    assert_eq!(code(&client.answer().unwrap()), "UnknownTransaction");
    assert_eq!(code(&client.answer().unwrap()), "UnknownTransaction");
    let all = r#"{"status":"Ok","entries":{},"transactions":[{"transaction_id":1,"writes":{}}]}"#;
    holds(&mut client, &[("SHOWALL", all), ("COMMIT 1", OK)]);
}

#[test]
fn a_transaction_that_grows_too_large_changes_nothing_and_goes_on() {
    let limits = TransactionLimits { max_bytes: 16_800, ..TransactionLimits::default() };
    let (server, _) = server_limited(limits);
    let mut client = line_client(&server);
    goes(&mut client, "BEGIN");
    goes(&mut client, "PUT k small 1");
    assert_eq!(fails(&mut client, &format!("PUT k {} 1", "x".repeat(16_800))), "TooLarge");
    // Until no more of them fit. Deletions take less, so some do, but not all: then all are taken back.
    let value = "v".repeat(600);
    let keys = (0..100).take_while(|number| {
        client.ask(&format!("PUT key{number} {value} 1")).expect("it answers")["status"] == "Ok"
    });
    let keys = keys.count();
    assert!((1..100).contains(&keys), "{keys}");
    assert_eq!(fails(&mut client, "DEL 1"), "TooLarge");
    goes(&mut client, "COMMIT 1");
    assert_eq!(goes(&mut client, "SHOWALL")["entries"].as_object().unwrap().len(), keys + 1);
}

#[test]
fn a_stop_rolls_back_what_is_open_and_waiters_get_through() {
    let (server, database) = running();
    let (mut owner, mut waiter) = (line_client(&server), line_client(&server));
    goes(&mut owner, "BEGIN");
    goes(&mut owner, "PUT k v 1");
    send_waiting(&mut waiter, &database, "GET k");
    server.stopper().stop();
    assert_eq!(code(&waiter.answer().unwrap()), "NotFound");
    assert_eq!(waiter.until_closed().unwrap(), b"");
    assert_eq!(owner.until_closed().unwrap(), b"");
    server.shutdown();
}
