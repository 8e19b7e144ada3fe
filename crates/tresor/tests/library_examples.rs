//! Every program in `examples/` runs, and its assertions hold.

use std::{env, fs, process};

#[path = "../examples/change_feed.rs"]
mod change_feed;
#[path = "../examples/compare_and_set.rs"]
mod compare_and_set;
#[path = "../examples/compressed_and_encrypted.rs"]
mod compressed_and_encrypted;
#[path = "../examples/counters.rs"]
mod counters;
#[path = "../examples/durable.rs"]
mod durable;
#[path = "../examples/expiring_sessions.rs"]
mod expiring_sessions;
#[path = "../examples/hello.rs"]
mod hello;
#[path = "../examples/json_file.rs"]
mod json_file;
#[path = "../examples/json_file_in_batches.rs"]
mod json_file_in_batches;
#[path = "../examples/lru_cache_over_a_store.rs"]
mod lru_cache_over_a_store;
#[path = "../examples/measure_get.rs"]
mod measure_get;
#[path = "../examples/measure_layers.rs"]
mod measure_layers;
#[path = "../examples/measure_range.rs"]
mod measure_range;
#[path = "../examples/queries.rs"]
mod queries;
#[path = "../examples/shards.rs"]
mod shards;
#[path = "../examples/threads.rs"]
mod threads;
#[path = "../examples/two_json_files_behind_a_ring.rs"]
mod two_json_files_behind_a_ring;

#[test]
fn hello_runs() -> tresor::Result<()> {
    hello::main()
}

#[test]
fn queries_runs() -> tresor::Result<()> {
    queries::main()
}

#[test]
fn change_feed_runs() -> tresor::Result<()> {
    change_feed::main()
}

#[test]
fn counters_runs() -> tresor::Result<()> {
    counters::main()
}

#[test]
fn expiring_sessions_runs() -> tresor::Result<()> {
    expiring_sessions::main()
}

#[test]
fn compare_and_set_runs() -> tresor::Result<()> {
    compare_and_set::main()
}

#[test]
fn threads_runs() -> tresor::Result<()> {
    threads::main()
}

#[test]
fn durable_counts_its_starts() -> tresor::Result<()> {
    let directory = env::temp_dir().join(format!("tresor-durable-{}", process::id()));
    let starts = [durable::run(&directory)?, durable::run(&directory)?];
    fs::remove_dir_all(&directory).expect("the store's directory is there");
    assert_eq!(starts, [1, 2]);
    Ok(())
}

#[test]
fn json_file_shows_what_was_written() -> tresor::Result<()> {
    let path = env::temp_dir().join(format!("tresor-json-{}.json", process::id()));
    let text = json_file::run(&path)?;
    fs::remove_file(&path).expect("the store's file is there");
    assert!(text.starts_with("{\n\"name\": \"Alice\",\n\"visits\": 1,\n"), "{text}");
    Ok(())
}

#[test]
fn json_file_in_batches_counts_on() -> tresor::Result<()> {
    let path = env::temp_dir().join(format!("tresor-batches-{}.json", process::id()));
    let counts = [json_file_in_batches::run(&path)?, json_file_in_batches::run(&path)?];
    fs::remove_file(&path).expect("the store's file is there");
    assert_eq!(counts, [1000, 2000]);
    Ok(())
}

#[test]
fn lru_cache_over_a_store_misses_what_gave_way() -> tresor::Result<()> {
    let path = env::temp_dir().join(format!("tresor-lru-{}", process::id()));
    let (hits, misses) = lru_cache_over_a_store::run(&path)?;
    fs::remove_dir_all(&path).expect("the store's directory is there");
    assert_eq!((hits, misses), (3, 1));
    Ok(())
}

#[test]
fn measure_get_finds_every_key() -> tresor::Result<()> {
    let figures = measure_get::measure(1_000, 3)?;
    assert!(figures.store_ns > 0.0 && figures.map_ns > 0.0);
    Ok(())
}

#[test]
fn measure_range_reads_whole_ranges() -> tresor::Result<()> {
    let directory = env::temp_dir().join(format!("tresor-ranges-{}", process::id()));
    let figures = measure_range::measure(&directory, 1_000, 1)?;
    fs::remove_dir_all(&directory).expect("the store's directory is there");
    let engines: Vec<_> = figures.iter().map(|figures| figures.engine).collect();
    assert_eq!(engines, ["memory", "disk"]);
    assert!(figures.iter().all(|figures| figures.keys_us > 0.0 && figures.entries_us > 0.0));
    Ok(())
}

#[test]
fn compressed_and_encrypted_takes_its_value_along() -> tresor::Result<()> {
    let directory = env::temp_dir().join(format!("tresor-encrypted-{}", process::id()));
    let rewritten = compressed_and_encrypted::run(&directory)?;
    fs::remove_dir_all(&directory).expect("the store's directory is there");
    assert_eq!(rewritten, 1);
    Ok(())
}

#[test]
fn measure_layers_finds_every_key() -> tresor::Result<()> {
    for row in measure_layers::measure(50, 1)? {
        let shrinks = row.name.contains("zlib") || row.name.contains("lz4") || row.name.contains("zstd");
        assert_eq!(row.ratio < 1.0, shrinks, "{}: {}", row.name, row.ratio);
    }
    Ok(())
}

#[test]
fn shards_takes_a_store_of_one_engine_in() -> tresor::Result<()> {
    let directory = env::temp_dir().join(format!("tresor-sharded-{}", process::id()));
    let listed = shards::run(&directory)?;
    fs::remove_dir_all(&directory).expect("the store's directory is there");
    let weights: Vec<_> = listed.iter().map(|shard| (shard.name.as_str(), shard.weight)).collect();
    assert_eq!(weights, [("alone", 1), ("file", 1), ("logged", 2)]);
    Ok(())
}

#[test]
fn two_json_files_become_three() -> tresor::Result<()> {
    let directory = env::temp_dir().join(format!("tresor-shards-{}", process::id()));
    let shards = two_json_files_behind_a_ring::run(&directory)?;
    fs::remove_dir_all(&directory).expect("the store's directory is there");
    let names: Vec<&str> = shards.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["north", "south", "east"]);
    Ok(())
}
