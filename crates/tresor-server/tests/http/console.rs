//! `/` and the files of the console: open, with the headers that lock the page in, and under the rules of all paths.

use crate::{
    running::server,
    table::{row, run},
};

const POLICY: &str = "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'";

const LOCKED_IN: &[&str] = &[
    POLICY,
    "x-content-type-options: nosniff",
    "x-frame-options: DENY",
    "referrer-policy: no-referrer",
    "cache-control: no-cache",
];

#[test]
fn the_page_is_open_and_what_it_shows_is_not() {
    let server = server();
    server.database.settings().set_password(Some(b"a password"));
    run(
        &server,
        &[
            row("GET", "/", b"", 200).has(LOCKED_IN),
            row("GET", "/", b"", 200).has(&["content-type: text/html; charset=utf-8"]),
            row("GET", "/?from=elsewhere", b"", 200),
            row("HEAD", "/", b"", 200).has(LOCKED_IN),
            row("GET", "/console/main.js", b"", 200).has(LOCKED_IN),
            row("GET", "/console/main.js", b"", 200).has(&["content-type: text/javascript; charset=utf-8"]),
            row("GET", "/console/console.css", b"", 200).has(&["content-type: text/css; charset=utf-8"]),
            row("GET", "/console/nothing.js", b"", 404),
            row("GET", "/console/..%2Fconsole.rs", b"", 404),
            row("GET", "/console/", b"", 401),
            row("POST", "/", b"{}", 405).has(&["allow: GET, HEAD"]),
            row("GET", "/v1/entries", b"", 401),
            row("GET", "/metrics", b"", 401),
        ],
    );
}

#[test]
fn the_rules_for_web_pages_hold_for_it_too() {
    let server = server();
    for (headers, status) in [
        ("Host: localhost\r\n", 200),
        ("Host: evil.example\r\n", 421),
        ("Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
        ("Host: localhost\r\nOrigin: http://localhost\r\n", 200),
    ] {
        for target in ["/", "/console/main.js"] {
            let request = format!("GET {target} HTTP/1.1\r\n{headers}\r\n");
            let answer = server.client().raw(request.as_bytes()).unwrap();
            assert_eq!(answer.status, status, "{target} {headers:?}");
        }
    }
}

#[test]
fn a_file_that_is_known_is_not_sent_again() {
    let server = server();
    let mut client = server.client();
    for target in ["/", "/console/main.js"] {
        let tag = client.request("GET", target, &[], b"").header("etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let answer = client.request("GET", target, &[&format!("If-None-Match: {known}")], b"");
            assert_eq!((answer.status, answer.header("etag"), answer.body.len()), (304, &*tag, 0), "{known}");
        }
        let answer = client.request("GET", target, &["If-None-Match: \"other\""], b"");
        assert_eq!((answer.status, answer.header("etag")), (200, &*tag));
    }
}
