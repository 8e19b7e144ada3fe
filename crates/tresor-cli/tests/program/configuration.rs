//! Flags beat the environment beats the file beats the defaults, for every option alike.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use tresor_testkit::{TemporaryDirectory, tresor_program};

/// The configuration that holds for these arguments and variables, as a TOML table.
fn effective(arguments: &[&str], environment: &[(&str, &str)]) -> toml::Table {
    let output = tresor_program::command(&[&["serve", "--check-config"], arguments].concat())
        .envs(environment.iter().copied())
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("TOML is UTF-8").parse().expect("the output is TOML")
}

fn file(directory: &TemporaryDirectory, text: &str) -> String {
    let path = directory.join("tresor.toml");
    fs::write(&path, text).expect("the temporary directory takes a file");
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}

#[test]
fn flags_beat_environment_beats_file_beats_defaults() {
    let directory = TemporaryDirectory::new("configuration");
    let path = file(&directory, "port = 1\nresp-port = 2\nmax-clients = 3\n");
    let environment = [("TRESOR_PORT", "10"), ("TRESOR_RESP_PORT", "20"), ("TRESOR_CONFIG", &path)];
    let table = effective(&["--port", "100"], &environment);
    let numbers =
        ["port", "resp-port", "max-clients", "durability-interval-ms"].map(|name| table[name].as_integer());
    assert_eq!(numbers, [Some(100), Some(20), Some(3), Some(1000)]);
}

/// What only a store on a cluster may say, with its engine.
const CLUSTER: &str = "\
    engine = \"cassandra\"\ncassandra-contact = [\"a.example:9042\", \"b.example:9043\"]\n\
    cassandra-replication = 2\ncassandra-datacenter = \"d\"\ncassandra-user = \"u\"\n\
    cassandra-password-file = \"PASSWORD\"\ncassandra-tls-ca = \"ca\"\n";

/// What only a store of its own may say, with its engine.
const LOCAL: &str = "\
    compression = \"zstd\"\ncompression-level = 5\ncompression-threshold-bytes = \"1KiB\"\n\
    encryption-key-file = \"KEYS\"\nencryption-cipher = \"aes-256-gcm\"\n\
    engine = \"memory\"\nstore-path = \"s\"\ndurability = \"interval\"\ndurability-interval-ms = 7\n\
    batch-size = 4\nauto-save-interval = 5\nblock-cache-bytes = \"3MiB\"\n\
    snapshot-log-bytes = \"1GiB\"\nsnapshot-interval-seconds = 8\nkeep-log-bytes = \"2MiB\"\n\
    change-buffer-bytes = \"5MiB\"\nmax-memory = \"2GiB\"\n\
    max-memory-policy = \"allkeys-lru\"\n";

/// What every store may say.
const COMMON: &str = "\
    port = 0\nresp-port = \"off\"\nline-port = \"off\"\nbind = [\"127.0.0.1\", \"::1\"]\n\
    allowed-host = [\"a.example\", \"b.example\"]\nready-file = \"r\"\npassword-file = \"PASSWORD\"\n\
    insecure-no-auth = true\nenable-debug-command = true\nthreads = 3\nmax-value-bytes = \"1MiB\"\n\
    max-clients = 9\nhttp-rate-limit = 7\ncors-origin = [\"https://a.example\", \"http://b.example:81\"]\nlock-timeout-ms = 6\ntransaction-idle-timeout-seconds = 5\n\
    max-transaction-bytes = \"2MiB\"\nnotify-keyspace-events = \"AKE\"\nlog-format = \"json\"\nlog-level = \"debug\"\ncassandra-keyspace = \"k\"\n\
    cassandra-writes = \"eventual\"\ncassandra-consistency = \"each-quorum\"\n\
    cassandra-order = \"off\"\ncassandra-buckets = 5\ncassandra-mset = \"per-key\"\n\
    cassandra-timeout-ms = 6\ncassandra-max-value-bytes = \"4MiB\"\n";

#[test]
fn every_option_can_be_said_in_each_of_the_three_ways() {
    said_in_each_way(&[LOCAL, COMMON].concat());
}

