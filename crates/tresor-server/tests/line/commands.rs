//! Each command and each form of its answer.

use crate::{
    OK, fails, goes, holds,
    running::{client, line_client, server},
};

#[test]
fn a_session_as_it_is_typed() {
    let server = server();
    let mut client = line_client(&server);
    let house = r#"{"status":"Ok","key":"house","value":"large"}"#;
    holds(
        &mut client,
        &[
            ("BEGIN", r#"{"status":"Ok","transaction_id":1}"#),
            ("PUT nameofkey value999 1", OK),
            ("GET nameofkey 1", r#"{"status":"Ok","key":"nameofkey","value":"value999"}"#),
            ("BEGIN", r#"{"status":"Ok","transaction_id":2}"#),
            ("PUT house large 2", OK),
            ("PUT house small 2", OK),
            ("ROLLBACK 2", house),
            ("GET house 2", house),
            ("DEL 2", r#"{"status":"Ok","deleted":1}"#),
            ("COMMITALL", r#"{"status":"Ok","committed":2}"#),
            ("SHOWALL", r#"{"status":"Ok","entries":{"nameofkey":"value999"},"transactions":[]}"#),
        ],
    );
}

#[test]
fn plain_commands_answer_to_the_letter() {
    let server = server();
    holds(
        &mut line_client(&server),
        &[
            ("PING", r#"{"status":"Ok","message":"PONG"}"#),
            ("ping", r#"{"status":"Ok","message":"PONG"}"#),
            ("GET k", r#"{"status":"Error","code":"NotFound","message":"no such key"}"#),
            ("PUT k v", OK),
            ("get k", r#"{"status":"Ok","key":"k","value":"v"}"#),
            ("PUT k \"two words\"", OK),
            ("GET k", r#"{"status":"Ok","key":"k","value":"two words"}"#),
            ("DEL k", r#"{"status":"Ok","deleted":1}"#),
            ("DEL k", r#"{"status":"Ok","deleted":0}"#),
            ("PUT \"\" \"\"", OK),
            ("GET \"\"", r#"{"status":"Ok","key":"","value":""}"#),
            (r#"PUT "\xff" "\xfe""#, OK),
            (r#"GET "\xff""#, r#"{"status":"Ok","key":"base64:/w==","value":{"base64":"/g=="}}"#),
            ("COMMITALL", r#"{"status":"Ok","committed":0}"#),
        ],
    );
}

#[test]
fn transactions_answer_to_the_letter() {
    let server = server();
    let unknown = r#"{"status":"Error","code":"UnknownTransaction","message":"no such transaction"}"#;
    let nothing = r#"{"status":"Error","code":"NothingToUndo","message":"nothing to undo"}"#;
    holds(
        &mut line_client(&server),
        &[
            ("BEGIN", r#"{"status":"Ok","transaction_id":1}"#),
            ("ROLLBACK 1", nothing),
            ("PUT k v 1", OK),
            ("GET other 1", r#"{"status":"Error","code":"NotFound","message":"no such key"}"#),
            ("ROLLBACK 1", r#"{"status":"Ok","key":"k","value":null}"#),
            ("PUT k v @", OK),
            ("DEL k 1", r#"{"status":"Ok","deleted":1}"#),
            ("DEL k 1", r#"{"status":"Ok","deleted":0}"#),
            ("ROLLBACK @", r#"{"status":"Ok","key":"k","value":"v"}"#),
            ("COMMIT 1", OK),
            ("COMMIT 1", unknown),
            ("COMMIT @", unknown),
            ("BEGIN", r#"{"status":"Ok","transaction_id":2}"#),
            ("PUT k w 2", OK),
            ("ABORT 2", OK),
            ("ABORT 2", unknown),
            ("ROLLBACK 2", unknown),
            ("GET k", r#"{"status":"Ok","key":"k","value":"v"}"#),
        ],
    );
}

#[test]
fn del_of_one_word_tells_a_transaction_from_a_key() {
    let server = server();
    let mut client = line_client(&server);
    let (one, none) = (r#"{"status":"Ok","deleted":1}"#, r#"{"status":"Ok","deleted":0}"#);
    for line in ["PUT 2 v", "PUT \"@\" v", "PUT 7 v", "BEGIN", "BEGIN"] {
        goes(&mut client, line);
    }
    holds(
        &mut client,
        &[
            // The second transaction, which has written nothing.
            ("DEL 2", none),
            ("DEL @", none),
            ("DEL \"2\"", one),
            ("DEL \"@\"", one),
            ("PUT 7 w 1", OK),
            // With two words the first is the key.
            ("DEL 7 1", one),
            ("DEL @ 1", none),
            ("ABORT 1", OK),
        ],
    );
    assert_eq!(fails(&mut client, "DEL 7"), "UnknownTransaction");
    assert_eq!(fails(&mut client, "DEL 1"), "UnknownTransaction");
    assert_eq!(fails(&mut client, "DEL 99999999999999999999999"), "UnknownTransaction");
    holds(&mut client, &[("GET 7", r#"{"status":"Ok","key":"7","value":"v"}"#)]);
}

#[test]
fn del_of_a_transaction_can_be_undone_key_by_key() {
    let server = server();
    let mut client = line_client(&server);
    for line in ["PUT a 0", "BEGIN", "PUT a 1 1", "PUT b 1 1", "PUT c 1 1", "DEL b 1"] {
        goes(&mut client, line);
    }
    holds(
        &mut client,
        &[
            ("DEL 1", r#"{"status":"Ok","deleted":2}"#),
            ("ROLLBACK 1", r#"{"status":"Ok","key":"c","value":"1"}"#),
            ("ROLLBACK 1", r#"{"status":"Ok","key":"a","value":"1"}"#),
            ("ROLLBACK 1", r#"{"status":"Ok","key":"b","value":"1"}"#),
            ("DEL 1", r#"{"status":"Ok","deleted":3}"#),
            ("COMMIT 1", OK),
            ("SHOWALL", r#"{"status":"Ok","entries":{},"transactions":[]}"#),
        ],
    );
}

#[test]
fn a_database_is_chosen_for_a_connection() {
    let server = server();
    let (mut first, mut second) = (line_client(&server), line_client(&server));
    for line in ["SELECT 15", "PUT k v", "BEGIN", "PUT t u 1", "SELECT 0", "PUT z y 1"] {
        goes(&mut first, line);
    }
    assert_eq!(fails(&mut second, "GET k"), "NotFound");
    holds(
        &mut second,
        &[
            (
                "SHOWALL",
                r#"{"status":"Ok","entries":{},"transactions":[{"transaction_id":1,"writes":{"z":"y"}}]}"#,
            ),
            ("SELECT 15", OK),
            (
                "SHOWALL",
                r#"{"status":"Ok","entries":{"k":"v"},"transactions":[{"transaction_id":1,"writes":{"t":"u"}}]}"#,
            ),
            ("GET k", r#"{"status":"Ok","key":"k","value":"v"}"#),
        ],
    );
    // What a transaction has written goes in each of its databases.
    holds(&mut first, &[("DEL 1", r#"{"status":"Ok","deleted":2}"#)]);
    for number in ["16", "-1", "x", "\"\"", "256", "99999999999999999999"] {
        assert_eq!(fails(&mut second, &format!("SELECT {number}")), "Invalid", "{number}");
    }
    holds(&mut second, &[("GET k", r#"{"status":"Ok","key":"k","value":"v"}"#)]);
}

#[test]
fn help_shows_every_command() {
    let server = server();
    let answer = goes(&mut line_client(&server), "HELP");
    let commands = answer["commands"].as_array().expect("a list");
    let names: Vec<_> = commands.iter().map(|command| command["name"].as_str().expect("a name")).collect();
    assert_eq!(
        names,
        [
            "BEGIN",
            "PUT",
            "GET",
            "FIND",
            "DEL",
            "ROLLBACK",
            "ABORT",
            "COMMIT",
            "COMMITALL",
            "SHOWALL",
            "AUTH",
            "PING",
            "SELECT",
            "HELP",
            "QUIT"
        ]
    );
    for command in commands {
        for member in ["syntax", "summary", "answer"] {
            assert!(command[member].as_str().is_some_and(|text| !text.is_empty()), "{command}");
        }
    }
    assert_eq!(commands[1]["syntax"], "PUT key value [id]");
    assert_eq!(commands[4]["syntax"], "DEL key [id] | DEL id");
}

#[test]
fn values_of_other_doors_are_shown_on_one_line() {
    let server = server();
    let (mut line, mut resp) = (line_client(&server), client(&server));
    let stored =
        resp.command(&["TRESOR.PUT", "j", "{\"a\":\n[1,\r\n\"x\\n\"]}", "json"]).expect("it answers");
    assert_eq!(stored.text(), Some("OK"));
    holds(
        &mut line,
        &[
            ("GET j", r#"{"status":"Ok","key":"j","value":{"a": [1,  "x\n"]}}"#),
            ("SHOWALL", r#"{"status":"Ok","entries":{"j":{"a": [1,  "x\n"]}},"transactions":[]}"#),
        ],
    );
}
