//! The golden scripts through every front door of a server whose data is on a real cluster of one node:
//! the same answers as from every other engine, but where a script says that it needs what no two
//! partitions can do.

#![allow(clippy::unwrap_used, reason = "a helper that fails has failed its test")]

#[path = "../http/client.rs"]
#[allow(dead_code, reason = "only requests are needed here")]
mod client;
#[path = "../http/described.rs"]
mod described;
#[path = "../http/kv_requests.rs"]
mod kv_requests;
#[path = "../http/ordered.rs"]
#[allow(dead_code, reason = "only members in their order are needed here")]
mod ordered;
#[path = "../running/mod.rs"]
mod running;

use std::{sync::Arc, time::Duration};

use tresor::{
    Config, Database,
    clock::SystemClock,
    engine::{Batch, Change, DATABASES, Engine},
};
use tresor_cassandra::{Mset, Options};
use tresor_server::{Server, ServerConfig};
use tresor_testkit::{
    SessionDoor, cassandra,
    kv_script::{run_all, through_library},
    script_runner::{Door, Shape, run_folder},
};

/// What of `@requires` a linearizable store has.
const HAS: [&str; 3] = ["tresor", "guards", "ordered"];

/// The engine on an emptied keyspace.
fn emptied(cluster: &cassandra::Cluster, keyspace: &str) -> Arc<dyn Engine> {
    let options = Options {
        keyspace: keyspace.to_owned(),
        buckets: 4,
        mset: Mset::PerKey,
        // A machine that also builds and runs other tests is slow at times.
        request_timeout: Duration::from_secs(20),
        command_timeout: Duration::from_secs(60),
        ..Options::at(cluster.contact_points())
    };
    let engine = tresor_cassandra::open(options, Arc::new(SystemClock::new())).expect("the cluster is there");
    let clear: Vec<_> = (0..DATABASES).map(|database| Change::Clear { database }).collect();
    engine.write(Batch::of(&clear), 0).wait().expect("a keyspace can be emptied");
    engine
}

fn through_socket(keyspace: &str, shape: Shape) {
    let Some(cluster) = cassandra::shared(1) else { return };
    run_folder("", |run| {
        let server = running::server_over(emptied(&cluster, keyspace), running::config());
        let mut client = running::client(&server);
        if shape == Shape::Resp3 {
            client.hello(3).expect("the server answers");
        }
        let name = format!("a cluster, {shape:?}");
        let mut execute = |words: &[Vec<u8>]| client.command(words).expect("the server answers");
        run(Door { name: &name, shape, has: &HAS, execute: &mut execute, advance_ms: None });
    });
}

#[test]
fn scripts_hold_in_version_2() {
    through_socket("scripts_2", Shape::Resp2);
}

#[test]
fn scripts_hold_in_version_3() {
    through_socket("scripts_3", Shape::Resp3);
}

#[test]
fn scripts_hold_in_a_session_of_the_library() {
    let Some(cluster) = cassandra::shared(1) else { return };
    run_folder("", |run| {
        let store = Database::over(emptied(&cluster, "session"), Config::memory()).expect("an open engine");
        let mut session = SessionDoor::new(&store);
        let mut execute = |words: &[Vec<u8>]| session.execute(words);
        run(Door {
            name: "a session over a cluster",
            shape: Shape::Resp3,
            has: &HAS,
            execute: &mut execute,
            advance_ms: None,
        });
    });
}

#[test]
fn scripts_hold_in_the_library() {
    let Some(cluster) = cassandra::shared(1) else { return };
    run_all("the library over a cluster", |run| {
        let store = Database::over(emptied(&cluster, "library"), Config::memory()).expect("an open engine");
        run(&mut |request| through_library(&store, request));
    });
}

/// A server with HTTP alone and a client of it.
fn http(cluster: &cassandra::Cluster, keyspace: &str) -> (Server, client::Client) {
    let config = ServerConfig {
        resp_port: None,
        http_port: Some(0),
        line_port: None,
        workers: 1,
        ..ServerConfig::default()
    };
    let server = running::server_over(emptied(cluster, keyspace), config);
    let client = client::Client::connect(server.addresses().http[0]);
    (server, client)
}

#[test]
fn scripts_hold_through_kv() {
    let Some(cluster) = cassandra::shared(1) else { return };
    run_all("HTTP /kv over a cluster", |run| {
        let (_server, mut client) = http(&cluster, "kv");
        run(&mut |request| kv_requests::kv(&mut client, request));
    });
}

#[test]
fn scripts_hold_through_keys() {
    let Some(cluster) = cassandra::shared(1) else { return };
    run_all("HTTP /keys over a cluster", |run| {
        let (_server, mut client) = http(&cluster, "keys");
        run(&mut |request| kv_requests::keys(&mut client, request));
    });
}
