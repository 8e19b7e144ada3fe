//! `/v1/command`: shapes of requests and answers, what is refused, pipelines, and several commands as one step.

use std::{sync::Arc, thread};

use serde_json::{Value, json};
use tresor::{Config, engine::Engine};
use tresor_testkit::{LaterEngine, ModelEngine, deadline::wait_until};

use crate::{
    client::{Answer, Client},
    running::{Running, Setup, server},
    table::{row, run},
};

const JSON: &str = "Content-Type: application/json";
const ONE: &str = "/v1/command";
const PIPELINE: &str = "/v1/command/pipeline";
const MULTI_EXEC: &str = "/v1/command/multi-exec";

/// Over the model, and over one whose answers come later.
fn servers() -> [Running; 2] {
    let later: Arc<dyn Engine> = Arc::new(LaterEngine::new(Arc::new(ModelEngine::new())));
    [Arc::new(ModelEngine::new()), later].map(|engine| Setup { engine, ..Setup::default() }.start())
}

fn post(client: &mut Client, target: &str, body: &Value) -> Answer {
    client.request("POST", target, &[JSON], body.to_string().as_bytes())
}

/// What is answered to a request that is well formed.
fn done(client: &mut Client, target: &str, body: &Value) -> Value {
    let answer = post(client, target, body);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/json"),
        "{}",
        answer.text()
    );
    serde_json::from_slice(&answer.body).unwrap()
}

/// The error of a request, which is 400.
fn failed(client: &mut Client, target: &str, body: &Value) -> String {
    let answer = post(client, target, body);
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (400, "application/json"),
        "{}",
        answer.text()
    );
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    document["error"].as_str().unwrap().to_owned()
}

