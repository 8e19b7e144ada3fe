//! A store that comes back: run this twice and see it count. Takes a directory.

use std::{env, path::Path};

use tresor::{Config, Database, Result};

/// Opens the store, writes, closes it, and opens it again.
pub(crate) fn run(directory: &Path) -> Result<i64> {
    let starts = {
        let store = Database::open(Config::at(directory))?;
        let starts = store.add("starts", 1)?;
        store.put("note", format!("written by start {starts}"))?;
        // Every call above has returned, so a power cut from here on takes nothing back.
        store.close()?;
        starts
    };
    let store = Database::open(Config::at(directory))?;
    println!("{}", store.read("note")?);
    assert_eq!(store.read("starts")?.as_i64(), Some(starts));
    store.save()?; // Not needed; makes the next start quicker.
    store.close()?;
    Ok(starts)
}

#[allow(dead_code)] // The tests call `run` with a directory of theirs.
fn main() -> Result<()> {
    let directory = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("tresor-durable"), Into::into);
    println!("started {} times in {}", run(&directory)?, directory.display());
    Ok(())
}
