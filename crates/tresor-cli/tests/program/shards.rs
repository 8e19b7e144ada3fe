//! Shards from outside: a configuration that names them, what is refused, and shards that come and go.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tresor_testkit::{Server, TemporaryDirectory, deadline, tresor_program};

use crate::{refused, tresor};

const KEYS: usize = 300;

/// A table of the configuration file.
fn table(directory: &TemporaryDirectory, name: &str, engine: &str, path: &str) -> String {
    let path = directory.join(path);
    format!("[[shard]]\nname = \"{name}\"\nengine = \"{engine}\"\nstore-path = \"{}\"\n", path.display())
}

/// A configuration file with these tables.
fn file(directory: &TemporaryDirectory, tables: &str) -> String {
    let path = directory.join("tresor.toml");
    let layer = directory.join("layer");
    let text = format!("store-path = \"{}\"\n{tables}", layer.display());
    fs::write(&path, text).expect("the temporary directory takes a file");
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}

fn fill(server: &Server) {
    let commands: Vec<_> = (0..KEYS)
        .map(|number| {
            vec![b"SET".to_vec(), format!("key{number}").into_bytes(), number.to_string().into_bytes()]
        })
        .collect();
    let replies = server.resp().pipeline(&commands).expect("the server answers");
    assert!(replies.iter().all(|reply| reply.text() == Some("OK")));
}

#[track_caller]
fn assert_full(server: &Server) {
    let commands: Vec<_> =
        (0..KEYS).map(|number| vec![b"GET".to_vec(), format!("key{number}").into_bytes()]).collect();
    let replies = server.resp().pipeline(&commands).expect("the server answers");
    for (number, reply) in replies.iter().enumerate() {
        assert_eq!(reply.text(), Some(number.to_string().as_str()), "key{number}");
    }
}

/// Runs `tresor shards` against a server.
#[track_caller]
fn shards(server: &Server, code: i32, words: &[&str]) -> tresor_program::Finished {
    let url = server.url("");
    let finished = tresor_program::run(&[&["shards"], words, &["--server", &url]].concat(), b"");
    assert_eq!(finished.code, Some(code), "{words:?}: {finished:?}");
    finished
}

#[track_caller]
fn status(server: &Server) -> Value {
    let text = shards(server, 0, &["list", "--json"]).stdout;
    serde_json::from_str(&text).expect("it is JSON")
}

/// Names and weights.
#[track_caller]
fn weights(server: &Server) -> Vec<(String, u64)> {
    let status = status(server);
    let listed = status["shards"].as_array().expect("a list");
    let one = |shard: &Value| {
        assert_eq!(shard["weight"], shard["next_weight"], "nothing moves: {status}");
        (shard["name"].as_str().expect("a name").to_owned(), shard["weight"].as_u64().expect("a number"))
    };
    listed.iter().map(one).collect()
}

fn of(weights: &[(&str, u64)]) -> Vec<(String, u64)> {
    weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect()
}

#[test]
fn check_config_prints_the_shards_back() {
    let directory = TemporaryDirectory::new("shards");
    let tables = [
        table(&directory, "a", "disk", "a"),
        table(&directory, "b", "sqlite", "b.db") + "weight = 3\n",
        "[[shard]]\nname = \"c\"\nengine = \"memory\"\n".to_owned(),
    ];
    let config = file(&directory, &tables.concat());
    let first = tresor(&["serve", "--check-config", "--cache-capacity", "5", "--config", &config]).stdout;
    assert!(first.starts_with("# cached(5) > sharded(disk, sqlite, memory)\n"), "{first}");
    let printed = directory.join("printed.toml");
    fs::write(&printed, &first).expect("the temporary directory takes a file");
    let printed = printed.to_str().expect("temporary paths are UTF-8");
    assert_eq!(tresor(&["serve", "--check-config", "--config", printed]).stdout, first);
    let parsed: toml::Table = first.parse().expect("the output is TOML");
    let weights: Vec<_> =
        parsed["shard"].as_array().expect("tables").iter().map(|one| &one["weight"]).collect();
    assert_eq!(weights, [&toml::Value::Integer(1), &toml::Value::Integer(3), &toml::Value::Integer(1)]);
    assert!(!directory.join("layer").exists(), "nothing was opened");
}

