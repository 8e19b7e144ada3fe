//! `/v1/changes`: pages, waiting, events, positions, what a slow or absent reader costs, and the server's end.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tresor::engine::{
    Engine,
    memory::{MemoryEngine, MemoryOptions},
};

use crate::{
    client::{Client, request},
    running::{Running, Setup, server},
};

pub(crate) fn following() -> Running {
    let engine: Arc<dyn Engine> = MemoryEngine::volatile(&MemoryOptions::default()).unwrap();
    Setup { engine, ..Setup::default() }.start()
}

fn page(client: &mut Client, query: &str) -> Value {
    let answer = client.request("GET", &format!("/v1/changes{query}"), &[], b"");
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    assert_eq!(answer.header("cache-control"), "no-store");
    serde_json::from_str(answer.text()).unwrap()
}

/// Where it stands now.
fn position(client: &mut Client) -> String {
    let page = page(client, "");
    assert_eq!(page["changes"], json!([]));
    page["next"].as_str().unwrap().to_owned()
}

/// A connection on which events come.
fn events(server: &Running, query: &str, headers: &[&str]) -> Client {
    let mut client = server.client();
    let headers = [&["Accept: text/event-stream"], headers].concat();
    client.send(&request("GET", &format!("/v1/changes{query}"), &headers, b""));
    let head = client.until("\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-type: text/event-stream"), "{head}");
    client
}

#[test]
fn pages_tell_keys_kinds_and_values_and_lead_on() {
    let server = following();
    let mut client = server.client();
    let begin = position(&mut client);
    let version = server.database.put("user:1", "text").unwrap();
    server.database.put("user:2", json!({"a": 1})).unwrap();
    server.database.put([0xff, 1], tresor::Value::raw(vec![0, 0xff])).unwrap();
    server.database.delete("user:1").unwrap();
    let all = page(&mut client, &format!("?since={begin}&values"));
    let store = begin.split_once('-').unwrap().0;
    assert_eq!(
        all["changes"][0],
        json!({"sequence": version, "kind": "set", "key": "user:1", "value": "text",
               "version": format!("{store}-{version}")})
    );
    let told: Vec<_> = all["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| format!("{} {} {}", change["kind"], change["key"], change["value"]))
        .collect();
    assert_eq!(
        told[1..],
        [
            r#""set" "user:2" {"a":1}"#,
            r#""set" "base64:/wE=" {"base64":"AP8="}"#,
            r#""delete" "user:1" null"#,
        ]
    );
    // From page to page, each once.
    let (mut next, mut told) = (begin.clone(), Vec::new());
    while told.len() < 4 {
        let page = page(&mut client, &format!("?since={next}&limit=1"));
        told.extend(page["changes"].as_array().unwrap().iter().map(|change| change["sequence"].clone()));
        next = page["next"].as_str().unwrap().to_owned();
    }
    let wanted: Vec<_> =
        all["changes"].as_array().unwrap().iter().map(|change| change["sequence"].clone()).collect();
    assert_eq!(told, wanted);
    assert_eq!(page(&mut client, &format!("?since={next}"))["changes"], json!([]));
    let users = page(&mut client, &format!("?since={begin}&prefix=user:2"));
    assert_eq!(users["changes"].as_array().unwrap().len(), 1);
    let bytes = page(&mut client, &format!("?since={begin}&prefix=base64:/w=="));
    assert_eq!(bytes["changes"][0]["key"], "base64:/wE=");
    assert_eq!(page(&mut client, &format!("?since={begin}&db=3"))["changes"], json!([]));
}

#[test]
fn a_page_is_waited_for() {
    let server = following();
    let mut client = server.client();
    let begin = position(&mut client);
    thread::scope(|scope| {
        let (server, begin) = (&server, &begin);
        let waiting =
            scope.spawn(move || page(&mut server.client(), &format!("?since={begin}&wait=30&prefix=mine")));
        server.database.put("other", 1).unwrap();
        server.database.put("mine", 1).unwrap();
        assert_eq!(waiting.join().unwrap()["changes"][0]["key"], "mine");
    });
    let begun = Instant::now();
    let empty = page(&mut client, "?wait=1");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(empty["changes"], json!([]));
}

#[test]
fn what_is_gone_is_told_as_a_gap() {
    let server = following();
    let mut client = server.client();
    server.database.put("before", 1).unwrap();
    let first = page(&mut client, "?since=0");
    assert_eq!(first["gap"]["from"], 1);
    let position = position(&mut client);
    let (store, latest) = position.split_once('-').unwrap();
    assert_eq!(first["gap"]["to"].to_string(), latest);
    let foreign = format!("{:016x}-1", u64::from_str_radix(store, 16).unwrap() ^ 1);
    assert_eq!(page(&mut client, &format!("?since={foreign}"))["gap"]["from"], 1);
    let mut events = events(&server, "?since=0", &[]);
    let text = events.until("event: gap");
    assert!(text.contains(&format!("id: {position}\n")), "{text}");
    server.database.put("after", 1).unwrap();
    let text = events.until("\"after\"");
    assert!(!text.contains("gap"), "said once: {text}");
}

#[test]
fn wrong_parameters_are_named() {
    let server = following();
    let mut client = server.client();
    for (query, what) in [
        ("?since=x", "x"),
        ("?since=-1", "-1"),
        ("?limit=0", "limit"),
        ("?limit=2000", "limit"),
        ("?wait=61", "wait"),
        ("?wait=a", "wait"),
        ("?values=2", "values"),
        ("?db=16", "db"),
        ("?colour=red", "colour"),
    ] {
        let answer = client.request("GET", &format!("/v1/changes{query}"), &[], b"");
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains(what), "{query}: {}", answer.text());
    }
    let answer = self::server().client().request("GET", "/v1/changes", &[], b"");
    assert_eq!(answer.status, 501, "the test engine has no feed: {}", answer.text());
}

