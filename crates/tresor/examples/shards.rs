//! One store over shards of three kinds, described by a configuration; a store on disk that began alone is one.
//!
//! `cargo run --example shards [DIRECTORY]`

use std::{env, path::Path};

use tresor::{
    Config, Database, Result,
    config::ShardOf,
    layer::{describe, sharded::Listed},
};

fn sharded(directory: &Path) -> Config {
    let shards = [
        ShardOf::new("alone", Config::disk(directory.join("alone"))),
        ShardOf::new("file", Config::json_file(directory.join("file.json"))),
        ShardOf::new("logged", Config::at(directory.join("logged"))).weighing(2),
    ];
    Config::sharded(shards).kept_in(directory.join("layer"))
}

/// Fills a store of one engine, opens it as one of three shards, and tells what each has in the end.
pub(crate) fn run(directory: &Path) -> Result<Vec<Listed>> {
    let alone = Database::open(Config::disk(directory.join("alone")))?;
    for number in 0..200 {
        alone.put(format!("user:{number}"), number)?;
    }
    alone.close()?;

    let config = sharded(directory);
    println!("opening {}", describe(&config, ""));
    let store = Database::open(config)?;
    println!("meanwhile: {}", store.read("user:7")?);
    let shards = store.shards().expect("the configuration names shards");
    println!("moved: {:?}", shards.wait());
    assert_eq!(store.len()?, 200);
    let listed = shards.list();
    store.close()?;
    Ok(listed)
}

#[allow(dead_code)] // The tests call `run`.
fn main() -> Result<()> {
    let directory = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("tresor-sharded"), Into::into);
    for shard in run(&directory)? {
        println!("{}: {:.0} % on {}", shard.name, shard.share * 100.0, shard.engine);
    }
    Ok(())
}
