//! Answers tell nothing that a power cut could take back.

use std::{io::ErrorKind, sync::Arc};

use tresor_server::{Ending, Server};
use tresor_testkit::{LineClient, deadline::wait_until};

use crate::{
    OK, code, goes,
    running::{config, line_client, server_over, slow_disk::SlowDisk},
};

fn start() -> (Arc<SlowDisk>, Server) {
    let disk = SlowDisk::new();
    (disk.clone(), server_over(disk, config()))
}

fn silent(client: &LineClient) -> bool {
    client.stream().set_nonblocking(true).expect("a socket takes it");
    let peeked = client.stream().peek(&mut [0]);
    client.stream().set_nonblocking(false).expect("a socket takes it");
    matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn a_write_and_a_commit_wait_for_the_disk() {
    let (disk, server) = start();
    let (mut plain, mut whole, mut other) =
        (line_client(&server), line_client(&server), line_client(&server));
    plain.send("PUT k v\nPING\n").unwrap();
    wait_until("the writer to wait", || disk.waits() >= 1);
    // What is not committed is on no disk and waits for none.
    goes(&mut whole, "BEGIN");
    goes(&mut whole, "PUT a b 1");
    let before = disk.waits();
    whole.send("COMMIT 1\n").unwrap();
    wait_until("the commit to wait", || disk.waits() > before);
    assert!(silent(&plain) && silent(&whole));
    goes(&mut other, "PING");
    disk.sync(u64::MAX);
    assert_eq!(plain.answer_text().unwrap(), OK);
    assert_eq!(plain.answer().unwrap()["message"], "PONG");
    assert_eq!(whole.answer_text().unwrap(), OK);
}

#[test]
fn a_broken_disk_is_told_in_every_answer_and_ends_the_server() {
    for last in ["GET k", "SHOWALL"] {
        let (disk, server) = start();
        let mut writer = line_client(&server);
        writer.send(format!("PUT k v\nGET k\nPING\n{last}\n")).unwrap();
        wait_until("the writer to wait", || disk.waits() >= 1);
        disk.break_down();
        for _ in 0..4 {
            assert_eq!(code(&writer.answer().unwrap()), "Unavailable", "{last}");
        }
        let ending = server.wait();
        assert!(matches!(&*ending, Ending::Failed(error) if error.kind() == tresor::ErrorKind::Poisoned));
        assert_eq!(writer.until_closed().unwrap(), b"");
        server.shutdown();
    }
}

#[test]
fn a_large_value_is_not_shown_before_it_is_on_disk() {
    let (disk, server) = start();
    let (mut writer, mut reader) = (line_client(&server), line_client(&server));
    let value = "v".repeat(100_000);
    writer.send(format!("PUT k {value}\n")).unwrap();
    wait_until("the writer to wait", || disk.waits() >= 1);
    let before = disk.waits();
    reader.send("PING\nGET k\n").unwrap();
    wait_until("the reader to wait", || disk.waits() > before);
    assert!(silent(&writer));
    disk.break_down();
    assert_eq!(code(&writer.answer().unwrap()), "Unavailable");
    assert_eq!(code(&reader.answer().unwrap()), "Unavailable");
    assert_eq!(code(&reader.answer().unwrap()), "Unavailable");
    server.shutdown();
}
