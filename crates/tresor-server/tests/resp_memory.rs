//! The memory limit as clients meet it: who is refused, who goes on, and that buffers count.

mod running;

use running::{client, config};
use tresor::{Config, Database};
use tresor_server::Server;
use tresor_testkit::{Reply, RespClient, deadline::wait_until, resp_client::encode};

const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

fn start(max_memory_bytes: u64) -> Server {
    let limited = Config { workers: 2, max_memory_bytes: Some(max_memory_bytes), ..Config::memory() };
    Server::start(Database::open(limited).expect("it opens"), config()).expect("a free port can be bound")
}

fn ask(client: &mut RespClient, line: &str) -> Reply {
    client.command(&line.split(' ').collect::<Vec<_>>()).expect("the server answers")
}

fn figure(client: &mut RespClient, name: &str) -> u64 {
    let info = ask(client, "INFO everything");
    let text = info.text().expect("INFO is a text");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name}")).parse().expect("a number")
}

fn is_oom(reply: &Reply) -> bool {
    reply.error() == Some(OOM)
}

/// Puts keys until there is no room; answers how many there are.
fn fill(client: &mut RespClient) -> usize {
    let value = "v".repeat(1_000);
    (0..100_000)
        .find(|number| is_oom(&ask(client, &format!("SET key:{number} {value}"))))
        .expect("the limit is reached")
}

#[test]
fn at_the_limit_what_needs_memory_is_refused_and_all_else_goes_on() {
    let server = start(2_000_000);
    let mut client = client(&server);
    fill(&mut client);
    for line in [
        "SET key:0 v",
        "SET key:0 v NX",
        "SET key:0 v XX GET",
        "SETNX key:0 v",
        "SETEX new 10 v",
        "PSETEX new 10 v",
        "GETSET key:0 v",
        "MSET key:0 v",
        "MSETNX key:0 v",
        "APPEND key:0 v",
        "SETRANGE key:0 0 v",
        "INCR key:0",
        "INCRBY new 1",
        "INCRBYFLOAT new 1",
        "DECR new",
        "DECRBY new 1",
    ] {
        let reply = ask(&mut client, line);
        assert!(is_oom(&reply), "{line}: {reply:?}");
    }
    let ok = || Reply::Simple("OK".into());
    for (line, expected) in [
        ("STRLEN key:0", Reply::Integer(1_000)),
        ("EXISTS key:0 new", Reply::Integer(1)),
        ("EXPIRE key:0 1000", Reply::Integer(1)),
        ("PERSIST key:0", Reply::Integer(1)),
        ("RENAME key:0 moved", ok()),
        ("RENAMENX moved key:0", Reply::Integer(1)),
        ("DELIFEQ key:0 other", Reply::Integer(0)),
        ("SELECT 1", ok()),
        ("SELECT 0", ok()),
    ] {
        assert_eq!(ask(&mut client, line), expected, "{line}");
    }
    for line in ["GET key:1", "MGET key:1", "GETDEL key:1", "GETEX key:2 EX 100", "GETRANGE key:3 0 5"] {
        assert!(ask(&mut client, line).error().is_none(), "{line}");
    }
    assert_eq!(ask(&mut client, "DEL key:2 key:3 key:4 key:5"), Reply::Integer(4));
    assert_eq!(ask(&mut client, "SET key:2 v"), ok());
    fill(&mut client);
    assert_eq!(ask(&mut client, "CONFIG SET maxmemory 4mb"), ok());
    assert_eq!(ask(&mut client, "SET key:0 v"), ok());
    assert_eq!(figure(&mut client, "maxmemory"), 4 << 20);
    fill(&mut client);
    assert_eq!(ask(&mut client, "CONFIG SET maxmemory-policy allkeys-lfu"), ok());
    assert_eq!(ask(&mut client, "SET key:0 v"), ok());
    assert!(figure(&mut client, "evicted_keys") > 0);
    assert_eq!(ask(&mut client, "FLUSHALL"), ok());
    assert_eq!(figure(&mut client, "used_memory_dataset"), 0);
}

