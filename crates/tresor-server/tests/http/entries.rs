//! `/v1/entries/{key}`: versions as ETags, conditions, times to live, increments, and two clients at once.

use std::{
    sync::{Arc, Barrier},
    thread,
};

use tresor::engine::{
    Engine,
    memory::{MemoryEngine, MemoryOptions},
};
use tresor_testkit::{LaterEngine, ModelEngine, deadline::wait_until};

use crate::{
    client::Client,
    running::{Running, Setup, server},
    table::{row, run},
};

const KEY: &str = "/v1/entries/k";

/// In memory, over the model, and over one whose answers come later.
fn servers() -> Vec<Running> {
    let memory: Arc<dyn Engine> = MemoryEngine::volatile(&MemoryOptions::default()).unwrap();
    let later: Arc<dyn Engine> = Arc::new(LaterEngine::new(Arc::new(ModelEngine::new())));
    [memory, Arc::new(ModelEngine::new()), later]
        .into_iter()
        .map(|engine| Setup { engine, ..Setup::default() }.start())
        .collect()
}

/// Puts a value and tells the ETag it then has.
fn put(client: &mut Client, target: &str, value: &[u8]) -> String {
    let answer = client.request("PUT", target, &[], value);
    assert!([200, 201].contains(&answer.status), "{answer:?}");
    assert_eq!(answer.body, b"");
    answer.header("etag").to_owned()
}

#[test]
fn values_go_in_and_out_as_they_are_with_their_version() {
    for server in servers() {
        let mut client = server.client();
        let first = client.request("PUT", KEY, &[], b"\xff\x00");
        assert_eq!((first.status, first.body.len()), (201, 0));
        let (opening, version) = first.header("etag").split_once('-').unwrap();
        assert!(opening.len() == 17 && opening.starts_with('"') && version.ends_with('"'), "{first:?}");
        let second = client.request("PUT", KEY, &["Content-Type: application/json"], b"{\"a\": 1}");
        assert_eq!((second.status, second.body.len()), (200, 0));
        assert_ne!(first.header("etag"), second.header("etag"));
        let read = client.request("GET", KEY, &[], b"");
        assert_eq!((read.status, read.text()), (200, "{\"a\": 1}"));
        for (name, value) in [
            ("etag", second.header("etag")),
            ("content-type", "application/json"),
            ("cache-control", "no-cache"),
            ("expires", ""),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(read.header(name), value, "{name}");
        }
        let head = client.request("HEAD", KEY, &[], b"");
        assert_eq!((head.status, head.header("etag")), (200, second.header("etag")));
        assert_eq!(head.header("content-length"), "8");
        let deleted = client.request("DELETE", KEY, &[], b"");
        assert_eq!((deleted.status, deleted.header("etag"), deleted.body.len()), (200, "", 0));
    }
}

#[test]
fn keys_bodies_and_parameters_are_those_of_keys() {
    run(
        &server(),
        &[
            row("GET", KEY, b"", 404),
            row("HEAD", KEY, b"", 404),
            row("DELETE", KEY, b"", 404),
            row("PUT", "/v1/entries/", b"v", 404),
            row("PUT", "/v1/entries", b"v", 405),
            row("PUT", "/v1/entries/a/b", b"v", 404),
            row("PUT", "/v1/entries/a/increment/", b"v", 404),
            row("POST", "/v1/entries//increment", b"", 404),
            row("PUT", "/v1/entries/a%2Fb", b"slash", 201),
            row("GET", "/keys/a%2fb", b"", 200).answers(b"slash"),
            row("PUT", "/v1/entries/%ff?db=3", b"\xff", 201),
            row("GET", "/v1/entries/%FF?db=3", b"", 200)
                .answers(b"\xff")
                .has(&["content-type: application/octet-stream"]),
            row("GET", "/v1/entries/%ff", b"", 404),
            row("GET", "/v1/entries/%f", b"", 400),
            row("GET", "/v1/entries/k?db=16", b"", 400),
            row("PUT", "/v1/entries/k?ttl=0", b"v", 400),
            row("PUT", KEY, b"{", 400).headers(&["Content-Type: application/json"]),
            row("PUT", KEY, b"v", 415).headers(&["Content-Encoding: gzip"]),
            row("POST", KEY, b"v", 405).has(&["allow: GET, HEAD, PUT, DELETE"]),
            row("GET", "/v1/entries/k/increment", b"", 405).has(&["allow: POST"]),
        ],
    );
}

