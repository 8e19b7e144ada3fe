//! Limits of size and time, each with its clear answer, and the server goes on serving.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use tresor::Config;
use tresor_server::HttpLimits;

use crate::{
    client::request,
    running::{Running, Setup, server},
};

fn small_values() -> Running {
    let limits = HttpLimits { body_timeout: Duration::from_millis(500), ..HttpLimits::default() };
    let config = Config { max_value_bytes: 1000, ..Config::memory() };
    Setup { config, limits, ..Setup::default() }.start()
}

fn impatient() -> Running {
    let limits = HttpLimits {
        head_timeout: Duration::from_millis(200),
        body_timeout: Duration::from_millis(200),
        stall_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(400),
        ..HttpLimits::default()
    };
    Setup { limits, ..Setup::default() }.start()
}

#[test]
fn values_over_the_limit_are_refused() {
    let server = small_values();
    let mut client = server.client();
    assert_eq!(client.request("PUT", "/keys/k", &[], &[b'x'; 1000]).status, 201);
    assert_eq!(client.request("PUT", "/keys/k", &[], &[b'x'; 1001]).status, 413);
    // A value whose document is within bounds but which itself is not.
    let document = format!("{{\"key\":\"k\",\"value\":\"{}\"}}", "x".repeat(1001));
    assert_eq!(server.client().request("PUT", "/kv", &[], document.as_bytes()).status, 413);
    let document = format!("{{\"key\":\"k\",\"value\":\"{}\"}}", "\\u0078".repeat(1000));
    assert_eq!(server.client().request("PUT", "/kv", &[], document.as_bytes()).status, 200);
    let blanks = vec![b' '; 1_000_000];
    assert_eq!(server.client().request("PUT", "/kv", &[], &blanks).status, 413);
    server.assert_serves();
}