#[test]
fn what_contradicts_itself_is_refused_before_anything_is_opened() {
    let directory = TemporaryDirectory::new("shards");
    let (a, b) = (table(&directory, "a", "disk", "a"), table(&directory, "b", "json", "b.json"));
    let says = |tables: &str, further: &[&str], words: &[&str]| {
        let config = file(&directory, tables);
        let stderr = refused(
            2,
            &[&["serve", "--port", "0", "--resp-port", "0", "--config", &config], further].concat(),
        );
        for word in words {
            assert!(stderr.contains(word), "no {word:?} in: {stderr}");
        }
    };
    says(&a, &["--engine", "disk"], &["--engine", "[[shard]]"]);
    says(&a, &["--mode", "1"], &["--mode", "[[shard]]"]);
    says(&table(&directory, "a", "cassandra", "a"), &[], &["[[shard]] a", "Cassandra"]);
    says("[[shard]]\nname = \"a\"\nengine = \"sqlite\"\n", &[], &["[[shard]] a", "store-path"]);
    says(&[&*a, &*table(&directory, "a", "json", "b.json")].concat(), &[], &["[[shard]] a", "this name"]);
    says(
        &[&*a, &*table(&directory, "b", "json", "./a")].concat(),
        &[],
        &["[[shard]] b", "shard a", "store-path"],
    );
    says(&table(&directory, "a", "disk", "layer"), &[], &["[[shard]] a", "--store-path"]);
    says(&table(&directory, "a", "disk", "layer/ring"), &[], &["[[shard]] a", "--store-path"]);
    says(&[&*a, "size = 3\n"].concat(), &[], &["line 6", "size"]);
    says(&[&*a, &*b, "weight = \"heavy\"\n"].concat(), &[], &["line 10", "invalid type"]);
    says(&table(&directory, "a", "tape", "a"), &[], &["line 4", "tape"]);
    says(&[&*a, &*b].concat(), &["--max-memory", "1MiB", "--cache-capacity", "3"], &["--cache-capacity"]);
    says(&a, &["--max-memory", "1MiB"], &["--max-memory", "none of the shards"]);
    let alone = directory.join("alone.toml");
    fs::write(&alone, &b).expect("the temporary directory takes a file");
    let alone = alone.to_str().expect("temporary paths are UTF-8");
    let stderr = refused(2, &["serve", "--port", "0", "--resp-port", "0", "--config", alone]);
    assert!(stderr.contains("[[shard]] b") && stderr.contains("--store-path"), "{stderr}");
    for made in ["a", "b.json", "layer"] {
        assert!(!directory.join(made).exists(), "{made} was made");
    }
    // What only opening tells.
    let config = file(&directory, &[&*a, "weight = 0\n"].concat());
    let stderr = refused(1, &["serve", "--port", "0", "--resp-port", "0", "--config", &config]);
    assert!(stderr.contains("shard a") && stderr.contains("weight"), "{stderr}");
}

