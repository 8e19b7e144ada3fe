//! Measures how long a store in one JSON file takes to be saved and loaded, beside serde_json.
//!
//! `cargo run --release -p tresor --example measure_json_file [DIRECTORY] [KEYS] [ROUNDS]` prints medians in
//! milliseconds. A save is everything until the file is durable under its name; a load is opening the
//! store. The peer does what a program does that keeps a map: it is serialised into a file that is synced,
//! and parsed from there. A tenth of the values is JSON, the others
//! are text of 32 bytes.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use tresor::{Config, Database, Result, Value};
use tresor_testkit::own_cost::{measured_in_a_directory, median};

fn value_of(number: u64) -> serde_json::Value {
    match number % 10 {
        0 => serde_json::json!({ "id": number, "tags": ["a", "b"], "price": 12.5 }),
        _ => serde_json::json!(format!("{number:032}")),
    }
}

fn config(path: &Path) -> Config {
    Config::json_file(path).in_batches(u64::MAX, Duration::from_secs(3600))
}

fn milliseconds(does: impl FnOnce() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    does()?;
    Ok(started.elapsed().as_secs_f64() * 1000.0)
}

fn fill(store: &Database, keys: u64) -> Result<()> {
    for number in 0..keys {
        let key = format!("key:{number:012}");
        match value_of(number) {
            serde_json::Value::String(text) => store.put(&key, text)?,
            json => store.put(&key, Value::from(json))?,
        };
    }
    Ok(())
}

fn bare_save(path: &Path, map: &BTreeMap<String, serde_json::Value>) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&serde_json::to_vec(map)?)?;
    file.sync_data()
}

fn measure(directory: &Path, keys: u64, rounds: usize) -> Result<()> {
    let (ours, bare) = (directory.join("ours.json"), directory.join("bare.json"));
    let map: BTreeMap<String, serde_json::Value> =
        (0..keys).map(|number| (format!("key:{number:012}"), value_of(number))).collect();
    let (mut saves, mut loads, mut bare_saves, mut bare_loads) = (vec![], vec![], vec![], vec![]);
    let store = Database::open(config(&ours))?;
    fill(&store, keys)?;
    store.close()?;
    for round in 0..rounds {
        let mut opened = None;
        loads.push(milliseconds(|| {
            opened = Some(Database::open(config(&ours))?);
            Ok(())
        })?);
        let store = opened.expect("it was opened");
        assert_eq!(store.len()?, keys, "every key came back");
        store.put("key:000000000001", format!("{round:032}"))?;
        saves.push(milliseconds(|| store.save())?);
        store.close()?;
        bare_saves.push(milliseconds(|| {
            bare_save(&bare, &map).expect("the file can be written");
            Ok(())
        })?);
        bare_loads.push(milliseconds(|| {
            let bytes = fs::read(&bare).expect("the file can be read");
            let map: BTreeMap<String, serde_json::Value> =
                serde_json::from_slice(&bytes).expect("it is JSON");
            assert_eq!(map.len() as u64, keys);
            Ok(())
        })?);
    }
    println!("save ours {:.1} bare {:.1}", median(saves), median(bare_saves));
    println!("load ours {:.1} bare {:.1}", median(loads), median(bare_loads));
    Ok(())
}

fn main() -> Result<()> {
    measured_in_a_directory("measure-json-file", 100_000, measure)
}
