//! One store, many threads: handles are cheap to clone and every call may be made from any of them.

use std::thread;

use tresor::{Config, Database, Result};

const THREADS: i64 = 5;
const ROUNDS: i64 = 1_000;

fn work(store: &Database, number: i64) -> Result<()> {
    for round in 0..ROUNDS {
        store.put(format!("item:{number}:{round:04}"), round)?;
        store.add("done", 1)?;
    }
    Ok(())
}

pub(crate) fn main() -> Result<()> {
    let store = Database::open(Config::memory())?;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|number| {
                scope.spawn({
                    let store = store.clone();
                    move || work(&store, number)
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    assert_eq!(store.read("done")?.as_i64(), Some(THREADS * ROUNDS));

    // A range reads a page at a time, in key order, while others may go on writing.
    let last: Vec<_> = store.range("item:2:0990".."item:2:1").collect::<Result<_>>()?;
    println!("{} of {} entries, from {}", last.len(), store.len()?, last[0].0);
    assert_eq!(last.len(), 10);
    assert_eq!(store.with_prefix("item:3:").count(), 1_000);
    store.close()
}
