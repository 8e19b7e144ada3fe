//! A real server whose files may not grow: what clients hear, and how it ends or goes on.
//!
//! A limit on the size of files stands for the disk: it needs no rights and is lifted at any moment.
//! Above it, setting a segment aside fails as on a full disk; a write into a segment that was set
//! aside before fails as on a broken one.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tresor_testkit::{RespClient, Server, TemporaryDirectory, deadline};

const MIB: u64 = 1 << 20;

/// A server on a store, in a directory that outlives it.
fn start(directory: &TemporaryDirectory) -> Server {
    let path = directory.join("store");
    Server::start(&["--store-path", path.to_str().expect("temporary paths are UTF-8")])
}

fn limit_files(server: &Server, bytes: Option<u64>) {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw).expect("a process id");
    // Only the soft limit: what is lowered must be lifted again.
    let maximum = getrlimit(Resource::Fsize).maximum;
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum })
        .expect("a child's limit can be set");
}

/// Sets a value of so many MiB; the error's message if there is one.
fn set(client: &mut RespClient, key: &str, mebibytes: u64) -> Option<String> {
    let value = vec![b'v'; (mebibytes * MIB) as usize];
    let reply = client.command(&[b"SET", key.as_bytes(), &value]).expect("the server answers");
    reply.error().map(str::to_owned)
}

fn length(client: &mut RespClient, key: &str) -> u64 {
    let reply = client.command(&["STRLEN", key]).expect("the server answers");
    reply.integer().and_then(|length| u64::try_from(length).ok()).expect("a length")
}

#[test]
fn a_full_disk_refuses_writes_and_is_over_by_itself() {
    let directory = TemporaryDirectory::new("disk");
    let mut server = start(&directory);
    let mut client = server.resp();
    // The first segment of 64 MiB is there; another must not be.
    limit_files(&server, Some(63 * MIB));
    let refused = (0..7).map(|number| set(&mut client, &format!("key{number}"), 10)).collect::<Vec<_>>();
    assert_eq!(refused[..6], vec![None; 6]);
    let error = refused[6].as_deref().expect("there is no room for the seventh");
    assert!(error.contains("cannot") && error.contains("store"), "{error}");
    // Nothing has changed, others are served, and what still fits is taken.
    assert_eq!(length(&mut client, "key6"), 0);
    assert_eq!(length(&mut server.resp(), "key5"), 10 * MIB);
    assert_eq!(set(&mut client, "small", 0), None);

    limit_files(&server, None);
    deadline::wait_until("writes to resume", || set(&mut client, "key6", 10).is_none());
    server.kill9();
    let server = start(&directory);
    let mut client = server.resp();
    for number in 0..7 {
        assert_eq!(length(&mut client, &format!("key{number}")), 10 * MIB);
    }
}

#[test]
fn a_log_that_cannot_be_written_ends_the_server_with_1() {
    let directory = TemporaryDirectory::new("disk");
    let mut server = start(&directory);
    let mut client = server.resp();
    assert_eq!(set(&mut client, "kept", 0), None);
    limit_files(&server, Some(MIB / 4));
    let error = set(&mut client, "lost", 1).expect("it was never on disk");
    assert!(error.contains("the log could not be written"), "{error}");
    assert_eq!(server.ended().code(), Some(1));
    let log = server.log();
    assert!(log.contains("the log could not be written"), "{log}");

    let server = start(&directory);
    let mut client = server.resp();
    let exists = client.command(&["EXISTS", "kept", "lost"]).expect("the server answers");
    assert_eq!(exists.integer(), Some(1));
    assert_eq!(set(&mut client, "more", 1), None);
}