#[test]
fn shards_are_added_weighed_and_removed_and_the_next_start_knows_them() {
    let directory = TemporaryDirectory::new("shards");
    let tables = [table(&directory, "a", "disk", "a"), table(&directory, "b", "sqlite", "b.db")].concat();
    let config = file(&directory, &tables);
    let start = || Server::start(&["--config", &config]);
    let mut server = start();
    fill(&server);
    assert_eq!(weights(&server), of(&[("a", 1), ("b", 1)]));

    let tried = shards(&server, 0, &["add", "c", "--engine", "json", "--dry-run", "--json"]).stdout;
    let tried: Value = serde_json::from_str(&tried).expect("it is JSON");
    let would: u64 =
        tried["moves"].as_array().expect("a list").iter().map(|one| one["keys"].as_u64().unwrap()).sum();
    assert!(would > 60 && tried["moves"].as_array().unwrap().iter().all(|one| one["to"] == "c"), "{tried}");
    assert_eq!(weights(&server), of(&[("a", 1), ("b", 1)]));
    assert!(!directory.join("layer/c.json").exists(), "a trial opens nothing");

    let added = shards(&server, 0, &["add", "c", "--engine", "json"]);
    assert!(added.stderr.contains(&format!("moved {would} keys")), "{added:?}");
    assert!(added.stdout.contains("SHARD") && added.stdout.contains("json"), "{added:?}");
    assert_full(&server);
    assert!(server.terminate().success());

    let mut server = start();
    assert_eq!(weights(&server), of(&[("a", 1), ("b", 1), ("c", 1)]));
    assert_full(&server);
    assert!(!server.log().contains("tresor shards rebalance"), "{}", server.log());
    shards(&server, 0, &["rebalance", "--weight", "a=5", "--weight", "c=2"]);
    assert_eq!(weights(&server), of(&[("a", 5), ("b", 1), ("c", 2)]));
    let tried = shards(&server, 0, &["rebalance", "--dry-run"]).stdout;
    assert!(tried.contains("a -> ") && !tried.contains("b -> "), "{tried}");
    server.kill9();

    let server = start();
    assert_full(&server);
    let log = server.log();
    assert!(log.contains("shard a weighs 5, and 1") && log.contains("tresor shards rebalance"), "{log}");
    shards(&server, 0, &["rebalance"]);
    assert_eq!(weights(&server), of(&[("a", 1), ("b", 1), ("c", 1)]));
    for name in ["c", "b"] {
        shards(&server, 0, &["remove", name]);
    }
    assert_eq!(weights(&server), of(&[("a", 1)]));
    assert_full(&server);
    // A shard that comes back in the same run finds its store open.
    shards(&server, 0, &["add", "c", "--engine", "json", "--weight", "2"]);
    assert_eq!(weights(&server), of(&[("a", 1), ("c", 2)]));
    shards(&server, 0, &["remove", "c"]);
    drop(server);

    // Killed after the removal: the store is dropped from the directory's memory. The file's `b` waits.
    let server = start();
    assert_eq!(weights(&server), of(&[("a", 1), ("b", 0)]));
    assert!(server.log().contains("shard b has no keys"), "{}", server.log());
    let remembered = fs::read_to_string(directory.join("layer/added-shards.toml")).expect("it is there");
    assert!(!remembered.contains("name"), "{remembered}");
    assert_full(&server);
    let twice = shards(&server, 1, &["add", "b"]).stderr;
    assert!(twice.contains("409") && twice.contains("rebalance"), "{twice}");
    shards(&server, 0, &["rebalance"]);
    assert_eq!(weights(&server), of(&[("a", 1), ("b", 1)]));
    assert_full(&server);
}

#[test]
fn a_shard_of_the_file_is_added_by_its_name_alone() {
    let directory = TemporaryDirectory::new("shards");
    let a = table(&directory, "a", "memory", "a");
    let config = file(&directory, &a);
    let server = Server::start(&["--config", &config]);
    fill(&server);
    let unknown = shards(&server, 1, &["add", "b"]).stderr;
    assert!(unknown.contains("400") && unknown.contains("[[shard]]"), "{unknown}");
    // The file has changed since the start.
    file(&directory, &[&*a, &*table(&directory, "b", "disk", "elsewhere"), "weight = 2\n"].concat());
    let other = shards(&server, 1, &["add", "b", "--engine", "json"]).stderr;
    assert!(other.contains("engine disk"), "{other}");
    shards(&server, 0, &["add", "b"]);
    assert_eq!(weights(&server), of(&[("a", 1), ("b", 2)]));
    assert!(directory.join("elsewhere").is_dir() && !directory.join("layer/b").exists());
    assert!(!directory.join("layer/added-shards.toml").exists(), "the file knows it");
    drop(server);
    let server = Server::start(&["--config", &config]);
    assert_eq!(weights(&server), of(&[("a", 1), ("b", 2)]));
    assert_full(&server);
}

#[test]
fn a_store_of_one_engine_becomes_a_sharded_one_by_switches() {
    let directory = TemporaryDirectory::new("shards");
    let path = directory.join("one.db");
    let path = path.to_str().expect("temporary paths are UTF-8");
    let mut server = Server::start(&["--engine", "sqlite", "--store-path", path]);
    fill(&server);
    assert!(server.terminate().success());
    let tables =
        [table(&directory, "one", "sqlite", "one.db"), table(&directory, "two", "disk", "two")].concat();
    let config = file(&directory, &tables);
    let server = Server::start(&["--config", &config]);
    assert_full(&server);
    deadline::wait_until("the move to end", || status(&server)["move"]["moving"] == false);
    assert_eq!(weights(&server), of(&[("one", 1), ("two", 1)]));
    assert_full(&server);
}

