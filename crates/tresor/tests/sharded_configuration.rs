//! Shards that a configuration describes: opened, opened again, taken over from a store of one engine, refused.

#![allow(clippy::unwrap_used)] // In the tests' own functions too: a panic is how a test fails.

use std::fs;

use tresor::{
    Config, Database, ErrorKind,
    config::ShardOf,
    engine::memory::{MemoryEngine, MemoryOptions},
    layer::{Cipher, CompressionOptions, EncryptionKeys, Method, cached::Capacity, describe},
};
use tresor_testkit::TemporaryDirectory;

const KEYS: u32 = 600;

fn fill(store: &Database) {
    for number in 0..KEYS {
        store.put(format!("key:{number}"), format!("value {number} {}", "x".repeat(100))).unwrap();
    }
}

#[track_caller]
fn assert_full(store: &Database) {
    assert_eq!(store.len().unwrap(), u64::from(KEYS));
    for number in 0..KEYS {
        let value = store.read(format!("key:{number}")).unwrap().to_string();
        assert_eq!(value, format!("value {number} {}", "x".repeat(100)));
    }
}

/// How many keys lie in a store of its own.
fn keys_in(config: Config) -> u64 {
    let store = Database::open(config).unwrap();
    let keys = store.len().unwrap();
    store.close().unwrap();
    keys
}

fn weights(store: &Database) -> Vec<(String, u32)> {
    store.shards().unwrap().list().into_iter().map(|shard| (shard.name, shard.weight)).collect()
}

fn of(weights: &[(&str, u32)]) -> Vec<(String, u32)> {
    weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
}

fn three(directory: &TemporaryDirectory) -> Config {
    let shards = [
        ShardOf::new("disk", Config::disk(directory.join("disk"))),
        ShardOf::new("logged", Config::at(directory.join("logged"))).weighing(2),
        ShardOf::new("file", Config::json_file(directory.join("file.json"))),
    ];
    Config::sharded(shards).kept_in(directory.join("layer"))
}

#[test]
fn shards_under_all_layers_are_opened_again_as_they_were() {
    let directory = TemporaryDirectory::new("sharded");
    let config = || {
        let keys = EncryptionKeys::parse(&"7".repeat(64)).unwrap();
        let compression = CompressionOptions { threshold_bytes: 16, ..CompressionOptions::with(Method::Lz4) };
        three(&directory)
            .cached(Capacity::Entries(10))
            .compressed(compression)
            .encrypted(keys, Cipher::Aes256Gcm)
    };
    assert_eq!(
        describe(&config(), "not said"),
        "cached(10) > lz4 > aes-256-gcm > sharded(disk, memory, json)"
    );
    for round in 0..2 {
        let store = Database::open(config()).unwrap();
        if round == 0 {
            fill(&store);
        }
        assert_full(&store);
        assert_eq!(weights(&store), of(&[("disk", 1), ("logged", 2), ("file", 1)]));
        store.close().unwrap();
    }
    // Only a key opens what lies on a shard.
    let error = Database::open(Config::disk(directory.join("disk"))).err().unwrap();
    assert!(error.to_string().contains("encrypted"), "{error}");
}

#[test]
fn a_store_of_one_engine_becomes_a_sharded_one() {
    let directory = TemporaryDirectory::new("sharded");
    let alone = Database::open(Config::at(directory.join("logged"))).unwrap();
    fill(&alone);
    alone.close().unwrap();

    let store = Database::open(three(&directory)).unwrap();
    assert_full(&store);
    let shards = store.shards().unwrap();
    let progress = shards.wait();
    assert!(progress.keys > 0 && progress.expected_keys > 0 && progress.trouble.is_none(), "{progress:?}");
    assert_eq!(weights(&store), of(&[("disk", 1), ("logged", 2), ("file", 1)]));
    assert_full(&store);
    store.close().unwrap();

    let found = [
        keys_in(Config::disk(directory.join("disk"))),
        keys_in(Config::at(directory.join("logged"))),
        keys_in(Config::json_file(directory.join("file.json"))),
    ];
    assert_eq!(found.iter().sum::<u64>(), u64::from(KEYS), "{found:?}");
    assert!(found[0] > 90 && found[1] > 200 && found[2] > 90, "a quarter, a half, a quarter: {found:?}");
    assert_eq!(progress.keys, found[0] + found[2]);
    // The second start finds a layout: what has entries does not matter then.
    assert_full(&Database::open(three(&directory)).unwrap());
}

