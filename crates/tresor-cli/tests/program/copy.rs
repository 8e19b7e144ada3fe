//! `copy`: every entry of any store in any other, as it was, also after a copy that was killed.

use std::{fs, path::Path, process::Command};

use tresor::{
    Kind,
    clock::{Clock, SystemClock},
    engine::Expires,
};
use tresor_testkit::{Server, TemporaryDirectory, deadline, random, tresor_program};

use crate::{
    refused,
    stores::{
        ENGINES, FAR_MS, configuration, entries, fill, made, open, put, stored, text, unnumbered, write_keys,
    },
    tresor,
};

/// Copies, and answers what it said.
#[track_caller]
fn copied(from: &str, to: &str) -> tresor_program::Finished {
    let finished = tresor(&["copy", from, to]);
    assert_eq!(finished.code, Some(0), "{from} to {to}: {finished:?}");
    assert!(finished.stdout.contains("checked: the same count and checksum"), "{finished:?}");
    finished
}

fn marker_of(to: &Path) -> std::path::PathBuf {
    format!("{}.copying", text(to)).into()
}

#[test]
fn any_store_becomes_any_other() {
    let seed = random::seed("any_store_becomes_any_other");
    let directory = TemporaryDirectory::new("copy");
    for from in ENGINES {
        let giver = directory.join(&format!("from-{from}"));
        let before = made(from, &giver, seed);
        assert_eq!(before.len(), 404);
        for to in ENGINES {
            let receiver = directory.join(&format!("{from}-to-{to}"));
            let said = copied(&format!("{from}:{}", text(&giver)), &format!("{to}:{}", text(&receiver)));
            assert!(
                said.stdout.starts_with("copied 404 entries (") && said.stdout.contains("of 2 databases")
            );
            assert_eq!(said.stderr, "", "no progress bar without a terminal");
            let after = stored(to, &receiver);
            // A JSON file has no place for versions.
            if from == "json" || to == "json" {
                assert!(unnumbered(&after) == unnumbered(&before), "{from} to {to}");
            } else {
                assert!(after == before, "{from} to {to}");
            }
            assert!(!marker_of(&receiver).exists());
        }
        let still = stored(from, &giver);
        assert!(if from == "json" { unnumbered(&still) == unnumbered(&before) } else { still == before });
    }
}

#[test]
fn what_comes_later_is_numbered_above_what_was_copied() {
    let directory = TemporaryDirectory::new("copy");
    let (giver, receiver) = (directory.join("from"), directory.join("to"));
    let before = made("memory", &giver, 1);
    copied(&text(&giver), &format!("sqlite:{}", text(&receiver)));
    let database = open("sqlite", &receiver);
    put(&**database.engine(), &[(0, b"new".to_vec(), b"1".to_vec(), Kind::Raw, Expires::Never)]);
    let highest = before.values().map(|entry| entry.version).max();
    let new = entries(&database)[&(0, b"new".to_vec(), Vec::new())].version;
    assert!(Some(new) > highest, "{new} {highest:?}");
}

#[test]
fn a_bare_path_is_told_by_what_is_there() {
    let directory = TemporaryDirectory::new("copy");
    for from in ENGINES {
        let giver = directory.join(&format!("from-{from}"));
        let before = made(from, &giver, 2);
        // A slash at the end names the same directory.
        let slash = if from == "disk" { "/" } else { "" };
        let receiver = directory.join(&format!("to-{from}"));
        copied(&format!("{}{slash}", text(&giver)), &format!("disk:{}{slash}", text(&receiver)));
        assert!(unnumbered(&stored("disk", &receiver)) == unnumbered(&before), "{from}");
    }
}

#[test]
fn layers_are_read_through_and_written_through() {
    let seed = random::seed("layers_are_read_through_and_written_through");
    let directory = TemporaryDirectory::new("copy");
    let keys = directory.join("keys");
    write_keys(&keys, &["a"]);
    let plain = directory.join("plain");
    let before = made("disk", &plain, seed);
    for engine in ENGINES {
        let path = directory.join(&format!("coded-{engine}"));
        let coded = configuration(
            &directory,
            &format!("{engine}.toml"),
            &[
                format!("engine = {engine:?}"),
                format!("store-path = {path:?}"),
                "compression = \"zstd\"".to_owned(),
                format!("encryption-key-file = {keys:?}"),
                "cache-capacity = 5".to_owned(),
                "durability = \"interval\"".to_owned(),
            ],
        );
        copied(&text(&plain), &coded);
        assert!(marker_of(&path).parent().is_some_and(Path::exists) && !marker_of(&path).exists());
        let sealed = if path.is_file() { fs::read(&path).expect("the store") } else { Vec::new() };
        assert!(!String::from_utf8_lossy(&sealed).contains("text again and text"));
        let stderr = refused(1, &["copy", &text(&path), &format!("disk:{}-x", text(&path))]);
        assert!(stderr.contains("encrypted") && stderr.contains(".toml"), "{stderr}");
        let back = directory.join(&format!("back-{engine}"));
        copied(&coded, &format!("memory:{}", text(&back)));
        let after = stored("memory", &back);
        assert!(unnumbered(&after) == unnumbered(&before), "{engine}");
        assert!(engine == "json" || after == before, "{engine} keeps versions");
    }
}

