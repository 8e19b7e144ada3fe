//! Schemathesis makes requests out of `/openapi.json`, good ones and bad ones, and holds every answer against it.
//!
//! One server has shards and encryption, so that no path answers that there are none: no 5xx is an exception. Shards
//! have no change feed; another server, in memory, is asked for that.

use std::{env, fs, os::unix::fs::PermissionsExt};

use tresor_testkit::{Server, TemporaryDirectory};

use crate::{python, served::PASSWORD};

/// The same requests in every run.
const SEED: &str = "7";

/// What each answer has to be.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance";

/// The path that shards have nothing to say to.
const CHANGES: &str = "/v1/changes";

/// Makes requests to a server, to all paths that an option selects.
fn ask(server: &mut Server, paths: [&str; 2]) {
    let Some(mut schemathesis) = python("schemathesis_run.py", &[]) else { return };
    let directory = TemporaryDirectory::new("described");
    let examples = if env::var_os("TRESOR_FULL").is_some() { "100" } else { "3" };
    println!("seed {SEED}, {examples} examples");
    schemathesis.args(["run", &server.url("/openapi.json"), "--seed", SEED, "--max-examples", examples]);
    schemathesis.args(["--phases", "coverage,fuzzing", "--checks", CHECKS, "--continue-on-failure"]);
    schemathesis.args(["--header", &format!("Authorization: Bearer {PASSWORD}"), "--warnings", "off"]);
    schemathesis.args(["--generation-database", "none", "--no-color"]).args(paths);
    let ended = schemathesis.current_dir(directory.path()).output().expect("Python starts");
    let told = [ended.stdout, ended.stderr].concat();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&told));
    assert!(server.running(), "{}", server.log());
}

#[test]
fn every_request_is_answered_as_described() {
    let directory = TemporaryDirectory::new("described-store");
    let path = |name: &str| directory.join(name).to_str().expect("temporary paths are UTF-8").to_owned();
    let (configuration, keys) = (path("tresor.toml"), path("keys"));
    let shards =
        "[[shard]]\nname = \"a\"\nengine = \"memory\"\n[[shard]]\nname = \"b\"\nengine = \"memory\"\n";
    let written = fs::write(&configuration, format!("store-path = \"{}\"\n{shards}", path("layer")))
        .and_then(|()| fs::write(&keys, "a".repeat(64)))
        .and_then(|()| fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)));
    written.expect("the temporary directory takes files");
    let arguments = ["--config", &configuration, "--encryption-key-file", &keys, "--password", PASSWORD];
    ask(&mut Server::start(&arguments), ["--exclude-path", CHANGES]);
}

#[test]
fn every_request_for_changes_is_answered_as_described() {
    ask(&mut Server::start(&["--password", PASSWORD]), ["--include-path", CHANGES]);
}