#[test]
fn reads_are_answered_on_conditions() {
    for server in servers() {
        let mut client = server.client();
        let old = put(&mut client, KEY, b"old");
        let new = put(&mut client, KEY, b"new");
        let weak = format!("W/{new}");
        for (name, tags, status) in [
            ("If-None-Match", &*new, 304),
            ("If-None-Match", &weak, 304),
            ("If-None-Match", "*", 304),
            ("If-None-Match", &format!("\"x\", {old} , {new}"), 304),
            ("If-None-Match", &old, 200),
            ("If-None-Match", "\"x\"", 200),
            ("If-Match", &new, 200),
            ("If-Match", "*", 200),
            ("If-Match", &format!("{old},{new}"), 200),
            ("If-Match", &old, 412),
            ("If-Match", &weak, 412),
            ("If-Match", "x", 400),
            ("If-None-Match", "", 400),
        ] {
            for method in ["GET", "HEAD"] {
                let answer = client.request(method, KEY, &[&format!("{name}: {tags}")], b"");
                assert_eq!(answer.status, status, "{method} {name}: {tags}");
                if status < 400 {
                    assert_eq!(answer.header("etag"), new, "{method} {name}: {tags}");
                }
                if status == 304 {
                    assert_eq!((answer.body.len(), answer.header("content-type")), (0, ""));
                }
            }
        }
        // If-Match comes first, and nothing matches what is not there.
        let both = [format!("If-Match: {old}"), format!("If-None-Match: {new}")];
        assert_eq!(client.request("GET", KEY, &[&both[0], &both[1]], b"").status, 412);
        let gone = "/v1/entries/gone";
        assert_eq!(client.request("GET", gone, &["If-Match: *"], b"").status, 412);
        assert_eq!(client.request("GET", gone, &["If-None-Match: *"], b"").status, 404);
    }
}

#[test]
fn writes_are_made_on_conditions() {
    for server in servers() {
        let mut client = server.client();
        let mut send = |method: &str, target: &str, conditions: &[&str]| {
            client.request(method, target, conditions, if method == "PUT" { b"v" } else { b"" })
        };
        assert_eq!(send("PUT", KEY, &["If-Match: *"]).status, 412);
        assert_eq!(send("PUT", KEY, &["If-Match: \"x\""]).status, 412);
        assert_eq!(send("DELETE", KEY, &["If-Match: *"]).status, 412);
        assert_eq!(send("DELETE", KEY, &["If-None-Match: \"x\""]).status, 404);
        let first = send("PUT", KEY, &["If-None-Match: *"]);
        assert_eq!(first.status, 201);
        let refused = send("PUT", KEY, &["If-None-Match: *"]);
        let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!((refused.status, &problem["type"]), (412, &"urn:tresor:error:Exists".into()));
        assert_eq!(format!("\"{}\"", problem["version"].as_str().unwrap()), first.header("etag"));
        assert_eq!(problem["key"], "k");

        let first = format!("If-Match: {}", first.header("etag"));
        let second = send("PUT", KEY, &[&first]);
        assert_eq!(second.status, 200);
        let refused = send("PUT", KEY, &[&first]);
        let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!((refused.status, &problem["type"]), (412, &"urn:tresor:error:Conflict".into()));
        assert_eq!(send("DELETE", KEY, &[&first]).status, 412);
        assert_eq!(send("PUT", KEY, &[&format!("If-Match: W/{}", second.header("etag"))]).status, 412);

        // Lists, and both headers at once: the version has to be asked for first.
        let tag = second.header("etag");
        assert_eq!(send("PUT", KEY, &[&format!("If-None-Match: \"x\", W/{tag}")]).status, 412);
        assert_eq!(send("PUT", KEY, &["If-Match: \"x\", \"y\""]).status, 412);
        assert_eq!(send("PUT", KEY, &[&format!("If-Match: {tag}"), "If-None-Match: *"]).status, 412);
        let third = send("PUT", KEY, &[&format!("If-Match: \"x\", {tag}"), "If-Match: \"y\""]);
        assert_eq!(third.status, 200);
        let fourth = send("PUT", KEY, &["If-Match: *", "If-None-Match: \"x\""]);
        assert_eq!(fourth.status, 200);
        assert_eq!(send("PUT", KEY, &[&format!("If-None-Match: {tag}")]).status, 200);
        assert_eq!(send("PUT", "/v1/entries/new", &[&format!("If-None-Match: {tag}")]).status, 201);
        assert_eq!(send("DELETE", KEY, &["If-Match: *"]).status, 200);
        for wrong in ["If-Match: k", "If-Match: ", "If-None-Match: *, *"] {
            assert_eq!(send("PUT", "/v1/entries/new", &[wrong]).status, 400, "{wrong}");
        }
        assert_eq!(client.request("GET", "/v1/entries/new", &[], b"").body, b"v");
    }
}

