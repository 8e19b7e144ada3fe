//! Measures whether large values should lie apart from their keys on disk (fjall's key-value separation).
//!
//! `cargo run --release -p tresor --example measure_large_values [DIRECTORY] [VALUE_BYTES] [MEBIBYTES]` writes
//! as much data as is named, then as much again over it in random order, without syncing, and prints for
//! tables with and without separation: seconds until all is written out, bytes written for each byte given,
//! bytes on disk for each byte kept, microseconds a get in random order, a scan of everything, and bytes on
//! disk once nine of ten keys are deleted and all tables were merged twice. Values are random bytes, so that
//! nothing compresses.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use tresor_testkit::own_cost::next;

const GETS: u64 = 20_000;

fn key_of(number: u64) -> String {
    format!("key:{number:012}")
}

fn fill_random(value: &mut [u8], random: &mut u64) {
    value.chunks_mut(8).for_each(|part| {
        let bytes = next(random).to_le_bytes();
        part.copy_from_slice(&bytes[..part.len()]);
    });
}

/// Bytes that this process has handed to disks.
fn written_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/io").expect("Linux tells");
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.parse().ok()).expect("a number")
}

fn bytes_on_disk(path: &Path) -> u64 {
    let entries = fs::read_dir(path).expect("a directory");
    entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let metadata = entry.metadata().expect("its size");
            if metadata.is_dir() { bytes_on_disk(&entry.path()) } else { metadata.len() }
        })
        .sum()
}

fn write_out(database: &Database, table: &Keyspace) -> fjall::Result<()> {
    table.rotate_memtable()?;
    while table.sealed_memtable_count() > 0 || database.outstanding_flushes() > 0 {
        thread::park_timeout(Duration::from_millis(2));
    }
    // Merging goes on for a while.
    while database.active_compactions() > 0 {
        thread::park_timeout(Duration::from_millis(2));
    }
    database.persist(PersistMode::SyncAll)
}

fn measure(path: &Path, separates: bool, value_bytes: usize, keys: u64) -> fjall::Result<()> {
    let database = Database::builder(path)
        .cache_size(256 << 20)
        .manual_journal_persist(true)
        .max_journaling_size(256 << 20)
        .open()?;
    let separation = separates.then(KvSeparationOptions::default);
    let create = || {
        KeyspaceCreateOptions::default().max_memtable_size(32 << 20).with_kv_separation(separation.clone())
    };
    let table = database.keyspace("entries", create)?;
    let (mut random, mut value) = (0x9e37_79b9_7f4a_7c15, vec![0; value_bytes]);
    let (before, started) = (written_bytes(), Instant::now());
    for number in (0..keys).chain((0..keys).map(|number| number * 7919 % keys)) {
        fill_random(&mut value, &mut random);
        table.insert(key_of(number), &value[..])?;
    }
    write_out(&database, &table)?;
    let seconds = started.elapsed().as_secs_f64();
    let given = (2 * keys * value_bytes as u64) as f64;
    let amplification = (written_bytes() - before) as f64 / given;
    let space = bytes_on_disk(path) as f64 / (given / 2.0);
    let started = Instant::now();
    for _ in 0..GETS {
        let found = table.get(key_of(next(&mut random) % keys))?;
        assert!(found.is_some_and(|value| value.len() == value_bytes), "every key is there");
    }
    let get_us = started.elapsed().as_secs_f64() * 1e6 / GETS as f64;
    let started = Instant::now();
    let mut scanned = 0;
    for entry in table.iter() {
        scanned += usize::from(entry.value()?.len() == value_bytes);
    }
    let seconds_scanned = started.elapsed().as_secs_f64();
    for number in 0..keys * 9 / 10 {
        table.remove(key_of(number))?;
    }
    write_out(&database, &table)?;
    // Files that nothing needs any more go with the next change of the tables.
    table.major_compact()?;
    table.insert(key_of(keys), "")?;
    write_out(&database, &table)?;
    table.major_compact()?;
    let left = bytes_on_disk(path) as f64 / (given / 2.0);
    println!(
        "{} {value_bytes} bytes: {seconds:.1} s, written {amplification:.2}, on disk {space:.2}, get {get_us:.1} us, scan of {scanned} {seconds_scanned:.2} s, on disk when nine of ten are deleted {left:.2}",
        if separates { "apart   " } else { "together" },
    );
    Ok(())
}

fn main() -> fjall::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let number =
        |at: usize, default: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let directory = arguments.get(1).map_or_else(env::temp_dir, PathBuf::from);
    let directory = directory.join(format!("measure-large-values-{}", process::id()));
    let (value_bytes, mebibytes) = (number(2, 16_384) as usize, number(3, 512));
    let keys = (mebibytes << 20) / value_bytes as u64;
    for separates in [false, true, false, true] {
        fs::create_dir_all(&directory).expect("a directory can be made");
        measure(&directory, separates, value_bytes, keys)?;
        fs::remove_dir_all(&directory).expect("the directory can be removed");
    }
    Ok(())
}
