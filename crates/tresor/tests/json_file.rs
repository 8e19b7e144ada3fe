//! A store in a JSON file as its users see it: readable, editable, refused when it is not what it was.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde_json::json;
use tresor::{Config, Database, Error, ErrorKind, Key, PutOptions, Value, config::Durability};
use tresor_testkit::{TemporaryDirectory, deadline::wait_until};

fn place(directory: &TemporaryDirectory) -> PathBuf {
    directory.join("made").join("store.json")
}

fn open(path: &Path) -> Database {
    Database::open(Config::json_file(path)).expect("the file can be opened")
}

fn refused(path: &Path) -> Error {
    match Database::open(Config::json_file(path)) {
        Ok(_) => panic!("{} was taken", path.display()),
        Err(error) => error,
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a JSON file is text")
}

#[test]
fn a_file_can_be_read_by_anyone_after_each_write() {
    let directory = TemporaryDirectory::new("json-file");
    let path = place(&directory);
    let store = open(&path);
    store.put("name", "Alice").expect("a put");
    let file: serde_json::Value = serde_json::from_str(&text(&path)).expect("JSON");
    assert_eq!(file["name"], "Alice");
    store.put("list", json!([1, 2])).expect("a put");
    store.put_with("soon", "gone", PutOptions::new().expires_in(Duration::from_secs(1000))).expect("a put");
    store.database(3).expect("a database").put("other", 5).expect("a put");
    let file: serde_json::Value = serde_json::from_str(&text(&path)).expect("JSON");
    assert_eq!((&file["list"], &file["soon"]), (&json!([1, 2]), &json!("gone")));
    assert!(text(&path).starts_with("{\n\"list\": [1,2],\n\"name\": \"Alice\",\n"), "{}", text(&path));
    assert_eq!(file["\0tresor"]["databases"]["3"]["entries"]["other"], 5);
    store.close().expect("it is saved");

    let store = open(&path);
    assert_eq!(store.read("name").expect("there").to_string(), "Alice");
    assert!(store.ttl("soon").expect("an answer").is_some());
    assert_eq!(store.database(3).expect("a database").len().expect("a count"), 1);
}

#[test]
fn a_file_written_by_hand_is_taken() {
    let directory = TemporaryDirectory::new("json-file");
    let path = directory.join("hand.json");
    fs::write(&path, r#" {"big": 123456789012345678901234567890.10, "text": "a\nb", "none": null} "#)
        .expect("the directory takes a file");
    let store = open(&path);
    assert_eq!(store.read("big").expect("there").to_string(), "123456789012345678901234567890.10");
    assert_eq!(store.read("text").expect("there").to_string(), "a\nb");
    store.put("more", 1).expect("a put");
    assert!(text(&path).contains("\"big\": 123456789012345678901234567890.10,\n"), "{}", text(&path));
}

/// A file of format 1 as it was saved when that format was made: it is read for ever, and written the same.
const FORMAT_1: &str = include_str!("fixtures/json-format-1.json");

/// What is in it. The expiry lies in the year 2100.
fn fill_as_in_format_1(store: &Database) {
    store.put("text", "with \"quotes\", \n and \u{e4}").expect("a put");
    store.put("number", json!(12.50)).expect("a put");
    let text = Value::from_json_text(r#""said to be JSON""#).expect("JSON");
    store.put("json text", text).expect("a put");
    store.put("\0tresor", "a key like the last member's").expect("a put");
    store.put("bytes", &[0xff, 0x00, 0xfe]).expect("a put");
    let other = store.database(3).expect("a database");
    other.put("other", json!({ "b": 1, "a": [null, true] })).expect("a put");
    for store in [store, &other] {
        let until = PutOptions::new().expires_at_ms(4_102_444_800_000);
        store.put_with("until 2100", "then gone", until).expect("a put");
    }
}

#[test]
fn a_file_of_format_1_is_read_and_written_for_ever() {
    let directory = TemporaryDirectory::new("json-file");
    let (old, new) = (directory.join("old.json"), directory.join("new.json"));
    fs::write(&old, FORMAT_1).expect("a file can be written");
    let store = open(&new);
    fill_as_in_format_1(&store);
    assert_eq!(text(&new), FORMAT_1);
    let old = open(&old);
    assert_eq!(everything(&old), everything(&store));
    assert!(old.ttl("until 2100").expect("an answer").is_some());
}

/// All entries of all databases, and which of them expire.
fn everything(store: &Database) -> Vec<(u8, Key, Value, bool)> {
    let databases = (0..16).map(|number| (number, store.database(number).expect("a database")));
    databases
        .flat_map(|(number, store)| {
            let entries = store.entries().map(|entry| entry.expect("an entry")).collect::<Vec<_>>();
            let expires = |key: &Key| store.ttl(key).expect("an answer").is_some();
            entries
                .into_iter()
                .map(|(key, value)| (number, key.clone(), value, expires(&key)))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn a_flipped_bit_gives_an_error_or_the_right_values() {
    let directory = TemporaryDirectory::new("json-file");
    let path = directory.join("store.json");
    fs::write(&path, FORMAT_1).expect("a file can be written");
    let right = everything(&open(&path));
    let mut refused = 0;
    for at in 0..FORMAT_1.len() {
        for bit in 0..8 {
            let mut bytes = FORMAT_1.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).expect("a file can be written");
            match Database::open(Config::json_file(&path)) {
                Ok(store) => assert_eq!(everything(&store), right, "bit {bit} of byte {at}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > FORMAT_1.len() * 7, "only {refused} are refused");
}

#[test]
fn what_is_not_such_a_file_is_refused_and_stays_as_it_is() {
    let directory = TemporaryDirectory::new("json-file");
    let path = directory.join("other.json");
    for (content, words) in [
        ("{\"a\": 1,\n \"b\" 2}", "line 2 column 6"),
        ("[1, 2]", "an object"),
        ("", "line 1 column 0"),
        ("{\"\\u0000tresor\":{\"format\":9}}", "its format is 9"),
        ("{\"\\u0000tresor\":{\"format\":1,\"checksum\":\"00000000\"}}", "tresor check --accept"),
    ] {
        fs::write(&path, content).expect("the directory takes a file");
        let error = refused(&path);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(words) && error.to_string().contains("other.json"), "{error}");
        assert_eq!(text(&path), content);
    }
}

#[test]
fn two_stores_do_not_share_a_file() {
    let directory = TemporaryDirectory::new("json-file");
    let path = place(&directory);
    let store = open(&path);
    store.put("a", 1).expect("a put");
    assert_eq!(refused(&path).kind(), ErrorKind::Unavailable);
    store.put("a", 2).expect("a put");
    assert_eq!(refused(&path).kind(), ErrorKind::Unavailable, "the lock goes with each new file");
    store.close().expect("it is saved");
    assert_eq!(open(&path).get("a").expect("an answer").and_then(|value| value.as_i64()), Some(2));
}

#[test]
fn writers_beside_each_other_lose_nothing() {
    let directory = TemporaryDirectory::new("json-file");
    let path = place(&directory);
    let store = open(&path);
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                for _ in 0..40 {
                    store.add("count", 1).expect("a number");
                }
            });
        }
    });
    assert_eq!(store.get("count").expect("an answer").and_then(|value| value.as_i64()), Some(200));
    assert!(text(&path).contains("\"count\": \"200\"") || text(&path).contains("\"count\": 200"));
}

#[test]
fn a_batch_store_saves_when_it_is_full_and_when_time_has_passed() {
    let directory = TemporaryDirectory::new("json-file");
    let path = place(&directory);
    let config = |wait| Config::json_file(&path).in_batches(10, wait);
    let store = Database::open(config(Duration::from_secs(3600))).expect("the file can be opened");
    for number in 0..9 {
        store.put(format!("key {number}"), 1).expect("a put");
    }
    assert!(!path.exists(), "nine are not ten");
    store.put("key 9", 1).expect("a put");
    wait_until("the save of a full batch", || path.exists());
    assert!(text(&path).contains("key 9"));
    store.put("key 10", 1).expect("a put");
    store.save().expect("a save");
    assert!(text(&path).contains("key 10"));
    store.put("key 11", 1).expect("a put");
    store.close().expect("it is saved");
    assert!(text(&path).contains("key 11"));

    let store = Database::open(config(Duration::from_millis(20))).expect("the file can be opened");
    store.put("later", 1).expect("a put");
    wait_until("the save by itself", || text(&path).contains("later"));
    let always =
        Config::json_file(&path).in_batches(2, Duration::from_secs(1)).durability(Durability::Always);
    assert_eq!(Database::open(always).err().map(|error| error.kind()), Some(ErrorKind::Invalid));
}
