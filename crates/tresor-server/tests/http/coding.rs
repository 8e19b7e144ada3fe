//! Compressed answers: to whom, of what, and that tags and streams go on meaning what they did.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::{
    changes::following,
    client::{Answer, Client, request},
    described,
    running::server,
};

/// An answer with what its body says once it is decoded.
fn get(client: &mut Client, target: &str, headers: &[&str]) -> Answer {
    client.send(&request("GET", target, headers, b""));
    let mut answer = client.answer_to("GET").expect("an answer");
    let mut plain = Vec::new();
    match answer.header("content-encoding") {
        "gzip" => {
            MultiGzDecoder::new(&answer.body[..]).read_to_end(&mut plain).unwrap();
        }
        "zstd" => plain = zstd::stream::decode_all(&answer.body[..]).unwrap(),
        _ => plain = answer.body.clone(),
    }
    assert!(answer.header("content-encoding").is_empty() || answer.body.len() < plain.len());
    answer.body = plain;
    assert_eq!(described::check("GET", target, &answer), Ok(()), "{target}");
    answer
}

const GZIP: &str = "Accept-Encoding: gzip, deflate, br";
const ZSTD: &str = "Accept-Encoding: gzip;q=0.5, zstd";

#[test]
fn what_compresses_is_compressed_for_those_who_take_it() {
    let server = server();
    let mut client = server.client();
    let json = format!("[{}0]", "1, ".repeat(2000));
    let kind = &["Content-Type: application/json"];
    for number in 0..2000 {
        assert_eq!(client.request("PUT", &format!("/keys/{number}"), &[], b"a value").status, 201);
    }
    assert_eq!(client.request("PUT", "/keys/json", kind, json.as_bytes()).status, 201);
    let text = "text ".repeat(100_000);
    assert_eq!(client.request("PUT", "/keys/text", &[], text.as_bytes()).status, 201);
    for target in [
        "/kv",
        "/kv?key=json",
        "/kv?key=text",
        "/keys/json",
        "/keys/text",
        "/v1/entries/text",
        "/v1/entries?limit=1000",
        "/v1/export",
        "/openapi.json",
        "/metrics",
    ] {
        let plain = get(&mut client, target, &[]);
        assert_eq!(
            (plain.header("content-encoding"), plain.header("vary")),
            ("", "Accept-Encoding"),
            "{target}"
        );
        for (accepts, coding) in [(GZIP, "gzip"), (ZSTD, "zstd")] {
            let coded = get(&mut client, target, &[accepts]);
            let told = (coded.status, coded.header("content-encoding"), coded.header("vary"));
            assert_eq!(told, (200, coding, "Accept-Encoding"), "{target}");
            assert_eq!(coded.header("content-type"), plain.header("content-type"));
            // Figures move on.
            assert!(target == "/metrics" || coded.body == plain.body, "{target}");
        }
    }
}

#[test]
fn what_is_short_or_no_text_comes_as_it_is() {
    let server = server();
    let mut client = server.client();
    assert_eq!(client.request("PUT", "/keys/bytes", &[], &[0xff; 5000]).status, 201);
    assert_eq!(client.request("PUT", "/keys/short", &[], b"short").status, 201);
    for target in ["/keys/bytes", "/v1/entries/bytes", "/keys/short", "/livez", "/kv?key=short", "/keys/none"]
    {
        let answer = get(&mut client, target, &[GZIP]);
        assert_eq!((answer.header("content-encoding"), answer.header("vary")), ("", ""), "{target}");
    }
    // Unless it must not come as it is.
    client.send(&request("GET", "/keys/short", &["Accept-Encoding: gzip, identity;q=0"], b""));
    let answer = client.answer_to("GET").expect("an answer");
    assert_eq!((answer.header("content-encoding"), answer.header("vary")), ("gzip", "Accept-Encoding"));
    let answer = get(&mut client, "/keys/short", &["Accept-Encoding: identity;q=0"]);
    assert_eq!((answer.status, answer.text()), (200, "short"));
}

#[test]
fn head_tells_the_same_headers() {
    let server = server();
    let mut client = server.client();
    assert_eq!(client.request("PUT", "/keys/text", &[], "text ".repeat(1000).as_bytes()).status, 201);
    let coded = get(&mut client, "/v1/entries/text", &[GZIP]);
    let head = client.request("HEAD", "/v1/entries/text", &[GZIP], b"");
    for name in ["content-encoding", "content-length", "content-type", "etag", "vary"] {
        assert_eq!((name, head.header(name)), (name, coded.header(name)));
        assert_ne!((name, head.header(name)), (name, ""));
    }
}

#[test]
fn the_tag_of_a_compressed_answer_is_its_own_and_means_the_same_version() {
    let server = server();
    let mut client = server.client();
    let text = "text ".repeat(1000);
    let plain = client.request("PUT", "/v1/entries/k", &[], text.as_bytes()).header("etag").to_owned();
    assert_eq!(get(&mut client, "/v1/entries/k", &[]).header("etag"), plain);
    let coded = get(&mut client, "/v1/entries/k", &[GZIP]).header("etag").to_owned();
    assert_eq!(coded, format!("{}-gzip\"", plain.trim_end_matches('"')));
    for (held, accepts, told) in [
        (&coded, GZIP, &coded),
        (&plain, GZIP, &plain),
        (&coded, "Accept-Encoding: identity", &plain),
        (&format!("\"x\", W/{coded}"), GZIP, &coded),
    ] {
        let answer = get(&mut client, "/v1/entries/k", &[accepts, &format!("If-None-Match: {held}")]);
        assert_eq!((answer.status, answer.header("etag")), (304, told.as_str()), "{held} {accepts}");
    }
    let condition = format!("If-Match: {coded}");
    let changed = client.request("PUT", "/v1/entries/k", &[&condition], b"new");
    assert_eq!(changed.status, 200);
    assert_eq!(client.request("PUT", "/v1/entries/k", &[&condition], b"newer").status, 412);
    let stale = get(&mut client, "/v1/entries/k", &[GZIP, &format!("If-None-Match: {coded}")]);
    assert_eq!((stale.status, stale.text()), (200, "new"));
}

#[test]
fn files_of_the_console_are_not_sent_again_and_events_come_as_they_are() {
    let server = following();
    let mut client = server.client();
    let page = get(&mut client, "/", &[GZIP]);
    assert_eq!((page.status, page.header("content-encoding")), (200, "gzip"));
    let tag = page.header("etag").to_owned();
    assert!(tag.ends_with("-gzip\""), "{tag}");
    let again = get(&mut client, "/", &[GZIP, &format!("If-None-Match: {tag}")]);
    assert_eq!((again.status, again.header("etag")), (304, tag.as_str()));
    let headers = &["Accept: text/event-stream", "Accept-Encoding: *, identity;q=0"];
    client.send(&request("GET", "/v1/changes", headers, b""));
    // It has no end: its head is enough.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.stream().read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.contains("text/event-stream") && !head.contains("content-encoding"), "{head}");
}
