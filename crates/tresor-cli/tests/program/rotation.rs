//! `rotate-keys`: a server's values under a new key while clients write, and what refuses that.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tresor::{
    clock::SystemClock,
    engine::{
        Content, Engine, Order, Scan,
        disk::{DiskEngine, DiskOptions},
        memory::{MemoryEngine, MemoryOptions},
    },
    files::SystemFiles,
    layer::EncryptionKeys,
    oplog::LogOptions,
};
use tresor_testkit::{Server, TemporaryDirectory, deadline, tresor_program};

use crate::stores::{text, write_keys};

/// What a web page cannot send by itself.
const DELIBERATE: [(&str, &str); 1] = [("content-type", "application/json")];

/// The name of the key that is 64 times this digit.
fn id(digit: &str) -> String {
    EncryptionKeys::parse(&digit.repeat(64)).expect("it is a key").ids()[0].to_string()
}

fn start(engine: &str, path: &Path, keys: &Path) -> Server {
    let (path, keys) = (text(path), text(keys));
    Server::start(&["--engine", engine, "--store-path", &path, "--encryption-key-file", &keys])
}

fn rotate(server: &Server, more: &[&str]) -> tresor_program::Finished {
    let url = server.url("");
    tresor_program::run(&[&["rotate-keys", "--server", &url], more].concat(), b"")
}

/// Status and document of a request.
fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, serde_json::Value) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let mut request = ureq::http::Request::builder().method(method).uri(server.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("it is a request");
    let mut response = config.new_agent().run(request).expect("the server answers");
    let body = response.body_mut().read_to_string().expect("the answer is text");
    (response.status().as_u16(), serde_json::from_str(&body).expect("the answer is JSON"))
}

fn key_ids(server: &Server) -> Vec<String> {
    let (status, document) = ask(server, "GET", "/v1/encryption", &[]);
    assert_eq!((status, &document["cipher"]), (200, &"xchacha20-poly1305".into()));
    let ids = document["key_ids"].as_array().expect("a list of names");
    ids.iter().map(|id| id.as_str().expect("a name").to_owned()).collect()
}

/// The names of all keys that values on disk are under.
fn on_disk(engine: &str, path: &Path) -> BTreeSet<String> {
    let seams = (Arc::new(SystemFiles) as Arc<_>, Arc::new(SystemClock::new()) as Arc<_>);
    let log = LogOptions::default();
    let engine: Arc<dyn Engine> = match engine {
        "disk" => DiskEngine::open(&DiskOptions::default(), seams, path, log).expect("it opens").0,
        _ => MemoryEngine::open(&MemoryOptions::default(), seams, path, log).expect("it opens").0,
    };
    let mut scan = Scan::all(0, Order::Any, Content::Entries, 1000);
    let mut ids = BTreeSet::new();
    loop {
        let mut page = engine.scan(&scan, 0).wait().expect("it can be read");
        for (_, entry) in page.iter() {
            // Tag, kind, then the name, as docs/formats.md has it.
            let name = entry.value.bytes()[2..10].iter().map(|byte| format!("{byte:02x}"));
            ids.insert(name.collect());
        }
        let Some(next) = page.next.take() else { break };
        scan.position = next;
    }
    engine.close().wait().expect("it closes");
    ids
}

fn fill(server: &Server, count: u32) {
    let commands: Vec<Vec<Vec<u8>>> = (0..count)
        .map(|number| {
            vec![b"SET".to_vec(), format!("key{number}").into_bytes(), number.to_be_bytes().to_vec()]
        })
        .collect();
    let mut client = server.resp();
    for commands in commands.chunks(1000) {
        client.pipeline(commands).expect("the server answers");
    }
}

#[track_caller]
fn holds(server: &Server, count: u32) {
    let mut client = server.resp();
    for number in (0..count).step_by(7) {
        let value = client.command(&["GET", &format!("key{number}")]).expect("the server answers");
        assert_eq!(value.bytes(), Some(&number.to_be_bytes()[..]), "key{number}");
    }
}