#[test]
fn every_option_of_a_cluster_can_be_said_in_each_of_the_three_ways() {
    let held = "durability = \"none\"\ndurability-interval-ms = 7\nbatch-size = 4\nauto-save-interval = 5\nblock-cache-bytes = \"3MiB\"\n\
        snapshot-log-bytes = \"1GiB\"\n\
        snapshot-interval-seconds = 8\nkeep-log-bytes = \"2MiB\"\nchange-buffer-bytes = \"5MiB\"\ncompression = \"none\"\n\
        compression-threshold-bytes = \"1KiB\"\nencryption-cipher = \"aes-256-gcm\"\nmax-memory = \"off\"\nmax-memory-policy = \"noeviction\"\n";
    said_in_each_way(&[CLUSTER, held, COMMON].concat());
}

/// What --check-config prints is itself a file that says the same; so are flags and variables.
fn said_in_each_way(all: &str) {
    let directory = TemporaryDirectory::new("configuration");
    let password = directory.join("password");
    fs::write(&password, "hunter2\n").expect("the temporary directory takes a file");
    let keys = directory.join("keys");
    fs::write(&keys, "0123456789abcdef".repeat(4)).expect("the temporary directory takes a file");
    fs::set_permissions(&keys, Permissions::from_mode(0o600)).expect("a file of ours");
    let all = all
        .replace("PASSWORD", password.to_str().expect("temporary paths are UTF-8"))
        .replace("KEYS", keys.to_str().expect("temporary paths are UTF-8"));
    let expected: toml::Table = all.parse().expect("valid TOML");
    assert_eq!(effective(&["--config", &file(&directory, &all)], &[]), expected);

    let text = |value: &toml::Value| match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(several) => {
            several.iter().filter_map(|each| each.as_str()).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    };
    let flags: Vec<String> =
        expected.iter().map(|(name, value)| format!("--{name}={}", text(value))).collect();
    assert_eq!(effective(&flags.iter().map(String::as_str).collect::<Vec<_>>(), &[]), expected);

    let variables: Vec<(String, String)> = expected
        .iter()
        .map(|(name, value)| (format!("TRESOR_{}", name.to_uppercase().replace('-', "_")), text(value)))
        .collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(effective(&[], &variables), expected);
}

#[test]
fn durability_is_always_with_a_path_and_none_without() {
    assert_eq!(effective(&[], &[])["durability"].as_str(), Some("none"));
    assert_eq!(effective(&["--store-path", "x"], &[])["durability"].as_str(), Some("always"));
}

#[test]
fn one_dash_and_underscores_are_accepted() {
    let table = effective(&["-port", "5", "-mode", "0", "-store_path", "./data_1"], &[]);
    assert_eq!(table["port"].as_integer(), Some(5));
    assert_eq!(table["store-path"].as_str(), Some("./data_1"));
    assert_eq!(table["engine"].as_str(), Some("memory"));
    let table = effective(&["-mode", "2", "-store_path", "./data", "-cache_capacity", "500"], &[]);
    assert_eq!((table["engine"].as_str(), table["cache-capacity"].as_integer()), (Some("disk"), Some(500)));
}

#[test]
fn mode_2_brings_a_cache_of_100_entries() {
    let table = effective(&["--mode", "2", "--store-path", "x"], &[]);
    assert_eq!(table["cache-capacity"].as_integer(), Some(100));
    assert!(!effective(&["--mode", "1", "--store-path", "x"], &[]).contains_key("cache-capacity"));
}

#[test]
fn secrets_among_settings_are_masked_however_they_are_written() {
    let directory = TemporaryDirectory::new("configuration");
    let path = file(&directory, "[redis]\nMasterAuth = \"hunter2\"\nhz = 20\n");
    let table = effective(&["--config", &path], &[]);
    assert_eq!(table["redis"]["MasterAuth"].as_str(), Some("********"));
    assert_eq!(table["redis"]["hz"].as_integer(), Some(20));
}

#[test]
fn secrets_are_masked() {
    for (arguments, environment) in
        [(&["--password", "hunter2"][..], &[][..]), (&[], &[("TRESOR_PASSWORD", "hunter2")])]
    {
        let table = effective(arguments, environment);
        assert_eq!(table["password"].as_str(), Some("********"));
    }
    let help = tresor_program::command(&["serve", "--help"]).env("TRESOR_PASSWORD", "hunter2").output();
    let help = String::from_utf8(help.expect("the program runs").stdout).expect("help is UTF-8");
    assert!(help.contains("TRESOR_PASSWORD") && !help.contains("hunter2"), "{help}");
}
