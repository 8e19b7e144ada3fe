//! What `serve` does not start with: each has a message that names the option and the way out.

use std::{fs, net::TcpListener};

use tresor_testkit::{Server, TemporaryDirectory, tresor_program};

use crate::{refused, tresor};

/// Ports that do not matter, for servers that must not start.
const FREE: [&str; 7] = ["serve", "--port", "0", "--resp-port", "0", "--line-port", "0"];

#[track_caller]
fn says(stderr: &str, words: &[&str]) {
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in: {stderr}");
    }
}

#[track_caller]
fn refuses(code: i32, arguments: &[&str], words: &[&str]) {
    says(&refused(code, &[&FREE, arguments].concat()), words);
}

#[test]
fn no_arguments_print_help() {
    let finished = tresor(&[]);
    assert_eq!(finished.code, Some(2));
    says(&(finished.stdout + &finished.stderr), &["Usage: tresor", "serve"]);
}

#[test]
fn unknown_options_suggest_the_nearest() {
    says(&refused(2, &["serve", "--prot", "1"]), &["--prot", "'--port'"]);
    says(&refused(2, &["serve", "-store_pth", "x"]), &["'--store-path'"]);
    says(&refused(2, &["sreve"]), &["'serve'"]);
}

#[test]
fn wrong_values_are_wrong_usage() {
    says(&refused(2, &["serve", "--port", "65536"]), &["--port", "0 to 65535", "off"]);
    refuses(2, &["--max-memory", "64m"], &["--max-memory", "64m", "MiB"]);
    refuses(2, &["--mode", "3"], &["--mode", "0..=2"]);
    refuses(2, &["--threads", "0"], &["--threads"]);
    refuses(2, &["--bind", "localhost:1"], &["--bind"]);
    refuses(2, &["--password", ""], &["--password", "empty"]);
}

#[test]
fn options_that_contradict_each_other_are_wrong_usage() {
    refuses(2, &["--mode", "0", "--engine", "memory"], &["--mode 0", "--engine", "exclude each other"]);
    refuses(2, &["--password", "a", "--password-file", "b"], &["--password", "--password-file"]);
    refuses(2, &["--durability", "always"], &["--durability", "--store-path"]);
    refuses(2, &["--cache-capacity", "5", "--max-memory", "1gb"], &["--cache-capacity", "evicts"]);
    let limited = ["--engine", "disk", "--store-path", "never-made", "--max-memory", "1gb"];
    refuses(2, &limited, &["--max-memory", "--block-cache-bytes"]);
    let batches = ["--engine", "json", "--store-path", "never-made", "--batch-size", "10"];
    refuses(2, &batches, &["--batch-size", "--durability interval"]);
}

#[test]
fn engines_on_disk_need_a_path() {
    for arguments in
        [["--mode", "1"], ["--mode", "2"], ["--engine", "json"], ["--engine", "disk"], ["--engine", "sqlite"]]
    {
        refuses(2, &arguments, &["needs --store-path"]);
    }
}

#[test]
fn a_cluster_needs_what_reaches_it_and_nothing_of_a_store_of_ones_own() {
    let contact = ["--engine", "cassandra", "--cassandra-contact", "127.0.0.1:1"];
    let refuses = |code, more: &[&str], words: &[&str]| refuses(code, &[&contact, more].concat(), words);
    says(
        &refused(2, &[&FREE[..], &["--engine", "cassandra"]].concat()),
        &["--cassandra-contact", "127.0.0.1:9042"],
    );
    refuses(2, &["--store-path", "never-made"], &["--store-path", "the cluster has all the data"]);
    refuses(2, &["--durability", "always"], &["--durability", "commit log"]);
    refuses(2, &["--cache-capacity", "5"], &["--cache-capacity", "other servers"]);
    refuses(2, &["--cassandra-user", "somebody"], &["--cassandra-user", "--cassandra-password-file"]);
    let nowhere = ["--cassandra-user", "somebody", "--cassandra-password-file", "/nowhere/at/all"];
    refuses(1, &nowhere, &["--cassandra-password-file", "/nowhere/at/all"]);
    refuses(1, &["--cassandra-timeout-ms", "1000"], &["no node of --cassandra-contact 127.0.0.1:1 answers"]);
    refuses(1, &["--cassandra-tls-ca", "/nowhere/at/all"], &["--cassandra-tls-ca", "/nowhere/at/all"]);
}

#[test]
fn addresses_beyond_loopback_need_a_password() {
    for address in ["0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1"] {
        refuses(
            2,
            &["--bind", "127.0.0.1", "--bind", address],
            &[address, "--password-file", "--insecure-no-auth"],
        );
    }
    for more in [["--insecure-no-auth"], ["--password=x"]] {
        let finished = tresor(&[&FREE[..], &["--check-config", "--bind", "0.0.0.0"], &more].concat());
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
}

#[test]
fn a_bad_file_is_named_without_quoting_it() {
    let directory = TemporaryDirectory::new("refusals");
    let path = directory.join("tresor.toml");
    let path = path.to_str().expect("temporary paths are UTF-8");
    refuses(1, &["--config", path], &["--config", path]);
    fs::write(path, "port = 1\nprot = 2\n").expect("the temporary directory takes a file");
    refuses(2, &["--config", path], &[path, "line 2", "prot"]);
    fs::write(path, "password = \"hunter2\n").expect("the temporary directory takes a file");
    let stderr = refused(2, &["serve", "--config", path]);
    assert!(!stderr.contains("hunter2"), "{stderr}");
    refuses(1, &["--password-file", "/nowhere/at/all"], &["--password-file", "/nowhere/at/all"]);
}

#[test]
fn a_port_in_use_names_the_option() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let stderr = refused(1, &["serve", "--port", "0", "--line-port", "0", "--resp-port", &port]);
    says(&stderr, &["--resp-port", &port]);
}

#[test]
fn a_path_that_cannot_be_used_names_the_option() {
    let directory = TemporaryDirectory::new("refusals");
    let file = directory.join("file");
    fs::write(&file, "").expect("the temporary directory takes a file");
    let file = file.to_str().expect("temporary paths are UTF-8");
    refuses(1, &["--store-path", file], &["--store-path", file]);
    let below = format!("{file}/below");
    refuses(1, &["--store-path", &below], &["--store-path", &below]);
    let ready = format!("{file}/ready");
    refuses(1, &["--ready-file", &ready], &["--ready-file", &ready]);
}

#[test]
fn a_store_belongs_to_one_server() {
    let directory = TemporaryDirectory::new("refusals");
    let path = directory.join("store");
    let path = path.to_str().expect("temporary paths are UTF-8");
    let mut first = Server::start(&["--store-path", path]);
    refuses(1, &["--store-path", path], &["--store-path", path]);
    assert!(first.running());
    assert!(first.terminate().success());
    let finished = tresor_program::run(&["serve", "--store-path", path, "--check-config"], b"");
    assert_eq!(finished.code, Some(0));
    Server::start(&["--store-path", path]);
}
