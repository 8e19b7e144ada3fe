//! What an attacker sends, and that the server goes on serving others afterwards.

mod running;

use std::io::Write;

use running::{client, config, server, server_with};
use tresor_server::{Limits, Server, ServerConfig};
use tresor_testkit::{Reply, RespClient, deadline::wait_until, resp_client::encode};

fn serves(server: &Server) {
    let mut client = client(server);
    assert_eq!(client.command(&["SET", "still", "here"]).expect("a reply"), Reply::Simple("OK".into()));
    assert_eq!(client.command(&["GET", "still"]).expect("a reply"), Reply::Bulk(b"here".to_vec()));
}

/// Sends bytes and expects this answer and the end.
fn refused(server: &Server, bytes: &[u8], answer: &str) {
    let mut attacker = client(server);
    // The server may close while we are still sending.
    let _ = attacker.send(bytes);
    let answered = attacker.until_closed().expect("the server closes");
    assert_eq!(String::from_utf8_lossy(&answered), answer);
    serves(server);
}

#[test]
fn broken_requests_are_told_and_closed() {
    let server = server();
    refused(&server, b"*2147483648\r\n", "-ERR Protocol error: invalid multibulk length\r\n");
    refused(&server, b"*2\r\n$3\r\nGET\r\n$2147483648\r\n", "-ERR Protocol error: invalid bulk length\r\n");
    refused(&server, b"*1\r\n*1\r\n*1\r\n", "-ERR Protocol error: expected '$', got '*'\r\n");
    refused(&server, b"*1\r\n\r\n\r\n", "-ERR Protocol error: expected '$', got '\\r'\r\n");
    refused(&server, b"get \"k\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n");
    refused(&server, &b"*1\r\n".repeat(30_000), "-ERR Protocol error: expected '$', got '*'\r\n");
    refused(&server, &[b'a'; 64 * 1024], "-ERR Protocol error: too big inline request\r\n");
}

#[test]
fn what_came_before_a_broken_request_is_answered() {
    let server = server();
    let bytes = [encode(&["SET", "k", "v"]), encode(&["GET", "k"]), b"*x\r\n".to_vec()].concat();
    refused(&server, &bytes, "+OK\r\n$1\r\nv\r\n-ERR Protocol error: invalid multibulk length\r\n");
}

#[test]
fn http_requests_are_closed_before_anything_is_executed() {
    let server = server();
    for head in [
        "POST / HTTP/1.1",
        "GET / HTTP/1.1",
        "PUT /x HTTP/1.0",
        "Host: localhost",
        "post",
        "DELETE / http/1.1",
    ] {
        let request = format!("{head}\r\nHost: 127.0.0.1\r\n\r\nSET stolen 1\r\n");
        refused(&server, request.as_bytes(), "");
    }
    assert_eq!(client(&server).command(&["GET", "stolen"]).unwrap(), Reply::Null);
}

#[test]
fn an_endless_line_or_request_is_cut_off() {
    let limits = Limits { input_bytes: 200_000, ..Limits::for_values(100_000) };
    let server = server_with(ServerConfig { limits, ..config() });
    // Each word is allowed, all of them together are not.
    let mut bytes = b"*100\r\n".to_vec();
    for _ in 0..3 {
        bytes.extend(b"$90000\r\n");
        bytes.extend([b'x'; 90_000]);
        bytes.extend(b"\r\n");
    }
    refused(&server, &bytes, "");
    // So is one that is announced and never comes.
    refused(&server, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$900000\r\nx", "");
}

#[test]
fn a_request_of_many_words_in_small_pieces_is_not_decoded_over_and_over() {
    let server = server();
    let words: Vec<String> =
        std::iter::once("DEL".to_owned()).chain((0..100_000).map(|n| n.to_string())).collect();
    let bytes = encode(&words);
    let mut client = client(&server);
    // Looking at all of it for each of 4,000 pieces would take minutes.
    for piece in bytes.chunks(1 + bytes.len() / 4_000) {
        client.send(piece).unwrap();
    }
    assert_eq!(client.reply().unwrap(), Reply::Integer(0));
}

#[test]
fn a_client_that_does_not_read_stops_only_itself() {
    let server = server();
    let mut client = client(&server);
    assert_eq!(
        client.command(&[&b"SET"[..], b"large", &[b'x'; 1 << 20]]).unwrap(),
        Reply::Simple("OK".into())
    );
    let attacker = running::client(&server);
    attacker.stream().set_nonblocking(true).unwrap();
    // Asks for far more than all buffers between us hold, until nothing more is taken.
    let request = encode(&["GET", "large"]).repeat(1000);
    let taken = (0..).take_while(|_| attacker.stream().write_all(&request).is_ok()).take(10_000).count();
    assert!(taken < 10_000, "the server takes requests whose replies it cannot get rid of");
    serves(&server);
    drop(attacker);
    serves(&server);
}

#[test]
fn replies_over_the_output_limit_end_the_connection() {
    let limits = Limits { output_bytes: 1 << 20, ..Limits::default() };
    let server = server_with(ServerConfig { limits, ..config() });
    let mut client = client(&server);
    let large = vec![b'x'; 900 * 1024];
    assert_eq!(client.command(&[&b"SET"[..], b"a", &large]).unwrap(), Reply::Simple("OK".into()));
    // One fits; a run of GETs that goes over does not, and is not answered by halves.
    assert!(client.command(&["GET", "a"]).unwrap().bytes() == Some(&large[..]));
    client.send(&encode(&["GET", "a"]).repeat(3)).unwrap();
    assert_eq!(client.until_closed().unwrap(), b"");
    serves(&server);
}

#[test]
fn clients_over_the_limit_are_told_so() {
    let server = server_with(ServerConfig { max_clients: 3, ..config() });
    let mut clients: Vec<RespClient> = (0..3).map(|_| client(&server)).collect();
    for client in &mut clients {
        assert_eq!(client.command(&["PING"]).unwrap(), Reply::Simple("PONG".into()));
    }
    let refused = client(&server).until_closed().expect("the server closes");
    assert_eq!(refused, b"-ERR max number of clients reached\r\n");
    clients.pop();
    wait_until("the place to be free", || {
        client(&server).command(&["PING"]).is_ok_and(|reply| reply == Reply::Simple("PONG".into()))
    });
}

#[test]
fn silent_clients_are_disconnected() {
    let server = server();
    let mut silent = client(&server);
    let mut halfway = client(&server);
    halfway.send(b"*2\r\n$3\r\nGET\r\n$1000000\r\nx").unwrap();
    assert_eq!(
        client(&server).command(&["CONFIG", "SET", "timeout", "1"]).unwrap(),
        Reply::Simple("OK".into())
    );
    assert_eq!(silent.until_closed().unwrap(), b"");
    assert_eq!(halfway.until_closed().unwrap(), b"");
    serves(&server);
}
