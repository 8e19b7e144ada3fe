//! Programs that others have written, unchanged, against the server.

mod running;

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use running::server;
use tresor_server::Server;
use tresor_testkit::programs::{require, require_redis_py};

/// Runs a program with the server's port among its arguments and answers what it printed.
fn run(program: &Path, server: &Server, arguments: &[&str], input: &[u8]) -> String {
    let port = server.addresses().resp[0].port().to_string();
    let arguments = arguments.iter().map(|argument| if *argument == "PORT" { &port } else { *argument });
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("it is a pipe").write_all(input).expect("the program reads its input");
    let output = child.wait_with_output().expect("the program ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn redis_cli_sets_and_gets() {
    let Some(cli) = require("redis-cli") else { return };
    let server = server();
    let cli =
        |arguments: &[&str], input: &[u8]| run(&cli, &server, &[&["-p", "PORT"], arguments].concat(), input);
    assert_eq!(cli(&["PING"], b""), "PONG\n");
    assert_eq!(cli(&["SET", "k", "two words"], b""), "OK\n");
    assert_eq!(cli(&["GET", "k"], b""), "two words\n");
    assert_eq!(cli(&["-3", "GET", "absent"], b""), "\n");
    assert_eq!(cli(&["-x", "SET", "from-input"], &[b'x'; 100_000]), "OK\n");
    assert_eq!(cli(&["GET", "from-input"], b"").len(), 100_001);
    assert_eq!(cli(&[], b"SET a 1\nGET a\nDEL a k\n"), "OK\n1\n2\n");
}

#[test]
fn redis_cli_loads_in_pipe_mode() {
    let Some(cli) = require("redis-cli") else { return };
    let server = server();
    let mut input = Vec::new();
    for number in 0..20_000 {
        input.extend(format!("SET key:{number} value:{number}\r\n").into_bytes());
    }
    let printed = run(&cli, &server, &["-p", "PORT", "--pipe"], &input);
    assert!(printed.contains("errors: 0, replies: 20000"), "{printed}");
    assert_eq!(run(&cli, &server, &["-p", "PORT", "GET", "key:19999"], b""), "value:19999\n");
}

#[test]
fn redis_benchmark_runs_its_tests() {
    let Some(benchmark) = require("redis-benchmark") else { return };
    let server = server();
    for pipeline in ["1", "16"] {
        let tests = "ping,set,get,incr,mset";
        let arguments =
            ["-p", "PORT", "-q", "-n", "10000", "-c", "20", "-r", "1000", "-P", pipeline, "-t", tests];
        let printed = run(&benchmark, &server, &arguments, b"");
        for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
            let line = printed.split(['\n', '\r']).rfind(|line| line.starts_with(&format!("{test}: ")));
            assert!(line.is_some_and(|line| line.contains("requests per second")), "{test}: {printed}");
        }
    }
}

#[test]
fn redis_py_speaks_both_protocols() {
    let Some(python) = require_redis_py() else { return };
    let server = server();
    let script = include_str!("clients_programs.py");
    for protocol in ["2", "3"] {
        assert_eq!(run(&python, &server, &["-c", script, "PORT", protocol], b""), "fine\n");
    }
}