/// What a request to the server answers.
fn ask(server: &Server, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(server.url(path))
        .header("content-type", "application/json")
        .header("authorization", "Bearer secret");
    let mut answer = match body {
        Some(body) => agent.run(request.body(body.to_string()).expect("a request")),
        None => agent.run(request.body(()).expect("a request")),
    }
    .expect("the server answers");
    let text = answer.body_mut().read_to_string().expect("the answer ends");
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[test]
fn v1_shards_says_what_is_wrong() {
    let directory = TemporaryDirectory::new("shards");
    let config = file(&directory, &table(&directory, "a", "memory", "a"));
    let server = Server::start(&["--config", &config, "--password", "secret"]);
    let asked = |method, path, body: &Value| ask(&server, method, path, Some(body)).0;
    assert_eq!(shards(&server, 1, &["list"]).stderr.matches("401").count(), 1);
    assert_eq!(shards(&server, 0, &["list", "--password", "secret"]).code, Some(0));
    let (code, answer) = ask(&server, "GET", "/v1/shards", None);
    let still = json!({ "moving": false, "keys": 0, "expected_keys": 0, "bytes": 0, "elapsed_ms": 0, "keys_per_second": 0 });
    let a = json!({ "name": "a", "engine": "memory", "weight": 1, "next_weight": 1, "share": 1.0 });
    assert_eq!((code, answer), (200, json!({ "shards": [a], "move": still })));

    for (body, code) in [
        (json!({ "name": "a", "engine": "disk" }), 409),
        (json!({ "name": "b" }), 400),
        (json!({ "name": "../b", "engine": "disk" }), 400),
        (json!({ "name": "b", "engine": "cassandra" }), 400),
        (json!({ "name": "b", "engine": "tape" }), 400),
        (json!({ "name": "b", "engine": "disk", "weight": 0 }), 400),
        (json!({ "name": "b", "engine": "disk", "path": "/tmp/b" }), 400),
        (json!({ "engine": "disk" }), 400),
        (json!([]), 400),
    ] {
        for path in ["/v1/shards", "/v1/shards?dry_run=true"] {
            // A trial opens nothing, but tells what it can.
            assert_eq!(asked("POST", path, &body), code, "{path} {body}");
        }
    }
    assert_eq!(asked("POST", "/v1/shards/rebalance", &json!({ "weights": { "z": 1 } })), 404);
    assert_eq!(asked("POST", "/v1/shards/rebalance", &json!({ "weights": { "a": 0 } })), 400);
    assert_eq!(asked("POST", "/v1/shards/rebalance?dry_run=perhaps", &json!({})), 400);
    for (method, path, code) in [
        ("DELETE", "/v1/shards/z", 404),
        ("DELETE", "/v1/shards/rebalance", 404),
        ("DELETE", "/v1/shards/%FF", 404),
        ("DELETE", "/v1/shards/a", 400),
        ("DELETE", "/v1/shards/", 404),
        ("GET", "/v1/shards/a", 405),
        ("DELETE", "/v1/shards", 405),
    ] {
        assert_eq!(ask(&server, method, path, None).0, code, "{method} {path}");
    }
    assert!(!directory.join("layer/b").exists() && !Path::new("/tmp/b").exists());
    let (code, answer) = ask(&server, "POST", "/v1/shards/rebalance", Some(&json!({})));
    assert_eq!((code, &answer["shards"][0]["name"]), (202, &json!("a")));

    let one = Server::start(&[]);
    for (method, path, body) in [
        ("GET", "/v1/shards", None),
        ("POST", "/v1/shards", Some(json!({ "name": "b", "engine": "disk" }))),
        ("DELETE", "/v1/shards/a", None),
    ] {
        assert_eq!(ask(&one, method, path, body.as_ref()).0, 501, "{method} {path}");
    }
}

#[test]
fn a_second_change_is_refused_while_keys_move_and_metrics_tell_of_it() {
    let directory = TemporaryDirectory::new("shards");
    let config = file(&directory, &table(&directory, "a", "memory", "a"));
    let server = Server::start(&["--config", &config]);
    let commands: Vec<_> = (0..20_000)
        .map(|number| vec![b"SET".to_vec(), format!("key{number}").into_bytes(), b"value".to_vec()])
        .collect();
    server.resp().pipeline(&commands).expect("the server answers");
    let body = json!({ "name": "b", "engine": "memory" });
    let (code, answer) = ask(&server, "POST", "/v1/shards", Some(&body));
    assert_eq!((code, &answer["move"]["moving"]), (202, &json!(true)), "{answer}");
    assert_eq!((&answer["shards"][1]["weight"], &answer["shards"][1]["next_weight"]), (&json!(0), &json!(1)));
    let expected = answer["move"]["expected_keys"].as_u64().expect("a number");
    assert!((8_000..12_000).contains(&expected), "{answer}");
    for (method, path, body) in [
        ("POST", "/v1/shards", Some(json!({ "name": "c", "engine": "memory" }))),
        ("POST", "/v1/shards/rebalance", Some(json!({}))),
        ("POST", "/v1/shards/rebalance?dry_run=true", Some(json!({}))),
        ("DELETE", "/v1/shards/b", None),
    ] {
        assert_eq!(ask(&server, method, path, body.as_ref()).0, 409, "{method} {path}");
    }
    let mut metrics = ureq::get(server.url("/metrics")).call().expect("the server answers");
    let metrics = metrics.body_mut().read_to_string().expect("the answer ends");
    for sample in [
        "tresor_shards_moving 1\n".to_owned(),
        format!("tresor_shards_expected_keys {expected}\n"),
        "tresor_shard_weight{shard=\"b\",engine=\"memory\"} 0\n".to_owned(),
        "tresor_shard_share{shard=\"a\",engine=\"memory\"} 1\n".to_owned(),
    ] {
        assert!(metrics.contains(&sample), "no {sample} in {metrics}");
    }
    deadline::wait_until("the move to end", || status(&server)["move"]["moving"] == false);
    assert_eq!(weights(&server), of(&[("a", 1), ("b", 1)]));
}

#[test]
fn a_shard_whose_file_cannot_be_written_fails_its_own_keys_only() {
    let directory = TemporaryDirectory::new("shards");
    let tables = [table(&directory, "a", "disk", "a"), table(&directory, "b", "json", "b.json")].concat();
    let config = file(&directory, &tables);
    let mut server = Server::start(&["--config", &config]);
    fill(&server);
    // Where the new file is to be written lies a directory: no right of anybody's helps.
    fs::create_dir(directory.join("b.json.new")).expect("the temporary directory takes one");
    let mut client = server.resp();
    let mut values: Vec<String> = Vec::new();
    for number in 0..KEYS {
        let reply = client.command(&["SET", &format!("key{number}"), "other"]).expect("the server answers");
        values.push(match reply.error() {
            Some(text) => {
                assert!(text.contains("shard b") && text.contains("b.json"), "{text}");
                number.to_string()
            }
            None => "other".to_owned(),
        });
    }
    let failed = values.iter().filter(|value| *value != "other").count();
    assert!(failed > KEYS / 4 && failed < KEYS * 3 / 4, "{failed} of {KEYS} failed");
    // Sent ahead, a command that fails takes none of the others with it either.
    let commands: Vec<_> =
        (0..KEYS).map(|number| vec![b"GET".to_vec(), format!("key{number}").into_bytes()]).collect();
    let check = |server: &Server| {
        let replies = server.resp().pipeline(&commands).expect("the server answers");
        for (number, (reply, value)) in replies.iter().zip(&values).enumerate() {
            assert_eq!(reply.text(), Some(value.as_str()), "key{number}");
        }
    };
    check(&server);
    fs::remove_dir(directory.join("b.json.new")).expect("it is there");
    server.kill9();
    let server = Server::start(&["--config", &config]);
    // What was acknowledged is there, what was refused is not.
    check(&server);
    fill(&server);
    assert_full(&server);
}
