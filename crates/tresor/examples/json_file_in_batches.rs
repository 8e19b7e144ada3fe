//! A store as one file that a thread of the store saves: after every 100 writes, or a second after one.
//! Five threads update it at once. Takes the file's path.

use std::{env, path::Path, thread, time::Duration};

use tresor::{Config, Database, Result};

/// Counts to 1000 from five threads, and finds it all again.
pub(crate) fn run(path: &Path) -> Result<i64> {
    let store = Database::open(Config::json_file(path).in_batches(100, Duration::from_secs(1)))?;
    let before = store.get("count")?.and_then(|count| count.as_i64()).unwrap_or(0);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| (0..200).try_for_each(|_| store.add("count", 1).map(drop))))
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no call panics"))
    })?;
    store.save()?; // What is not saved yet is saved now; closing does that too.
    store.close()?;
    let store = Database::open(Config::json_file(path))?;
    let count = store.read("count")?.as_i64().unwrap_or(0);
    assert_eq!(count, before + 1000, "no update is lost");
    store.close()?;
    Ok(count)
}

#[allow(dead_code)] // The tests call `run` with a file of theirs.
fn main() -> Result<()> {
    let path = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("tresor-batches.json"), Into::into);
    println!("counted to {} in {}", run(&path)?, path.display());
    Ok(())
}
