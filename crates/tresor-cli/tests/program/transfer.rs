//! `dump` and `load`: what one writes makes the same entries again when the other reads it.

use std::{fs, process::Command};

use tresor_testkit::{Server, TemporaryDirectory, programs, tresor_program};

/// Runs a subcommand against the Redis port of `server`.
fn at(server: &Server, arguments: &[&str], input: &[u8]) -> tresor_program::Finished {
    let address = format!("127.0.0.1:{}", server.ports().resp);
    tresor_program::run(&[arguments, &["--resp", &address]].concat(), input)
}

/// The lines in one order, since a dump has none.
fn sorted(dump: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = dump.lines().collect();
    lines.sort_unstable();
    lines
}

fn fill(server: &Server) {
    let mut client = server.resp();
    let mut run = |words: &[&[u8]]| {
        let reply = client.command(words).expect("the server answers");
        assert_eq!(reply.error(), None, "{words:?}");
    };
    for number in 0..2000 {
        run(&[b"SET", format!("key{number}").as_bytes(), b"value"]);
    }
    run(&[b"SET", b"", b""]);
    run(&[b"SET", b"binary\xff\0", b"\0\r\n\xfe"]);
    run(&[b"SET", b"base64:x", b"line\nbreak"]);
    run(&[b"SET", b"expiring", b"soon", b"PXAT", b"4102444800123"]);
    run(&[b"TRESOR.PUT", b"json", b"{\"a\": [1.50, null]}", b"JSON"]);
    run(&[b"TRESOR.PUT", b"text", b"\"text\"", b"JSON", b"PXAT", b"4102444800456"]);
    run(&[b"SET", b"large", &vec![b'x'; 5 << 20]]);
    run(&[b"SELECT", b"15"]);
    run(&[b"SET", b"elsewhere", b"1"]);
}

#[test]
fn a_dump_loaded_elsewhere_dumps_the_same() {
    let (first, second) = (Server::start(&[]), Server::start(&[]));
    fill(&first);
    let dump = at(&first, &["dump"], b"");
    assert_eq!(dump.code, Some(0), "{}", dump.stderr);
    assert_eq!(dump.stdout.lines().count(), 2008);
    for line in [
        r#"{"key":"key7","value":"value","kind":"raw"}"#,
        r#"{"key":"json","value":{"a": [1.50, null]},"kind":"json"}"#,
        r#"{"key":"expiring","value":"soon","kind":"raw","expires_at_ms":4102444800123}"#,
        r#"{"key":"text","value":"text","kind":"json","expires_at_ms":4102444800456}"#,
        r#"{"db":15,"key":"elsewhere","value":"1","kind":"raw"}"#,
    ] {
        assert!(dump.stdout.lines().any(|each| each == line), "no {line}");
    }
    if let Some(curl) = programs::require("curl") {
        let exported = Command::new(curl).args(["--silent", &first.url("/v1/export")]).output();
        let exported = exported.expect("curl runs");
        assert_eq!(sorted(&String::from_utf8_lossy(&exported.stdout)), sorted(&dump.stdout));
    }
    let loaded = at(&second, &["load"], dump.stdout.as_bytes());
    assert_eq!((loaded.code, loaded.stderr.as_str()), (Some(0), ""), "no progress bar without a terminal");
    assert_eq!(sorted(&at(&second, &["dump"], b"").stdout), sorted(&dump.stdout));
}

#[test]
fn files_are_written_whole_and_read() {
    let server = Server::start(&[]);
    fill(&server);
    let directory = TemporaryDirectory::new("transfer");
    let path = directory.join("dump.ndjson");
    let path_text = path.to_str().expect("temporary paths are UTF-8");
    assert_eq!(at(&server, &["dump", path_text, "--db", "15"], b"").code, Some(0));
    let line = "{\"db\":15,\"key\":\"elsewhere\",\"value\":\"1\",\"kind\":\"raw\"}\n";
    assert_eq!(fs::read_to_string(&path).expect("the dump is there"), line);
    assert_eq!(fs::read_dir(directory.path()).expect("it is a directory").count(), 1);
    assert_eq!(at(&server, &["load", path_text], b"").code, Some(0));
    assert_eq!(at(&server, &["load", "/nowhere/at/all"], b"").code, Some(1));
    assert_eq!(at(&server, &["dump", "/nowhere/at/all"], b"").code, Some(1));
}

#[test]
fn a_bad_line_is_named_and_the_lines_before_it_are_there() {
    let server = Server::start(&[]);
    let input = b"{\"key\":\"a\",\"value\":\"1\"}\n\n{\"key\":\"b\",\"value\":[1]}\n{\"key\":3}\n{\"key\":\"c\",\"value\":1}\n";
    let finished = at(&server, &["load"], input);
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("line 4"), "{finished:?}");
    let size = server.resp().command(&["DBSIZE"]).expect("the server answers").integer();
    assert_eq!(size, Some(2));
}