#[test]
fn every_policy_keeps_the_limit() {
    let server = start(500_000);
    let mut client = client(&server);
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "noeviction",
    ] {
        ask(&mut client, "FLUSHALL");
        assert_eq!(
            ask(&mut client, &format!("CONFIG SET maxmemory-policy {policy}")),
            Reply::Simple("OK".into())
        );
        let before = figure(&mut client, "evicted_keys");
        let mut refused = 0;
        for batch in 0..25_u64 {
            let set = |number: u64| {
                let bytes = [10, 300, 3_000][number as usize % 3];
                let words = ["SET", &format!("{batch}:{number}"), &"v".repeat(bytes), "EX", "1000"];
                words.map(|word| word.as_bytes().to_vec()).to_vec()
            };
            let replies =
                client.pipeline(&(0..200).map(set).collect::<Vec<_>>()).expect("the server answers");
            refused += replies.iter().filter(|reply| is_oom(reply)).count();
        }
        let used = figure(&mut client, "used_memory_dataset") + figure(&mut client, "mem_clients_normal");
        // A batch's input may come on top: it is counted when the next key is put.
        assert!(used < 700_000, "{policy}: {used} bytes");
        let evicted = figure(&mut client, "evicted_keys") - before;
        assert_eq!(policy == "noeviction", refused > 0, "{policy}: {refused} refused");
        assert_eq!(policy == "noeviction", evicted == 0, "{policy}: {evicted} evicted");
    }
}

#[test]
fn a_request_that_is_under_way_counts() {
    let server = start(6_000_000);
    let (mut slow, mut other) = (client(&server), client(&server));
    assert_eq!(ask(&mut other, "SET key v"), Reply::Simple("OK".into()));
    let before = figure(&mut other, "mem_clients_normal");
    let request = encode(&["SET", "large", &"v".repeat(20_000_000)]);
    slow.send(&request[..10_000_000]).expect("the server takes it");
    wait_until("the input to be counted", || figure(&mut other, "mem_clients_normal") >= before + 10_000_000);
    assert!(figure(&mut other, "used_memory") >= 10_000_000);
    assert!(is_oom(&ask(&mut other, "SET key v")));
    assert!(ask(&mut other, "CLIENT LIST").text().expect("a text").lines().any(|line| {
        let input = line.split(' ').find_map(|field| field.strip_prefix("qbuf=")).expect("a field");
        input.parse::<u64>().expect("a number") >= 10_000_000
    }));
    drop(slow);
    wait_until("the input to be given back", || figure(&mut other, "mem_clients_normal") < 1_000_000);
    assert_eq!(ask(&mut other, "SET key v"), Reply::Simple("OK".into()));
}

#[test]
fn replies_that_nobody_reads_count() {
    let server = start(60_000_000);
    let (mut slow, mut other) = (client(&server), client(&server));
    let value = "v".repeat(20_000_000);
    assert_eq!(
        other.command(&["SET", "large", &value]).expect("the server answers"),
        Reply::Simple("OK".into())
    );
    slow.send(&encode(&["GET", "large"]).repeat(4)).expect("the server takes it");
    wait_until("the output to be counted", || figure(&mut other, "mem_clients_normal") > 50_000_000);
    assert!(is_oom(&ask(&mut other, "SET key v")));
    for _ in 0..4 {
        assert_eq!(slow.reply().expect("the server answers").bytes().map(<[u8]>::len), Some(value.len()));
    }
    wait_until("the output to be given back", || figure(&mut other, "mem_clients_normal") < 1_000_000);
    assert_eq!(ask(&mut other, "SET key v"), Reply::Simple("OK".into()));
}

#[test]
fn expired_keys_leave_dbsize_without_being_asked_for() {
    let server = start(60_000_000);
    let mut client = client(&server);
    for number in 0..1_000 {
        ask(&mut client, &format!("SET goes:{number} v PX 50"));
        ask(&mut client, &format!("SET stays:{number} v PX 100000000"));
    }
    wait_until("the expired keys to go", || ask(&mut client, "DBSIZE") == Reply::Integer(1_000));
    assert_eq!(figure(&mut client, "expired_keys"), 1_000);
}
