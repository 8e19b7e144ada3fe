//! Keyspace notifications: the same events as a real redis-server, from every door, once they are durable.

mod running;

use std::{io::Write, net::TcpStream, time::Duration};

use running::{client, config, line_client, server_over, slow_disk::SlowDisk};
use tresor::{
    Config, Database, Kind, PutOptions, config::ShardOf, engine::memory::Eviction, publish::EventClasses,
};
use tresor_server::{Server, ServerConfig};
use tresor_testkit::{
    ManualClock, RedisServer, Reply, RespClient, TemporaryDirectory,
    deadline::wait_until,
    random::{self, Random},
    resp_client::encode,
};

/// A server in memory that tells of everything, and its database.
fn memory() -> (Server, Database) {
    memory_with(config())
}

fn memory_with(config: ServerConfig) -> (Server, Database) {
    let database = Database::open(Config { workers: 2, ..Config::memory() }).expect("memory opens");
    let all = EventClasses::parse("KEAmn").expect("letters of classes");
    database.notify(all).expect("a thread starts");
    (Server::start(database.clone(), config).expect("a free port can be bound"), database)
}

/// A client that hears all events.
struct Ear {
    client: RespClient,
    publisher: RespClient,
}

impl Ear {
    fn new(mut client: RespClient, publisher: RespClient) -> Self {
        client.command(&["PSUBSCRIBE", "__key*__:*"]).expect("the server answers");
        Self { client, publisher }
    }

    fn at(server: &Server) -> Self {
        Self::new(client(server), client(server))
    }

    /// The next event as `channel payload`, without what all channels have in common.
    fn next(&mut self) -> String {
        let Reply::Array(elements) = self.client.reply().expect("the server answers") else {
            panic!("not a message")
        };
        let text = |at: usize| String::from_utf8_lossy(elements[at].bytes().expect("bytes")).into_owned();
        format!("{} {}", text(2).trim_start_matches("__key"), text(3))
    }

    /// The events that have come until now.
    fn events(&mut self) -> Vec<String> {
        self.publisher.command(&["PUBLISH", "__key-end__:", ""]).expect("the server answers");
        std::iter::from_fn(|| Some(self.next()).filter(|event| !event.starts_with("-end"))).collect()
    }

    /// The names of the events that come, so many.
    fn names(&mut self, count: usize) -> Vec<String> {
        let event = |text: String| text.strip_prefix("event@0__:").map(str::to_owned);
        let mut names = Vec::new();
        while names.len() < count {
            names.extend(event(self.next()));
        }
        names
    }
}

/// Commands and what may stand in their places, all of which both servers have.
const TEMPLATES: &[&str] = &[
    "SET {key} {value}",
    "SET {key} {value} {option}",
    "SET {key} {value} {option} {option}",
    "SETNX {key} {value}",
    "SETEX {key} 100 {value}",
    "PSETEX {key} 100000 {value}",
    "GETSET {key} {value}",
    "GETDEL {key}",
    "GETEX {key}",
    "GETEX {key} PERSIST",
    "GETEX {key} EX 100",
    "GETEX {key} EXAT 1",
    "GET {key}",
    "MGET {key} {key}",
    "MSET {key} 1 {key} 2",
    "MSETNX {key} 1 {key} 2",
    "APPEND {key} {value}",
    "SETRANGE {key} 2 {value}",
    "STRLEN {key}",
    "GETRANGE {key} 0 1",
    "INCR {key}",
    "DECRBY {key} 3",
    "INCRBYFLOAT {key} 1.5",
    "DEL {key}",
    "DEL {key} {key}",
    "UNLINK {key}",
    "EXISTS {key} {key}",
    "TOUCH {key}",
    "TYPE {key}",
    "EXPIRE {key} 100",
    "EXPIRE {key} 100 XX",
    "EXPIRE {key} -1",
    "PEXPIREAT {key} 1",
    "PERSIST {key}",
    "TTL {key}",
    "RENAME {key} {key}",
    "RENAMENX {key} {key}",
    "MULTI",
    "EXEC",
    "DISCARD",
    "SELECT {database}",
    "FLUSHDB",
];

fn word(random: &mut Random, place: &str) -> String {
    let words: &[&str] = match place {
        "{key}" => &["a", "b", "c", "d"],
        "{value}" => &["1", "v", "2.5", ""],
        // No expiry that has passed: Redis tells some time later that it has.
        "{option}" => &["NX", "XX", "GET", "KEEPTTL", "EX 100", "PX 100000"],
        "{database}" => &["0", "1"],
        word => return word.to_owned(),
    };
    (*random.choice(words)).to_owned()
}