#[test]
fn an_announced_length_is_refused_before_it_is_sent() {
    let server = server();
    for length in ["67108865", "18446744073709551615"] {
        let head = format!("PUT /keys/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        let answer = server.client().raw(head.as_bytes()).unwrap();
        assert!([413, 431].contains(&answer.status), "{length}: {}", answer.status);
    }
    let expecting = b"PUT /keys/k HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\
        Content-Length: 99999999\r\n\r\n";
    assert_eq!(server.client().raw(expecting).unwrap().status, 413);
    server.assert_serves();
}

#[test]
fn a_chunked_body_is_cut_at_the_limit() {
    let server = small_values();
    let head = b"PUT /keys/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
    let whole = [head, chunk.as_bytes(), b"0\r\n\r\n"].concat();
    assert_eq!(server.client().raw(&whole).unwrap().status, 201);
    let endless = [head, chunk.repeat(2).as_bytes()].concat();
    let mut client = server.client();
    assert_eq!(client.raw(&endless).unwrap().status, 413);
    assert_eq!(server.client().request("GET", "/keys/k", &[], b"").body.len(), 1000);
    // A size that no body can have.
    let giant = [head, &b"ffffffffffffffff\r\nxxxx"[..]].concat();
    let answer = server.client().raw(&giant);
    assert!(answer.is_none_or(|answer| [400, 408, 413].contains(&answer.status)));
    server.assert_serves();
}

#[test]
fn heads_over_the_limits_are_refused() {
    let server = server();
    let long_line = format!("GET /keys/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "k".repeat(70_000));
    assert_eq!(server.client().raw(long_line.as_bytes()).unwrap().status, 414);
    let long_header =
        format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(200_000));
    assert_eq!(server.client().raw(long_header.as_bytes()).unwrap().status, 431);
    let many = "X-Many: 1\r\n".repeat(101);
    let many = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{many}\r\n");
    assert_eq!(server.client().raw(many.as_bytes()).unwrap().status, 431);
    let key = "k".repeat(32 * 1024);
    assert_eq!(server.client().request("PUT", &format!("/keys/{key}"), &[], b"v").status, 201);
    assert_eq!(server.client().request("GET", &format!("/keys/{key}"), &[], b"").status, 200);
    assert_eq!(server.client().request("PUT", &format!("/keys/{key}k"), &[], b"v").status, 413);
    assert_eq!(server.client().request("GET", &format!("/keys/{key}k"), &[], b"").status, 413);
    assert_eq!(server.client().request("DELETE", &format!("/keys/{key}k"), &[], b"").status, 413);
    server.assert_serves();
}

#[test]
fn deep_json_is_refused_without_recursing() {
    let server = server();
    let mut client = server.client();
    const JSON: &[&str] = &["Content-Type: application/json"];
    let nested = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
    assert_eq!(client.request("PUT", "/keys/k", JSON, &nested(100)).status, 201);
    for deep in [nested(101), nested(1_000_000), b"[".repeat(1_000_000), b"{\"a\":".repeat(1_000_000)] {
        assert_eq!(client.request("PUT", "/keys/k", JSON, &deep).status, 400);
        for (before, after) in [("{\"key\":\"k\",\"value\":", "}"), ("{\"other\":", "}")] {
            let body = [before.as_bytes(), &deep, after.as_bytes()].concat();
            assert_eq!(client.request("PUT", "/kv", JSON, &body).status, 400, "{before}");
        }
    }
    // Brackets in strings are no nesting.
    let text = [b"\"", "[\\\"".repeat(500).as_bytes(), b"\""].concat();
    assert_eq!(client.request("PUT", "/keys/k", JSON, &text).status, 200);
    server.assert_serves();
}

#[test]
fn a_slow_body_is_given_up() {
    let server = impatient();
    let mut client = server.client();
    client.send(b"PUT /keys/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nslow");
    let answer = client.answer_to("PUT").unwrap();
    assert_eq!((answer.status, answer.header("connection")), (408, "close"));
    assert_eq!(client.until_closed(), b"");
    server.assert_serves();
}

/// Sends a byte now and then until the server closes; how long it put up with that.
fn drip(server: &Running, start: &[u8]) -> Duration {
    let client = server.client();
    let mut stream = client.stream();
    let started = Instant::now();
    stream.write_all(start).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    loop {
        assert!(started.elapsed() < Duration::from_secs(20), "the server put up with a drip");
        let mut answer = [0; 1000];
        match stream.read(&mut answer) {
            Ok(0) => return started.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return started.elapsed(),
        }
        if stream.write_all(b"x").is_err() {
            return started.elapsed();
        }
    }
}

#[test]
fn dripping_clients_are_cut_off() {
    let server = impatient();
    drip(&server, b"G");
    drip(&server, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Drip: ");
    drip(&server, b"PUT /keys/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
    // The same on a connection that was used before.
    drip(&server, &[request("GET", "/livez", &[], b""), b"GET /li".to_vec()].concat());
    server.assert_serves();
}

#[test]
fn idle_and_stalled_connections_are_closed() {
    let server = impatient();
    assert_eq!(server.client().until_closed(), b"");
    let mut used = server.client();
    assert_eq!(used.request("GET", "/livez", &[], b"").status, 200);
    assert_eq!(used.until_closed(), b"");
    // A client that asks for much and reads nothing.
    let mut client = server.client();
    let value = vec![b'x'; 8_000_000];
    assert_eq!(client.request("PUT", "/keys/large", &[], &value).status, 201);
    let mut stalled = server.client();
    stalled.send(&request("GET", "/keys/large", &[], b"").repeat(4));
    let closed = |text: &str| text.contains("tresor_http_connections 1\n");
    tresor_testkit::deadline::wait_until("the stalled connection to be closed", || {
        closed(server.client().request("GET", "/metrics", &[], b"").text())
    });
    server.assert_serves();
}

#[test]
fn stopping_finishes_what_is_begun() {
    let server = server();
    let mut idle = server.client();
    assert_eq!(idle.request("GET", "/livez", &[], b"").status, 200);
    let mut busy = server.client();
    busy.send(
        b"PUT /keys/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );
    let mut go_on = [0; 25];
    busy.stream().read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    // The idle connection ends; the request that has begun is answered.
    server.stop();
    assert_eq!(idle.until_closed(), b"");
    busy.send(b"value");
    let answer = busy.answer_to("PUT").unwrap();
    assert_eq!((answer.status, answer.header("connection")), (201, "close"));
    assert_eq!(busy.until_closed(), b"");
}