#[test]
fn one_command_is_answered_with_its_result() {
    for server in servers() {
        let mut client = server.client();
        for (command, result) in [
            (json!(["SET", "k", "v", "EX", 10]), json!("OK")),
            (json!(["get", "k"]), json!("v")),
            (json!(["GET", "absent"]), Value::Null),
            (json!(["ttl", "k"]), json!(10)),
            (json!(["SET", "flag", true]), json!("OK")),
            (json!(["SET", "number", 1.5]), json!("OK")),
            (json!(["SET", "bytes", { "base64": "/wA=" }]), json!("OK")),
            (json!(["MGET", "flag", "number", "bytes"]), json!(["true", "1.5", { "base64": "/wA=" }])),
            (json!(["PING"]), json!("PONG")),
            (json!(["CONFIG", "GET", "maxmemory"]), json!(["maxmemory", "0"])),
            (json!(["SCAN", 0, "MATCH", "nothing*"]), json!(["0", []])),
            (json!(["STRLEN", "bytes"]), json!(2)),
        ] {
            assert_eq!(done(&mut client, ONE, &command), json!({ "result": result }), "{command}");
        }
        let spelt = client.request("POST", ONE, &[JSON], br#"["SET","number",1.50e0]"#);
        assert_eq!(spelt.text(), r#"{"result":"OK"}"#);
        assert_eq!(client.request("GET", "/keys/number", &[], b"").body, b"1.50e0");
    }
}

#[test]
fn strings_are_base64_for_those_who_ask() {
    let server = server();
    let mut client = server.client();
    done(&mut client, ONE, &json!(["SET", "k", "OK"]));
    let headers = [JSON, "Upstash-Encoding: base64"];
    for (command, answer) in [
        (json!(["SET", "l", "\u{e9}"]), r#"{"result":"OK"}"#),
        (json!(["GET", "k"]), r#"{"result":"T0s="}"#),
        (json!(["MGET", "l", "x"]), r#"{"result":["w6k=",null]}"#),
        (json!(["PING"]), r#"{"result":"UE9ORw=="}"#),
    ] {
        let got = client.request("POST", ONE, &headers, command.to_string().as_bytes());
        assert_eq!(got.text(), answer, "{command}");
    }
    let errors = client.request("POST", PIPELINE, &headers, br#"[["INCR","k"],["GET","k"]]"#);
    let error = "ERR value is not an integer or out of range";
    assert_eq!(errors.text(), format!(r#"[{{"error":"{error}"}},{{"result":"T0s="}}]"#));
}

#[test]
fn databases_are_chosen_in_the_query() {
    let server = server();
    let mut client = server.client();
    done(&mut client, "/v1/command?db=3", &json!(["SET", "k", "three"]));
    assert_eq!(done(&mut client, ONE, &json!(["GET", "k"])), json!({ "result": null }));
    let both = json!([["GET", "k"], ["DBSIZE"]]);
    for target in ["/v1/command/pipeline?db=3", "/v1/command/multi-exec?db=3"] {
        assert_eq!(done(&mut client, target, &both), json!([{ "result": "three" }, { "result": 1 }]));
    }
    assert_eq!(client.request("GET", "/keys/k", &[], b"").status, 404);
}

#[test]
fn commands_about_a_connection_are_refused() {
    let server = server();
    let mut client = server.client();
    for command in [
        json!(["SELECT", 3]),
        json!(["AUTH", "password"]),
        json!(["HELLO", 3]),
        json!(["MULTI"]),
        json!(["EXEC"]),
        json!(["DISCARD"]),
        json!(["WATCH", "k"]),
        json!(["SUBSCRIBE", "news"]),
        json!(["PSUBSCRIBE", "n*"]),
        json!(["UNSUBSCRIBE"]),
        json!(["MONITOR"]),
        json!(["QUIT"]),
        json!(["RESET"]),
        json!(["CLIENT", "REPLY", "OFF"]),
        json!(["client", "setname", "x"]),
        json!(["TRESOR.BEGIN"]),
    ] {
        let error = failed(&mut client, ONE, &command);
        assert!(error.starts_with("ERR ") && error.contains("is about the connection"), "{command}: {error}");
        let each = done(&mut client, PIPELINE, &json!([command, ["PING"]]));
        assert_eq!((&each[0]["error"], &each[1]["result"]), (&json!(error), &json!("PONG")));
        let aborted = failed(&mut client, MULTI_EXEC, &json!([["SET", "k", 1], command]));
        assert!(aborted.starts_with("EXECABORT ") && aborted.contains("commands[1]: ERR"), "{aborted}");
    }
    assert_eq!(done(&mut client, ONE, &json!(["DBSIZE"])), json!({ "result": 0 }));
    assert_eq!(done(&mut client, ONE, &json!(["CLIENT", "LIST"])), json!({ "result": "" }));
}

#[test]
fn errors_are_those_of_redis() {
    let server = server();
    let mut client = server.client();
    done(&mut client, ONE, &json!(["SET", "text", "x"]));
    for (command, error) in [
        (json!(["NOSUCH", "a"]), "ERR unknown command 'NOSUCH', with args beginning with: 'a' "),
        (json!(["GET"]), "ERR wrong number of arguments for 'get' command"),
        (json!(["INCR", "text"]), "ERR value is not an integer or out of range"),
        (json!(["SET", "k", "v", "EX", 0]), "ERR invalid expire time in 'set' command"),
    ] {
        assert_eq!(failed(&mut client, ONE, &command), error);
    }
    let several = json!([["INCR", "text"], ["INCR", "n"], ["NOSUCH"]]);
    let answers = done(&mut client, PIPELINE, &several);
    assert_eq!(answers[0]["error"], "ERR value is not an integer or out of range");
    assert_eq!(answers[1], json!({ "result": 1 }));
    assert!(answers[2]["error"].as_str().unwrap().starts_with("ERR unknown command"), "{answers}");
}

#[test]
fn bad_requests_are_told_in_both_ways() {
    let server =
        Setup { config: Config { max_value_bytes: 1000, ..Config::memory() }, ..Setup::default() }.start();
    server.database.settings().set_password(Some(b"secret"));
    const SHOWN: &[&str] = &[JSON, "Authorization: Bearer secret"];
    for (target, body, status) in [
        (ONE, "", 400),
        (ONE, "{", 400),
        (ONE, "[]", 400),
        (ONE, "{}", 400),
        (ONE, "[null]", 400),
        (ONE, r#"["GET",["k"]]"#, 400),
        (ONE, r#"["GET",{"a":1}]"#, 400),
        (ONE, r#"["GET",{"base64":"!"}]"#, 400),
        (ONE, r#"["GET","\ud800"]"#, 400),
        (ONE, r#"[["GET","k"]]"#, 400),
        (PIPELINE, r#"["GET","k"]"#, 400),
        (PIPELINE, r#"[["GET","k"],[]]"#, 400),
        (MULTI_EXEC, r#"[["GET","k"],3]"#, 400),
        ("/v1/command?db=99", r#"["GET","k"]"#, 400),
    ] {
        let answer = server.client().request("POST", target, SHOWN, body.as_bytes());
        assert_eq!(answer.status, status, "{target} {body}: {}", answer.text());
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let detail = problem["detail"].as_str().unwrap();
        assert_eq!(problem["error"], format!("ERR {detail}"));
        let index =
            detail.strip_prefix("commands[").map_or(Value::Null, |rest| json!(rest.starts_with('1') as u8));
        assert_eq!(problem["index"], index, "{detail}");
    }
    let refused = server.client().request("POST", ONE, &[JSON], b"[\"PING\"]");
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains(r#""error":"NOAUTH a password is needed""#), "{}", refused.text());
    run(
        &server,
        &[
            row("POST", ONE, b"[\"PING\"]", 200).headers(SHOWN).answers(br#"{"result":"PONG"}"#),
            row("POST", ONE, b"[\"PING\"]", 415).headers(&["Authorization: Bearer secret"]),
            row("GET", ONE, b"", 405).headers(SHOWN).has(&["allow: POST"]),
            row("POST", "/v1/command/", b"[]", 404).headers(SHOWN),
            row("POST", "/v1/command/subscribe/news", b"[]", 404).headers(SHOWN),
            row("POST", ONE, b"[\"PING\"]", 403).headers(&[JSON, "Origin: http://evil.example"]),
        ],
    );
}

#[test]
fn pipelines_are_long_but_not_endless() {
    for server in servers() {
        let mut client = server.client();
        let commands: Vec<Value> = (0..10_000).map(|_| json!(["INCR", "n"])).collect();
        let answers = done(&mut client, PIPELINE, &json!(commands));
        assert_eq!(answers.as_array().unwrap().len(), 10_000);
        assert_eq!(answers[9_999], json!({ "result": 10_000 }));
        assert_eq!(done(&mut client, PIPELINE, &json!([])), json!([]));
        assert_eq!(done(&mut client, MULTI_EXEC, &json!([])), json!([]));
        for target in [PIPELINE, MULTI_EXEC] {
            let too_many: Vec<Value> = (0..10_001).map(|_| json!(["INCR", "n"])).collect();
            assert_eq!(post(&mut client, target, &json!(too_many)).status, 413);
        }
        let words = format!("[\"DEL\"{}]", ",1".repeat(1024 * 1024));
        assert_eq!(client.request("POST", ONE, &[JSON], words.as_bytes()).status, 413);
        assert_eq!(client.request("GET", "/keys/n", &[], b"").body, b"10000");
    }
}

#[test]
fn answers_are_limited() {
    let server = server();
    let mut client = server.client();
    let value = vec![b'x'; 16 * 1024 * 1024];
    assert_eq!(client.request("PUT", "/keys/large", &[], &value).status, 201);
    // 128 MiB and the one that goes over them are answered, none behind.
    let mut commands = vec![json!(["GET", "large"]); 9];
    commands.push(json!(["INCR", "n"]));
    let answer = post(&mut client, PIPELINE, &json!(commands));
    assert_eq!(answer.status, 413, "{}", answer.body.len());
    assert_eq!(client.request("GET", "/keys/n", &[], b"").status, 404);
    let commands = vec![json!(["GET", "large"]); 7];
    let answers = done(&mut client, PIPELINE, &json!(commands));
    assert!(
        answers.as_array().unwrap().iter().all(|each| each["result"].as_str().unwrap().len() == value.len())
    );
}

#[test]
fn several_commands_are_one_step() {
    const ROUNDS: usize = 200;
    for server in servers() {
        let transfer = |from: &str, to: &str| {
            let mut client = server.client();
            for _ in 0..ROUNDS {
                let step = json!([["DECR", from], ["INCR", to], ["MGET", "a", "b"]]);
                let answers = done(&mut client, MULTI_EXEC, &step);
                let sum: i64 = (answers[2]["result"].as_array().unwrap().iter())
                    .map(|number| number.as_str().map_or(0, |number| number.parse().unwrap()))
                    .sum();
                assert_eq!(sum, 0, "{answers}");
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| transfer("a", "b"));
            scope.spawn(|| transfer("b", "a"));
        });
        let mut client = server.client();
        let failing = json!([["SET", "t", "x"], ["INCR", "t"], ["GET", "t"]]);
        let answers = done(&mut client, MULTI_EXEC, &failing);
        assert_eq!(answers[2], json!({ "result": "x" }));
        assert!(
            answers[1]["error"].as_str().unwrap().starts_with("ERR value is not an integer"),
            "{answers}"
        );
        // After one that was refused the connection goes on, with nothing queued.
        let aborted = failed(&mut client, MULTI_EXEC, &json!([["SET", "t", "y"], ["NOSUCH"]]));
        assert!(
            aborted.starts_with("EXECABORT Transaction discarded because of previous errors."),
            "{aborted}"
        );
        assert_eq!(done(&mut client, ONE, &json!(["GET", "t"])), json!({ "result": "x" }));
    }
}

#[test]
fn a_pause_holds_commands_back() {
    let server = Setup { workers: 2, ..Setup::default() }.start();
    done(&mut server.client(), ONE, &json!(["CLIENT", "PAUSE", 60_000, "WRITE"]));
    thread::scope(|scope| {
        let writer = scope.spawn(|| done(&mut server.client(), ONE, &json!(["SET", "k", "v"])));
        let mut client = server.client();
        for _ in 0..100 {
            assert_eq!(done(&mut client, ONE, &json!(["GET", "k"])), json!({ "result": null }));
        }
        done(&mut client, ONE, &json!(["CLIENT", "UNPAUSE"]));
        assert_eq!(writer.join().unwrap(), json!({ "result": "OK" }));
        wait_until("the write to be there", || {
            done(&mut client, ONE, &json!(["GET", "k"])) == json!({ "result": "v" })
        });
    });
}

#[test]
fn a_server_that_stops_does_not_wait_for_a_pause() {
    let server = server();
    done(&mut server.client(), ONE, &json!(["CLIENT", "PAUSE", 600_000, "ALL"]));
    thread::scope(|scope| {
        let mut client = server.client();
        client.send(&crate::client::request("POST", ONE, &[JSON], b"[\"GET\",\"k\"]"));
        scope.spawn(|| server.stop());
        assert_eq!(client.answer_to("POST").map_or(503, |answer| answer.status), 503);
    });
}