/// The number of entries that a marker tells of, as docs/formats.md has it.
fn marked(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap_or_default();
    bytes.get(28..36).map_or(0, |field| u64::from_le_bytes(field.try_into().expect("eight bytes")))
}

#[test]
fn a_killed_copy_goes_on_where_it_was() {
    let directory = TemporaryDirectory::new("copy");
    let giver = directory.join("from");
    let database = open("memory", &giver);
    let many: Vec<_> = (0..40_000_u32)
        .map(|number| {
            let key = number.wrapping_mul(0x9e37_79b9).to_be_bytes().to_vec();
            let expires = if number % 7 == 0 { Expires::At(FAR_MS) } else { Expires::Never };
            ((number % 2) as u8 * 5, key, vec![number as u8; 100], Kind::Raw, expires)
        })
        .collect();
    put(&**database.engine(), &many);
    database.close().expect("it closes");
    let before = stored("memory", &giver);
    for engine in ["memory", "disk", "sqlite"] {
        let receiver = directory.join(engine);
        // By a configuration too that promises less: a crash below `always` makes another store of it.
        let lines = [
            format!("engine = {engine:?}"),
            format!("store-path = {receiver:?}"),
            "durability = \"interval\"".to_owned(),
        ];
        let to = match engine {
            "memory" => format!("memory:{}", text(&receiver)),
            _ => configuration(&directory, &format!("{engine}.toml"), &lines),
        };
        let from = text(&giver);
        let mut child = tresor_program::command(&["copy", &from, &to]).spawn().expect("the program starts");
        deadline::wait_until("some entries to be copied", || marked(&marker_of(&receiver)) > 0);
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends");
        let done = marked(&marker_of(&receiver));
        // Memory is soon full: then it may have been killed while it was comparing.
        assert!(done > 0 && (done < 40_000 || engine == "memory"), "{engine} was in the middle: {done}");
        let said = copied(&from, &to);
        assert!(said.stderr.contains(&format!("behind {done} entries")), "{said:?}");
        assert!(said.stdout.starts_with("copied 40000 entries"), "{said:?}");
        assert!(stored(engine, &receiver) == before, "{engine}");
        assert!(!marker_of(&receiver).exists());
    }
}

