//! MONITOR over sockets: what it shows, to whom, what a monitor may still do, and who is dropped.

mod running;

use running::{client, server};
use tresor_server::Server;
use tresor_testkit::{RedisServer, Reply, RespClient, deadline::wait_until, resp_client::encode};

fn ok() -> Reply {
    Reply::Simple("OK".into())
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

fn monitor(mut client: RespClient, protocol: u8) -> RespClient {
    if protocol == 3 {
        client.hello(3).expect("the server answers");
    }
    assert_eq!(client.command(&["MONITOR"]).expect("the server answers"), ok());
    client
}

/// The next line that a monitor gets: the database, and the words as they are quoted. Time and address are
/// checked for their form.
fn line(monitor: &mut RespClient) -> String {
    let Reply::Simple(line) = monitor.reply().expect("a line") else { panic!("not a line") };
    let (time, rest) = line.split_once(" [").expect("a time");
    let (seconds, microseconds) = time.split_once('.').expect("a time with a point");
    assert!(seconds.parse::<u64>().is_ok_and(|seconds| seconds > 1_700_000_000), "{line}");
    assert!(microseconds.len() == 6 && microseconds.parse::<u32>().is_ok(), "{line}");
    let (client, words) = rest.split_once("] ").expect("a client");
    let (database, peer) = client.split_once(' ').expect("database and address");
    assert!(peer.parse::<std::net::SocketAddr>().is_ok(), "{line}");
    format!("{database} {words}")
}

/// The lines up to one that a client is made to cause.
fn lines(monitor: &mut RespClient, client: &mut RespClient) -> Vec<String> {
    client.command(&["ECHO", "end of lines"]).expect("the server answers");
    let mut lines = Vec::new();
    loop {
        let line = line(monitor);
        if line.ends_with("\"ECHO\" \"end of lines\"") {
            return lines;
        }
        lines.push(line);
    }
}

/// What is done while somebody looks on. Binary words are written as escapes.
const COMMANDS: &[&str] = &[
    "SET k v",
    "get k",
    "SET \u{0}\"\\\n\r\t\u{7}\u{8}\u{7f}é ~",
    "SELECT 3",
    "INCR n",
    "GET",
    "no-such-command",
    "SET s x",
    "INCR s",
    "CONFIG GET maxmemory",
    "CONFIG SET timeout 0",
    "AUTH secret",
    "AUTH default secret",
    "HELLO 3 AUTH default secret SETNAME watched",
    "HELLO 2",
    "CLIENT LIST",
    "CLIENT ID",
    "SLOWLOG LEN",
    "INFO replication",
    "COMMAND COUNT",
    "MULTI",
    "SET a b",
    "GET a",
    "INCR a",
    "SELECT 0",
    "EXEC",
    "MULTI",
    "SET a b",
    "DISCARD",
    "MULTI",
    "no-such-command",
    "EXEC",
    "MULTI",
    "MONITOR",
    "SET a c",
    "SET b c",
    "EXEC",
    "WATCH a",
    "SET a d",
    "MULTI",
    "GET a",
    "EXEC",
    "MULTI",
    "EXEC",
    "PUBLISH c m",
    "SUBSCRIBE c",
    "PING",
    "UNSUBSCRIBE c",
    "MGET a b",
    "FLUSHALL",
    "RESET",
    "PING",
];

/// Executes all, one by one or at once, and says what a monitor of each protocol saw.
fn seen(connect: impl Fn() -> RespClient, pipelined: bool) -> [Vec<String>; 2] {
    // Both versions are chosen before anybody looks.
    let mut monitors = [2, 3].map(|protocol| {
        let mut client = connect();
        client.hello(protocol).expect("the server answers");
        client
    });
    for monitor in &mut monitors {
        assert_eq!(monitor.command(&["MONITOR"]).expect("the server answers"), ok());
    }
    let mut watched = connect();
    if pipelined {
        let bytes: Vec<u8> = COMMANDS.iter().flat_map(|line| encode(&words(line))).collect();
        watched.send(&bytes).expect("the server reads");
        COMMANDS.iter().for_each(|_| drop(watched.reply().expect("the server answers")));
    } else {
        COMMANDS.iter().for_each(|line| drop(watched.command(&words(line)).expect("the server answers")));
    }
    let mut other = connect();
    monitors.each_mut().map(|monitor| lines(monitor, &mut other))
}

#[test]
fn monitors_see_what_those_of_redis_see() {
    let server = server();
    let ours = seen(|| client(&server), false);
    assert_eq!(ours[0], ours[1], "in both versions of the protocol");
    assert_eq!(seen(|| client(&server), true), ours, "in a pipeline too");
    assert!(ours[0].contains(
        &"3 \"HELLO\" \"3\" \"AUTH\" \"(redacted)\" \"(redacted)\" \"SETNAME\" \"watched\"".into()
    ));
    assert!(!ours[0].iter().any(|line| line.contains("secret")), "{:?}", ours[0]);
    let Some(redis) = RedisServer::start(&[]) else { return };
    let theirs = seen(|| redis.resp(), false);
    assert_eq!(ours[0], theirs[0]);
}

#[test]
fn a_monitor_looks_and_touches_nothing_until_it_is_reset() {
    let server = server();
    let mut other = client(&server);
    for protocol in [2, 3] {
        let mut monitor = monitor(client(&server), protocol);
        for refused in ["GET k", "SET k v", "DBSIZE", "PUBLISH c m", "SPUBLISH c m", "KEYS *", "FLUSHALL"] {
            let reply = monitor.command(&words(refused)).unwrap();
            assert_eq!(reply.error(), Some("ERR Replica can't interact with the keyspace"), "{refused}");
        }
        // Its own commands stand behind their replies.
        assert_eq!(monitor.command(&["ECHO", "a"]).unwrap(), Reply::Bulk(b"a".to_vec()));
        assert_eq!(line(&mut monitor), "0 \"ECHO\" \"a\"");
        monitor.send(&[encode(&["PING"]), encode(&["SELECT", "2"])].concat()).unwrap();
        assert_eq!(monitor.reply().unwrap(), Reply::Simple("PONG".into()));
        assert_eq!(line(&mut monitor), "0 \"PING\"");
        assert_eq!(monitor.reply().unwrap(), ok());
        assert_eq!(line(&mut monitor), "2 \"SELECT\" \"2\"");
        let list = monitor.command(&["CLIENT", "LIST"]).unwrap();
        let flags = |list: &Reply| {
            list.text().expect("text").lines().filter(|line| line.contains(" flags=O ")).count()
        };
        assert_eq!(flags(&list), 1);
        assert_eq!(monitor.command(&["MONITOR"]).unwrap(), ok());
        // What it was told of by then comes before the reply, and nothing behind it.
        other.command(&["GET", "k"]).unwrap();
        monitor.send(&encode(&["RESET"])).unwrap();
        assert_eq!(line(&mut monitor), "0 \"GET\" \"k\"");
        assert_eq!(monitor.reply().unwrap(), Reply::Simple("RESET".into()));
        other.command(&["GET", "k"]).unwrap();
        assert_eq!(monitor.command(&["GET", "k"]).unwrap(), Reply::Null);
        let list = monitor.command(&["CLIENT", "LIST"]).unwrap();
        assert_eq!(flags(&list), 0, "{list}");
    }
}

#[test]
fn a_monitor_may_subscribe_too() {
    let server = server();
    let mut other = client(&server);
    let mut monitor = monitor(client(&server), 3);
    monitor.command(&["SUBSCRIBE", "c"]).unwrap();
    assert_eq!(line(&mut monitor), "0 \"SUBSCRIBE\" \"c\"");
    assert_eq!(other.command(&["PUBLISH", "c", "m"]).unwrap(), Reply::Integer(1));
    assert!(matches!(monitor.reply().unwrap(), Reply::Push(_)));
    assert_eq!(line(&mut monitor), "0 \"PUBLISH\" \"c\" \"m\"");
}

#[test]
fn a_monitor_must_show_the_password() {
    let server = server();
    let (mut operator, mut stranger) = (client(&server), client(&server));
    let mut monitor = monitor(client(&server), 2);
    operator.command(&["CONFIG", "SET", "requirepass", "secret"]).unwrap();
    let mut late = client(&server);
    for refused in ["MONITOR", "SLOWLOG GET", "LATENCY LATEST"] {
        assert_eq!(late.command(&words(refused)).unwrap().error(), Some("NOAUTH Authentication required."));
    }
    late.command(&["AUTH", "wrong"]).unwrap();
    late.command(&["AUTH", "secret"]).unwrap();
    stranger.command(&["PING"]).unwrap();
    let seen: Vec<_> = (0..3).map(|_| line(&mut monitor)).collect();
    assert_eq!(seen, ["0 \"AUTH\" \"(redacted)\"", "0 \"AUTH\" \"(redacted)\"", "0 \"PING\""]);
}

/// Field of INFO.
fn info(client: &mut RespClient, section: &str, name: &str) -> String {
    let info = client.command(&["INFO", section]).expect("the server answers");
    let info = info.text().expect("text").to_owned();
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).expect("INFO tells it");
    line.trim_end().to_owned()
}

