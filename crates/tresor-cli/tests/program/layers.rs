//! Layers by options: what the first line of --check-config says, what is on disk, what is refused.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tresor_testkit::{Server, TemporaryDirectory, tresor_program};

const SECRET: &str = "a secret that must not be on disk";

/// A file with one encryption key, its owner's alone.
fn key_file(directory: &TemporaryDirectory, name: &str, digit: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, digit.repeat(64)).expect("the temporary directory takes a file");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a file of ours");
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}

fn holds_secret(directory: &Path) -> bool {
    fs::read_dir(directory).expect("the store's directory").any(|entry| {
        let path = entry.expect("an entry").path();
        let bytes = if path.is_dir() { Vec::new() } else { fs::read(&path).expect("a file of ours") };
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        found || (path.is_dir() && holds_secret(&path))
    })
}

fn value(server: &Server) -> String {
    let reply = server.resp().command(&["GET", "k"]).expect("the server answers");
    reply.text().map(str::to_owned).unwrap_or_default()
}

#[test]
fn check_config_shows_the_stack_in_a_line() {
    let directory = TemporaryDirectory::new("layers");
    let keys = key_file(&directory, "keys", "a");
    let arguments = [
        "serve",
        "--check-config",
        "--engine",
        "disk",
        "--store-path",
        "s",
        "--cache-capacity",
        "1000",
        "--compression",
        "zstd",
        "--encryption-key-file",
        &keys,
        "--encryption-cipher",
        "aes-256-gcm",
    ];
    let output = tresor_program::command(&arguments).output().expect("the program runs");
    let text = String::from_utf8(output.stdout).expect("a configuration is text");
    assert_eq!(text.lines().next(), Some("# cached(1000) > zstd > aes-256-gcm > disk"));
}

#[test]
fn an_encrypted_store_shows_nothing_and_opens_with_its_key_alone() {
    let directory = TemporaryDirectory::new("layers");
    let (right, wrong) = (key_file(&directory, "right", "a"), key_file(&directory, "wrong", "b"));
    for engine in ["memory", "disk"] {
        let path = directory.join(engine);
        let store = ["--engine", engine, "--store-path", path.to_str().expect("temporary paths are UTF-8")];
        let with = |more: &[&'static str], key: &str| {
            let key = ["--encryption-key-file", key];
            Server::start(&[&store[..], more, &key[..]].concat())
        };
        let mut server = with(&["--compression", "zstd"], &right);
        let long = SECRET.repeat(100);
        server.resp().command(&["SET", "k", &long]).expect("the server answers");
        server.resp().command(&["SET", "short", SECRET]).expect("the server answers");
        assert!(server.terminate().success());
        assert!(!holds_secret(&path), "{engine}");
        // Compression need not be asked for again to read what it made.
        let mut server = with(&["--cache-capacity", "10"], &right);
        assert_eq!((value(&server), value(&server)), (long.clone(), long.clone()));
        assert!(server.terminate().success());
        for key in [&["--encryption-key-file", &wrong][..], &[]] {
            let arguments = [&["serve", "--port", "off", "--resp-port", "off"], &store[..], key].concat();
            let output = tresor_program::command(&arguments).output().expect("the program runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("encrypt"), "{said}");
        }
    }
}

#[test]
fn what_was_compressed_is_read_without_the_option() {
    let directory = TemporaryDirectory::new("layers");
    for engine in ["memory", "json", "disk", "sqlite"] {
        let path = directory.join(engine);
        let store = ["--engine", engine, "--store-path", path.to_str().expect("temporary paths are UTF-8")];
        let mut server = Server::start(&[&store[..], &["--compression", "lz4"]].concat());
        let long = "again and ".repeat(1000);
        server.resp().command(&["SET", "k", &long]).expect("the server answers");
        assert_eq!(value(&server), long);
        assert!(server.terminate().success());
        let mut server = Server::start(&store);
        assert_eq!(value(&server), long, "{engine}");
        assert!(server.terminate().success());
    }
}
