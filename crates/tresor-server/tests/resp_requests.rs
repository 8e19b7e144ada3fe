//! Requests over real sockets: pipelines, inline commands, input cut anywhere, large values.

mod running;

use running::{client, server};
use tresor_testkit::{Reply, resp_client::encode};

fn ok() -> Reply {
    Reply::Simple("OK".into())
}

#[test]
fn a_value_is_set_and_read() {
    let server = server();
    let mut client = client(&server);
    assert_eq!(client.command(&["PING"]).unwrap(), Reply::Simple("PONG".into()));
    assert_eq!(client.command(&["SET", "k", "v"]).unwrap(), ok());
    assert_eq!(client.command(&["GET", "k"]).unwrap(), Reply::Bulk(b"v".to_vec()));
    assert_eq!(client.command(&["GET", "absent"]).unwrap(), Reply::Null);
}

#[test]
fn a_pipeline_is_answered_in_order() {
    let server = server();
    let mut client = client(&server);
    let mut requests = Vec::new();
    for number in 0..3_000 {
        let (key, value) = (format!("k{}", number % 97).into_bytes(), number.to_string().into_bytes());
        requests.push(vec![b"SET".to_vec(), key.clone(), value]);
        // Runs of GETs of every length up to more than one engine call takes.
        requests.extend((0..number % 41).map(|_| vec![b"get".to_vec(), key.clone()]));
    }
    let replies = client.pipeline(&requests).unwrap();
    let mut latest = Vec::new();
    for (request, reply) in requests.iter().zip(replies) {
        if request.len() == 3 {
            latest.clone_from(&request[2]);
            assert_eq!(reply, ok());
        } else {
            assert_eq!(reply, Reply::Bulk(latest.clone()));
        }
    }
}

#[test]
fn input_may_be_cut_anywhere() {
    let server = server();
    let requests = [
        encode(&["SET", "key", "value\r\n*1\r\n"]),
        b"PING\r\n".to_vec(),
        encode(&["GET", "key"]),
        b"*0\r\n\r\n".to_vec(),
        encode(&["GET", "other"]),
        encode(&(0..40).map(|number| format!("no-such-{number}")).collect::<Vec<_>>()),
    ]
    .concat();
    let mut expected = None;
    for cut in 0..requests.len() {
        let mut client = client(&server);
        client.send(&requests[..cut]).unwrap();
        // A round trip of another connection gives the first part time to be seen by itself; whether
        // it was or not, the replies are the same.
        running::client(&server).command(&["PING"]).unwrap();
        client.send(&requests[cut..]).unwrap();
        let replies: Vec<_> = (0..5).map(|_| client.reply().unwrap()).collect();
        assert_eq!(&replies, expected.get_or_insert_with(|| replies.clone()), "cut at {cut}");
    }
}

#[test]
fn inline_requests_are_answered() {
    let server = server();
    let mut client = client(&server);
    client.send(b"set k \"a b\\x00\"\r\nget k\n\r\n  \nPING 'it''s'\r\n").unwrap();
    assert_eq!(client.reply().unwrap(), ok());
    assert_eq!(client.reply().unwrap(), Reply::Bulk(b"a b\0".to_vec()));
    assert_eq!(
        client.reply().unwrap(),
        Reply::Error("ERR Protocol error: unbalanced quotes in request".into())
    );
    assert_eq!(client.until_closed().unwrap(), b"");
}

#[test]
fn large_values_come_back_whole() {
    let server = server();
    let mut client = client(&server);
    for bytes in [16 * 1024, 64 * 1024 - 1, 64 * 1024, 1024 * 1024 + 1, 64 * 1024 * 1024] {
        let value: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
        assert_eq!(client.command(&[&b"SET"[..], b"k", &value]).unwrap(), ok(), "{bytes} bytes");
        let replies =
            client.pipeline(&[vec![b"GET".to_vec(), b"k".to_vec()], vec![b"PING".to_vec()]]).unwrap();
        assert!(replies[0].bytes() == Some(&value[..]), "{bytes} bytes");
        assert_eq!(replies[1], Reply::Simple("PONG".into()));
    }
}
