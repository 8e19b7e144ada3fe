//! Real servers on a disk that is full, and on one that takes no writes: on every engine that has one.
//!
//! What was acknowledged stays, what is refused says why and how to go on, and the service is back as
//! soon as there is room, also after a crash in between.

use std::fs::{self, File};

use rustix::fs::{FallocateFlags, fallocate};
use tresor_testkit::{RespClient, Server, SmallDisk, deadline};

use crate::refused;

const MIB: u64 = 1 << 20;

/// Values of the test.
const VALUE_BYTES: usize = 256 * 1024;

/// Sets one value; the error's message if there is one.
fn set(client: &mut RespClient, number: usize) -> Option<String> {
    let value = vec![b'v'; VALUE_BYTES];
    let key = format!("key{number}");
    let reply = client.command(&[b"SET", key.as_bytes(), &value]).expect("the server answers");
    reply.error().map(str::to_owned)
}

fn assert_all_there(client: &mut RespClient, keys: usize) {
    for number in 0..keys {
        let reply = client.command(&["STRLEN", &format!("key{number}")]).expect("the server answers");
        assert_eq!(reply.integer(), Some(VALUE_BYTES as i64), "key{number} of {keys}: {reply:?}");
    }
}

/// Fills a disk with a ballast and then with values, makes room, crashes and comes back.
fn fills_up(engine: &str, store: &str, (disk_mebibytes, ballast_mebibytes): (u32, u64)) {
    let Some(disk) = SmallDisk::mount(disk_mebibytes) else { return };
    let (path, ballast) = (disk.join(store), disk.join("ballast"));
    let file = File::create(&ballast).expect("there is room yet");
    fallocate(&file, FallocateFlags::empty(), 0, ballast_mebibytes * MIB).expect("there is room yet");
    drop(file);
    let store = ["--engine", engine, "--store-path", path.to_str().expect("temporary paths are UTF-8")];
    let mut server = Server::start(&store);
    let mut client = server.resp();
    let most = disk_mebibytes as usize * 4;
    let refused_at = (0..most).find_map(|number| Some((number, set(&mut client, number)?)));
    let (keys, error) = refused_at.unwrap_or_else(|| panic!("{most} values fit on {disk_mebibytes} MiB"));
    println!("{engine}: {keys} values, then {error}");
    assert!(keys > 0, "{error}");
    let says_why = ["room", "full", "No space left"].iter().any(|words| error.contains(words));
    assert!(error.starts_with("MISCONF ") && says_why, "{error}");
    assert_all_there(&mut client, keys);
    assert_all_there(&mut server.resp(), keys);

    fs::remove_file(&ballast).expect("a file of ours");
    deadline::wait_until("writes to resume", || set(&mut client, keys).is_none());
    server.kill9();
    let server = Server::start(&store);
    assert_all_there(&mut server.resp(), keys + 1);
    assert_eq!(set(&mut server.resp(), keys + 1), None);
}

/// Starts on a disk that takes no writes.
fn is_protected(engine: &str, store: &str) {
    let Some(disk) = SmallDisk::mount(512) else { return };
    let path = disk.join(store);
    let text = path.to_str().expect("temporary paths are UTF-8");
    let store = ["--engine", engine, "--store-path", text];
    let mut server = Server::start(&store);
    assert_eq!(set(&mut server.resp(), 0), None);
    assert!(server.terminate().success());

    disk.protect(true);
    let start = ["serve", "--port", "0", "--resp-port", "0", "--line-port", "off"];
    let stderr = refused(1, &[&start[..], &store].concat());
    assert!(stderr.contains("--store-path") && stderr.contains(text), "{stderr}");
    disk.protect(false);
    let server = Server::start(&store);
    assert_all_there(&mut server.resp(), 1);
    assert_eq!(set(&mut server.resp(), 1), None);
}

#[test]
fn the_memory_engine_fills_its_disk_and_goes_on() {
    fills_up("memory", "store", (200, 60));
}

#[test]
fn a_json_file_fills_its_disk_and_goes_on() {
    fills_up("json", "store.json", (16, 8));
}

#[test]
fn the_disk_engine_fills_its_disk_and_goes_on() {
    fills_up("disk", "store", (1000, 400));
}

#[test]
fn sqlite_fills_its_disk_and_goes_on() {
    fills_up("sqlite", "store.db", (100, 50));
}

#[test]
fn the_memory_engine_is_refused_a_disk_that_takes_no_writes() {
    is_protected("memory", "store");
}

#[test]
fn a_json_file_is_refused_on_a_disk_that_takes_no_writes() {
    is_protected("json", "store.json");
}

#[test]
fn the_disk_engine_is_refused_a_disk_that_takes_no_writes() {
    is_protected("disk", "store");
}

#[test]
fn sqlite_is_refused_a_disk_that_takes_no_writes() {
    is_protected("sqlite", "store.db");
}
