//! CONFIG REWRITE: what was changed while the server ran holds after a restart, and the file stays whole.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
};

use tresor_testkit::{Reply, RespClient, Server, TemporaryDirectory};

use crate::refused;

const BEFORE: &str = "\
# Chosen with care.
max-clients = 50 # not many
password-file = \"PASSWORD\"

[redis]
tcp-keepalive = 60
";

/// A file as an operator keeps it: readable by its owner alone, found through a link.
fn configuration(directory: &TemporaryDirectory) -> (String, std::path::PathBuf) {
    let (file, link, password) =
        (directory.join("real.toml"), directory.join("link.toml"), directory.join("password"));
    fs::write(&password, "first\n").expect("the temporary directory takes a file");
    let text = BEFORE.replace("PASSWORD", password.to_str().expect("temporary paths are UTF-8"));
    fs::write(&file, text).expect("the temporary directory takes a file");
    fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("it is ours");
    symlink(&file, &link).expect("the temporary directory takes a link");
    (link.to_str().expect("temporary paths are UTF-8").to_owned(), file)
}

fn authenticated(server: &Server, password: &str) -> RespClient {
    let mut client = server.resp();
    assert_eq!(client.command(&["AUTH", password]).expect("the server answers").to_string(), "OK");
    client
}

fn ok(client: &mut RespClient, words: &[&str]) {
    assert_eq!(client.command(words).expect("the server answers").to_string(), "OK", "{words:?}");
}

fn setting(client: &mut RespClient, name: &str) -> String {
    let reply = client.command(&["CONFIG", "GET", name]).expect("the server answers");
    reply.elements().expect("a name and a value")[1].text().expect("a text").to_owned()
}

#[test]
fn what_was_changed_holds_after_a_restart() {
    let directory = TemporaryDirectory::new("rewrite");
    let (path, file) = configuration(&directory);
    let mut server = Server::start(&["--config", &path]);
    let mut client = authenticated(&server, "first");
    assert_eq!(setting(&mut client, "tcp-keepalive"), "60");
    let changes = [
        ["maxclients", "60"],
        ["maxmemory", "100mb"],
        ["maxmemory-policy", "allkeys-lru"],
        ["notify-keyspace-events", "KEA"],
        ["loglevel", "verbose"],
        ["timeout", "90"],
        ["hz", "20"],
        ["requirepass", "second"],
    ];
    ok(&mut client, &[&["CONFIG", "SET"], changes.as_flattened()].concat());
    ok(&mut client, &["CONFIG", "REWRITE"]);
    assert!(server.terminate().success());

    let text = fs::read_to_string(&file).expect("the file is there");
    for line in [
        "# Chosen with care.",
        "max-clients = 60 # not many",
        "max-memory = 104857600",
        "log-level = \"debug\"",
        "password = \"second\"",
        "timeout = \"90\"",
        "hz = \"20\"",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    assert!(!text.contains("password-file"), "{text}");
    assert_eq!(fs::metadata(&file).expect("the file is there").permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&path).expect("the link is there").is_symlink());
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 3, "nothing else is left");

    let mut server = Server::start(&["--config", &path]);
    let mut client = authenticated(&server, "second");
    for [name, value] in changes.iter().filter(|[name, _]| *name != "requirepass") {
        let expected = if *name == "maxmemory" { "104857600" } else { value };
        // Events are told in Redis's own order.
        let expected = if *name == "notify-keyspace-events" { "AKE" } else { expected };
        assert_eq!(setting(&mut client, name), expected, "{name}");
    }
    ok(&mut client, &["CONFIG", "SET", "requirepass", "", "maxmemory", "0"]);
    ok(&mut client, &["CONFIG", "REWRITE"]);
    assert!(server.terminate().success());
    let text = fs::read_to_string(&file).expect("the file is there");
    assert!(!text.contains("password") && text.contains("max-memory = \"off\""), "{text}");
}

#[test]
fn a_file_that_cannot_be_understood_is_left_alone() {
    let directory = TemporaryDirectory::new("rewrite");
    let (path, file) = configuration(&directory);
    let server = Server::start(&["--config", &path]);
    let mut client = authenticated(&server, "first");
    ok(&mut client, &["CONFIG", "SET", "timeout", "90"]);
    fs::write(&file, "half = \"a line").expect("it is ours");
    let reply = client.command(&["CONFIG", "REWRITE"]).expect("the server answers");
    let error = reply.error().expect("an error");
    assert!(error.contains("Rewriting config file") && error.contains("link.toml"), "{error}");
    assert_eq!(fs::read_to_string(&file).expect("the file is there"), "half = \"a line");
}

#[test]
fn clients_that_ask_at_one_time_wait_for_each_other() {
    let directory = TemporaryDirectory::new("rewrite");
    let (path, file) = configuration(&directory);
    let server = Server::start(&["--config", &path]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut client = authenticated(&server, "first");
            scope.spawn(move || (0..25).for_each(|_| ok(&mut client, &["CONFIG", "REWRITE"])));
        }
    });
    let text = fs::read_to_string(&file).expect("the file is there");
    assert!(text.contains("# Chosen with care.") && text.contains("tcp-keepalive = \"60\""), "{text}");
}

#[test]
fn what_was_decided_at_the_start_stays() {
    let directory = TemporaryDirectory::new("rewrite");
    let path = directory.path().join("store.json").display().to_string();
    for (arguments, is_kept, other) in [(&["--store-path", &path][..], "yes", "no"), (&[], "no", "yes")] {
        let server = Server::start(arguments);
        let mut client = server.resp();
        ok(&mut client, &["CONFIG", "SET", "appendonly", is_kept]);
        let reply = client.command(&["CONFIG", "SET", "appendonly", other]).expect("the server answers");
        assert!(
            matches!(&reply, Reply::Error(text) if text.contains("--store-path decides it")),
            "{reply:?}"
        );
    }
}

#[test]
fn the_level_of_the_log_changes_at_once() {
    let mut server = Server::start(&[]);
    let mut client = server.resp();
    assert_eq!(setting(&mut client, "loglevel"), "notice");
    ok(&mut client, &["CONFIG", "SET", "loglevel", "nothing"]);
    assert_eq!(setting(&mut client, "loglevel"), "nothing");
    assert!(server.terminate().success());
    assert!(!server.log().contains("stopping"), "{}", server.log());
}

#[test]
fn settings_that_are_not_there_are_refused_at_the_start() {
    let directory = TemporaryDirectory::new("rewrite");
    let path = directory.join("tresor.toml");
    let path_text = path.to_str().expect("temporary paths are UTF-8");
    let serve = ["serve", "--port", "0", "--resp-port", "0", "--line-port", "0", "--config", path_text];
    for (line, code, words) in [
        ("nosuch = 1", 1, "nosuch"),
        ("timeout = \"soon\"", 1, "timeout"),
        ("databases = 3", 1, "databases"),
        ("maxmemory = 3", 2, "max-memory"),
    ] {
        fs::write(&path, format!("[redis]\n{line}\n")).expect("the temporary directory takes a file");
        let error = refused(code, &serve);
        assert!(error.contains(words), "{line}: {error}");
    }
}
