//! A server's life: ready file, start-up line, signals, and what is left behind.

use std::{
    fs,
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tresor_testkit::{Server, TemporaryDirectory, deadline, tresor_program};

#[test]
fn the_ready_file_is_there_while_the_server_accepts() {
    let directory = TemporaryDirectory::new("serving");
    let path = directory.join("ready");
    let path_text = path.to_str().expect("temporary paths are UTF-8");
    let arguments =
        ["serve", "--port", "0", "--resp-port", "0", "--line-port", "0", "--ready-file", path_text];
    let mut child = tresor_program::command(&arguments).spawn().expect("the program starts");
    let ready: serde_json::Value = deadline::wait_for("the ready file", || {
        fs::read(&path).ok().map(|bytes| serde_json::from_slice(&bytes).expect("it is never half-written"))
    });
    assert_eq!(ready["pid"].as_u64(), Some(u64::from(child.id())));
    for door in ["http", "resp", "line"] {
        let port = ready[door].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM)
        .expect("a child takes a signal");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(
        fs::read_dir(directory.path()).expect("it is a directory").count(),
        0,
        "nothing is left of it"
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&[]);
    let mut client = server.resp();
    let value = "x".repeat(16 << 20);
    client.command(&["SET", "big", &value]).expect("the server answers");
    // Replies that nobody reads keep the connection, and so the server, from finishing.
    client.send(&b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n".repeat(8)).expect("the server reads");
    // The first byte of an answer: a signal before it would find nothing to wait for.
    client.stream().peek(&mut [0]).expect("the server answers");
    server.signal(Signal::TERM).expect("a child takes a signal");
    deadline::wait_until("the server to begin to stop", || server.log().contains("stopping"));
    assert!(server.running());
    let second = Instant::now();
    server.signal(Signal::INT).expect("a child takes a signal");
    assert_eq!(server.ended().code(), Some(1));
    assert!(second.elapsed() < Duration::from_secs(5), "that took the whole grace");
}

#[test]
fn debug_is_had_at_the_start_or_not_at_all() {
    for (arguments, allowed) in [(&[][..], false), (&["--enable-debug-command"], true)] {
        let server = Server::start(arguments);
        let mut client = server.resp();
        let later =
            client.command(&["CONFIG", "SET", "enable-debug-command", "yes"]).expect("the server answers");
        assert!(later.error().is_some_and(|error| error.contains("can't set immutable config")), "{later}");
        let reply = client.command(&["DEBUG", "SLEEP", "0"]).expect("the server answers");
        match allowed {
            true => assert_eq!(reply.text(), Some("OK")),
            false => assert!(
                reply.error().is_some_and(|error| error.contains("--enable-debug-command")),
                "{reply}"
            ),
        }
    }
}

#[test]
fn the_first_line_says_what_is_running_and_what_becomes_of_the_data() {
    let mut server = Server::start(&[]);
    let ports = server.ports();
    let line = format!("line protocol on 127.0.0.1:{}", ports.line);
    for words in [format!("http://127.0.0.1:{}", ports.http), format!("127.0.0.1:{}", ports.resp), line] {
        deadline::wait_until(&format!("{words} in the log"), || server.log().contains(&words));
    }
    let log = server.log();
    assert!(log.contains("engine memory") && log.contains("--store-path"), "{log}");
    assert!(server.terminate().success());

    let directory = TemporaryDirectory::new("serving");
    let path = directory.join("store");
    let path = path.to_str().expect("temporary paths are UTF-8");
    let server = Server::start(&["--store-path", path]);
    let is_told = |log: &str| log.contains(path) && log.contains("durability always");
    deadline::wait_until("path and durability in the log", || is_told(&server.log()));
}

#[test]
fn a_stop_says_how_many_transactions_it_rolls_back() {
    let mut server = Server::start(&["--threads", "2"]);
    let mut clients: Vec<_> = (0..5).map(|_| server.line()).collect();
    for client in &mut clients {
        assert_eq!(client.ask("BEGIN").expect("the server answers")["status"], "Ok");
    }
    assert!(server.terminate().success());
    assert!(server.log().contains("rolled back 5 open transactions"), "{}", server.log());
}

#[test]
fn ctrl_c_and_sigterm_end_it_with_0_and_keep_the_data() {
    let directory = TemporaryDirectory::new("serving");
    let path = directory.join("store");
    let arguments =
        ["--store-path", path.to_str().expect("temporary paths are UTF-8"), "--durability", "none"];
    for (number, signal) in [Signal::INT, Signal::TERM].into_iter().enumerate() {
        let mut server = Server::start(&arguments);
        let mut client = server.resp();
        for earlier in 0..number {
            let reply = client.command(&["GET", &format!("key{earlier}")]).expect("the server answers");
            assert_eq!(reply.text(), Some("value"));
        }
        client.command(&["SET", &format!("key{number}"), "value"]).expect("the server answers");
        server.signal(signal).expect("a child takes a signal");
        assert!(server.ended().success(), "{}", server.log());
    }
}

#[test]
fn logs_are_json_when_asked_for_and_never_hold_the_password() {
    let mut server =
        Server::start(&["--log-format", "json", "--log-level", "trace", "--password", "hunter2"]);
    deadline::wait_until("the first line", || !server.log().is_empty());
    assert!(server.terminate().success());
    let log = server.log();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_port_can_be_off() {
    let mut server = Server::start(&["--port", "off"]);
    assert_eq!(server.ports().http, 0);
    assert!(server.log().contains("HTTP on off"));
    assert!(server.terminate().success());
}
