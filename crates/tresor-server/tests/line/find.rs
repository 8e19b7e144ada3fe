//! FIND: the same queries as everywhere, one JSON object a line.

use tresor::{Value, config::TransactionLimits};

use crate::{
    OK, fails, goes, holds,
    running::{line_client, server, server_limited},
};

#[test]
fn queries_answer_to_the_letter() {
    let server = server();
    let mut client = line_client(&server);
    holds(
        &mut client,
        &[
            ("FIND", r#"{"status":"Ok","entries":[]}"#),
            ("PUT user:1 10", OK),
            ("PUT user:2 9.5", OK),
            ("PUT user:3 text", OK),
            (
                "find prefix user: limit 5",
                r#"{"status":"Ok","entries":[{"key":"user:1"},{"key":"user:2"},{"key":"user:3"}]}"#,
            ),
            (
                "FIND PREFIX user: VALUE_FROM 9 WITHVALUES",
                r#"{"status":"Ok","entries":[{"key":"user:1","value":"10"},{"key":"user:2","value":"9.5"}],"skipped":1}"#,
            ),
            (
                r#"FIND REGEX "^user:[12]$" ORDER DESC EXPLAIN"#,
                r#"{"status":"Ok","entries":[{"key":"user:2"},{"key":"user:1"}],"plan":{"reads":"keys >= \"user:\", < \"user;\"","order":"desc","values":"none","index":"none"}}"#,
            ),
            (
                "FIND PREFIX user: NEAREST 9 LIMIT 1",
                r#"{"status":"Ok","entries":[{"key":"user:2","distance":0.5}],"skipped":1}"#,
            ),
        ],
    );
    let first = goes(&mut client, "FIND LIMIT 2");
    let cursor = first["cursor"].as_str().expect("there is more");
    holds(
        &mut client,
        &[(&format!("FIND LIMIT 1 CURSOR {cursor}"), r#"{"status":"Ok","entries":[{"key":"user:3"}]}"#)],
    );
}

#[test]
fn what_is_said_wrong_leaves_the_connection_open() {
    let server = server();
    let mut client = line_client(&server);
    for line in
        ["FIND LIMIT -1", "FIND COLOUR red", "FIND PREFIX", "FIND REGEX (", "FIND CURSOR x", "FIND DRYRUN"]
    {
        assert_eq!(fails(&mut client, line), "Invalid", "{line}");
    }
    // No word is left out in silence.
    assert_eq!(fails(&mut client, &format!("FIND{}", " KEY k".repeat(501))), "Invalid");
    goes(&mut client, &format!("FIND{}", " KEY k".repeat(500)));
    goes(&mut client, "PING");
}

#[test]
fn large_values_and_stored_line_breaks_stay_on_one_line() {
    let (server, database) = server_limited(TransactionLimits::default());
    let mut client = line_client(&server);
    let large = "x".repeat(1 << 20);
    goes(&mut client, &format!("PUT large {large}"));
    let json = Value::from_json_text("{\"a\":\n1}").expect("it is JSON");
    database.put("json", json).expect("a put");
    let found = goes(&mut client, "FIND WITHVALUES");
    assert_eq!(found["entries"][0]["value"]["a"], 1);
    assert_eq!(found["entries"][1]["value"], large);
}
