//! The connection itself: lines sent ahead, lines in pieces, limits, other doors' control over it.

use std::time::{Duration, Instant};

use tresor_server::{Ending, ServerConfig};
use tresor_testkit::deadline::wait_until;

use crate::{
    OK, code, goes, holds,
    running::{client, config, line_client, server, server_with},
};

#[test]
fn lines_sent_ahead_are_answered_in_order() {
    let server = server();
    let mut client = line_client(&server);
    let mut sent = String::new();
    for number in 1..=3000 {
        sent.push_str(&format!("BEGIN\nPUT a{number} {number} @\nPUT b{number} {number} @\r\nCOMMIT @\n"));
    }
    let mut writer = client.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || std::io::Write::write_all(&mut writer, sent.as_bytes()));
    for number in 1..=3000 {
        assert_eq!(client.answer().unwrap()["transaction_id"], number);
        for _ in 0..3 {
            assert_eq!(client.answer_text().unwrap(), OK);
        }
    }
    sender.join().unwrap().unwrap();
    assert_eq!(goes(&mut client, "SHOWALL")["entries"].as_object().unwrap().len(), 6000);
}

#[test]
fn a_line_may_come_in_pieces_of_any_size() {
    let server = server();
    let mut client = line_client(&server);
    for byte in "PUT k \"a b\"\r\nGET k\n".bytes() {
        client.send([byte]).unwrap();
    }
    assert_eq!(client.answer_text().unwrap(), OK);
    assert_eq!(client.answer().unwrap()["value"], "a b");
    // Far more than one buffer of the server, and cut where it hurts.
    let value = "0123456789abcdef".repeat(1 << 17);
    let line = format!("PUT long {value}\nGET long\nPING\n");
    for piece in line.as_bytes().chunks(65_536 + 1) {
        client.send(piece).unwrap();
    }
    assert_eq!(client.answer_text().unwrap(), OK);
    assert_eq!(client.answer().unwrap()["value"], value.as_str());
    assert_eq!(client.answer().unwrap()["message"], "PONG");
}

#[test]
fn quit_is_answered_and_what_follows_is_not_done() {
    let server = server();
    let mut client = line_client(&server);
    client.send("PUT a 1\nQUIT\nPUT b 2\n").unwrap();
    let told = String::from_utf8(client.until_closed().unwrap()).unwrap();
    assert_eq!(told, format!("{OK}\n{}\n", r#"{"status":"Ok","message":"BYE"}"#));
    let all = r#"{"status":"Ok","entries":{"a":"1"},"transactions":[]}"#;
    holds(&mut line_client(&server), &[("SHOWALL", all)]);
}

#[test]
fn one_client_too_many_is_told_so() {
    let server = server_with(ServerConfig { max_clients: 1, ..config() });
    let mut first = line_client(&server);
    goes(&mut first, "PING");
    let mut second = line_client(&server);
    assert_eq!(code(&second.answer().unwrap()), "Unavailable");
    assert_eq!(second.until_closed().unwrap(), b"");
    goes(&mut first, "PING");
}

#[test]
fn other_doors_see_a_client_and_can_close_and_pause_it() {
    let server = server();
    let (mut line, mut operator) = (line_client(&server), client(&server));
    goes(&mut line, "PUT k v");
    let address = line.stream().local_addr().unwrap().to_string();
    let list = operator.command(&["CLIENT", "LIST"]).unwrap();
    assert!(list.text().expect("text").contains(&format!(" addr={address} ")), "{list:?}");
    let paused = operator.command(&["CLIENT", "PAUSE", "300", "WRITE"]).unwrap();
    assert_eq!(paused.text(), Some("OK"));
    let started = Instant::now();
    assert_eq!(goes(&mut line, "GET k")["value"], "v");
    goes(&mut line, "PUT k w");
    assert!(started.elapsed() > Duration::from_millis(200), "it was held back");
    let killed = operator.command(&["CLIENT", "KILL", "ADDR", &address]).unwrap();
    assert_eq!(killed.integer(), Some(1));
    assert_eq!(line.until_closed().unwrap(), b"");
}

#[test]
fn an_idle_client_is_closed_where_that_is_set() {
    let server = server();
    let (line, mut operator) = (line_client(&server), client(&server));
    let mut line = line;
    goes(&mut line, "BEGIN");
    operator.command(&["CONFIG", "SET", "timeout", "1"]).unwrap();
    assert_eq!(line.until_closed().unwrap(), b"");
}

#[test]
fn a_stop_answers_what_was_sent_and_ends() {
    let server = server();
    let mut client = line_client(&server);
    client.send("PUT k v\nPING\n").unwrap();
    assert_eq!(client.answer_text().unwrap(), OK);
    server.stopper().stop();
    assert_eq!(client.answer().unwrap()["message"], "PONG");
    assert_eq!(client.until_closed().unwrap(), b"");
    assert!(matches!(&*server.wait(), Ending::Asked(_)));
    wait_until("the port to be closed", || std::net::TcpStream::connect(server.addresses().line[0]).is_err());
    server.shutdown();
}
