//! `/v1/export` and `/v1/import`: streams of lines of any length, which make the same entries again.

use std::{io::Read, time::Duration};

use tresor::Config;
use tresor_server::{HttpLimits, entry_line::EntryLine};

use crate::{
    client::{Client, request},
    running::{Running, Setup, server},
};

const LINES: &[&str] = &["Content-Type: application/x-ndjson"];

fn import(client: &mut Client, query: &str, lines: &str) -> (u16, String) {
    let answer = client.request("POST", &format!("/v1/import{query}"), LINES, lines.as_bytes());
    (answer.status, answer.text().to_owned())
}

fn export(client: &mut Client, query: &str) -> String {
    let answer = client.request("GET", &format!("/v1/export{query}"), &[], b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
    answer.text().to_owned()
}

fn fill(server: &Running) {
    let mut client = server.client();
    let mut put = |target: &str, headers: &[&str], body: &[u8]| {
        assert_eq!(client.request("PUT", &format!("/keys/{target}"), headers, body).status, 201, "{target}");
    };
    let json = &["Content-Type: application/json"][..];
    for number in 0..700 {
        put(&format!("key{number:03}"), &[], b"value");
    }
    put("binary%FF%00", &[], b"\0\r\n\xfe");
    put("base64:x", &[], b"line\nbreak");
    put("expiring?ttl=100000", &[], b"soon");
    put("json", json, b"{\"a\": [1.50, null]}");
    put("lines", json, b"{\n  \"a\": 1\n}");
    put("wrapped", json, b"{\"base64\":\"AA==\"}");
    put("escapes", &[], &[1; 100_000]);
    put("large?ttl=200000", json, format!("[{}0]", "1,".repeat(500_000)).as_bytes());
    put("large%20bytes", &[], &[0xff; 1_000_000]);
    put("elsewhere?db=15", &[], b"1");
}

#[test]
fn what_is_exported_makes_the_same_entries_elsewhere() {
    let (first, second) = (server(), server());
    fill(&first);
    let lines = export(&mut first.client(), "");
    assert_eq!(lines.lines().count(), 710);
    for line in [
        r#"{"key":"key007","value":"value","kind":"raw"}"#,
        r#"{"key":"json","value":{"a": [1.50, null]},"kind":"json"}"#,
        r#"{"key":"wrapped","value":{"json":{"base64":"AA=="}},"kind":"json"}"#,
        r#"{"db":15,"key":"elsewhere","value":"1","kind":"raw"}"#,
    ] {
        assert!(lines.lines().any(|each| each == line), "no {line}");
    }
    for line in lines.lines() {
        let entry = EntryLine::from_line(line).unwrap();
        assert_eq!(entry.to_line(), format!("{line}\n").as_bytes());
        let wanted = entry.key == b"expiring" || entry.key == b"large";
        assert_eq!(entry.expires_at_ms.is_some(), wanted, "{:?}", entry.key);
    }
    let answer = import(&mut second.client(), "", &lines);
    assert_eq!(answer, (200, r#"{"imported":710,"skipped":0,"expired":0}"#.to_owned()));
    assert_eq!(export(&mut second.client(), ""), lines);
}

#[test]
fn an_export_is_of_a_prefix_and_of_a_database() {
    let server = server();
    fill(&server);
    let mut client = server.client();
    assert_eq!(export(&mut client, "?prefix=key00").lines().count(), 10);
    assert_eq!(export(&mut client, "?prefix=else"), export(&mut client, "?db=15"));
    assert_eq!(export(&mut client, "?db=15").lines().count(), 1);
    assert_eq!(export(&mut client, "?prefix=binary%FF").lines().count(), 1);
    assert_eq!(export(&mut client, "?prefix=base64:YmluYXJ5/w").lines().count(), 1);
    assert_eq!(export(&mut client, "?db=7"), "");
    let head = client.request("HEAD", "/v1/export", &[], b"");
    assert_eq!((head.status, head.header("content-type")), (200, "application/x-ndjson"));
    assert_eq!(client.request("GET", "/v1/export?db=16", &[], b"").status, 400);
}

#[test]
fn an_export_is_read_no_faster_than_it_is_taken() {
    let server = server();
    let mut client = server.client();
    for number in 0..40 {
        let target = format!("/keys/{number:02}");
        assert_eq!(client.request("PUT", &target, &[], &vec![b'x'; 1_000_000]).status, 201);
    }
    let mut slow = server.client();
    assert!(slow.send(&request("GET", "/v1/export", &[], b"")));
    let mut first = [0; 1];
    slow.stream().read_exact(&mut first).unwrap();
    // Its answer stands still: what is deleted now was not read yet, and others are served.
    server.assert_serves();
    assert_eq!(client.request("DELETE", "/keys/39", &[], b"").status, 200);
    let rest = slow.until_closed_or(39_000_000);
    assert!((39_000_000..39_900_000).contains(&rest), "the slow client got {rest} bytes");
}

#[test]
fn lines_written_by_hand_are_imported() {
    let server = server();
    let mut client = server.client();
    let lines = "{\"key\":\"a\",\"value\":\"1\"}\r\n\n \n{\"db\":3,\"key\":\"b\",\"value\":[1]}";
    assert_eq!(import(&mut client, "", lines).1, r#"{"imported":2,"skipped":0,"expired":0}"#);
    assert_eq!(client.request("GET", "/keys/b?db=3", &[], b"").body, b"[1]");
    assert_eq!(import(&mut client, "?db=5", lines).1, r#"{"imported":2,"skipped":0,"expired":0}"#);
    assert_eq!(export(&mut client, "?db=5").lines().count(), 2);
    assert_eq!(import(&mut client, "", "").1, r#"{"imported":0,"skipped":0,"expired":0}"#);
    // What is over is not put, and does not take away what is there.
    let over = "{\"key\":\"a\",\"value\":\"2\",\"expires_at_ms\":1}\n";
    assert_eq!(import(&mut client, "", over).1, r#"{"imported":0,"skipped":0,"expired":1}"#);
    assert_eq!(client.request("GET", "/keys/a", &[], b"").body, b"1");
}

#[test]
fn what_is_there_may_stay() {
    let server = server();
    let mut client = server.client();
    assert_eq!(client.request("PUT", "/keys/7", &[], b"old").status, 201);
    let lines: String =
        (0..1000).map(|number| format!("{{\"key\":\"{number}\",\"value\":\"new\"}}\n")).collect();
    let answer = import(&mut client, "?if=absent", &lines);
    assert_eq!(answer, (200, r#"{"imported":999,"skipped":1,"expired":0}"#.to_owned()));
    assert_eq!(client.request("GET", "/keys/7", &[], b"").body, b"old");
    assert_eq!(import(&mut client, "", &lines).1, r#"{"imported":1000,"skipped":0,"expired":0}"#);
    assert_eq!(client.request("GET", "/keys/7", &[], b"").body, b"new");
    assert_eq!(import(&mut client, "?if=present", "").0, 400);
}

#[test]
fn a_broken_line_is_named_and_the_lines_before_it_stay() {
    let server = server();
    let good: String = (0..600).map(|number| format!("{{\"key\":\"{number}\",\"value\":1}}\n")).collect();
    for (broken, said) in [
        ("{\"key\":3}", "line 601: "),
        ("nonsense", "line 601: "),
        ("{\"key\":\"k\",\"value\":{\"base64\":\"ew==\"},\"kind\":\"json\"}", "line 601: the body is not"),
        ("{\"db\":16,\"key\":\"k\",\"value\":1}", "line 601: there is no database 16"),
    ] {
        let lines = format!("{good}{broken}\n{{\"key\":\"behind\",\"value\":1}}\n");
        let (status, text) = import(&mut server.client(), "", &lines);
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (status, &problem["line"], &problem["imported"]),
            (400, &601.into(), &600.into()),
            "{text}"
        );
        assert!(problem["detail"].as_str().unwrap().starts_with(said), "{text}");
        assert_eq!(export(&mut server.client(), "").lines().count(), 600);
    }
    let long_key = format!("{{\"key\":\"{}\",\"value\":1}}", "k".repeat(40_000));
    assert_eq!(import(&mut server.client(), "", &long_key).0, 413);
}

fn small_values() -> Running {
    let limits = HttpLimits { body_timeout: Duration::from_millis(500), ..HttpLimits::default() };
    let config = Config { max_value_bytes: 1000, ..Config::memory() };
    Setup { config, limits, ..Setup::default() }.start()
}

#[test]
fn a_line_has_limits_and_all_lines_together_have_none() {
    let server = small_values();
    let line = |value: &str| format!("{{\"key\":\"k\",\"value\":\"{value}\"}}\n");
    // Far more than a line may have, of which each is as long as it may be.
    let many = line(&"\\u0001".repeat(1000)).repeat(1000);
    assert_eq!(import(&mut server.client(), "", &many).1, r#"{"imported":1000,"skipped":0,"expired":0}"#);
    assert_eq!(import(&mut server.client(), "", &line(&"x".repeat(1001))).0, 413);
    // A line without an end is not waited for.
    let endless = server.client().raw(
        &[
            b"POST /v1/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n\
              Content-Length: 10000000\r\n\r\n"
                .as_slice(),
            &vec![b' '; 300_000],
        ]
        .concat(),
    );
    let answer = endless.expect("it is refused before it has ended");
    assert_eq!(answer.status, 413);
    assert!(answer.text().contains("line 1: it is over the limit"), "{}", answer.text());
    server.assert_serves();
}

#[test]
fn a_stream_is_put_as_it_comes() {
    let server = small_values();
    let mut client = server.client();
    let head = "POST /v1/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    client.send(head.as_bytes());
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    // Lines that chunks cut anywhere, and more of them than make a batch.
    for number in 0..300 {
        client.send(chunk(&format!("{{\"key\":\"{number}\",")).as_bytes());
        client.send(chunk("\"value\":1}\n").as_bytes());
    }
    let mut other = server.client();
    tresor_testkit::deadline::wait_until("the first batch is there", || {
        other.request("GET", "/keys/200", &[], b"").status == 200
    });
    // Nothing more comes: the line that does not arrive is named, and what is there is told.
    let answer = client.answer_to("POST").expect("it is given up");
    assert_eq!(answer.status, 408, "{}", answer.text());
    assert!(answer.text().contains("\"imported\":300"), "{}", answer.text());
    assert!(answer.text().contains("\"line\":301"), "{}", answer.text());
}

#[test]
fn pages_of_others_cannot_import() {
    let server = server();
    let mut client = server.client();
    for (header, status) in [
        ("Content-Type: text/plain", 415),
        ("Content-Type: application/x-www-form-urlencoded", 415),
        ("X-Requested-With: curl", 200),
        ("Content-Type: application/json", 200),
    ] {
        assert_eq!(client.request("POST", "/v1/import", &[header], b"").status, status, "{header}");
    }
    let both = &["X-Requested-With: curl", "Content-Type: text/csv"];
    assert_eq!(client.request("POST", "/v1/import", both, b"").status, 415);
    let coded = &[LINES[0], "Content-Encoding: gzip"];
    assert_eq!(client.request("POST", "/v1/import", coded, b"").status, 415);
    assert_eq!(client.request("GET", "/v1/import", &[], b"").status, 405);
}