#[test]
fn an_expiry_is_told_and_kept() {
    for server in servers() {
        let mut client = server.client();
        assert_eq!(client.request("PUT", "/v1/entries/k?ttl=100.5", &[], b"v").status, 201);
        let answer = client.request("GET", KEY, &[], b"");
        assert!(answer.header("expires").ends_with(" GMT"), "{answer:?}");
        let tag = format!("If-None-Match: {}", answer.header("etag"));
        let unchanged = client.request("GET", KEY, &[&tag], b"");
        assert_eq!((unchanged.status, unchanged.header("expires")), (304, answer.header("expires")));
        put(&mut client, KEY, b"v");
        assert_eq!(client.request("GET", KEY, &[], b"").header("expires"), "");
        // The latest that a put can say has a date, and what a command can say has none.
        assert_eq!(client.request("PUT", "/v1/entries/k?ttl=1e11", &[], b"v").status, 200);
        let far = client.request("GET", KEY, &[], b"");
        assert_eq!((far.status, far.header("expires").len()), (200, "Sun, 06 Nov 1994 08:49:37 GMT".len()));
        let beyond = ["SET", "k", "v", "PXAT", "253402300800000"];
        let command = serde_json::json!(beyond).to_string();
        client.request("POST", "/v1/command", &["Content-Type: application/json"], command.as_bytes());
        let beyond = client.request("GET", KEY, &[], b"");
        assert_eq!((beyond.status, beyond.header("expires")), (200, ""));
        assert_eq!(client.request("PUT", "/v1/entries/k?ttl=0.05", &[], b"v").status, 200);
        wait_until("the entry to expire", || client.request("GET", KEY, &[], b"").status == 404);
        assert_eq!(client.request("PUT", KEY, &["If-None-Match: *"], b"v").status, 201);
    }
}

