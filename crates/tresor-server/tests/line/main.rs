//! The line protocol over real sockets: what it answers, to the letter, and what it survives.

mod bad_input;
mod commands;
mod connection;
mod documented;
mod durability;
mod everything;
mod find;
mod password;
mod quoting;
#[path = "../running/mod.rs"]
mod running;
mod transactions;

use serde_json::Value;
use tresor_testkit::LineClient;

/// Sends lines one after another and compares each answer to the letter.
#[track_caller]
fn holds(client: &mut LineClient, steps: &[(&str, &str)]) {
    for (line, wanted) in steps {
        let answered = client.text(line).expect("the server answers");
        assert_eq!(&answered, wanted, "to {line}");
    }
}

/// The code of an answer, which has to be an error in its full form.
#[track_caller]
fn code(answer: &Value) -> &str {
    assert_eq!(answer["status"], "Error", "{answer}");
    assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    assert_eq!(answer.as_object().expect("an object").len(), 3, "{answer}");
    answer["code"].as_str().expect("a code")
}

/// Sends a line that has to fail; the code.
#[track_caller]
fn fails(client: &mut LineClient, line: &str) -> String {
    let answer = client.ask(line).expect("the server answers");
    code(&answer).to_owned()
}

/// Sends a line that has to go well; the answer.
#[track_caller]
fn goes(client: &mut LineClient, line: &str) -> Value {
    let answer = client.ask(line).expect("the server answers");
    assert_eq!(answer["status"], "Ok", "{line}: {answer}");
    answer
}

const OK: &str = r#"{"status":"Ok"}"#;
