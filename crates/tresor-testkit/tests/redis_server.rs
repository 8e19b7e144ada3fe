//! The client and the server wrapper against a real redis-server, in both protocol versions.

use tresor_testkit::{RedisServer, Reply};

#[test]
fn every_reply_type_is_read() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut client = redis.resp();
    let bulk = |text: &str| Reply::Bulk(text.into());
    assert_eq!(client.command(&["SET", "k", "v\r\n"]).unwrap(), Reply::Simple("OK".into()));
    assert_eq!(client.command(&["GET", "k"]).unwrap(), bulk("v\r\n"));
    assert_eq!(client.command(&["GET", "nobody"]).unwrap(), Reply::Null);
    assert_eq!(client.command(&["BLPOP", "nobody", "0.01"]).unwrap(), Reply::NullArray);
    assert_eq!(client.command(&["DEL", "k"]).unwrap(), Reply::Integer(1));
    assert!(client.command(&["NOPE"]).unwrap().error().unwrap().starts_with("ERR unknown command"));
    assert_eq!(client.command(&["HSET", "h", "f", "v"]).unwrap().integer(), Some(1));
    assert_eq!(client.command(&["HGETALL", "h"]).unwrap(), Reply::Array(vec![bulk("f"), bulk("v")]));

    assert!(matches!(client.hello(3).unwrap(), Reply::Map(_)));
    assert_eq!(client.command(&["HGETALL", "h"]).unwrap(), Reply::Map(vec![(bulk("f"), bulk("v"))]));
    let commands =
        ["DEBUG PROTOCOL double", "DEBUG PROTOCOL verbatim", "DEBUG PROTOCOL true", "DEBUG PROTOCOL null"];
    let commands: Vec<Vec<Vec<u8>>> =
        commands.iter().map(|line| line.split(' ').map(|word| word.into()).collect()).collect();
    let replies = client.pipeline(&commands).unwrap();
    // A redis-server that was built to refuse DEBUG answers each with an error.
    assert!(
        replies.iter().all(|reply| reply.error().is_some()) || replies[2] == Reply::Boolean(true),
        "{replies:?}"
    );
}

#[test]
fn a_closed_connection_is_seen() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut client = redis.resp();
    client.send(b"*1\r\n$-5\r\n").unwrap();
    assert!(client.until_closed().unwrap().starts_with(b"-ERR Protocol error"));
}
