//! `get`, `put`, `delete`, `list` and `health` against a running server.

use tresor_testkit::{Server, tresor_program};

use crate::refused;

/// Runs a subcommand against `server`.
fn at(server: &Server, arguments: &[&str], input: &[u8]) -> tresor_program::Finished {
    let url = server.url("");
    tresor_program::run(&[arguments, &["--server", &url]].concat(), input)
}

#[test]
fn values_come_back_byte_for_byte() {
    let server = Server::start(&[]);
    assert_eq!(at(&server, &["put", "a/b c", "some text"], b"").code, Some(0));
    assert_eq!(at(&server, &["get", "a/b c"], b"").stdout, "some text");
    for arguments in [&["put", "k"][..], &["put", "k", "-"]] {
        assert_eq!(at(&server, arguments, b"from\nstdin\n").code, Some(0));
        assert_eq!(at(&server, &["get", "k"], b"").stdout, "from\nstdin\n");
    }
    assert_eq!(at(&server, &["put", "e", ""], b"").code, Some(0));
    assert_eq!(at(&server, &["get", "e"], b"").stdout, "");
    assert_eq!(at(&server, &["list"], b"").stdout, "a/b c\ne\nk\n");
    let lines = at(&server, &["list", "--values"], b"").stdout;
    assert_eq!(lines.lines().next(), Some(r#"{"key":"a/b c","value":"some text"}"#));
    assert_eq!(at(&server, &["delete", "k"], b"").code, Some(0));
    for subcommand in ["get", "delete"] {
        let finished = at(&server, &[subcommand, "k"], b"");
        assert_eq!(finished.code, Some(1));
        assert!(finished.stderr.contains("no key `k`"), "{finished:?}");
    }
}

#[test]
fn json_and_expiry_are_kept() {
    let server = Server::start(&[]);
    assert_eq!(at(&server, &["put", "j", r#"{"a": 1}"#, "--json", "--ttl", "1000.5"], b"").code, Some(0));
    let lines = at(&server, &["list", "--values"], b"").stdout;
    assert_eq!(lines, "{\"key\":\"j\",\"value\":{\"a\": 1}}\n");
    let ttl_ms = server.resp().command(&["PTTL", "j"]).expect("the server answers").integer();
    assert!(ttl_ms.is_some_and(|ms| ms > 990_000 && ms <= 1_000_500), "{ttl_ms:?}");
    assert_eq!(at(&server, &["put", "j", "{", "--json"], b"").code, Some(1));
    for ttl in ["0", "-1", "x", "inf", "1e3"] {
        let ttl = format!("--ttl={ttl}");
        assert_eq!(at(&server, &["put", "j", "1", &ttl], b"").code, Some(2), "{ttl}");
    }
}

#[test]
fn a_password_is_asked_for_and_given() {
    let server = Server::start(&["--password", "hunter2"]);
    let finished = at(&server, &["put", "k", "v"], b"");
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("--password"), "{finished:?}");
    assert_eq!(at(&server, &["put", "k", "v", "--password", "hunter2"], b"").code, Some(0));
    let output = tresor_program::command(&["get", "k", "--server", &server.url("")])
        .env("TRESOR_PASSWORD", "hunter2")
        .output()
        .expect("the program runs");
    assert_eq!(output.stdout, b"v");
    assert_eq!(at(&server, &["get", "k", "--password", "wrong"], b"").code, Some(1));
}

#[test]
fn health_is_an_exit_code() {
    let mut server = Server::start(&["--password", "hunter2"]);
    assert_eq!(at(&server, &["health"], b"").code, Some(0));
    assert!(server.terminate().success());
    let finished = at(&server, &["health"], b"");
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("tresor serve"), "{finished:?}");
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    refused(2, &["get"]);
    refused(2, &["get", ""]);
    refused(2, &["get", "k", "--server", "ftp://x"]);
    refused(2, &["get", "k", "--server", "http://bad host"]);
    refused(1, &["get", "k", "--server", "http://127.0.0.1:1"]);
}

#[test]
fn entries_are_found() {
    let server = Server::start(&[]);
    for (key, value) in
        [("user:1", r#"{"age": 30}"#), ("user:2", r#"{"age": 9.5}"#), ("user:3", r#"{"at": [1, 2]}"#)]
    {
        assert_eq!(at(&server, &["put", key, value, "--json"], b"").code, Some(0));
    }
    let found = |arguments: &[&str]| {
        let finished = at(&server, &[&["find"], arguments].concat(), b"");
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.stdout
    };
    assert_eq!(found(&[]), "user:1\nuser:2\nuser:3\n");
    assert_eq!(found(&["--regex", "[23]$", "--order", "desc"]), "user:3\nuser:2\n");
    assert_eq!(found(&["--limit", "2"]), "user:1\nuser:2\n");
    let older = found(&["--field", "/age", "--value-from", "10", "--values"]);
    assert_eq!(older, "{\"key\":\"user:1\",\"value\":{\"age\": 30}}\n");
    assert_eq!(found(&["--field", "/at", "--nearest", "[1,3]"]), "{\"key\":\"user:3\",\"distance\":1}\n");
    let finished = at(&server, &["find", "--regex", "("], b"");
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("unclosed group"), "{finished:?}");
    refused(2, &["find", "--limit", "0"]);
    refused(2, &["find", "--metric", "l2"]);
}

#[test]
fn indexes_are_defined_listed_and_dropped() {
    let server = Server::start(&[]);
    for (key, value) in [("user:1", r#"{"age": 30}"#), ("user:2", r#"{"age": 9}"#)] {
        assert_eq!(at(&server, &["put", key, value, "--json"], b"").code, Some(0));
    }
    let index = |arguments: &[&str]| at(&server, &[&["index"], arguments].concat(), b"");
    let created = index(&["create", "ages", "--prefix", "user:", "--field", "/age"]);
    assert_eq!(created.code, Some(0), "{created:?}");
    assert!(created.stdout.contains("ready  2 entries"), "{created:?}");
    let found = at(&server, &["find", "--prefix", "user:", "--field", "/age", "--value-from", "30"], b"");
    assert_eq!(found.stdout, "user:1\n");
    let again = index(&["create", "ages", "--prefix", "order:"]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("there is an index named ages already"), "{again:?}");
    let vectors = index(&["create", "v", "--dimensions", "3", "--metric", "cosine", "--db", "2"]);
    assert!(vectors.stdout.contains("database 2, keys *, vectors of 3 dimensions, cosine"), "{vectors:?}");
    assert_eq!(index(&["list"]).stdout.lines().count(), 2);
    assert!(index(&["list", "--json"]).stdout.starts_with(r#"{"indexes":[{"#));
    assert_eq!(index(&["drop", "ages"]).code, Some(0));
    let gone = index(&["drop", "ages"]);
    assert!(gone.code == Some(1) && gone.stderr.contains("no such index"), "{gone:?}");
    refused(2, &["index", "create", "a", "--metric", "l2"]);
}

#[test]
fn many_entries_are_found_page_by_page() {
    let server = Server::start(&[]);
    let mut client = server.resp();
    for number in 0..2500 {
        client.command(&["SET", &format!("k{number:04}"), "v"]).expect("the server answers");
    }
    let finished = at(&server, &["find", "--prefix", "k"], b"");
    assert_eq!(finished.stdout.lines().count(), 2500);
    let some = at(&server, &["find", "--prefix", "k", "--limit", "1500"], b"");
    assert_eq!(some.stdout.lines().last(), Some("k1499"));
}
