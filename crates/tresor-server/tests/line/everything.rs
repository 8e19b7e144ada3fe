//! SHOWALL over much: in key order, complete, on one line, and without stopping others.

use tresor::{Config, Database};
use tresor_server::Server;

use crate::{
    goes,
    running::{config, line_client},
};

#[test]
fn everything_is_shown_in_key_order_on_one_line() {
    let database = Database::open(Config { workers: 2, ..Config::memory() }).unwrap();
    let server = Server::start(database.clone(), config()).unwrap();
    let mut names: Vec<String> = (0..2000).map(|number| format!("key{number}")).collect();
    for name in &names {
        database.put(name, name.repeat(10)).unwrap();
    }
    database.put("large", "line\n".repeat(100_000)).unwrap();
    names.push("large".to_owned());
    names.sort();
    let (mut owner, mut reader) = (line_client(&server), line_client(&server));
    goes(&mut owner, "BEGIN");
    for number in 0..300 {
        goes(&mut owner, &format!("PUT open{number:03} {} 1", "x".repeat(1000)));
    }
    reader.send("SHOWALL\nPING\n").unwrap();
    let text = reader.answer_text().unwrap();
    assert_eq!(reader.answer().unwrap()["message"], "PONG");
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entries = answer["entries"].as_object().unwrap();
    assert_eq!(entries.len(), names.len());
    assert_eq!(entries["large"], "line\n".repeat(100_000));
    let places: Vec<_> = names.iter().map(|name| text.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "keys are not in order");
    let writes = answer["transactions"][0]["writes"].as_object().unwrap();
    assert_eq!((writes.len(), writes["open299"].as_str().unwrap().len()), (300, 1000));
}

#[test]
fn a_reader_that_does_not_read_stops_nobody() {
    let database = Database::open(Config { workers: 2, ..Config::memory() }).unwrap();
    let server = Server::start(database.clone(), config()).unwrap();
    for number in 0..64 {
        database.put(format!("key{number}"), "x".repeat(1 << 20)).unwrap();
    }
    let (mut stuck, mut other) = (line_client(&server), line_client(&server));
    stuck.send("SHOWALL\n").unwrap();
    // It has begun to be answered, and far more is to come than sockets hold.
    stuck.stream().peek(&mut [0]).unwrap();
    for number in 0..100 {
        goes(&mut other, &format!("PUT other{number} v"));
        // All gates at once, which a reader inside one would keep.
        goes(&mut other, "BEGIN");
        goes(&mut other, "COMMIT @");
    }
    let answer = stuck.answer().unwrap();
    assert!(answer["entries"].as_object().unwrap().len() >= 64);
}
