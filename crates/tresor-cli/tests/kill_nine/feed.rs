//! `kill -9` beside readers of the change feed: through every restart they are told of each change once and in
//! order, of nothing that is not there, and of everything that was acknowledged.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use serde_json::Value;
use tresor_testkit::{
    RespClient, Server, TemporaryDirectory, deadline,
    random::{Random, seed},
};

const WRITERS: usize = 3;

const ROUNDS: u64 = 5;

/// A reader that comes back with its position after each restart.
struct Reader {
    /// Only keys that begin so.
    prefix: String,
    position: String,
    /// Sequence and key of each change that it was told of.
    told: Vec<(u64, String)>,
}

impl Reader {
    fn new(server: &Server, prefix: String) -> Self {
        let mut reader = Self { prefix, position: String::new(), told: Vec::new() };
        let url = server.url("/v1/changes");
        let page = ureq::get(&url).call().expect("the server answers").body_mut().read_to_string();
        let page: Value = serde_json::from_str(&page.expect("the answer ends")).expect("it is JSON");
        reader.go_on_behind(&page);
        reader
    }

    fn go_on_behind(&mut self, page: &Value) {
        self.position = page["next"].as_str().expect("a page leads on").to_owned();
    }

    /// Reads a page, waiting a second for one; how many changes it had, and nothing once the server is gone.
    fn read(&mut self, address: &str) -> Option<usize> {
        let url = format!("{address}?since={}&prefix={}&limit=64&wait=1", self.position, self.prefix);
        let text = ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()?;
        let page: Value = serde_json::from_str(&text).expect("what arrives whole is JSON");
        assert_eq!(page.get("gap"), None, "everything is kept: {}", self.position);
        let changes = page["changes"].as_array().expect("a list");
        for change in changes {
            assert_eq!(change["kind"], "set", "{change}");
            let key = change["key"].as_str().expect("a key").to_owned();
            self.told.push((change["sequence"].as_u64().expect("a number"), key));
        }
        self.go_on_behind(&page);
        Some(changes.len())
    }
}

fn name(writer: usize, number: u64) -> String {
    format!("writer{writer}:{number}")
}

/// Puts a writer's keys one after the other; how many there are when the server is gone.
fn write_until_gone(mut client: RespClient, writer: usize, from: u64, acknowledged: &AtomicU64) -> u64 {
    let mut number = from;
    while let Ok(reply) = client.command(&["SET", &name(writer, number + 1), "v"]) {
        assert_eq!(reply.text(), Some("OK"));
        number += 1;
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    number
}

fn is_there(server: &Server, key: &str) -> bool {
    server.resp().command(&["EXISTS", key]).expect("the server answers").integer() == Some(1)
}

/// Kills a server on this engine again and again; readers of all keys and of one writer's come back each time.
fn read_through_kills(engine: &str) {
    let directory = TemporaryDirectory::new("kill-nine-feed");
    let path = directory.join("store");
    let path = path.to_str().expect("temporary paths are UTF-8");
    // Snapshots often, so that what is read was replaced by one before.
    let often = ["--snapshot-log-bytes", "64KiB", "--snapshot-interval-seconds", "1"];
    let start = || {
        Server::start(
            &[&["--engine", engine, "--store-path", path, "--durability", "always"][..], &often].concat(),
        )
    };
    let mut random = Random::new(seed("kill_nine_feed"));
    let mut server = start();
    let mut readers = ["".to_owned(), name(1, 0).trim_end_matches('0').to_owned()]
        .map(|prefix| Reader::new(&server, prefix));
    let mut numbers = [0; WRITERS];
    for round in 0..ROUNDS {
        let (acknowledged, was_read) = (AtomicU64::new(0), AtomicBool::new(false));
        let after = 1 + random.below(1500);
        thread::scope(|scope| {
            for (writer, number) in numbers.iter_mut().enumerate() {
                let (client, acknowledged) = (server.resp(), &acknowledged);
                scope.spawn(move || *number = write_until_gone(client, writer, *number, acknowledged));
            }
            for reader in &mut readers {
                let (address, was_read) = (server.url("/v1/changes"), &was_read);
                scope.spawn(move || {
                    while reader.read(&address).is_some() {
                        was_read.store(true, Ordering::Relaxed);
                    }
                });
            }
            deadline::wait_until("changes to be made and read", || {
                acknowledged.load(Ordering::Relaxed) >= after && was_read.load(Ordering::Relaxed)
            });
            server.kill9();
        });
        server = start();
        for (writer, number) in numbers.iter_mut().enumerate() {
            assert!(*number == 0 || is_there(&server, &name(writer, *number)), "round {round}");
            // The last one may have come without having been answered.
            *number += u64::from(is_there(&server, &name(writer, *number + 1)));
        }
    }
    let address = server.url("/v1/changes");
    for reader in &mut readers {
        while reader.read(&address).expect("the server answers") > 0 {}
        assert!(reader.told.is_sorted_by(|one, next| one.0 < next.0), "each once, in order");
        for (writer, number) in numbers.iter().enumerate() {
            let own = format!("writer{writer}:");
            let told = reader.told.iter().map(|(_, key)| key).filter(|key| key.starts_with(&own));
            let is_asked = own.starts_with(&reader.prefix);
            let expected: Vec<String> =
                (1..=*number).filter(|_| is_asked).map(|at| name(writer, at)).collect();
            assert!(told.eq(&expected), "{engine}: writer {writer} has put {number}, told {:?}", reader.told);
        }
    }
    println!("{engine}: {numbers:?} entries, {} told", readers[0].told.len());
    assert!(server.terminate().success());
}

#[test]
fn readers_of_changes_miss_nothing_through_kill_9() {
    read_through_kills("memory");
}

#[test]
fn readers_of_changes_miss_nothing_through_kill_9_on_disk() {
    read_through_kills("disk");
}