#[test]
fn a_store_alone_becomes_one_shard_without_a_move() {
    let directory = TemporaryDirectory::new("sharded");
    let alone = Database::open(Config::disk(directory.join("disk"))).unwrap();
    fill(&alone);
    alone.close().unwrap();
    let shards = [ShardOf::new("disk", Config::disk(directory.join("disk"))).weighing(3)];
    let store = Database::open(Config::sharded(shards).kept_in(directory.join("layer"))).unwrap();
    assert!(!store.shards().unwrap().progress().moving);
    assert_eq!(weights(&store), of(&[("disk", 3)]));
    assert_full(&store);
}

#[test]
fn several_shards_with_entries_are_refused_by_name() {
    let directory = TemporaryDirectory::new("sharded");
    for config in [Config::disk(directory.join("disk")), Config::json_file(directory.join("file.json"))] {
        let alone = Database::open(config).unwrap();
        // In another database than the first: all of them count.
        alone.database(3).unwrap().put("key", "value").unwrap();
        alone.close().unwrap();
    }
    for _ in 0..2 {
        let error = Database::open(three(&directory)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = error.to_string();
        assert!(text.contains("disk, file") && text.contains("tresor copy"), "{text}");
    }
    let alone = Database::open(Config::disk(directory.join("disk"))).unwrap();
    assert_eq!(alone.database(3).unwrap().read("key").unwrap().to_string(), "value");
}

#[test]
fn shards_that_outlive_the_process_need_a_directory() {
    let directory = TemporaryDirectory::new("sharded");
    let config = Config { store_path: None, ..three(&directory) };
    let error = Database::open(config).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("shard disk") && error.to_string().contains("--store-path"),
        "{error}"
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing was made");

    let nested = ShardOf::new("outer", Config::sharded([ShardOf::new("inner", Config::memory())]));
    let error = Database::open(Config::sharded([nested])).err().unwrap();
    assert!(error.to_string().contains("shard outer"), "{error}");
}

#[test]
fn shards_in_memory_share_one_limit() {
    const MAX_BYTES: u64 = 4 << 20;
    let shards = ["a", "b", "c"].map(|name| ShardOf::new(name, Config::memory()));
    let config = Config { max_memory_bytes: Some(MAX_BYTES), ..Config::sharded(shards) };
    let store = Database::open(config).unwrap();
    let value = "x".repeat(1000);
    let error = (0..).find_map(|number| store.put(format!("key:{number}"), value.as_str()).err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    let held = store.status().unwrap().data_bytes;
    assert!(held <= MAX_BYTES + 64 * 1024, "{held} bytes on three shards");
    assert!(store.memory_limit().data_bytes() >= MAX_BYTES, "all of it is counted");
}

#[test]
fn an_engine_is_handed_in_and_another_one_opened_while_it_serves() {
    let engine = MemoryEngine::volatile(&MemoryOptions::default()).unwrap();
    let shards = [ShardOf::over("handed in", engine), ShardOf::new("opened", Config::memory())];
    let store = Database::open(Config::sharded(shards)).unwrap();
    fill(&store);
    let shards = store.shards().unwrap();
    let further = store.open_shard(&ShardOf::new("further", Config::memory()).weighing(2)).unwrap();
    shards.add(further).unwrap();
    shards.wait();
    assert_eq!(weights(&store), of(&[("handed in", 1), ("opened", 1), ("further", 2)]));
    assert_full(&store);
    assert!(Database::open(Config::memory()).unwrap().shards().is_none());
}

#[test]
fn a_shard_with_entries_of_its_own_is_not_added() {
    let store = Database::open(Config::sharded([ShardOf::new("a", Config::memory())])).unwrap();
    let stranger = MemoryEngine::volatile(&MemoryOptions::default()).unwrap();
    let own = Database::over(stranger.clone(), Config::memory()).unwrap();
    own.put("key", "value").unwrap();
    let shards = store.shards().unwrap();
    let shard = || store.open_shard(&ShardOf::over("b", stranger.clone())).unwrap();
    let error = shards.add(shard()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("shard b") && error.to_string().contains("tresor copy"), "{error}");
    assert_eq!(own.read("key").unwrap().to_string(), "value");
    assert_eq!(weights(&store), of(&[("a", 1)]));
    own.delete("key").unwrap();
    shards.add(shard()).unwrap();
    shards.wait();
    assert_eq!(weights(&store), of(&[("a", 1), ("b", 1)]));
}
