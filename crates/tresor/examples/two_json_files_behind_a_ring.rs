//! One store over two JSON files, and a third that takes its part while the store serves.
//!
//! `cargo run --example two_json_files_behind_a_ring [DIRECTORY]`

use std::{env, path::Path, sync::Arc, time::Duration};

use tresor::{
    Config, Database, Result,
    clock::{Clock, SystemClock},
    engine::{
        json_file::{JsonFileEngine, JsonFileOptions},
        memory::MemoryOptions,
    },
    files::{Files, SystemFiles},
    layer::sharded::{Shard, Sharded},
};

fn seams() -> (Arc<dyn Files>, Arc<dyn Clock>) {
    (Arc::new(SystemFiles), Arc::new(SystemClock::new()))
}

fn json(directory: &Path, name: &str) -> Result<Shard> {
    let options =
        JsonFileOptions { batch_size: 1000, auto_save_interval: Duration::from_millis(50), waits: true };
    let path = directory.join(format!("{name}.json"));
    Ok(Shard::new(name, JsonFileEngine::open(&MemoryOptions::default(), seams(), &path, options)?))
}

/// Fills the store, adds a shard, and tells how many of the keys are on each.
pub(crate) fn run(directory: &Path) -> Result<Vec<(String, f64)>> {
    let shards = vec![json(directory, "north")?, json(directory, "south")?];
    let sharded = Sharded::open(Some(&directory.join("shards")), seams(), shards)?;
    let store = Database::over(sharded.clone(), Config::memory())?;
    store.put("greeting", "a key is on one shard, wherever it is asked for")?;
    for number in 0..100 {
        store.put(format!("user:{number}"), number)?;
    }
    println!("would move: {:?}", sharded.try_out(&[("east", 1)])?);
    sharded.add(json(directory, "east")?)?;
    println!("meanwhile: {}", store.read("greeting")?);
    println!("done: {:?}", sharded.wait());
    assert_eq!(store.len()?, 101);
    let shares = sharded.list().into_iter().map(|shard| (shard.name, shard.share)).collect();
    store.close()?;
    Ok(shares)
}

#[allow(dead_code)] // The tests call `run`.
fn main() -> Result<()> {
    let directory = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("tresor-shards"), Into::into);
    for (name, share) in run(&directory)? {
        println!("{name}: {:.0} %", share * 100.0);
    }
    println!("see {}", directory.display());
    Ok(())
}
