//! The rows of the `/kv` table, and what JSON does on its way in and out.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tresor_testkit::random::{Random, seed};

use crate::{
    running::server,
    table::{Row, row, run},
};

const JSON: &[&str] = &["Content-Type: application/json"];
const FORM: &[&str] = &["Content-Type: application/x-www-form-urlencoded"];
const IS_JSON: &[&str] = &["content-type: application/json"];

#[test]
fn every_row_of_the_table() {
    run(
        &server(),
        &[
            row("PUT", "/kv", br#"{"key":"k","value":"v"}"#, 201)
                .headers(JSON)
                .has(IS_JSON)
                .answers(br#"{"key":"k","value":"v"}"#),
            row("PUT", "/kv", br#"{"key":"k","value":"w"}"#, 200).headers(FORM),
            row("PUT", "/kv", br#"{"key":"n","value":null}"#, 201).answers(br#"{"key":"n","value":null}"#),
            row("PUT", "/kv", br#"{"key":"m","value":1}"#, 201)
                .headers(&["Content-Type: application/json; charset=utf-8"]),
            row("GET", "/kv?key=k", b"", 200).has(IS_JSON).answers(br#"{"key":"k","value":"w"}"#),
            row("HEAD", "/kv?key=k", b"", 200).has(IS_JSON).has(&["content-length: 23"]),
            row("GET", "/kv?k", b"", 200).answers(br#"{"key":"k","value":"w"}"#),
            row("GET", "/kv?k=ignored", b"", 200).answers(br#"{"key":"k","value":"w"}"#),
            row("GET", "/kv?key=absent", b"", 404),
            row("GET", "/kv?absent", b"", 404),
            row("GET", "/kv?k&n", b"", 400),
            row("GET", "/kv?key=k&n=1", b"", 400),
            row("GET", "/kv?key=k&key=n", b"", 400),
            row("GET", "/kv", b"", 200).has(IS_JSON).answers(br#"{"k":"w","m":1,"n":null}"#),
            row("GET", "/keys", b"", 200).has(IS_JSON).answers(br#"{"k":"w","m":1,"n":null}"#),
            row("DELETE", "/kv", br#"{"key":"m"}"#, 200).answers(b""),
            row("DELETE", "/kv", br#"{"key":"m"}"#, 404),
            row("DELETE", "/kv", br#"{"key":"n"}"#, 200).headers(JSON),
            row("GET", "/kv", b"", 200).answers(br#"{"k":"w"}"#),
            row("GET", "/kv?db=1", b"", 200).answers(b"{}"),
            row("PUT", "/kv?db=1", br#"{"key":"other","value":[1]}"#, 201),
            row("GET", "/kv?db=1&other", b"", 200).answers(br#"{"key":"other","value":[1]}"#),
            row("GET", "/keys?db=1", b"", 200).answers(br#"{"other":[1]}"#),
            row("GET", "/kv?db=16", b"", 400),
            row("GET", "/kv?db=x", b"", 400),
            row("GET", "/kv?db=+1", b"", 400),
            row("GET", "/kv?key=", b"", 404),
            row("PUT", "/kv", br#"{"key":"","value":"empty"}"#, 201),
            row("GET", "/kv?key=", b"", 200).answers(br#"{"key":"","value":"empty"}"#),
        ],
    );
}

#[test]
fn malformed_documents_are_refused() {
    let bad = |body: &'static [u8]| row("PUT", "/kv", body, 400);
    run(
        &server(),
        &[
            bad(b""),
            bad(b"k=v"),
            bad(b"[\"k\",\"v\"]"),
            bad(b"\"k\""),
            bad(b"null"),
            bad(br#"{"key":"k"}"#),
            bad(br#"{"value":"v"}"#),
            bad(br#"{"key":1,"value":"v"}"#),
            bad(br#"{"key":null,"value":"v"}"#),
            bad(br#"{"key":"k","value":"v"} x"#),
            bad(br#"{"key":"k","value":"v""#),
            bad(br#"{"key":"k","key":"l","value":"v"}"#),
            bad(br#"{"key":"k","value":"\ud800"}"#),
            bad(br#"{"key":"\udc00","value":"v"}"#),
            bad(b"{\"key\":\"k\",\"value\":\"\xff\"}"),
            bad(b"{\"key\":\"k\",\"value\":[\"\xff\"]}"),
            bad(b"{\"key\":\"k\",\"value\":\"a\x00b\"}"),
            bad(b"\xef\xbb\xbf{\"key\":\"k\",\"value\":\"v\"}"),
            bad(br#"{"key":"k","value":{"base64":"!"}}"#),
            bad(br#"{"key":"k","value":{"base64":1}}"#),
            bad(br#"{"key":"base64:!","value":"v"}"#),
            bad(br#"{"key":"k","value":01}"#),
            bad(br#"{"key":"k","value":NaN}"#),
            bad(br#"{"key":"k","value":"v","ttl":0}"#),
            bad(br#"{"key":"k","value":"v","ttl":-1}"#),
            bad(br#"{"key":"k","value":"v","ttl":"5"}"#),
            bad(br#"{"key":"k","value":"v","ttl":1e400}"#),
            bad(br#"{"key":"k","value":"v","ttl":1e300}"#),
            bad(br#"{"key":"k","value":"v","ttl":null}"#),
            row("PUT", "/kv?ttl=5", br#"{"key":"k","value":"v","ttl":5}"#, 400),
            row("DELETE", "/kv", b"", 400),
            row("DELETE", "/kv", b"{}", 400),
            row("PUT", "/kv", br#"{"key":"k","value":"v"}"#, 415).headers(&["Content-Type: text/plain"]),
            row("DELETE", "/kv", br#"{"key":"k"}"#, 415).headers(&["Content-Type: text/plain"]),
            row("PUT", "/kv", br#"{"key":"k","value":"v"}"#, 415).headers(&["Content-Encoding: gzip"]),
            row("GET", "/kv", b"", 200).answers(b"{}"),
        ],
    );
}

#[test]
fn wrong_methods_name_the_right_ones() {
    const ENTRY: &[&str] = &["allow: GET, HEAD, PUT, DELETE"];
    const READ: &[&str] = &["allow: GET, HEAD"];
    run(
        &server(),
        &[
            row("POST", "/kv", b"{}", 405).has(ENTRY),
            row("PATCH", "/kv", b"", 405).has(ENTRY),
            row("OPTIONS", "/kv", b"", 405).has(ENTRY),
            row("POST", "/keys/k", b"", 405).has(ENTRY),
            row("BREW", "/keys/k", b"", 405).has(ENTRY),
            row("PUT", "/keys", b"", 405).has(READ),
            row("DELETE", "/keys", b"", 405).has(READ),
            row("PUT", "/livez", b"", 405).has(READ),
            row("DELETE", "/readyz", b"", 405).has(READ),
            row("PUT", "/metrics", b"", 405).has(READ),
            row("GET", "/nothing", b"", 404),
            row("GET", "/kv/k", b"", 404),
            row("GET", "/KV", b"", 404),
            row("PUT", "/nothing", b"x", 404),
        ],
    );
}

/// What is put comes back as it was written, and as the same kind.
#[test]
fn values_come_back_as_they_were_written() {
    const fn echo(body: &'static [u8], answer: &'static [u8]) -> [Row; 2] {
        [row("PUT", "/kv", body, 201).answers(answer), row("DELETE", "/kv", br#"{"key":"k"}"#, 200)]
    }
    let rows = [
        echo(
            br#"{"key":"k","value":1.0000000000000000000001}"#,
            br#"{"key":"k","value":1.0000000000000000000001}"#,
        ),
        echo(br#"{"key":"k","value":-0.0e-7}"#, br#"{"key":"k","value":-0.0e-7}"#),
        echo(
            br#"{"key":"k","value":123456789012345678901234567890}"#,
            br#"{"key":"k","value":123456789012345678901234567890}"#,
        ),
        echo(
            br#"{ "value" : { "b":1 , "a":[ ] } , "key":"k"}"#,
            br#"{"key":"k","value":{ "b":1 , "a":[ ] }}"#,
        ),
        echo(br#"{"key":"k","value":"\u00e9\n\/"}"#, "{\"key\":\"k\",\"value\":\"\u{e9}\\n/\"}".as_bytes()),
        echo(br#"{"key":"k","value":"\ud83d\ude00"}"#, "{\"key\":\"k\",\"value\":\"\u{1f600}\"}".as_bytes()),
        echo(br#"{"key":"k","value":"\u0000"}"#, br#"{"key":"k","value":"\u0000"}"#),
        echo(br#"{"key":"k","value":["\ud800"]}"#, br#"{"key":"k","value":["\ud800"]}"#),
        echo(br#"{"key":"k","value":{"base64":"/w=="}}"#, br#"{"key":"k","value":{"base64":"/w=="}}"#),
        echo(br#"{"key":"k","value":{"base64":"/w"}}"#, br#"{"key":"k","value":{"base64":"/w=="}}"#),
        echo(br#"{"key":"k","value":{"base64":"YWJj"}}"#, br#"{"key":"k","value":"abc"}"#),
        echo(br#"{"key":"k","value":{"base64":""}}"#, br#"{"key":"k","value":""}"#),
        echo(br#"{"key":"k","value":{"json":"text"}}"#, br#"{"key":"k","value":"text"}"#),
        echo(
            br#"{"key":"k","value":{"json":{"base64":1}}}"#,
            br#"{"key":"k","value":{"json":{"base64":1}}}"#,
        ),
        echo(br#"{"key":"k","value":{"json":{"json":1}}}"#, br#"{"key":"k","value":{"json":{"json":1}}}"#),
        echo(br#"{"key":"k","value":{"base64":"a","x":1}}"#, br#"{"key":"k","value":{"base64":"a","x":1}}"#),
        echo(br#"{"key":"base64:aw==","value":1}"#, br#"{"key":"k","value":1}"#),
    ];
    run(&server(), &rows.into_iter().flatten().collect::<Vec<_>>());
}

#[test]
fn keys_that_json_cannot_say_appear_in_base64() {
    run(
        &server(),
        &[
            row("PUT", "/keys/%ff%00", b"bytes", 201),
            row("PUT", "/keys/base64:x", b"prefix", 201),
            row("GET", "/kv", b"", 200).answers(br#"{"base64:YmFzZTY0Ong=":"prefix","base64:/wA=":"bytes"}"#),
            row("GET", "/kv?key=base64:/wA=", b"", 200).answers(br#"{"key":"base64:/wA=","value":"bytes"}"#),
            row("GET", "/kv?%ff%00", b"", 200).answers(br#"{"key":"base64:/wA=","value":"bytes"}"#),
            row("DELETE", "/kv", br#"{"key":"base64:YmFzZTY0Ong="}"#, 200),
            row("GET", "/keys/base64:x", b"", 404),
            row("PUT", "/keys/a+b", b"plus", 201),
            row("GET", "/kv?key=a%2Bb", b"", 200),
            row("GET", "/kv?key=a+b", b"", 404),
            row("PUT", "/keys/a%20b", b"blank", 201),
            row("GET", "/kv?key=a+b", b"", 200).answers(br#"{"key":"a b","value":"blank"}"#),
            row("GET", "/kv?key=%", b"", 400),
            row("GET", "/kv?key=%zz", b"", 400),
            row("GET", "/kv?key=%1", b"", 400),
        ],
    );
}

/// Any key and any value, read as JSON and put back as JSON, are the same key and value again.
#[test]
fn json_goes_round_for_any_bytes() {
    let number = seed("json_goes_round_for_any_bytes");
    println!("seed {number}");
    let mut random = Random::new(number);
    let server = server();
    let mut client = server.client();
    for _ in 0..300 {
        let key = text_or_bytes(&mut random);
        let value = text_or_bytes(&mut random);
        let path: String = key.iter().map(|byte| format!("%{byte:02x}")).collect();
        if key.is_empty() {
            continue;
        }
        assert!(client.request("PUT", &format!("/keys/{path}"), &[], &value).status < 300);
        // In a query a key is said as JSON says it.
        let query = match key.starts_with(b"base64:") {
            true => format!("key=base64:{}", STANDARD.encode(&key).replace('+', "%2b")),
            false => format!("key={path}"),
        };
        let document = client.request("GET", &format!("/kv?{query}"), &[], b"");
        // Through another JSON reader and writer, as a client would have it.
        let parsed: serde_json::Value = serde_json::from_slice(&document.body).unwrap();
        assert_eq!(client.request("DELETE", &format!("/keys/{path}"), &[], b"").status, 200);
        let again = client.request("PUT", "/kv", JSON, parsed.to_string().as_bytes());
        assert_eq!(again.status, 201, "{parsed}");
        assert_eq!(client.request("GET", &format!("/keys/{path}"), &[], b"").body, value, "{parsed}");
    }
}

fn text_or_bytes(random: &mut Random) -> Vec<u8> {
    const PIECES: [&str; 10] = ["base64:", "a", "\"", "\\", "\n", "\u{0}", "\u{e9}", "\u{1f600}", "{", " "];
    let mut bytes = Vec::new();
    for _ in 0..random.below(6) {
        bytes.extend_from_slice(random.choice(&PIECES).as_bytes());
    }
    if random.one_in(3) {
        let length = random.index(9);
        bytes.extend(random.bytes(length));
    }
    bytes
}

/// Whatever a client sends as a document, it is answered, and what is stored can be listed.
#[test]
fn mangled_documents_never_break_the_listing() {
    let number = seed("mangled_documents_never_break_the_listing");
    println!("seed {number}");
    let mut random = Random::new(number);
    let server = server();
    let mut client = server.client();
    const WORDS: [&[u8]; 14] = [
        b"{",
        b"}",
        b"\"key\"",
        b":",
        b",",
        b"\"value\"",
        b"\"k\"",
        b"\\u",
        b"d800",
        b"[",
        b"]",
        b"1e5",
        b"\xff",
        br#"{"key":"k","value":"#,
    ];
    for _ in 0..500 {
        let mut body = br#"{"key":"k","value":{"a":[1,"x"]},"ttl":50}"#.to_vec();
        for _ in 0..=random.below(3) {
            let at = random.index(body.len() + 1);
            let until = (at + random.index(6)).min(body.len());
            body.splice(at..until, random.choice(&WORDS).iter().copied());
        }
        let status = client.request("PUT", "/kv", JSON, &body).status;
        assert!([200, 201, 400].contains(&status), "{status} for {}", String::from_utf8_lossy(&body));
        let listing = client.request("GET", "/kv", &[], b"");
        serde_json::from_slice::<serde::de::IgnoredAny>(&listing.body).expect("the listing is JSON");
    }
}
