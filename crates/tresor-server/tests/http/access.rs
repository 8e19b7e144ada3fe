//! Who may ask: Host, Origin, password.

use crate::{
    client::{Client, request},
    running::{Running, Setup, server},
    table::{row, run},
};

/// Sends a GET with exactly these header lines; the status, 0 for a closed connection.
fn status(client: &mut Client, target: &str, headers: &str) -> u16 {
    let request = format!("GET {target} HTTP/1.1\r\n{headers}\r\n");
    client.raw(request.as_bytes()).map_or(0, |answer| answer.status)
}

fn fresh(server: &Running, target: &str, headers: &str) -> u16 {
    status(&mut server.client(), target, headers)
}

#[test]
fn only_our_own_hosts_are_answered() {
    let server = Setup { allowed_hosts: vec!["db.example".into()], ..Setup::default() }.start();
    let port = server.address.port();
    for host in [
        "localhost",
        "LocalHost",
        "localhost:1",
        "127.0.0.1",
        &format!("127.0.0.1:{port}"),
        "[::ffff:127.0.0.1]:80",
        "db.example",
        "DB.example:443",
    ] {
        assert_eq!(fresh(&server, "/livez", &format!("Host: {host}\r\n")), 200, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "db.example.evil.example",
        "127.0.0.2",
        "0.0.0.0",
        "2130706433",
        "0x7f000001",
        "[::1]",
        "[::1",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost:80:80",
        "localhost:x",
        "localhost, evil.example",
        "localhost/",
        "",
        "\u{ff}",
    ] {
        assert_eq!(fresh(&server, "/livez", &format!("Host: {host}\r\n")), 421, "{host}");
        assert_eq!(fresh(&server, "/kv", &format!("Host: {host}\r\n")), 421, "{host}");
    }
    server.assert_serves();
}

#[test]
fn there_is_exactly_one_host() {
    let server = server();
    assert_eq!(fresh(&server, "/livez", ""), 400);
    assert_eq!(fresh(&server, "/livez", "Host: localhost\r\nHost: localhost\r\n"), 400);
    assert_eq!(fresh(&server, "/livez", "Host: localhost\r\nHost: evil.example\r\n"), 400);
    let old = server.client().raw(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(old.status, 421);
    let old = server.client().raw(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(old.status, 200);
    // A target may name its host too.
    assert_eq!(fresh(&server, "http://localhost/livez", "Host: localhost\r\n"), 200);
    assert_eq!(fresh(&server, "http://evil.example/livez", "Host: localhost\r\n"), 421);
    assert_eq!(fresh(&server, "http://localhost/livez", "Host: evil.example\r\n"), 421);
    // A good Host opens nothing for the next request of the connection.
    let mut client = server.client();
    assert_eq!(status(&mut client, "/livez", "Host: localhost\r\n"), 200);
    assert_eq!(status(&mut client, "/livez", "Host: evil.example\r\n"), 421);
    assert_eq!(status(&mut client, "/livez", "Host: localhost\r\n"), 200);
}

#[test]
fn pages_of_other_origins_are_refused() {
    let server = server();
    for origin in [
        "http://evil.example",
        "null",
        "",
        "http://localhost:81",
        "http://localhost.evil.example",
        "file://localhost",
        "localhost",
        "http://127.0.0.1",
    ] {
        let headers = format!("Host: localhost\r\nOrigin: {origin}\r\n");
        assert_eq!(fresh(&server, "/keys/k", &headers), 403, "{origin}");
    }
    for (host, origin) in [
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("localhost", "https://LOCALHOST:443"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
    ] {
        let headers = format!("Host: {host}\r\nOrigin: {origin}\r\n");
        assert_eq!(fresh(&server, "/livez", &headers), 200, "{host} {origin}");
    }
    // What a page would try: a write without asking first.
    let forged = request("PUT", "/keys/k", &["Origin: http://evil.example"], b"v");
    assert_eq!(server.client().raw(&forged).unwrap().status, 403);
    assert_eq!(server.client().request("GET", "/keys/k", &[], b"").status, 404);
}

#[test]
fn with_a_password_only_health_is_open() {
    let server = server();
    server.database.settings().set_password(Some(b"s3cret:\xc3\xa9"));
    const WRONG: &[&str] = &["www-authenticate: Bearer realm=\"tresor\""];
    let refused = |headers| row("GET", "/kv", b"", 401).headers(headers).has(WRONG);
    run(
        &server,
        &[
            row("GET", "/livez", b"", 200),
            row("GET", "/readyz", b"", 200),
            row("GET", "/readyz?verbose", b"", 401),
            row("GET", "/metrics", b"", 401),
            row("GET", "/keys", b"", 401),
            row("PUT", "/keys/k", b"v", 401),
            row("DELETE", "/keys/k", b"", 401),
            row("GET", "/nothing", b"", 401),
            refused(&[]),
            refused(&["Authorization: Bearer wrong"]),
            refused(&["Authorization: Bearer"]),
            refused(&["Authorization: Bearer s3cret:\u{e9}x"]),
            refused(&["Authorization: Basic !"]),
            refused(&["Authorization: Basic dXNlcg=="]),
            refused(&["Authorization: Basic dXNlcjp3cm9uZw=="]),
            refused(&["Authorization: Digest s3cret:\u{e9}"]),
            refused(&["Authorization: s3cret:\u{e9}"]),
            row("GET", "/kv", b"", 200).headers(&["Authorization: Bearer s3cret:\u{e9}"]),
            row("GET", "/kv", b"", 200).headers(&["Authorization: bearer  s3cret:\u{e9}"]),
            // user:s3cret:é and :s3cret:é
            row("GET", "/kv", b"", 200).headers(&["Authorization: Basic dXNlcjpzM2NyZXQ6w6k="]),
            row("GET", "/metrics", b"", 200).headers(&["Authorization: Basic OnMzY3JldDrDqQ=="]),
            row("GET", "/kv", b"", 401),
        ],
    );
}
