//! Many entries in, counted, scanned in order, and out again: none too many and none too few.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use tresor_testkit::{Reply, Server, TemporaryDirectory, cassandra, tresor_program};

use crate::{is_full, server};

/// Keys whose order differs from that of their numbers.
fn key(number: u64) -> String {
    format!("key:{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn write_entries(path: &Path, entries: u64) {
    let mut file = BufWriter::new(File::create(path).expect("the temporary directory takes a file"));
    for number in 0..entries {
        // Some are JSON and some expire, far in the future.
        let line = match number % 10 {
            0 => format!(r#"{{"key":"{}","value":{{"n": {number}}},"kind":"json"}}"#, key(number)),
            1 => format!(
                r#"{{"key":"{}","value":"{number}","kind":"raw","expires_at_ms":41024448{:05}}}"#,
                key(number),
                number % 100_000
            ),
            _ => format!(r#"{{"key":"{}","value":"{number}","kind":"raw"}}"#, key(number)),
        };
        writeln!(file, "{line}").expect("the disk takes it");
    }
}

fn lines(path: &Path) -> Vec<String> {
    let file = BufReader::new(File::open(path).expect("the file is there"));
    let mut lines: Vec<String> = file.lines().map(|line| line.expect("lines are text")).collect();
    lines.sort_unstable();
    lines
}

/// Runs a subcommand on a file against the server.
fn transfer(server: &Server, subcommand: &str, path: &Path) {
    let address = format!("127.0.0.1:{}", server.ports().resp);
    let path = path.to_str().expect("temporary paths are UTF-8");
    run(&[subcommand, path, "--resp", &address]);
}

/// Runs a subcommand to its end, however long a million entries take, and answers what it printed.
fn run(arguments: &[&str]) -> String {
    let output = tresor_program::command(arguments).output().expect("the program runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("keys are text")
}

fn count(server: &Server) -> i64 {
    match server.resp().command(&["DBSIZE"]).expect("the server answers") {
        Reply::Integer(count) => count,
        other => panic!("DBSIZE answers {other}"),
    }
}

/// All keys as `tresor list` gives them, which reads them in their order.
fn listed(server: &Server) -> Vec<String> {
    run(&["list", "--server", &server.url("")]).lines().map(str::to_owned).collect()
}

fn there_and_back(writes: &str, entries: u64) {
    let Some(cluster) = cassandra::shared(1) else { return };
    let keyspace = format!("transfer_{writes}");
    // A node beside a build may take its time.
    let server =
        server(&cluster, &keyspace, &["--cassandra-writes", writes, "--cassandra-timeout-ms", "15000"]);
    let directory = TemporaryDirectory::new("transfer");
    let (first, second) = (directory.join("first.ndjson"), directory.join("second.ndjson"));
    write_entries(&first, entries);
    transfer(&server, "load", &first);
    assert_eq!(count(&server), entries as i64);
    let mut keys: Vec<String> = (0..entries).map(key).collect();
    keys.sort_unstable();
    assert!(listed(&server) == keys, "the keys in order are not those that were loaded");
    transfer(&server, "dump", &second);
    assert!(lines(&first) == lines(&second), "what comes out is not what went in");
    fs::remove_file(&second).expect("it was written");
}

#[test]
fn eventual_entries_go_there_and_back() {
    there_and_back("eventual", if is_full() { 1_000_000 } else { 20_000 });
}

#[test]
fn linearizable_entries_go_there_and_back() {
    there_and_back("linearizable", if is_full() { 50_000 } else { 2_000 });
}