/// Increments counters until it is told to stop; how often it did.
fn count_up(server: &Server, done: &AtomicBool) -> i64 {
    let mut client = server.resp();
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        let reply = client.command(&["INCR", &format!("counter{}", count % 5)]).expect("the server answers");
        assert_eq!(reply.error(), None);
        count += 1;
    }
    count
}

#[test]
fn keys_are_rotated_under_load_and_the_old_one_may_go() {
    let directory = TemporaryDirectory::new("rotation");
    let keys = directory.join("keys");
    for engine in ["memory", "disk"] {
        let path = directory.join(engine);
        write_keys(&keys, &["a"]);
        let mut server = start(engine, &path, &keys);
        fill(&server, 3000);
        assert_eq!(key_ids(&server), [id("a")]);
        let done = AtomicBool::new(false);
        let counted: i64 = thread::scope(|scope| {
            let writers: Vec<_> = (0..2).map(|_| scope.spawn(|| count_up(&server, &done))).collect();
            write_keys(&keys, &["b", "a"]);
            let said = rotate(&server, &[]);
            done.store(true, Ordering::Relaxed);
            assert_eq!(said.code, Some(0), "{said:?}");
            assert!(said.stdout.contains(&format!("under the key {}", id("b"))), "{said:?}");
            assert_eq!(said.stderr, "", "no progress bar without a terminal");
            writers.into_iter().map(|writer| writer.join().expect("no panic")).sum()
        });
        assert_eq!(key_ids(&server), [id("b"), id("a")]);
        let (_, document) = ask(&server, "GET", "/v1/encryption", &[]);
        let told = |name: &str| document["reencryption"][name].as_u64();
        assert_eq!(document["reencryption"]["running"], false);
        assert!(told("reencrypted") >= Some(3000) && told("entries") >= Some(3000), "{document}");
        assert_eq!(document["reencryption"].get("trouble"), None);

        write_keys(&keys, &["b"]);
        let said = rotate(&server, &[]);
        assert!(said.stdout.starts_with("0 values were re-encrypted"), "{said:?}");
        assert_eq!(key_ids(&server), [id("b")]);
        assert!(server.terminate().success());
        assert_eq!(on_disk(engine, &path), BTreeSet::from([id("b")]), "{engine}");

        let server = start(engine, &path, &keys);
        holds(&server, 3000);
        let mut client = server.resp();
        let total: i64 = (0..5)
            .map(|number| client.command(&["GET", &format!("counter{number}")]).expect("the server answers"))
            .map(|reply| reply.text().and_then(|text| text.parse::<i64>().ok()).unwrap_or(0))
            .sum();
        assert_eq!(total, counted, "every increment counts");
    }
}

#[test]
fn a_rotation_that_a_stop_ended_goes_on_after_it() {
    const ENTRIES: u32 = 30_000;
    let directory = TemporaryDirectory::new("rotation");
    let (keys, path) = (directory.join("keys"), directory.join("store"));
    write_keys(&keys, &["a"]);
    let mut server = start("memory", &path, &keys);
    fill(&server, ENTRIES);
    write_keys(&keys, &["b", "a"]);
    let (status, document) = ask(&server, "POST", "/v1/encryption/rotate", &DELIBERATE);
    assert_eq!((status, &document["reencryption"]["entries"]), (202, &ENTRIES.into()), "{document}");
    assert!(server.terminate().success());
    assert!(server.log().contains("rotate again to go on"), "it was in the middle: {}", server.log());
    let both = BTreeSet::from([id("a"), id("b")]);
    assert!(on_disk("memory", &path).is_subset(&both));

    let mut server = start("memory", &path, &keys);
    holds(&server, ENTRIES);
    let said = rotate(&server, &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.stdout.starts_with("0 values"), "some were left: {said:?}");
    assert!(server.terminate().success());
    assert_eq!(on_disk("memory", &path), BTreeSet::from([id("b")]));
    write_keys(&keys, &["b"]);
    holds(&start("memory", &path, &keys), ENTRIES);
}