/// A copy that a limit on the size of files has ended: its receiver holds some entries and is not whole.
fn broken_off(from: &str, to: &str) {
    let script = "ulimit -f 3000; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(tresor_program::path())
        .args(["copy", from, to])
        .output()
        .expect("there is a shell");
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn a_marker_of_another_copy_or_a_damaged_one_is_refused() {
    let directory = TemporaryDirectory::new("copy");
    let (giver, other) = (directory.join("from"), directory.join("other"));
    let before = made("sqlite", &giver, 3);
    made("sqlite", &other, 3);
    let receiver = directory.join("to");
    let (from, to) = (text(&giver), format!("sqlite:{}", text(&receiver)));
    broken_off(&from, &to);
    let marker = marker_of(&receiver);
    let whole = fs::read(&marker).expect("it was begun");
    let said = refused(1, &["copy", &text(&other), &to]);
    assert!(said.contains("another store than") && said.contains(".copying"), "{said}");
    let mut damaged = whole.clone();
    damaged[30] ^= 1;
    fs::write(&marker, damaged).expect("it can be written");
    let said = refused(1, &["copy", &from, &to]);
    assert!(said.contains("damaged") && said.contains("remove it"), "{said}");
    fs::write(&marker, &whole).expect("it can be written");

    // Another store where the one that was begun has been.
    let begun = directory.join("begun");
    fs::rename(&receiver, &begun).expect("it can be moved");
    drop(made("sqlite", &receiver, 6));
    let said = refused(1, &["copy", &from, &to]);
    assert!(said.contains("to another store than") && said.contains("remove the file"), "{said}");
    fs::rename(&begun, &receiver).expect("it can be moved back");
    copied(&from, &to);
    assert!(stored("sqlite", &receiver) == before);

    // Nothing was copied yet: all begins anew.
    let receiver = directory.join("third");
    fs::write(marker_of(&receiver), &whole).expect("it is written");
    copied(&from, &format!("disk:{}", text(&receiver)));
}

#[test]
fn what_was_changed_behind_a_copys_back_is_found_and_counted() {
    let directory = TemporaryDirectory::new("copy");
    let giver = directory.join("from");
    let database = open("disk", &giver);
    let key = |number: u32| number.to_be_bytes().to_vec();
    let many: Vec<_> =
        (0..20_000).map(|number| (0, key(number), vec![1; 100], Kind::Raw, Expires::Never)).collect();
    put(&**database.engine(), &many);
    database.close().expect("it closes");
    let receiver = directory.join("to");
    let (from, to) = (text(&giver), format!("memory:{}", text(&receiver)));
    let mut child = tresor_program::command(&["copy", &from, &to]).spawn().expect("the program starts");
    deadline::wait_until("some entries to be copied", || marked(&marker_of(&receiver)) > 0);
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");
    let database = open("memory", &receiver);
    put(
        &**database.engine(),
        &[
            (0, key(1), b"edited".to_vec(), Kind::Raw, Expires::Never),
            (0, b"too much".to_vec(), b"1".to_vec(), Kind::Raw, Expires::Never),
            (3, b"too much".to_vec(), b"1".to_vec(), Kind::Raw, Expires::Never),
        ],
    );
    database.close().expect("it closes");
    let said = refused(1, &["copy", &from, &to]);
    assert!(said.contains("in 3 entries: 0 are missing, 1 are not the same, 2 are too many"), "{said}");
    assert!(said.contains("remove") && said.contains(".copying"), "{said}");
}

#[test]
fn entries_that_expire_meanwhile_are_no_difference() {
    let directory = TemporaryDirectory::new("copy");
    let now_ms = SystemClock::new().now_ms();
    for (from, to) in [("memory", "sqlite"), ("sqlite", "disk"), ("disk", "json"), ("json", "memory")] {
        let giver = directory.join(&format!("from-{from}"));
        let database = open(from, &giver);
        let soon: Vec<_> = (0..2000_u64)
            .map(|number| {
                let expires = Expires::At(now_ms + number * 10);
                (0, number.to_be_bytes().to_vec(), b"1".to_vec(), Kind::Raw, expires)
            })
            .collect();
        put(&**database.engine(), &soon);
        database.close().expect("it closes");
        copied(&text(&giver), &format!("{to}:{}", text(&directory.join(&format!("to-{to}")))));
    }
}

#[test]
fn what_cannot_be_copied_is_refused_and_nothing_is_made() {
    let directory = TemporaryDirectory::new("copy");
    let giver = directory.join("from");
    made("memory", &giver, 4);
    let from = text(&giver);
    let absent = directory.join("absent");
    let new = format!("disk:{}", text(&absent));
    let refuses = |code, from: &str, to: &str, words: &[&str]| {
        let said = refused(code, &["copy", from, to]);
        for word in words {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
        assert!(!absent.exists(), "{from} {to}");
        assert!(!marker_of(&absent).exists(), "{from} {to}");
    };
    refuses(2, &from, &text(&absent), &["memory:./data", "disk:./data", ".toml"]);
    refuses(2, &from, "redis:./x", &["names no engine", "disk:./data"]);
    refuses(2, &from, "disk:", &["names no path"]);
    refuses(2, &from, &format!("memory:{from}/."), &["the same store"]);
    refuses(1, &text(&directory.join("nowhere")), &new, &["there is no", "nowhere"]);
    for engine in ENGINES {
        let nowhere = format!("{engine}:{}", text(&directory.join("nowhere")));
        refuses(1, &nowhere, &new, &["there is no store"]);
    }
    assert!(!directory.join("nowhere").exists());
    refuses(1, &text(directory.path()), &new, &["no store of a kind"]);
    refuses(1, &format!("disk:{from}"), &new, &["memory"]);
    refuses(1, &format!("json:{from}"), &new, &["is a directory"]);
    refuses(1, &from, &format!("disk:{}", text(directory.path())), &["other files"]);
    let volatile = configuration(&directory, "volatile.toml", &["engine = \"memory\"".to_owned()]);
    refuses(2, &volatile, &new, &["in memory alone", "store-path"]);

    let filled = directory.join("filled");
    let database = open("sqlite", &filled);
    fill(&database, 5);
    database.close().expect("it closes");
    refuses(1, &from, &format!("sqlite:{}", text(&filled)), &["is not empty"]);
    let mut server = Server::start(&["--store-path", &from]);
    refuses(1, &from, &new, &["cannot open", "another process"]);
    assert!(server.terminate().success());
    let server = Server::start(&["--engine", "disk", "--store-path", &text(&absent)]);
    let said = refused(1, &["copy", &from, &new]);
    assert!(said.contains("cannot open") && said.contains("another process"), "{said}");
    drop(server);
    // An empty store that is there already is as good as none.
    copied(&from, &new);
}