/// Of clients that all read the same version and write on it, one gets through each time.
#[test]
fn of_two_writers_on_one_version_one_wins() {
    const ROUNDS: usize = 100;
    for server in servers() {
        put(&mut server.client(), KEY, b"0");
        let both = Barrier::new(2);
        let wins = |_| {
            let mut client = server.client();
            let mut wins = 0;
            for _ in 0..ROUNDS {
                both.wait();
                let read = client.request("GET", KEY, &[], b"");
                both.wait();
                let sum = read.text().parse::<usize>().unwrap() + 1;
                let tag = format!("If-Match: {}", read.header("etag"));
                match client.request("PUT", KEY, &[&tag], sum.to_string().as_bytes()).status {
                    200 => wins += 1,
                    status => assert_eq!(status, 412),
                }
            }
            wins
        };
        let wins: usize = thread::scope(|scope| {
            let writers = [0, 1].map(|number| scope.spawn(move || wins(number)));
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        assert_eq!(wins, ROUNDS);
        assert_eq!(server.client().request("GET", KEY, &[], b"").text(), ROUNDS.to_string());
    }
}

#[test]
fn numbers_are_incremented() {
    const JSON: &[&str] = &["Content-Type: application/json"];
    const ANY: &[&str] = &["X-Requested-With: test"];
    let by = |body| row("POST", "/v1/entries/n/increment", body, 200).headers(JSON);
    let bad = |body| row("POST", "/v1/entries/n/increment", body, 400).headers(JSON);
    for server in servers() {
        run(
            &server,
            &[
                row("POST", "/v1/entries/n/increment", b"", 415),
                row("POST", "/v1/entries/n/increment", b"", 200)
                    .headers(ANY)
                    .answers(br#"{"key":"n","value":1}"#),
                by(b"{}").answers(br#"{"key":"n","value":2}"#),
                by(br#"{"by":-5}"#).answers(br#"{"key":"n","value":-3}"#),
                row("GET", "/keys/n", b"", 200).answers(b"-3"),
                by(br#"{"by":1.5}"#).answers(br#"{"key":"n","value":-1.5}"#),
                bad(br#"{"by":1}"#),
                by(br#"{"by":15e-1}"#).answers(br#"{"key":"n","value":0}"#),
                by(br#"{"by":9223372036854775807}"#).answers(br#"{"key":"n","value":9223372036854775807}"#),
                bad(br#"{"by":1}"#),
                bad(br#"{"by":9223372036854775808}"#),
                bad(br#"{"by":"1"}"#),
                bad(br#"{"by":null}"#),
                bad(br#"{"by":true}"#),
                bad(br#"{"by":1,"ttl":3}"#),
                bad(br#"{"by":1e999}"#),
                bad(b"[]"),
                bad(b"{"),
                row("POST", "/v1/entries/n/increment?ttl=1", b"", 400).headers(ANY),
                row("POST", "/v1/entries/n/increment", b"", 400)
                    .headers(&["X-Requested-With: x", "If-Match: *"]),
                row("PUT", "/keys/text", b"text", 201),
                row("POST", "/v1/entries/text/increment", b"", 400).headers(ANY),
                // A number that is JSON stays JSON, and keeps its expiry.
                row("PUT", "/v1/entries/j?ttl=100", b"41", 201).headers(JSON),
                row("POST", "/v1/entries/j/increment", b"", 200).headers(ANY),
                row("GET", "/v1/entries/j", b"", 200).has(&["content-type: application/json"]).answers(b"42"),
            ],
        );
        let mut client = server.client();
        assert!(!client.request("GET", "/v1/entries/j", &[], b"").header("expires").is_empty());
        let sum = client.request("POST", "/v1/entries/j/increment", ANY, b"");
        assert_eq!(client.request("GET", "/v1/entries/j", &[], b"").header("etag"), sum.header("etag"));
        let overflow = client.request("POST", "/v1/entries/n/increment", ANY, b"");
        assert!(overflow.text().contains("increment or decrement would overflow"), "{}", overflow.text());
    }
}

#[test]
fn the_password_is_asked_for() {
    let server = server();
    server.database.settings().set_password(Some(b"secret"));
    const SHOWN: &[&str] = &["Authorization: Bearer secret"];
    run(
        &server,
        &[
            row("PUT", KEY, b"v", 401),
            row("POST", "/v1/entries/k/increment", b"", 401),
            row("PUT", KEY, b"v", 201).headers(SHOWN),
            row("GET", KEY, b"", 200).headers(SHOWN),
        ],
    );
}
