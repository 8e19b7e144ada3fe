//! The examples, against a server.

#[path = "../../examples/async_session.rs"]
#[allow(dead_code, reason = "its main is for cargo run")]
mod async_session;
#[path = "../../examples/session.rs"]
#[allow(dead_code, reason = "its main is for cargo run")]
mod session;

use crate::{address, asynchronous::wait, client, server};

#[test]
fn the_examples_do_what_they_say() {
    let server = server(&[]);
    session::talk(&address(&server)).unwrap();
    wait(async_session::talk(&address(&server))).unwrap();
    let entries = client(&server).show_all().unwrap().entries;
    let keys: Vec<_> = entries.keys().map(|key| String::from_utf8_lossy(key)).collect();
    assert_eq!(keys, ["nameofkey", "one", "other"]);
}
