//! Commands that act on connections and on the server: CLIENT KILL, PAUSE and REPLY, QUIT, SHUTDOWN.

mod running;

use std::time::{Duration, Instant};

use running::{client, server};
use tresor::shutdown::Saving;
use tresor_server::Ending;
use tresor_testkit::{Reply, deadline::wait_until, resp_client::encode};

fn ok() -> Reply {
    Reply::Simple("OK".into())
}

#[test]
fn a_client_closes_another_and_itself() {
    let server = server();
    let (mut first, mut second) = (client(&server), client(&server));
    let id = first.command(&["CLIENT", "ID"]).unwrap().integer().expect("a number").to_string();
    assert_eq!(second.command(&["CLIENT", "KILL", "ID", &id]).unwrap(), Reply::Integer(1));
    assert_eq!(first.until_closed().unwrap(), b"");
    let id = second.command(&["CLIENT", "ID"]).unwrap().integer().expect("a number").to_string();
    let kill = ["CLIENT", "KILL", "SKIPME", "no", "ID", &id];
    assert_eq!(second.command(&kill).unwrap(), Reply::Integer(1));
    assert_eq!(second.until_closed().unwrap(), b"");
    let mut third = client(&server);
    wait_until("the others to be gone", || {
        third.command(&["CLIENT", "LIST"]).unwrap().text().expect("text").lines().count() == 1
    });
}

#[test]
fn a_client_that_does_not_read_can_be_closed() {
    let server = server();
    let mut operator = client(&server);
    assert_eq!(operator.command(&[&b"SET"[..], b"large", &[b'x'; 1 << 20]]).unwrap(), ok());
    let mut stuck = client(&server);
    let id = stuck.command(&["CLIENT", "ID"]).unwrap().integer().expect("a number").to_string();
    stuck.send(&encode(&["GET", "large"]).repeat(50)).unwrap();
    wait_until("the server to wait for its reader", || {
        let list = operator.command(&["CLIENT", "LIST", "ID", &id]).unwrap();
        !list.text().expect("text").contains(" obl=0 ")
    });
    assert_eq!(operator.command(&["CLIENT", "KILL", "ID", &id]).unwrap(), Reply::Integer(1));
    assert!(stuck.until_closed().expect("the server closes").len() < 50 << 20);
}

#[test]
fn paused_clients_wait_and_earlier_replies_do_not() {
    let server = server();
    let (mut operator, mut writer, mut reader) = (client(&server), client(&server), client(&server));
    assert_eq!(operator.command(&["CLIENT", "PAUSE", "60000", "WRITE"]).unwrap(), ok());
    let started = Instant::now();
    writer
        .send(&[encode(&["GET", "k"]), encode(&["SET", "k", "v"]), encode(&["GET", "k"])].concat())
        .unwrap();
    // Its own first reply comes, and others read, while the write is held back.
    assert_eq!(writer.reply().unwrap(), Reply::Null);
    assert_eq!(reader.command(&["GET", "k"]).unwrap(), Reply::Null);
    assert_eq!(operator.command(&["CLIENT", "UNPAUSE"]).unwrap(), ok());
    assert_eq!(writer.reply().unwrap(), ok());
    assert_eq!(writer.reply().unwrap(), Reply::Bulk(b"v".to_vec()));
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn unwanted_replies_are_left_out() {
    let server = server();
    let mut client = client(&server);
    let mut bytes = encode(&["CLIENT", "REPLY", "OFF"]);
    bytes.extend(encode(&["SET", "k", "v"]));
    bytes.extend(encode(&["GET", "k"]));
    bytes.extend(encode(&["no-such-command"]));
    bytes.extend(encode(&["CLIENT", "REPLY", "ON"]));
    bytes.extend(encode(&["GET", "k"]));
    client.send(&bytes).unwrap();
    assert_eq!(client.reply().unwrap(), ok());
    assert_eq!(client.reply().unwrap(), Reply::Bulk(b"v".to_vec()));
}

#[test]
fn quit_answers_and_ends_before_what_follows() {
    let server = server();
    let mut client = client(&server);
    client.send(&[encode(&["QUIT"]), encode(&["SET", "k", "v"])].concat()).unwrap();
    assert_eq!(client.until_closed().unwrap(), b"+OK\r\n");
    assert_eq!(running::client(&server).command(&["GET", "k"]).unwrap(), Reply::Null);
}

#[test]
fn shutdown_ends_the_server_without_an_answer() {
    let server = server();
    let (mut client, mut other) = (client(&server), client(&server));
    assert_eq!(other.command(&["PING"]).unwrap(), Reply::Simple("PONG".into()));
    client.send(&encode(&["SHUTDOWN", "NOSAVE"])).unwrap();
    assert!(matches!(*server.wait(), Ending::Asked(Saving::Never)));
    assert_eq!(client.until_closed().unwrap(), b"");
    assert_eq!(other.until_closed().unwrap(), b"");
    server.shutdown();
}
