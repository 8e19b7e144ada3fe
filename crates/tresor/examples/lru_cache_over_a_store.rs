//! A cache of the entries used last over a store on disk. Takes the path of its directory.

use std::{env, path::Path, sync::Arc};

use tresor::{
    Config, Database, Result,
    layer::cached::{Cached, Capacity},
};

/// Opens the store, puts a cache of two entries in front of it, and answers what the cache had to do.
pub(crate) fn run(path: &Path) -> Result<(u64, u64)> {
    let store = Database::open(Config::disk(path))?;
    let cache = Cached::new(store.engine().clone(), Capacity::Entries(2))?; // or Capacity::Bytes(64 << 20)
    // From here on all writes go through `cached`: the cache does not hear of others.
    let cached = Database::over(Arc::new(cache), Config::memory())?;
    cached.put("a", 1)?;
    cached.put("b", 2)?; // What is written is in the cache,
    cached.read("a")?; // and what is read is used last:
    cached.put("c", 3)?; // b gives way.
    cached.read("a")?;
    cached.read("c")?;
    cached.read("b")?; // From the store beneath.
    let figures = cached.status()?.cache.unwrap_or_default();
    println!("{} hits, {} misses, {} entries", figures.hits, figures.misses, figures.entries);
    cached.close()?; // Closes the store beneath too.
    Ok((figures.hits, figures.misses))
}

#[allow(dead_code)] // The tests call `run` with a path of theirs.
fn main() -> Result<()> {
    let path = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("tresor-lru"), Into::into);
    run(&path).map(|_| println!("the store is in {}", path.display()))
}
