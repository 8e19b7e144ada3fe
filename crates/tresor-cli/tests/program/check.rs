//! `check`: a whole store is whole, a damaged one is named with file and offset, and can be salvaged.

use std::fs;

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