#[test]
fn events_are_those_of_redis() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut random = Random::new(random::seed("events_are_those_of_redis"));
    for letters in ["KEA", "KEAmn", "E$g", "Kx"] {
        let (ours, _database) = memory();
        let mut clients = [redis.resp(), client(&ours)];
        let mut ears = [Ear::new(redis.resp(), redis.resp()), Ear::at(&ours)];
        for client in &mut clients {
            client.command(&["FLUSHALL"]).unwrap();
            client.command(&["CONFIG", "SET", "notify-keyspace-events", letters]).unwrap();
        }
        let mut done = Vec::new();
        for _ in 0..1500 {
            let template = random.choice(TEMPLATES);
            let line: Vec<_> = template.split(' ').map(|place| word(&mut random, place)).collect();
            let line = line.join(" ");
            let words: Vec<&str> = line.split(' ').collect();
            let [expected, got] = clients.each_mut().map(|client| client.command(&words).unwrap());
            done.push(format!("{line}: {expected:?}"));
            let context = &done[done.len().saturating_sub(30)..];
            assert_eq!(got, expected, "{letters}: {context:#?}");
            let [expected, got] = ears.each_mut().map(Ear::events);
            assert_eq!(got, expected, "{letters}: {context:#?}");
        }
    }
}

#[test]
fn nothing_is_told_before_it_is_durable() {
    let disk = SlowDisk::new();
    let server = server_over(disk.clone(), config());
    let mut ear = Ear::at(&server);
    let mut writer = client(&server);
    let reply = writer.command(&["CONFIG", "SET", "notify-keyspace-events", "KEAmn"]).unwrap();
    assert_eq!(reply, Reply::Simple("OK".into()));
    writer.send(&encode(&["SET", "k", "v"])).unwrap();
    writer.send(&encode(&["DEL", "k"])).unwrap();
    // The connection waits for the disk, and so does whoever publishes its events.
    wait_until("both to wait", || disk.waits() >= 3);
    assert_eq!(ear.events(), [""; 0]);
    disk.sync(u64::MAX);
    assert_eq!(ear.names(3), ["new k", "set k", "del k"]);
}

#[test]
fn messages_do_not_wait_for_a_reply_that_waits_for_the_disk_unless_they_follow_it() {
    let disk = SlowDisk::new();
    let server = server_over(disk.clone(), config());
    let (mut listener, mut publisher) = (client(&server), client(&server));
    listener.hello(3).unwrap();
    listener.command(&["SUBSCRIBE", "c"]).unwrap();
    let message =
        |payload: &str| Reply::Push(["message", "c", payload].map(|word| Reply::Bulk(word.into())).to_vec());
    listener.send(&encode(&["SET", "k", "v"])).unwrap();
    wait_until("the listener to wait", || disk.waits() >= 1);
    for payload in ["1", "2"] {
        assert_eq!(publisher.command(&["PUBLISH", "c", payload]).unwrap(), Reply::Integer(1));
        assert_eq!(listener.reply().unwrap(), message(payload));
    }
    disk.sync(1);
    assert_eq!(listener.reply().unwrap(), Reply::Simple("OK".into()));
    // Its own message follows the reply to PUBLISH, and others follow that message.
    let before = disk.waits();
    listener.send(&[encode(&["SET", "k", "w"]), encode(&["PUBLISH", "c", "own"])].concat()).unwrap();
    wait_until("the listener to wait", || disk.waits() > before);
    assert_eq!(publisher.command(&["PUBLISH", "c", "other"]).unwrap(), Reply::Integer(1));
    disk.sync(u64::MAX);
    let expected = [Reply::Simple("OK".into()), Reply::Integer(1), message("own"), message("other")];
    for expected in expected {
        assert_eq!(listener.reply().unwrap(), expected);
    }
}

#[test]
fn what_a_broken_disk_loses_is_never_told() {
    let disk = SlowDisk::new();
    let server = server_over(disk.clone(), config());
    let mut ear = Ear::at(&server);
    let mut writer = client(&server);
    writer.command(&["CONFIG", "SET", "notify-keyspace-events", "KEA"]).unwrap();
    writer.send(&encode(&["SET", "k", "v"])).unwrap();
    wait_until("both to wait", || disk.waits() >= 3);
    disk.break_down();
    writer.until_closed().unwrap();
    assert_eq!(ear.client.until_closed().unwrap(), b"");
}