#[test]
fn a_monitor_that_does_not_read_is_dropped_while_others_go_on() {
    let server = server();
    let (mut writer, mut reader) = (client(&server), monitor(client(&server), 2));
    let mut stuck = monitor(client(&server), 2);
    let limit = ["CONFIG", "SET", "client-output-buffer-limit", "pubsub 4mb 0 0"];
    assert_eq!(writer.command(&limit).unwrap(), ok());
    let value = vec![b'x'; 100_000];
    let mut written = 0_usize;
    while info(&mut writer, "stats", "client_output_buffer_limit_disconnections") == "0" {
        assert_eq!(line(&mut reader), "0 \"INFO\" \"stats\"");
        writer.command(&[&b"SET"[..], b"k", &value]).unwrap();
        assert_eq!(line(&mut reader).len(), value.len() + "0 \"SET\" \"k\" \"\"".len());
        written += 1;
        assert!(written < 10_000, "it is never dropped");
    }
    assert!(stuck.until_closed().expect("the server closes").len() < written * value.len());
    assert_eq!(line(&mut reader), "0 \"INFO\" \"stats\"");
    writer.command(&["PING"]).unwrap();
    assert_eq!(line(&mut reader), "0 \"PING\"");
    drop(reader);
    wait_until("nobody to monitor any more", || !is_watched(&server));
}

/// Whether somebody has MONITOR on.
fn is_watched(server: &Server) -> bool {
    let list = client(server).command(&["CLIENT", "LIST"]).expect("the server answers");
    list.text().expect("text").contains(" flags=O ")
}