#[test]
fn events_come_as_they_happen_and_go_on_where_the_reader_was() {
    let server = following();
    let mut stream = events(&server, "?values", &[]);
    // Whoever has said no position hears of one at once.
    let begin = stream.until("\n\n");
    assert!(begin.contains(": here\nid: "), "{begin}");
    let version = server.database.put("a", 1).unwrap();
    let text = stream.until("\n\n");
    let id = text.split("id: ").nth(1).unwrap().split('\n').next().unwrap().to_owned();
    assert!(id.ends_with(&format!("-{version}")), "{text}");
    assert!(text.contains("event: set\ndata: {\"sequence\":"), "{text}");
    server.database.put("pretty", tresor::Value::from_json_text("{\n \"a\":\r\n1}").unwrap()).unwrap();
    let text = stream.until("1},");
    assert!(text.contains("{\ndata:  \"a\":\ndata: \ndata: 1}"), "{text}");
    drop(stream);
    server.database.put("meanwhile", 1).unwrap();
    // Last-Event-ID counts before since.
    let mut stream = events(&server, "?since=0", &[&format!("Last-Event-ID: {id}")]);
    let text = stream.until("meanwhile");
    assert!(text.contains("pretty") && !text.contains("gap"), "{text}");
    assert_eq!(text.matches("event: ").count(), 2, "{text}");
}

#[test]
fn the_end_of_the_server_ends_events_and_waiting() {
    let server = following();
    let mut stream = events(&server, "", &[]);
    stream.until("here");
    let mut waiting = server.client();
    waiting.send(&request("GET", "/v1/changes?wait=60", &[], b""));
    // It is waiting once others are answered behind it.
    server.client().request("GET", "/livez", &[], b"");
    let begun = Instant::now();
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(!stream.until_closed().is_empty(), "the last chunk");
    assert!(waiting.answer_to("GET").is_none_or(|answer| answer.status == 200));
}

#[test]
fn a_reader_that_does_not_read_stops_nobody_and_costs_a_bounded_amount() {
    let engine =
        MemoryEngine::volatile(&MemoryOptions { change_buffer_bytes: 1 << 20, ..MemoryOptions::default() });
    let server = Setup { engine: engine.unwrap(), ..Setup::default() }.start();
    let mut slow = events(&server, "?values", &[]);
    slow.until("here");
    // Far more than sockets and buffers hold together.
    let mut last = 0;
    for _ in 0..100_000 {
        last = server.database.put("k", "x".repeat(1000)).unwrap();
    }
    // Others are served.
    server.client().request("GET", "/livez", &[], b"");
    // It is told of the gap, and of everything behind that.
    let end = format!("\"sequence\":{last},");
    let text = slow.until(&end);
    let gap = text.matches("event: gap").count();
    assert!(gap >= 1, "what it did not take in time is gone");
    let mut known = None::<u64>;
    for event in text.split("\n\n").filter(|event| event.contains("event: ")) {
        let data = event.split("data: ").nth(1).unwrap_or_default();
        // Where a chunk ends in between, the event is torn by the chunk's length: skip those.
        let Ok(data) = serde_json::from_str::<Value>(data) else {
            known = None;
            continue;
        };
        let (from, to) = match data["sequence"].as_u64() {
            Some(sequence) => (sequence, sequence),
            None => (data["from"].as_u64().unwrap(), data["to"].as_u64().unwrap()),
        };
        assert!(known.is_none_or(|known| from == known + 1), "{from} behind {known:?}");
        known = Some(to);
    }
}
