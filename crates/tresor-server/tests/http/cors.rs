//! CORS: pages of the origins that were named may ask and read, those of no other.

use crate::{
    client::Answer,
    running::{Running, Setup, server},
};

const ORIGIN: &str = "https://app.example";

fn open_to_pages() -> Running {
    let cors_origins = vec!["https://App.example".into(), "http://other.example:81".into()];
    Setup { cors_origins, ..Setup::default() }.start()
}

/// Asks as a browser does before a page may send a request.
fn preflight(server: &Running, target: &str, headers: &[&str]) -> Answer {
    let mut lines = format!("OPTIONS {target} HTTP/1.1\r\nHost: localhost\r\n");
    headers.iter().for_each(|header| lines.push_str(&format!("{header}\r\n")));
    server.client().raw(format!("{lines}\r\n").as_bytes()).unwrap()
}

#[test]
fn without_the_option_nothing_is_said() {
    let server = server();
    let asked = ["Origin: https://app.example", "Access-Control-Request-Method: PUT"];
    let answer = preflight(&server, "/keys/k", &asked);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, ""));
    let own = server.client().request("GET", "/livez", &["Origin: http://localhost"], b"");
    assert_eq!((own.status, own.header("access-control-allow-origin"), own.header("vary")), (200, "", ""));
    assert_eq!(preflight(&server, "/keys/k", &["Access-Control-Request-Method: PUT"]).status, 405);
}

#[test]
fn a_page_that_may_ask_is_told_so_before_it_shows_the_password() {
    let server = open_to_pages();
    server.database.settings().set_password(Some(b"secret"));
    let asked = [
        "Origin: https://app.example",
        "Access-Control-Request-Method: PUT",
        "Access-Control-Request-Headers: authorization,if-match",
    ];
    let answer = preflight(&server, "/v1/entries/k", &asked);
    for (name, value) in [
        ("access-control-allow-origin", ORIGIN),
        ("access-control-allow-methods", "GET, HEAD, PUT, DELETE"),
        ("access-control-allow-headers", "authorization,if-match"),
        ("access-control-allow-credentials", ""),
        ("vary", "Origin"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert_eq!(answer.status, 204);
    // It is only a question, and only of such an origin, and only where there is something.
    assert_eq!(preflight(&server, "/v1/entries/k", &asked[..1]).status, 401);
    assert_eq!(preflight(&server, "/v1/entries/k", &asked[1..]).status, 401);
    assert_eq!(preflight(&server, "/nothing", &asked).status, 401);
    let own = ["Origin: http://localhost", "Access-Control-Request-Method: PUT"];
    assert_eq!(preflight(&server, "/v1/entries/k", &own).status, 401);
}

#[test]
fn answers_are_for_the_page_that_asked() {
    let server = open_to_pages();
    let mut client = server.client();
    let origin = format!("Origin: {ORIGIN}");
    for (method, target, status) in
        [("PUT", "/v1/entries/k", 201), ("GET", "/keys/k", 200), ("GET", "/kv?x", 404)]
    {
        let answer = client.request(method, target, &[&origin], b"");
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN, "{target}");
        assert!(answer.header("access-control-expose-headers").starts_with("ETag, "), "{target}");
    }
    // No page asked: a cache must know all the same that the answer would be another.
    let plain = client.request("GET", "/keys/k", &[], b"");
    assert_eq!((plain.header("access-control-allow-origin"), plain.header("vary")), ("", "Origin"));
    for stranger in [
        "https://app.example.evil.example",
        "http://app.example",
        "https://app.example:444",
        "http://other.example",
        "null",
        "*",
    ] {
        let refused = client.request("GET", "/keys/k", &[&format!("Origin: {stranger}")], b"");
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, ""), "{stranger}");
    }
}
