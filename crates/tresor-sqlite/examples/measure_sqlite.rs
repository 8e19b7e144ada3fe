//! Measures the engine against bare rusqlite, in interleaved rounds.
//!
//! `cargo run --release -p tresor-sqlite --example measure_sqlite [DIRECTORY] [KEYS] [ROUNDS]` prints, a
//! line each, ours and the bare figure: nanoseconds a get, and a put in durable batches of 100 and of
//! 1000; then writes a second from 1 and from 16 threads that each wait for the disk. The bare peer is
//! one table of key and value without rowid on one connection, with the same cache and in WAL mode, its
//! statements prepared once; it commits with `synchronous = FULL`, so that both wait for the disk after
//! each batch, and with `OFF` where ours promises nothing.

use std::{
    hint::black_box,
    path::Path,
    sync::{Arc, Mutex},
};

use rusqlite::{Connection, params};
use tresor::{Error, Result, clock::SystemClock, config::Durability, files::SystemFiles};
use tresor_sqlite::{Options, SqliteEngine};
use tresor_testkit::own_cost::{Bare, Pair, measured_in_a_directory};

/// One connection. Behind a lock, because it may be used by one thread at a time.
struct BareSqlite(Mutex<Connection>);

impl BareSqlite {
    fn open(path: &Path, durability: Durability) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        let synchronous = if durability == Durability::Always { "FULL" } else { "OFF" };
        // A checkpoint as often as ours has one: after 16 MiB of log.
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -8192;
             PRAGMA wal_autocheckpoint = 4096;
             CREATE TABLE kv (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;"
        ))?;
        Ok(Self(Mutex::new(connection)))
    }
}

impl Bare for BareSqlite {
    fn put(&self, keys: &[String], value: &[u8]) {
        let sql = "INSERT INTO kv (key, value) VALUES (?1, ?2) \
                   ON CONFLICT DO UPDATE SET value = excluded.value";
        let connection = self.0.lock().expect("no writer panics");
        let begin = connection.unchecked_transaction().expect("a transaction");
        let mut insert = connection.prepare_cached(sql).expect("a statement");
        for key in keys {
            insert.execute(params![key, value]).expect("a row is written");
        }
        drop(insert);
        begin.commit().expect("a commit");
    }

    fn get(&self, key: &str) -> usize {
        let connection = self.0.lock().expect("no reader panics");
        let mut select =
            connection.prepare_cached("SELECT value FROM kv WHERE key = ?1").expect("a statement");
        let length =
            select.query_row([key], |row| Ok(black_box(row.get_ref(0)?.as_blob().expect("a blob")).len()));
        length.expect("a row")
    }
}

fn measure(directory: &Path, keys: u64, rounds: usize) -> Result<()> {
    for (durability, name) in [(Durability::Always, "always"), (Durability::None, "none")] {
        let options = Options::at(directory.join(format!("ours-{name}.db"))).durability(durability);
        let ours = SqliteEngine::open(options, (Arc::new(SystemFiles), Arc::new(SystemClock::new())))?;
        let bare = BareSqlite::open(&directory.join(format!("bare-{name}.db")), durability)
            .map_err(|error| Error::invalid("the bare database").caused_by(error))?;
        Pair::fill(ours, bare, keys)?.report_all(name, rounds)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    measured_in_a_directory("measure-sqlite", 100_000, measure)
}
