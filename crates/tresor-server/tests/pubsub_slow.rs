//! Subscribers that do not read: nobody waits for them, and they are dropped when too much waits.

mod running;

use running::{client, server};
use tresor_server::Server;
use tresor_testkit::{Reply, RespClient, deadline::wait_until};

fn ok() -> Reply {
    Reply::Simple("OK".into())
}

fn listener(server: &Server) -> RespClient {
    let mut client = client(server);
    client.command(&["SUBSCRIBE", "c"]).expect("the server answers");
    client
}

fn limit(operator: &mut RespClient, limit: &str) {
    let reply = operator
        .command(&["CONFIG", "SET", "client-output-buffer-limit", limit])
        .expect("the server answers");
    assert_eq!(reply, ok());
}

fn dropped(operator: &mut RespClient) -> bool {
    let info = operator.command(&["INFO", "stats"]).expect("the server answers");
    let info = info.text().expect("text").to_owned();
    let line = info.lines().find(|line| line.starts_with("client_output_buffer_limit_disconnections:"));
    match line.expect("INFO tells it").trim_end().rsplit(':').next() {
        Some("0") => false,
        Some("1") => true,
        other => panic!("{other:?} subscribers were dropped"),
    }
}

/// The bytes of messages that wait for subscribers, as CLIENT LIST tells them.
fn waiting(operator: &mut RespClient) -> Vec<usize> {
    let list = operator.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).expect("the server answers");
    let field = |line: &str| line.split(" omem=").nth(1)?.split(' ').next()?.parse().ok();
    list.text().expect("text").lines().map(|line| field(line).expect("omem is told")).collect()
}

#[test]
fn who_does_not_read_is_dropped_while_others_go_on() {
    const HARD: usize = 1 << 20;
    let server = server();
    let (mut publisher, mut reader, mut stuck) = (client(&server), listener(&server), listener(&server));
    limit(&mut publisher, "pubsub 1mb 0 0");
    // More than the sockets take besides.
    let payload = vec![b'x'; 100_000];
    let mut published = 0_usize;
    while !dropped(&mut publisher) {
        published += 1;
        publisher.command(&[&b"PUBLISH"[..], b"c", &payload]).unwrap();
        let Reply::Array(elements) = reader.reply().unwrap() else { panic!("not a message") };
        assert_eq!(elements[2].bytes().map(<[u8]>::len), Some(payload.len()));
        assert!(waiting(&mut publisher).into_iter().all(|bytes| bytes <= HARD));
        assert!(published < 10_000, "it is never dropped");
    }
    assert!(stuck.until_closed().expect("the server closes").len() < published * payload.len());
    wait_until("it to be forgotten", || {
        publisher.command(&["PUBSUB", "NUMSUB", "c"]).unwrap()
            == Reply::Array(vec![Reply::Bulk(b"c".to_vec()), Reply::Integer(1)])
    });
    assert_eq!(publisher.command(&[&b"PUBLISH"[..], b"c", b"on"]).unwrap(), Reply::Integer(1));
    let Reply::Array(elements) = reader.reply().unwrap() else { panic!("not a message") };
    assert_eq!(elements[2], Reply::Bulk(b"on".to_vec()));
}

#[test]
fn a_soft_limit_drops_after_its_seconds_without_another_message() {
    let server = server();
    let (mut publisher, mut stuck) = (client(&server), listener(&server));
    limit(&mut publisher, "pubsub 0 1mb 3");
    let payload = vec![b'x'; 100_000];
    // So far over the limit that what the sockets may still take leaves it there.
    while waiting(&mut publisher).into_iter().all(|bytes| bytes <= 8 << 20) {
        publisher.command(&[&b"PUBLISH"[..], b"c", &payload]).unwrap();
    }
    assert!(!dropped(&mut publisher), "it has three seconds");
    wait_until("it to be dropped", || dropped(&mut publisher));
    stuck.until_closed().expect("the server closes");
}

#[test]
fn who_reads_in_time_is_not_dropped() {
    let server = server();
    let (mut publisher, mut late) = (client(&server), listener(&server));
    limit(&mut publisher, "pubsub 64mb 1mb 3600");
    let payload = vec![b'x'; 100_000];
    let mut published = 0;
    while waiting(&mut publisher).into_iter().all(|bytes| bytes <= 2 << 20) {
        publisher.command(&[&b"PUBLISH"[..], b"c", &payload]).unwrap();
        published += 1;
    }
    for _ in 0..published {
        late.reply().unwrap();
    }
    assert_eq!(
        late.command(&["PING"]).unwrap(),
        Reply::Array(vec![Reply::Bulk(b"pong".to_vec()), Reply::Bulk(vec![])])
    );
    assert!(!dropped(&mut publisher));
    assert_eq!(waiting(&mut publisher), [0]);
}

#[test]
fn limits_are_told_and_refused_as_redis_does() {
    let server = server();
    let mut client = client(&server);
    let told = |client: &mut RespClient| {
        let reply = client.command(&["CONFIG", "GET", "client-output-buffer-limit"]).unwrap();
        let Reply::Array(pair) = reply else { panic!("not a pair") };
        pair[1].text().expect("text").to_owned()
    };
    let defaults = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
    assert_eq!(told(&mut client), defaults);
    limit(&mut client, "pubsub 10mb 2k 7");
    assert_eq!(told(&mut client), "normal 0 0 0 slave 268435456 67108864 60 pubsub 10485760 2000 7");
    limit(&mut client, defaults);
    for (wrong, reason) in [
        ("pubsub 1 2", "Wrong number of arguments in buffer limit configuration."),
        ("foo 1 2 3", "Invalid client class specified in buffer limit configuration."),
        ("pubsub 1 1 -1", "Error in hard, soft or soft_seconds setting in buffer limit configuration."),
        ("normal 1 1 1", "only the limit of pubsub clients can be changed, not that of normal"),
    ] {
        let reply = client.command(&["CONFIG", "SET", "client-output-buffer-limit", wrong]).unwrap();
        let expected = format!(
            "ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - {reason}"
        );
        assert_eq!(reply, Reply::Error(expected));
    }
    assert_eq!(told(&mut client), defaults);
}
