//! Input that makes no sense: the code it gets, and that nothing has changed and all goes on.

use tresor::{Config, Database};
use tresor_server::{Limits, Server, ServerConfig};
use tresor_testkit::{LineClient, line_client::word, random};

use crate::{
    OK, code, fails, goes, holds,
    running::{config, line_client, server},
};

const UNTOUCHED: &str =
    r#"{"status":"Ok","entries":{"k":"v"},"transactions":[{"transaction_id":1,"writes":{"t":"u"}}]}"#;

/// A client that has something to lose.
fn prepared(server: &Server) -> LineClient {
    let mut client = line_client(server);
    for line in ["PUT k v", "BEGIN", "PUT t u 1"] {
        goes(&mut client, line);
    }
    client
}

#[test]
fn lines_that_are_no_command_are_answered_and_change_nothing() {
    let server = server();
    let mut client = prepared(&server);
    for line in [
        "HELLO",
        "PUTS k v",
        "0",
        "SET k w",
        "\"\"",
        "PUT",
        "PUT k",
        "PUT k w 1 1",
        "PUT k w x",
        "PUT k w 1x",
        "PUT k w -1",
        "PUT k w +1",
        "PUT k w 1.0",
        "PUT k w \"\"",
        "PUT k two words here now",
        "GET",
        "GET k 1 1",
        "GET k x",
        "DEL",
        "DEL k x",
        "DEL k 1 1",
        "BEGIN 1",
        "ROLLBACK",
        "ROLLBACK k",
        "ROLLBACK 1 1",
        "ABORT",
        "ABORT @@",
        "COMMIT",
        "COMMIT all",
        "COMMITALL 1",
        "SHOWALL 1",
        "AUTH",
        "AUTH secret",
        "SELECT",
        "SELECT x",
        "PING PONG",
        "HELP PUT",
        "QUIT now",
        "PUT k \"w",
        "PUT k w\"",
        "PUT k \"w\"x",
        "PUT k \"w\\",
        "PUT k \"w\\\"",
        "PUT k \"\\t\"",
        "PUT k \"\\x0\"",
        "PUT k \"\\xzz\"",
        "\"PUT k w",
    ] {
        assert_eq!(fails(&mut client, line), "Invalid", "{line}");
    }
    for line in ["PUT k w 2", "GET k 0", "DEL 2", "COMMIT 18446744073709551616", "COMMIT \"7\""] {
        assert_eq!(fails(&mut client, line), "UnknownTransaction", "{line}");
    }
    holds(&mut client, &[("SHOWALL", UNTOUCHED), ("COMMIT 1", OK)]);
}

#[test]
fn bytes_that_are_not_utf_8_are_invalid() {
    let server = server();
    let mut client = prepared(&server);
    for line in
        [&b"PUT k \xff\n"[..], b"\xc3\n", b"PUT k \"\xed\xa0\x80\"\r\n", b"\xfe PUT k w\n", b"PUT k w\xf0\n"]
    {
        client.send(line).unwrap();
        let answer = client.answer().unwrap();
        assert_eq!(code(&answer), "Invalid", "{line:?}");
    }
    holds(&mut client, &[("SHOWALL", UNTOUCHED)]);
}

#[test]
fn empty_lines_are_not_answered() {
    let server = server();
    let mut client = line_client(&server);
    client.send("\n\r\n  \t\n\nPING\r\n\n").unwrap();
    assert_eq!(client.answer().unwrap()["message"], "PONG");
    holds(&mut client, &[("PUT k v", OK)]);
}

#[test]
fn keys_and_values_over_their_limits_are_too_large() {
    let database = Config { workers: 2, max_value_bytes: 100_000, ..Config::memory() };
    let limits = Limits::for_values(100_000);
    let config = ServerConfig { limits, ..config() };
    let server = Server::start(Database::open(database).unwrap(), config).unwrap();
    let mut client = prepared(&server);
    let key = "k".repeat(32 * 1024);
    for line in [
        format!("PUT {key}x v"),
        format!("GET {key}x"),
        format!("DEL {key}x 1"),
        format!("PUT k {}", "v".repeat(100_001)),
        format!("PUT k {} 1", "v".repeat(100_001)),
    ] {
        assert_eq!(fails(&mut client, &line), "TooLarge");
    }
    holds(&mut client, &[("SHOWALL", UNTOUCHED)]);
    // The largest that may be, each byte of it escaped.
    let (key, value) = (vec![0xf0; 32 * 1024], vec![0xfe; 100_000]);
    goes(&mut client, &format!("PUT {} {} 1", word(&key), word(&value)));
    goes(&mut client, "COMMIT 1");
    assert_eq!(goes(&mut client, &format!("DEL {}", word(&key)))["deleted"], 1);
}

