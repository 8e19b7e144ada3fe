//! Any key and any value come back, however they are quoted, and what was put is what is there.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestRunner},
};
use serde_json::Value;
use tresor_testkit::{LineClient, line_client::word, random};

use crate::{
    goes,
    running::{line_client, server},
};

/// The bytes that an answer's value stands for.
fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        other => STANDARD.decode(other["base64"].as_str().expect("base64")).expect("base64"),
    }
}

fn key_of(text: &str) -> Vec<u8> {
    match text.strip_prefix("base64:") {
        Some(encoded) => STANDARD.decode(encoded).expect("base64"),
        None => text.as_bytes().to_vec(),
    }
}

fn comes_back(client: &mut LineClient, key: &[u8], value: &[u8]) {
    goes(client, &format!("PUT {} {}", word(key), word(value)));
    let answer = goes(client, &format!("GET {}", word(key)));
    assert_eq!(bytes_of(&answer["value"]), value);
    assert_eq!(key_of(answer["key"].as_str().expect("a text")), key);
}

#[test]
fn any_bytes_come_back_through_quotes() {
    let server = server();
    let client = std::cell::RefCell::new(line_client(&server));
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let bytes = || vec(any::<u8>(), 0..200);
    runner
        .run(&(bytes(), bytes()), |(key, value)| {
            comes_back(&mut client.borrow_mut(), &key, &value);
            Ok(())
        })
        .expect("any bytes are a key and a value");
    let mut client = client.into_inner();
    let all: Vec<u8> = (0..=255).collect();
    comes_back(&mut client, &all, &all);
    comes_back(&mut client, b"base64:", b"");
    // Larger than what is written in one piece.
    for value in [vec![0xff; 200_000], vec![1; 200_000], "é".repeat(100_001).into_bytes()] {
        comes_back(&mut client, b"large", &value);
    }
}

#[test]
fn what_is_put_and_committed_is_what_is_there() {
    let server = server();
    let mut client = line_client(&server);
    let seed = random::seed("what_is_put_and_committed_is_what_is_there");
    let mut random = random::Random::new(seed);
    let mut committed = BTreeMap::new();
    for round in 0..60 {
        goes(&mut client, "BEGIN");
        // What is there after each step, the newest last.
        let mut states = vec![committed.clone()];
        for _ in 0..random.index(12) {
            let mut state = states.last().expect("there is always one").clone();
            let key = format!("k{}", random.below(6));
            match random.below(5) {
                0 if states.len() > 1 => {
                    goes(&mut client, "ROLLBACK @");
                    states.pop();
                    continue;
                }
                1 => {
                    let deleted = goes(&mut client, &format!("DEL {key} @"))["deleted"] == 1;
                    assert_eq!(deleted, state.remove(&key).is_some());
                    if !deleted {
                        continue;
                    }
                }
                2 => {
                    let value = client.ask(&format!("GET {key} @")).expect("it answers")["value"].clone();
                    assert_eq!(value.as_str(), state.get(&key).map(String::as_str));
                    continue;
                }
                _ => {
                    let value = format!("v{}", random.number());
                    goes(&mut client, &format!("PUT {key} {value} @"));
                    state.insert(key, value);
                }
            }
            states.push(state);
        }
        if random.one_in(3) {
            goes(&mut client, "ABORT @");
        } else {
            goes(&mut client, "COMMIT @");
            committed = states.pop().expect("there is always one");
        }
        let shown = goes(&mut client, "SHOWALL");
        assert_eq!(shown["entries"], serde_json::to_value(&committed).expect("texts"), "round {round}");
    }
}
