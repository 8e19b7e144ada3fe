//! A store in an SQLite database, used like any other, and what the sqlite3 shell finds in it.
//!
//! `cargo run -p tresor-sqlite --example sqlite_store [PATH]`

use std::env;

use tresor::{Config, Database, Result};

fn main() -> Result<()> {
    let path = env::args().nth(1).unwrap_or_else(|| "example.db".to_owned());
    let store = Database::over(tresor_sqlite::open(&path)?, Config::memory())?;
    store.put("name", "Alice")?;
    store.put("age", 30)?;
    println!("visit number {}", store.add("visits", 1)?);
    for entry in store.entries() {
        let (key, value) = entry?;
        println!("{key} = {value}");
    }
    println!("see also: sqlite3 {path} \"SELECT value FROM entries WHERE key = 'name'\"");
    store.close()
}
