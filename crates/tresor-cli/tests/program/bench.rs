//! `bench`: it sends what it says it sends, and reports it for people and for programs.

use tresor_testkit::{Server, tresor_program};

use crate::refused;

fn bench(server: &Server, arguments: &[&str]) -> tresor_program::Finished {
    let address = format!("127.0.0.1:{}", server.ports().resp);
    tresor_program::run(&[&["bench", "--resp", &address], arguments].concat(), b"")
}

#[test]
fn every_request_is_sent_and_counted() {
    let server = Server::start(&["--password", "hunter2"]);
    let arguments = ["-c", "7", "-P", "16", "-n", "10001", "-r", "500", "-t", "fill,get,set,ping", "--json"];
    let finished = bench(&server, &[&arguments[..], &["--password", "hunter2"]].concat());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let lines: Vec<serde_json::Value> =
        finished.stdout.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let figures: Vec<_> =
        lines.iter().map(|line| (line["test"].as_str(), line["requests"].as_u64())).collect();
    let expected = [("fill", 500), ("get", 10001), ("set", 10001), ("ping", 10001)]
        .map(|(test, n)| (Some(test), Some(n)));
    assert_eq!(figures, expected);
    assert!(
        lines.iter().all(|line| line["errors"] == 0 && line["p50_us"].as_f64() <= line["p99_us"].as_f64())
    );

    let mut client = server.resp();
    client.command(&["AUTH", "hunter2"]).expect("the server answers");
    assert_eq!(client.command(&["DBSIZE"]).expect("the server answers").integer(), Some(500));
    let value = client.command(&["GET", "key:000000000499"]).expect("the server answers");
    assert_eq!(value.bytes().map(<[u8]>::len), Some(32));
}

#[test]
fn a_batch_larger_than_any_buffer_goes_through() {
    let server = Server::start(&[]);
    let finished =
        bench(&server, &["-c", "1", "-P", "1000", "-n", "1000", "-d", "20000", "-r", "10", "-t", "set,get"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished.stdout.contains("set: 1000 requests") && finished.stdout.contains("p99.9"),
        "{finished:?}"
    );
}

#[test]
fn errors_are_counted_and_fail() {
    let server = Server::start(&["--password", "hunter2"]);
    let finished = bench(&server, &["-n", "10", "-t", "get"]);
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.stderr.contains("10 requests failed") && finished.stderr.contains("NOAUTH"),
        "{finished:?}"
    );
    refused(1, &["bench", "--resp", "127.0.0.1:1"]);
    refused(2, &["bench", "-P", "0"]);
}
