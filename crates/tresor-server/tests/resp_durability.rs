//! Replies tell nothing that a power cut could take back: they are held until the disk has it.

mod running;

use std::{io::ErrorKind, sync::Arc};

use running::{client, config, server_over, slow_disk::SlowDisk};
use tresor_server::{Ending, Server};
use tresor_testkit::{Reply, RespClient, deadline::wait_until, resp_client::encode};

fn start() -> (Arc<SlowDisk>, Server) {
    let disk = SlowDisk::new();
    (disk.clone(), server_over(disk, config()))
}

fn silent(client: &RespClient) -> bool {
    client.stream().set_nonblocking(true).expect("a socket takes it");
    let peeked = client.stream().peek(&mut [0]);
    client.stream().set_nonblocking(false).expect("a socket takes it");
    matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn a_write_and_whoever_saw_it_wait_for_the_disk() {
    let (disk, server) = start();
    let (mut writer, mut reader, mut other) = (client(&server), client(&server), client(&server));
    writer.send(&[encode(&["PING"]), encode(&["SET", "k", "v"])].concat()).unwrap();
    // Who leads the wait asks once to see that it must wait, and once to wait; who follows one on its own worker asks once.
    wait_until("the writer to wait", || disk.waits() == 2);
    reader.send(&encode(&["GET", "k"])).unwrap();
    wait_until("the reader to wait", || disk.waits() >= 3);
    assert!(silent(&writer) && silent(&reader));
    // What has nothing to do with the write does not wait.
    assert_eq!(other.command(&["PING"]).unwrap(), Reply::Simple("PONG".into()));
    assert_eq!(other.command(&["GET", "absent"]).unwrap(), Reply::Null);
    disk.sync(u64::MAX);
    assert_eq!(writer.reply().unwrap(), Reply::Simple("PONG".into()));
    assert_eq!(writer.reply().unwrap(), Reply::Simple("OK".into()));
    assert_eq!(reader.reply().unwrap(), Reply::Bulk(b"v".to_vec()));
}

#[test]
fn a_broken_disk_is_told_to_everyone_and_ends_the_server() {
    let (disk, server) = start();
    let (mut writer, mut reader) = (client(&server), client(&server));
    writer.send(&[encode(&["SET", "k", "v"]), encode(&["GET", "k"]), encode(&["PING"])].concat()).unwrap();
    reader.send(&encode(&["GET", "k"])).unwrap();
    wait_until("the writer to wait", || disk.waits() >= 2);
    disk.break_down();
    for _ in 0..3 {
        let reply = writer.reply().unwrap();
        assert!(matches!(&reply, Reply::Error(text) if text.starts_with("ERR unavailable:")), "{reply:?}");
    }
    let ending = server.wait();
    assert!(matches!(&*ending, Ending::Failed(error) if error.kind() == tresor::ErrorKind::Poisoned));
    assert_eq!(writer.until_closed().unwrap(), b"");
    server.shutdown();
}

#[test]
fn a_broken_disk_is_not_told_for_replies_that_are_not_wanted() {
    let (disk, server) = start();
    let mut writer = client(&server);
    let words: [&[&str]; 5] =
        [&["SET", "k", "v"], &["CLIENT", "REPLY", "OFF"], &["SET", "k", "w"], &["GET", "k"], &["GET", "k"]];
    writer.send(&words.map(encode).concat()).unwrap();
    wait_until("the writer to wait", || disk.waits() >= 1);
    disk.break_down();
    let told = writer.until_closed().unwrap();
    let errors = told.iter().filter(|byte| **byte == b'-').count();
    assert_eq!(errors, 1, "{}", String::from_utf8_lossy(&told));
    server.shutdown();
}

#[test]
fn shutting_down_waits_for_the_disk() {
    let (disk, server) = start();
    let mut writer = client(&server);
    writer.send(&encode(&["SET", "k", "v"])).unwrap();
    wait_until("the writer to wait", || disk.waits() == 2);
    server.stopper().stop();
    let mut idle = client_or_none(&server);
    if let Some(idle) = &mut idle {
        // Who still waited to be accepted is reset.
        let told = idle.until_closed();
        assert!(told.map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |told| told.is_empty()));
    }
    assert!(silent(&writer));
    disk.sync(u64::MAX);
    assert_eq!(writer.reply().unwrap(), Reply::Simple("OK".into()));
    assert_eq!(writer.until_closed().unwrap(), b"");
    server.shutdown();
}

/// A client, unless the server has stopped accepting already.
fn client_or_none(server: &Server) -> Option<RespClient> {
    RespClient::connect_to(server.addresses().resp[0]).ok()
}