#[test]
fn keys_that_cannot_be_right_change_nothing() {
    let directory = TemporaryDirectory::new("rotation");
    let (keys, path) = (directory.join("keys"), directory.join("store"));
    write_keys(&keys, &["a"]);
    let server = start("memory", &path, &keys);
    fill(&server, 100);
    let refuses = |words: &[&str]| {
        let (status, problem) = ask(&server, "POST", "/v1/encryption/rotate", &DELIBERATE);
        let said = rotate(&server, &[]);
        assert_eq!((status, said.code), (409, Some(1)), "{problem} {said:?}");
        for word in words {
            assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(word)), "{problem}");
            assert!(said.stderr.contains(word), "{said:?}");
        }
        assert_eq!(key_ids(&server), [id("a")]);
        holds(&server, 100);
    };
    write_keys(&keys, &["b"]);
    refuses(&[&id("a"), "not among the new encryption keys"]);
    fs::write(&keys, "no key\n").expect("it can be written");
    refuses(&["line 1", "is no key"]);
    write_keys(&keys, &["b", "a"]);
    fs::set_permissions(&keys, Permissions::from_mode(0o644)).expect("a file of ours");
    refuses(&["chmod 600"]);
    fs::remove_file(&keys).expect("a file of ours");
    refuses(&["there is no"]);
    let (status, _) = ask(&server, "POST", "/v1/encryption/rotate", &[]);
    assert_eq!(status, 415, "no web page can send this");
    let (status, _) = ask(&server, "GET", "/v1/encryption/rotate", &[]);
    assert_eq!(status, 405);
}

#[test]
fn who_has_no_file_of_keys_cannot_rotate() {
    let directory = TemporaryDirectory::new("rotation");
    let path = text(&directory.join("store"));
    let key = "a".repeat(64);
    let arguments = ["--store-path", &path, "--encryption-key-variable", "STORE_KEY"];
    let server = Server::start_with(&arguments, &[("STORE_KEY", &key)]);
    let (status, problem) = ask(&server, "POST", "/v1/encryption/rotate", &DELIBERATE);
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(status == 409 && detail.contains("STORE_KEY") && detail.contains("cannot change"), "{problem}");
    assert_eq!(key_ids(&server), [id("a")]);

    let server = Server::start(&[]);
    for (method, path) in [("GET", "/v1/encryption"), ("POST", "/v1/encryption/rotate")] {
        let (status, problem) = ask(&server, method, path, &DELIBERATE);
        assert_eq!(status, 501, "{problem}");
    }
    let said = rotate(&server, &[]);
    assert!(said.code == Some(1) && said.stderr.contains("is not encrypted"), "{said:?}");

    let server = Server::start(&["--password", "hunter2"]);
    assert_eq!(ask(&server, "GET", "/v1/encryption", &[]).0, 401);
}

#[test]
fn one_rotation_runs_at_a_time() {
    let directory = TemporaryDirectory::new("rotation");
    let (keys, path) = (directory.join("keys"), directory.join("store"));
    write_keys(&keys, &["a"]);
    let server = start("memory", &path, &keys);
    fill(&server, 30_000);
    write_keys(&keys, &["b", "a"]);
    // Both at once on one connection, so that nothing but the server is between them.
    let request = "POST /v1/encryption/rotate HTTP/1.1\r\nHost: localhost\r\nX-Requested-With: a test\r\n";
    let mut stream = TcpStream::connect(("127.0.0.1", server.ports().http)).expect("the server accepts");
    write!(stream, "{request}\r\n{request}Connection: close\r\n\r\n").expect("the server takes it");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("the server answers and closes");
    assert!(answers.starts_with("HTTP/1.1 202") && answers.contains("\"running\":true"), "{answers}");
    assert!(answers.contains("HTTP/1.1 409") && answers.contains("already"), "{answers}");

    let is_running = || ask(&server, "GET", "/v1/encryption", &[]).1["reencryption"]["running"] == true;
    deadline::wait_until("the rotation to end", || !is_running());
    let said = rotate(&server, &["--no-wait"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("is in use") && said.stdout.contains("30000 entries"), "{said:?}");
}