#[test]
fn every_door_tells() {
    let (server, database) = memory_with(ServerConfig { http_port: Some(0), ..config() });
    let mut ear = Ear::at(&server);
    let mut http = TcpStream::connect(server.addresses().http[0]).expect("the server accepts");
    let (head, body) =
        ("PUT /kv HTTP/1.1\r\nHost: localhost\r\nContent-Length", r#"{"key":"h","value":1,"ttl":100}"#);
    write!(http, "{head}: {}\r\n\r\n{body}", body.len()).unwrap();
    assert_eq!(ear.names(3), ["new h", "set h", "expire h"]);
    let mut line = line_client(&server);
    line.ask("PUT l v").unwrap();
    line.ask("DEL l").unwrap();
    assert_eq!(ear.names(3), ["new l", "set l", "del l"]);
    database.put("p", 1).unwrap();
    database.add("p", 1).unwrap();
    database.put_with("e", "v", PutOptions::new().expires_in(Duration::from_secs(100))).unwrap();
    database.persist("e").unwrap();
    database.delete("p").unwrap();
    let expected = ["new p", "set p", "set p", "new e", "set e", "expire e", "persist e", "del p"];
    assert_eq!(ear.names(expected.len()), expected);
    assert_eq!(database.get("e").unwrap().map(|value| value.kind()), Some(Kind::Raw));
}

#[test]
fn a_transaction_is_told_when_it_is_committed_and_as_far_as_it_was_not_undone() {
    let (server, database) = memory();
    let mut ear = Ear::at(&server);
    let mut client = client(&server);
    for words in [&["TRESOR.BEGIN"][..], &["SET", "a", "1"], &["SET", "b", "2"], &["INCR", "a"]] {
        client.command(words).unwrap();
    }
    assert_eq!(ear.events(), [""; 0]);
    client.command(&["TRESOR.ROLLBACK"]).unwrap();
    client.command(&["TRESOR.COMMIT"]).unwrap();
    assert_eq!(ear.names(4), ["new a", "set a", "new b", "set b"]);
    for words in [&["TRESOR.BEGIN"][..], &["DEL", "a"], &["TRESOR.ABORT"]] {
        client.command(words).unwrap();
    }
    assert_eq!(ear.events(), [""; 0]);
    let mut transaction = database.begin().unwrap();
    transaction.put("a", 2).unwrap();
    transaction.delete("b").unwrap();
    transaction.commit().unwrap();
    assert_eq!(ear.names(2), ["set a", "del b"]);
}

fn unix_ms() -> u64 {
    tresor::clock::Clock::now_ms(&tresor::clock::SystemClock::new())
}

/// Puts keys that expire soon, and hears of each not before it is due; answers by how many milliseconds the
/// latest was late.
fn expire_soon(server: &Server) -> u64 {
    let mut ear = Ear::at(server);
    let mut client = client(server);
    client.command(&["CONFIG", "SET", "notify-keyspace-events", "Ex"]).expect("the server answers");
    let start_ms = unix_ms();
    for number in 1..=20 {
        let key = format!("k{number}");
        let reply = client.command(&["SET", &key, "v", "PXAT", &(start_ms + 40 * number).to_string()]);
        assert_eq!(reply.expect("the server answers"), Reply::Simple("OK".into()));
    }
    let mut late_ms = 0;
    for _ in 1..=20 {
        let event = ear.next();
        let number = event.strip_prefix("event@0__:expired k").and_then(|number| number.parse::<u64>().ok());
        let due_ms = start_ms + 40 * number.unwrap_or_else(|| panic!("{event}"));
        let heard_ms = unix_ms();
        assert!(heard_ms >= due_ms, "told {} ms too early", due_ms - heard_ms);
        late_ms = late_ms.max(heard_ms - due_ms);
    }
    assert_eq!(ear.events(), [""; 0]);
    late_ms
}

#[test]
fn keys_that_nobody_touches_are_told_of_when_they_expire() {
    let (server, _database) = memory();
    let late_ms = expire_soon(&server);
    println!("memory: at most {late_ms} ms late");
    let directory = TemporaryDirectory::new("events");
    let sqlite = |name| tresor_sqlite::open(directory.join(name)).expect("the store opens");
    let shards = [ShardOf::over("a", sqlite("a.db")), ShardOf::over("b", sqlite("b.db"))];
    let open = |config: Config| Database::open(Config { workers: 2, ..config });
    for (name, database) in [
        ("log", open(Config::at(directory.join("log")))),
        ("disk", open(Config::disk(directory.join("disk")))),
        ("json", open(Config::json_file(directory.join("store.json")))),
        ("sqlite", Database::over(sqlite("store.db"), Config { workers: 2, ..Config::memory() })),
        ("shards", open(Config { store_path: Some(directory.join("shards")), ..Config::sharded(shards) })),
    ] {
        let database = database.expect("the store opens");
        let server = Server::start(database, running::config()).expect("a free port can be bound");
        let late_ms = expire_soon(&server);
        println!("{name}: at most {late_ms} ms late");
    }
}

#[test]
fn a_key_that_is_found_expired_is_told_of_once_and_before_what_follows() {
    let clock = ManualClock::new();
    let database = Config { workers: 2, ..Config::memory() };
    let database = Database::open_with_clock(database, clock.clone()).expect("memory opens");
    database.notify(EventClasses::parse("EAmn").expect("letters of classes")).expect("a thread starts");
    let server = Server::start(database, config()).expect("a free port can be bound");
    let mut ear = Ear::at(&server);
    let mut client = client(&server);
    for (words, follows) in [
        (&["GET", "k"][..], &["keymiss k"][..]),
        (&["SET", "k", "w"], &["new k", "set k"]),
        (&["APPEND", "k", "w"], &["new k", "append k"]),
        (&["MSET", "k", "w", "l", "w"], &["new k", "set k", "new l", "set l"]),
    ] {
        client.command(&["SET", "k", "v", "PX", "1000"]).unwrap();
        clock.advance(Duration::from_millis(1000));
        client.command(words).unwrap();
        let expected = [&["new k", "set k", "expire k", "expired k"], follows].concat();
        assert_eq!(ear.names(expected.len()), expected, "{words:?}");
        client.command(&["DEL", "k", "l"]).unwrap();
        while ear.events().iter().any(|event| !event.contains("del")) {}
    }
}

#[test]
fn what_gives_way_is_told_of() {
    let database = Config {
        workers: 2,
        max_memory_bytes: Some(4 << 20),
        eviction: Eviction::AllKeysRandom,
        ..Config::memory()
    };
    let database = Database::open(database).expect("memory opens");
    database.notify(EventClasses::parse("Ee").expect("letters of classes")).expect("a thread starts");
    let server = Server::start(database, config()).expect("a free port can be bound");
    let mut ear = Ear::at(&server);
    let mut client = client(&server);
    let value = "x".repeat(10_000);
    for number in 0..1000 {
        client.command(&["SET", &format!("k{number}"), &value]).unwrap();
    }
    let evicted: Vec<_> = (0..100).map(|_| ear.next()).collect();
    assert!(evicted.iter().all(|event| event.starts_with("event@0__:evicted k")), "{evicted:?}");
}

#[test]
fn events_of_a_key_come_in_the_order_of_its_changes() {
    const CHANGES: usize = 3000;
    let (server, _database) = memory();
    let mut ear = Ear::at(&server);
    let mut client = client(&server);
    client.command(&["CONFIG", "SET", "notify-keyspace-events", "E$g"]).unwrap();
    // APPEND makes the key, DEL removes it: whoever comes second finds what the first has left.
    let writers: Vec<_> = (0..4).map(|_| running::client(&server)).collect();
    let threads: Vec<_> = writers
        .into_iter()
        .enumerate()
        .map(|(number, mut writer)| {
            std::thread::spawn(move || {
                let word = if number % 2 == 0 { "PERSIST" } else { "DEL" };
                let batch = [["EXPIRE", "k", "100"].as_slice(), &[word, "k"], &["APPEND", "k", "x"]];
                for _ in 0..CHANGES {
                    let batch: Vec<u8> = batch.iter().flat_map(|words| encode(words)).collect();
                    writer.send(&batch).unwrap();
                    (0..3).for_each(|_| drop(writer.reply().unwrap()));
                }
            })
        })
        .collect();
    let mut publisher = running::client(&server);
    let end = std::thread::spawn(move || {
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        publisher.command(&["PUBLISH", "__key-end__:", ""]).unwrap();
    });
    let (mut there, mut expires) = (false, false);
    loop {
        let event = ear.next();
        match event.trim_start_matches("event@0__:") {
            "append k" => there = true,
            "expire k" => {
                assert!(there, "expire of a key that is not there");
                expires = true;
            }
            "persist k" => {
                assert!(there && expires, "persist of a key without expiry");
                expires = false;
            }
            "del k" => {
                assert!(there, "del of a key that is not there");
                (there, expires) = (false, false);
            }
            _ if event.starts_with("-end") => break,
            other => panic!("{other}"),
        }
    }
    end.join().unwrap();
}