#[test]
fn a_line_over_the_limit_is_answered_once_and_passed_over() {
    let limits = Limits { line_bytes: 100_000, ..Limits::default() };
    let server = Server::start(
        Database::open(Config { workers: 2, ..Config::memory() }).unwrap(),
        ServerConfig { limits, ..config() },
    )
    .unwrap();
    let mut client = prepared(&server);
    for bytes in [100_001, 150_000, 5_000_000] {
        // What is skipped may look like anything.
        client.send(format!("PUT k {}\nPING\n", "DEL k ".repeat(bytes / 6))).unwrap();
        assert_eq!(code(&client.answer().unwrap()), "TooLarge");
        assert_eq!(client.answer().unwrap()["message"], "PONG");
    }
    // The answer comes before the line's end does.
    client.send("x".repeat(100_001)).unwrap();
    assert_eq!(code(&client.answer().unwrap()), "TooLarge");
    client.send("\nPING\n").unwrap();
    assert_eq!(client.answer().unwrap()["message"], "PONG");
    let line = format!("PUT k {}", "v".repeat(100_000 - 6));
    goes(&mut client, &line);
    assert_eq!(fails(&mut client, &format!("{line}v")), "TooLarge");
    goes(&mut client, "PUT k v");
    holds(&mut client, &[("SHOWALL", UNTOUCHED)]);
}

#[test]
fn what_a_browser_sends_closes_the_connection_and_changes_nothing() {
    let server = server();
    let mut witness = prepared(&server);
    for request in [
        "POST / HTTP/1.1\r\nHost: 127.0.0.1:7379\r\nContent-Length: 9\r\n\r\nPUT k w\r\n",
        "POST /PUT%20k%20w HTTP/1.1\r\nContent-Type: text/plain\r\n\r\nDEL k\r\nPUT k w\r\n",
        "GET /?PUT+k+w HTTP/1.1\r\nX: \r\nPUT k w\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\nPUT k w\r\n",
        "PUT /kv HTTP/1.0\r\n\r\nPUT k w\r\n",
        "Host: localhost\r\nPUT k w\r\n",
        "get / http/1.1\nPUT k w\n",
    ] {
        let mut browser = line_client(&server);
        browser.send(request).unwrap();
        assert_eq!(String::from_utf8_lossy(&browser.until_closed().unwrap()), "", "{request}");
    }
    // A first line that is too long to be looked at is not the way around it.
    let mut browser = line_client(&server);
    let long = format!("{}\r\nHost: x\r\nPUT k w\r\n", "/".repeat(70_000));
    browser.send(format!("POST {long}")).unwrap();
    let told = String::from_utf8_lossy(&browser.until_closed().unwrap()).into_owned();
    assert!(!told.contains("\"Ok\""), "{told}");
    holds(&mut witness, &[("SHOWALL", UNTOUCHED)]);
}

#[test]
fn whatever_comes_each_line_has_one_answer() {
    let server = server();
    let seed = random::seed("whatever_comes_each_line_has_one_answer");
    let mut random = random::Random::new(seed);
    let pieces: [&[u8]; 24] = [
        b"PUT",
        b"GET",
        b"DEL",
        b"BEGIN",
        b"COMMIT",
        b"ROLLBACK",
        b"ABORT",
        b"COMMITALL",
        b"SHOWALL",
        b"PING",
        b"SELECT",
        b" ",
        b" ",
        b"\t",
        b"\"",
        b"\\",
        b"\\x41",
        b"1",
        b"2",
        b"@",
        b"k",
        b"\xff",
        "é".as_bytes(),
        b"\r",
    ];
    for _ in 0..200 {
        let mut client = line_client(&server);
        let lines = 1 + random.index(20);
        let mut sent = Vec::new();
        for _ in 0..lines {
            // A word first, so that no line is empty.
            let first = *random.choice(&pieces[..11]);
            sent.extend_from_slice(first);
            for _ in 0..random.index(8) {
                let piece = *random.choice(&pieces);
                sent.extend_from_slice(piece);
            }
            sent.push(b'\n');
        }
        client.send(&sent).unwrap();
        for _ in 0..lines {
            let answer = client.answer().unwrap_or_else(|error| panic!("{error}: {}", sent.escape_ascii()));
            assert!(answer["status"] == "Ok" || !code(&answer).is_empty(), "{answer}");
        }
        assert_eq!(goes(&mut client, "PING")["message"], "PONG", "{}", sent.escape_ascii());
    }
}
