//! `compress --estimate`: a sample of a stopped store, and what each method would make of it.

use tresor::{Kind, engine::Expires};
use tresor_testkit::{Server, TemporaryDirectory, random::Random};

use crate::{
    refused,
    stores::{ENGINES, configuration, open, put, text, write_keys},
    tresor,
};

/// The figures, from `--json`.
fn figures(arguments: &[&str]) -> serde_json::Value {
    let finished = tresor(&[&["compress", "--estimate", "--json"], arguments].concat());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    serde_json::from_str(&finished.stdout).expect("a line of JSON")
}

#[test]
fn an_estimate_says_what_each_method_would_save_and_changes_nothing() {
    let directory = TemporaryDirectory::new("compress");
    let mut random = Random::new(1);
    let entries: Vec<_> = (0..600_u32)
        .map(|number| {
            let value = match number % 3 {
                0 => b"short".to_vec(),
                1 => "again and ".repeat(100).into_bytes(),
                _ => random.bytes(1000),
            };
            ((number % 2) as u8, number.to_be_bytes().to_vec(), value, Kind::Raw, Expires::Never)
        })
        .collect();
    for engine in ENGINES {
        let path = directory.join(engine);
        let database = open(engine, &path);
        put(&**database.engine(), &entries);
        database.close().expect("it closes");
        let told = figures(&[&text(&path)]);
        assert_eq!((&told["keys"], &told["sampled"]), (&600.into(), &600.into()), "{engine}: {told}");
        for (at, method) in ["zlib", "lz4", "zstd"].iter().enumerate() {
            let row = &told["methods"][at];
            let number = |name: &str| row[name].as_f64().unwrap_or(-1.0);
            assert_eq!(row["method"], *method);
            assert!((0.45..0.65).contains(&number("ratio")), "half of the bytes shrink to little: {told}");
            assert_eq!(number("compressed"), 200.0, "{told}");
            assert!(number("write_us") > 0.0 && number("read_us") > 0.0, "{told}");
        }
    }
    let path = text(&directory.join("disk"));
    let told = figures(&[&path, "--level", "19", "--threshold-bytes", "2000"]);
    let levels = ["zlib", "lz4", "zstd"].map(|method| {
        let row = told["methods"].as_array().and_then(|rows| rows.iter().find(|row| row["method"] == method));
        row.map(|row| (row["level"].clone(), row["compressed"].clone())).expect("a row")
    });
    let zero = serde_json::json!(0);
    let expected = [6.into(), serde_json::Value::Null, 19.into()].map(|level| (level, zero.clone()));
    assert_eq!(levels, expected);
    let table = tresor(&["compress", "--estimate", &path]);
    assert_eq!(table.stdout.lines().count(), 6, "{table:?}");
    for word in ["values looked at", "bytes now", "bytes then", "zstd", "CPU microseconds"] {
        assert!(table.stdout.contains(word), "{table:?}");
    }
}

#[test]
fn an_estimate_looks_through_layers() {
    let directory = TemporaryDirectory::new("compress");
    let (plain, coded, keys) = (directory.join("plain"), directory.join("coded"), directory.join("keys"));
    let database = open("disk", &plain);
    let value = "again and ".repeat(100).into_bytes();
    let entries: Vec<_> =
        (0..50_u8).map(|number| (0, vec![number], value.clone(), Kind::Raw, Expires::Never)).collect();
    put(&**database.engine(), &entries);
    database.close().expect("it closes");
    write_keys(&keys, &["b"]);
    let lines = [
        "engine = \"disk\"".to_owned(),
        format!("store-path = {coded:?}"),
        "compression = \"zlib\"".to_owned(),
        format!("encryption-key-file = {keys:?}"),
    ];
    let layered = configuration(&directory, "layered.toml", &lines);
    assert_eq!(tresor(&["copy", &text(&plain), &layered]).code, Some(0));
    let (below, above) = (figures(&[&text(&plain)]), figures(&[&layered]));
    assert_eq!((&above["sampled"], &above["bytes"]), (&below["sampled"], &below["bytes"]));
    assert!(refused(1, &["compress", "--estimate", &text(&coded)]).contains("encrypted"));
}

#[test]
fn what_cannot_be_estimated_is_refused() {
    let directory = TemporaryDirectory::new("compress");
    let path = text(&directory.join("store"));
    let said = refused(1, &["compress", "--estimate", &path]);
    assert!(said.contains("there is no"), "{said}");
    let said = refused(1, &["compress", "--estimate", &format!("disk:{path}")]);
    assert!(said.contains("there is no store"), "{said}");
    let mut server = Server::start(&["--store-path", &path]);
    let said = refused(1, &["compress", "--estimate", &path]);
    assert!(said.contains("another process"), "{said}");
    assert!(server.terminate().success());
    let said = refused(2, &["compress", &path]);
    assert!(said.contains("--compression") && said.contains("tresor copy"), "{said}");
    let said = refused(1, &["compress", "--estimate", &path, "--level", "23"]);
    assert!(said.contains("no method has the level 23"), "{said}");
}
