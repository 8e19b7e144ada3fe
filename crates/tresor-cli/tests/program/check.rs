//! `check`: a whole store is whole, a damaged one is named with file and offset, and can be salvaged.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tresor_testkit::{Server, TemporaryDirectory};

use crate::{refused, tresor};

#[test]
fn damage_is_found_named_and_survived() {
    let directory = TemporaryDirectory::new("check");
    let path = directory.join("store");
    let text = path.to_str().expect("temporary paths are UTF-8");
    let mut server = Server::start(&["--store-path", text]);
    let mut client = server.resp();
    for number in 0..100 {
        client.command(&["SET", &format!("key{number}"), "value"]).expect("the server answers");
    }
    let stderr = refused(1, &["check", text]);
    assert!(stderr.contains("open in another process"), "{stderr}");
    server.kill9();

    let whole = tresor(&["check", text]);
    assert_eq!(whole.code, Some(0), "{whole:?}");
    assert!(whole.stdout.contains("100 records") && whole.stdout.contains("the store is whole"), "{whole:?}");

    let is_log = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "log");
    let entries = fs::read_dir(&path).expect("the store is a directory");
    let log = entries.filter_map(|entry| Some(entry.ok()?.path())).find(is_log).expect("there is a log");
    let mut bytes = fs::read(&log).expect("the log can be read");
    let used = bytes.iter().rposition(|byte| *byte != 0).expect("the log is not empty");
    bytes[used / 2] ^= 1;
    fs::write(&log, bytes).expect("the log can be written");

    let damaged = tresor(&["check", text]);
    assert_eq!(damaged.code, Some(1));
    assert!(damaged.stdout.contains("damaged: ") && damaged.stderr.contains("--salvage"), "{damaged:?}");
    let stderr = refused(1, &["serve", "--port", "0", "--resp-port", "0", "--store-path", text]);
    assert!(stderr.contains(".log") && stderr.contains("tresor check"), "{stderr}");

    let salvaged = tresor(&["check", text, "--salvage"]);
    assert_eq!(salvaged.code, Some(0), "{salvaged:?}");
    let new = format!("{text}.salvaged");
    assert!(salvaged.stdout.contains(&new), "{salvaged:?}");
    let server = Server::start(&["--store-path", &new]);
    let size = server.resp().command(&["DBSIZE"]).expect("the server answers").integer();
    assert!(size.is_some_and(|size| (40..100).contains(&size)), "{size:?}: {salvaged:?}");
}

#[test]
fn what_is_no_store_is_refused() {
    let directory = TemporaryDirectory::new("check");
    let path = directory.join("nothing");
    refused(1, &["check", path.to_str().expect("temporary paths are UTF-8")]);
    refused(2, &["check"]);
    refused(2, &["check", ".", "--into", "x"]);
}

#[test]
fn tables_on_disk_are_read_through() {
    let directory = TemporaryDirectory::new("check");
    let path = directory.join("store");
    let text = path.to_str().expect("temporary paths are UTF-8");
    let mut server = Server::start(&["--engine", "disk", "--store-path", text]);
    let mut client = server.resp();
    for number in 0..500 {
        let value = format!("{number:01000}");
        client.command(&["SET", &format!("key{number}"), &value]).expect("the server answers");
    }
    let stderr = refused(1, &["check", text]);
    assert!(stderr.contains("open in another process"), "{stderr}");
    assert!(server.terminate().success());
    let whole = tresor(&["check", text]);
    assert_eq!(whole.code, Some(0), "{whole:?}");
    assert!(
        whole.stdout.contains("tables: 500 entries") && whole.stdout.contains("the store is whole"),
        "{whole:?}"
    );
    refused(2, &["check", text, "--salvage"]);

    let mut tables = Vec::new();
    files_in(&path.join("tables").join("keyspaces"), &mut tables);
    let table = tables.iter().max_by_key(|table| fs::metadata(table).map_or(0, |file| file.len()));
    let table = table.expect("a table was written");
    let mut bytes = fs::read(table).expect("a table can be read");
    bytes[100] ^= 1;
    fs::write(table, bytes).expect("a table can be written");
    let damaged = tresor(&["check", text]);
    assert_eq!(damaged.code, Some(1), "{damaged:?}");
    assert!(damaged.stdout.contains("damaged: ") && damaged.stderr.contains("backup"), "{damaged:?}");
}

fn files_in(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files_in(&path, files) } else { files.push(path) }
    }
}

#[test]
fn an_sqlite_database_is_checked_and_what_was_edited_is_accepted() {
    let directory = TemporaryDirectory::new("check");
    let path = directory.join("store.db");
    let text = path.to_str().expect("temporary paths are UTF-8");
    let store = ["--engine", "sqlite", "--store-path", text];
    let mut server = Server::start(&store);
    let reply = server.resp().command(&["SET", "name", "Alice"]).expect("the server answers");
    assert_eq!(reply.text(), Some("OK"));
    let stderr = refused(1, &["check", text]);
    assert!(stderr.contains("in use") && stderr.contains("store.db"), "{stderr}");
    let beside = ["serve", "--port", "0", "--resp-port", "0"];
    let stderr = refused(1, &[&beside[..], &store].concat());
    assert!(stderr.contains("--store-path") && stderr.contains("in use"), "{stderr}");
    assert!(server.terminate().success());

    let whole = tresor(&["check", text]);
    assert_eq!(whole.code, Some(0), "{whole:?}");
    assert!(whole.stdout.contains("1 entries; the file is whole"), "{whole:?}");
    // As a person does it who has no shell at hand: the value stands in the file as it is.
    let mut bytes = fs::read(&path).expect("the file can be read");
    let at = bytes.windows(5).position(|window| window == b"Alice").expect("the value is in the file");
    bytes[at..at + 5].copy_from_slice(b"Bobby");
    fs::write(&path, bytes).expect("the file can be written");
    let damaged = tresor(&["check", text]);
    assert_eq!(damaged.code, Some(1), "{damaged:?}");
    assert!(damaged.stdout.contains("\"name\"") && damaged.stderr.contains("--accept"), "{damaged:?}");
    refused(2, &["check", text, "--salvage"]);
    let accepted = tresor(&["check", text, "--accept"]);
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    let server = Server::start(&store);
    let reply = server.resp().command(&["GET", "name"]).expect("the server answers");
    assert_eq!(reply.text(), Some("Bobby"));
}
