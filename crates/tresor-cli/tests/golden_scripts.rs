//! The golden scripts through the real server, over both versions of the Redis protocol.

use std::os::unix::fs::PermissionsExt as _;

use tresor_testkit::{
    Server, TemporaryDirectory,
    script_runner::{Door, Shape, run_folder},
};

/// What of `@requires` every server here has, and last what one without a path has.
const HAS: [&str; 6] = ["tresor", "guards", "ordered", "batches", "counted", "volatile"];

fn through(shape: Shape, engine: &[&str]) {
    let mut server = Server::start(&[&["--threads", "2"], engine].concat());
    let has: &[&str] = match engine {
        [] => &HAS,
        // It counts keys only when asked to.
        [_, "disk", ..] | ["--config", ..] => &HAS[..4],
        _ => &HAS[..5],
    };
    run_folder("", |run| {
        let mut client = server.resp();
        client.command(&["FLUSHALL"]).expect("the server answers");
        if shape == Shape::Resp3 {
            client.hello(3).expect("the server answers");
        }
        let name = format!("the server {engine:?}, {shape:?}");
        let mut execute = |words: &[Vec<u8>]| client.command(words).expect("the server answers");
        run(Door { name: &name, shape, has, execute: &mut execute, advance_ms: None });
    });
    assert_eq!(server.terminate().code(), Some(0), "{}", server.log());
}

#[test]
fn scripts_hold_in_version_2() {
    through(Shape::Resp2, &[]);
}

#[test]
fn scripts_hold_in_version_3() {
    through(Shape::Resp3, &[]);
}

#[test]
fn scripts_hold_in_both_versions_on_a_json_file() {
    for shape in [Shape::Resp2, Shape::Resp3] {
        let directory = TemporaryDirectory::new("scripts");
        let file = directory.join("store.json");
        let path = file.to_str().expect("temporary paths are UTF-8");
        through(shape, &["--engine", "json", "--store-path", path]);
    }
}

#[test]
fn scripts_hold_in_both_versions_on_disk() {
    for shape in [Shape::Resp2, Shape::Resp3] {
        let directory = TemporaryDirectory::new("scripts");
        let store = directory.join("store");
        let path = store.to_str().expect("temporary paths are UTF-8");
        through(shape, &["--engine", "disk", "--store-path", path]);
    }
}

#[test]
fn scripts_hold_in_both_versions_on_an_sqlite_database() {
    for shape in [Shape::Resp2, Shape::Resp3] {
        let directory = TemporaryDirectory::new("scripts");
        let file = directory.join("store.db");
        let path = file.to_str().expect("temporary paths are UTF-8");
        through(shape, &["--engine", "sqlite", "--store-path", path]);
    }
}

#[test]
fn scripts_hold_on_disk_with_a_cache_in_front() {
    let directory = TemporaryDirectory::new("scripts");
    let store = directory.join("store");
    let path = store.to_str().expect("temporary paths are UTF-8");
    // So small that entries come and go.
    let cached = ["--engine", "disk", "--store-path", path, "--cache-capacity", "3"];
    through(Shape::Resp3, &cached);
}

#[test]
fn scripts_hold_in_both_versions_on_shards_of_all_kinds() {
    for shape in [Shape::Resp2, Shape::Resp3] {
        let directory = TemporaryDirectory::new("scripts");
        let place = |name: &str| directory.join(name).display().to_string();
        let shards = [("memory", "logged"), ("json", "store.json"), ("disk", "disk"), ("sqlite", "store.db")];
        let tables = shards.map(|(engine, path)| {
            format!(
                "[[shard]]\nname = \"{engine}\"\nengine = \"{engine}\"\nstore-path = \"{}\"\n",
                place(path)
            )
        });
        let file = place("tresor.toml");
        let text = format!("store-path = \"{}\"\n{}", place("layer"), tables.concat());
        std::fs::write(&file, text).expect("the temporary directory takes a file");
        // Each command would wait for the disks of all of them otherwise.
        through(shape, &["--config", &file, "--durability", "none"]);
    }
}

#[test]
fn scripts_hold_on_the_deepest_stack() {
    let directory = TemporaryDirectory::new("scripts");
    let place = |name: &str| directory.join(name).display().to_string();
    std::fs::write(place("keys"), "5e".repeat(32)).expect("the temporary directory takes a file");
    let own = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(place("keys"), own).expect("a file of ours");
    let shards = [("memory", "logged"), ("disk", "disk")].map(|(engine, path)| {
        format!("[[shard]]\nname = \"{engine}\"\nengine = \"{engine}\"\nstore-path = \"{}\"\n", place(path))
    });
    let text = format!(
        "store-path = \"{}\"\ncache-capacity = 3\ncompression = \"lz4\"\ncompression-threshold-bytes = 8\n\
         encryption-key-file = \"{}\"\n{}",
        place("layer"),
        place("keys"),
        shards.concat()
    );
    std::fs::write(place("tresor.toml"), text).expect("the temporary directory takes a file");
    for shape in [Shape::Resp2, Shape::Resp3] {
        through(shape, &["--config", &place("tresor.toml"), "--durability", "none"]);
    }
}

#[test]
fn an_acknowledged_write_survives_kill_9() {
    let directory = TemporaryDirectory::new("kill9");
    let store = directory.join("store");
    let arguments = ["--store-path", store.to_str().expect("temporary paths are UTF-8")];
    let mut server = Server::start(&arguments);
    let answer = server.resp().command(&["SET", "name", "Alice"]).expect("the server answers");
    assert_eq!(answer.text(), Some("OK"));
    server.kill9();
    let server = Server::start(&arguments);
    assert_eq!(server.resp().command(&["GET", "name"]).expect("the server answers").text(), Some("Alice"));
}
