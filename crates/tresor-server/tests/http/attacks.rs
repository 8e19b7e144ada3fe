//! Hostile bytes: each is answered with a refusal or a closed connection, and others are still served.

use tresor_testkit::random::{Random, seed};

use crate::{client::request, running::server};

/// What must not reach a handler, or not as two requests.
#[test]
fn smuggled_requests_are_not_served() {
    let server = server();
    let hidden = "GET /keys/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let head = "PUT /keys/k HTTP/1.1\r\nHost: localhost\r\n";
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "Content-Length: 5, 6\r\n\r\n",
        "Content-Length: +5\r\n\r\n",
        "Content-Length: 0x5\r\n\r\n",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 5 5\r\n\r\n",
        "Content-Length : 5\r\n\r\n",
        "Content-Length: 5\r\n folded: x\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\nvalue\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-5\r\nvalue\r\n0\r\n\r\n",
        "X: a\0b\r\n\r\n",
        "X: a\rb\r\n\r\n",
        ": no name\r\n\r\n",
        "No colon\r\n\r\n",
    ] {
        let mut client = server.client();
        client.send(format!("{head}{lines}{hidden}").as_bytes());
        client.finish_sending();
        let answers = String::from_utf8_lossy(&client.until_closed()).into_owned();
        assert!(!answers.contains(" 404 "), "{lines:?} let the hidden request through: {answers}");
        assert!(!answers.contains("HTTP/1.1 20"), "{lines:?} was served: {answers}");
    }
    server.assert_serves();
}

/// With both lengths the chunks count (RFC 9112, 6.1), and nothing after them is read.
#[test]
fn two_kinds_of_length_end_the_connection() {
    let server = server();
    for lines in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    ] {
        let mut client = server.client();
        let body = "5\r\nvalue\r\n0\r\n\r\n";
        let hidden = "GET /keys/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";
        client
            .send(format!("PUT /keys/k HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}{hidden}").as_bytes());
        let answer = client.answer_to("PUT").unwrap();
        assert!(answer.status < 300 && answer.header("connection") == "close", "{answer:?}");
        assert_eq!(client.until_closed(), b"");
        assert_eq!(server.client().request("GET", "/keys/k", &[], b"").body, b"value");
    }
    server.assert_serves();
}

#[test]
fn other_protocols_are_turned_away() {
    let server = server();
    for bytes in [
        &b"*1\r\n$4\r\nPING\r\n"[..],
        b"PING\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /nothing HTTP/1.1\nHost: localhost\n\n\0\0\0\0",
        b"GET  /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET /livez\r\n\r\n",
    ] {
        let mut client = server.client();
        client.send(bytes);
        client.finish_sending();
        let answers = String::from_utf8_lossy(&client.until_closed()).into_owned();
        assert!(!answers.contains("HTTP/1.1 2"), "{:?}: {answers}", String::from_utf8_lossy(bytes));
    }
    server.assert_serves();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = server();
    let mut client = server.client();
    let mut bytes = Vec::new();
    for number in 0..200 {
        bytes.extend(request("PUT", &format!("/keys/k{number}"), &[], format!("v{number}").as_bytes()));
        bytes.extend(request("GET", &format!("/keys/k{number}"), &[], b""));
    }
    client.send(&bytes);
    client.finish_sending();
    for number in 0..200 {
        assert_eq!(client.answer_to("PUT").unwrap().status, 201);
        assert_eq!(client.answer_to("GET").unwrap().body, format!("v{number}").as_bytes());
    }
}

/// Requests with bytes changed, dropped and doubled: whatever comes of them, others are served.
#[test]
fn mangled_requests_hurt_nobody() {
    let number = seed("mangled_requests_hurt_nobody");
    println!("seed {number}");
    let mut random = Random::new(number);
    let server = server();
    let good = request("PUT", "/kv?db=1", &["Content-Type: application/json"], br#"{"key":"k","value":[1]}"#);
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..=random.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = random.index(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.number() as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, *random.choice(b"\r\n %:;,\0\xff")),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let mut client = server.client();
        client.send(&bytes);
        client.finish_sending();
        client.until_closed();
    }
    server.assert_serves();
}
