//! DEBUG over sockets, where it is allowed: who sleeps and who does not, and how each type of reply looks.

mod running;

use std::time::{Duration, Instant};

use running::client;
use tresor::{Database, config::TransactionLimits};
use tresor_server::Server;
use tresor_testkit::{RedisServer, Reply, RespClient, deadline::wait_until, resp_client::encode};

/// Longer than any test waits.
const LONG: &str = "300";

fn allowed() -> (Server, Database) {
    let (server, database) = running::server_limited(TransactionLimits::default());
    database.settings().set_fact("enable-debug-command", "yes");
    (server, database)
}

fn ok() -> Reply {
    Reply::Simple("OK".into())
}

/// A client that sleeps, another one, and the number of the first.
fn asleep(server: &Server, database: &Database) -> (RespClient, RespClient, String) {
    let (mut sleeper, other) = (client(server), client(server));
    let id = sleeper
        .command(&["CLIENT", "ID"])
        .expect("the server answers")
        .integer()
        .expect("a number")
        .to_string();
    let received = || database.metrics().received_and_sent_bytes().0;
    let (before, bytes) = (received(), encode(&["DEBUG", "SLEEP", LONG]));
    sleeper.send(&bytes).expect("the server reads");
    // From there on nothing comes between it and its sleep.
    wait_until("the server to have read it", || received() == before + bytes.len() as u64);
    (sleeper, other, id)
}

#[test]
fn who_sleeps_keeps_nobody_else_waiting() {
    let (server, database) = allowed();
    let started = Instant::now();
    let (_sleeper, mut other, _) = asleep(&server, &database);
    let mut others: Vec<_> = (0..4).map(|_| client(&server)).collect();
    for other in &mut others {
        // All gates are needed for it.
        assert_eq!(other.command(&["FLUSHALL"]).unwrap(), ok());
        assert_eq!(other.command(&["TRESOR.BEGIN"]).unwrap().error(), None);
    }
    assert_eq!(other.command(&["SET", "k", "v"]).unwrap(), ok());
    assert!(started.elapsed() < Duration::from_secs(100));
}

#[test]
fn a_sleep_lasts_as_long_as_it_should_and_is_a_slow_command() {
    let (server, _database) = allowed();
    let mut client = client(&server);
    let started = Instant::now();
    assert_eq!(client.command(&["DEBUG", "SLEEP", "0.05"]).unwrap(), ok());
    assert!(started.elapsed() >= Duration::from_millis(50));
    let log = client.command(&["SLOWLOG", "GET"]).unwrap();
    let entry = log.elements().expect("entries")[0].elements().expect("fields").to_vec();
    assert!(entry[2].integer().expect("microseconds") >= 50_000, "{log}");
    assert_eq!(entry[3].to_string(), "1) \"DEBUG\"\n2) \"SLEEP\"\n3) \"0.05\"");
    for wrong in ["x", "-1", "301", "nan"] {
        let refused = client.command(&["DEBUG", "SLEEP", wrong]).unwrap();
        assert_eq!(refused.error(), Some("ERR DEBUG SLEEP takes a number of seconds from 0 to 300"));
    }
}

#[test]
fn a_sleep_ends_when_the_server_stops() {
    let (server, database) = allowed();
    let (mut sleeper, _other, _) = asleep(&server, &database);
    let started = Instant::now();
    server.shutdown();
    assert!(started.elapsed() < Duration::from_secs(8), "that is nearly the grace for what does not end");
    let _ = sleeper.until_closed().expect("the server has closed");
}

#[test]
fn a_sleep_ends_when_its_client_is_closed() {
    let (server, database) = allowed();
    let (mut sleeper, mut other, id) = asleep(&server, &database);
    assert_eq!(other.command(&["CLIENT", "KILL", "ID", &id]).unwrap(), Reply::Integer(1));
    let _ = sleeper.until_closed().expect("the server closes");
}

#[test]
fn a_sleep_in_a_transaction_keeps_its_locks() {
    let (server, _database) = allowed();
    let (mut sleeper, mut other) = (client(&server), client(&server));
    sleeper.send(&[encode(&["TRESOR.BEGIN"]), encode(&["SET", "k", "v"])].concat()).unwrap();
    assert_eq!(sleeper.reply().unwrap().error(), None);
    assert_eq!(sleeper.reply().unwrap(), ok());
    sleeper.send(&[encode(&["DEBUG", "SLEEP", "0.1"]), encode(&["TRESOR.COMMIT"])].concat()).unwrap();
    assert_eq!(other.command(&["GET", "k"]).unwrap(), Reply::Bulk(b"v".to_vec()));
    assert_eq!([sleeper.reply().unwrap(), sleeper.reply().unwrap()], [ok(), ok()]);
}

const TYPES: &[&str] = &[
    "string", "integer", "double", "bignum", "null", "array", "set", "map", "attrib", "push", "verbatim",
    "true", "false", "MAP", "nosuch",
];

/// All types of replies, as bytes.
fn bytes(mut client: RespClient, protocol: u8) -> String {
    client.hello(protocol).expect("the server answers");
    let asked = TYPES.iter().flat_map(|name| encode(&["DEBUG", "PROTOCOL", name]));
    client.send(&asked.chain(encode(&["QUIT"])).collect::<Vec<_>>()).expect("the server reads");
    String::from_utf8(client.until_closed().expect("the server closes")).expect("text")
}

#[test]
fn every_type_of_reply_is_written_as_redis_writes_it() {
    let (server, _database) = allowed();
    let ours = [2, 3].map(|protocol| bytes(client(&server), protocol));
    assert!(
        ours[1].contains("|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\nSome real")
    );
    assert!(ours[1].contains("(1234567999999999999999999999999999999\r\n"));
    let Some(redis) = RedisServer::start(&["--enable-debug-command", "yes"]) else { return };
    assert_eq!(ours, [2, 3].map(|protocol| bytes(redis.resp(), protocol)));
}

#[test]
fn what_has_expired_stays_while_it_is_told_to() {
    let (server, _database) = allowed();
    let mut client = client(&server);
    let size = |client: &mut RespClient| client.command(&["DBSIZE"]).unwrap().integer().expect("a number");
    assert_eq!(client.command(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]).unwrap(), ok());
    assert_eq!(client.command(&["SET", "k", "v", "PX", "1"]).unwrap(), ok());
    wait_until("it to be absent", || client.command(&["GET", "k"]).unwrap() == Reply::Null);
    // The sweep comes every 100 ms.
    assert_eq!(client.command(&["DEBUG", "SLEEP", "0.5"]).unwrap(), ok());
    assert_eq!(size(&mut client), 1);
    assert_eq!(client.command(&["DEBUG", "SET-ACTIVE-EXPIRE", "1"]).unwrap(), ok());
    wait_until("it to be removed", || size(&mut client) == 0);
    let refused = client.command(&["DEBUG", "SET-ACTIVE-EXPIRE", "2"]).unwrap();
    assert_eq!(refused.error(), Some("ERR DEBUG SET-ACTIVE-EXPIRE takes 0 or 1"));
}
