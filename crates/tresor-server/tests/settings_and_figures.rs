//! What a real redis-server has in `CONFIG GET *` and in INFO, monitors and consoles find here too.

mod running;

use std::collections::BTreeMap;

use tresor::engine::memory::{MemoryEngine, MemoryOptions};
use tresor_testkit::{RedisServer, Reply, RespClient};

/// Settings that stand at another value here than in a Redis that was started without any.
const OTHERWISE: &[&str] = &[
    "appendfsync",
    "bind",
    "client-output-buffer-limit",
    "client-query-buffer-limit",
    "dir",
    "io-threads",
    "port",
    "proto-max-bulk-len",
];

/// Lines of INFO about what there is no word for here: how Redis was built, and what its allocator says.
const ABSENT: &[&str] = &[
    "allocator_active",
    "allocator_allocated",
    "allocator_frag_bytes",
    "allocator_frag_ratio",
    "allocator_resident",
    "allocator_rss_bytes",
    "allocator_rss_ratio",
    "atomicvar_api",
    "expire_cycle_cpu_milliseconds",
    "gcc_version",
    "instantaneous_input_repl_kbps",
    "instantaneous_output_repl_kbps",
    "io_threaded_reads_processed",
    "io_threaded_writes_processed",
    "lru_clock",
    "mem_allocator",
    "multiplexing_api",
    "rdb_last_load_keys_expired",
    "rdb_last_load_keys_loaded",
    "reply_buffer_expands",
    "reply_buffer_shrinks",
    "rss_overhead_bytes",
    "rss_overhead_ratio",
    "total_reads_processed",
    "total_writes_processed",
    "used_cpu_sys_main_thread",
    "used_cpu_user_main_thread",
    "used_memory_lua_human",
    "used_memory_scripts_human",
    "used_memory_startup",
    "used_memory_vm_total_human",
];

fn settings(client: &mut RespClient) -> BTreeMap<String, String> {
    let reply = client.command(&["CONFIG", "GET", "*"]).expect("the server answers");
    let Reply::Array(words) = reply else { panic!("{reply}") };
    let text = |word: &Reply| word.text().expect("a text").to_owned();
    words.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

fn figures(client: &mut RespClient) -> BTreeMap<String, String> {
    let info = client.command(&["INFO", "everything"]).expect("the server answers");
    let lines = info.text().expect("a text").lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn both() -> Option<(RedisServer, tresor_server::Server)> {
    let redis = RedisServer::start(&[])?;
    let engine = MemoryEngine::volatile(&MemoryOptions::default()).expect("an empty engine");
    Some((redis, running::server_over(engine, running::config())))
}

#[test]
fn every_setting_of_redis_is_found_at_the_same_value() {
    let Some((redis, server)) = both() else { return };
    let (theirs, ours) = (settings(&mut redis.resp()), settings(&mut running::client(&server)));
    let differing: Vec<_> = theirs
        .iter()
        .filter(|(name, value)| ours.get(*name) != Some(value))
        .map(|(name, value)| (name, value, ours.get(name)))
        .filter(|(name, _, ours)| ours.is_none() || !OTHERWISE.contains(&name.as_str()))
        .collect();
    // Where the server alone knows them, nobody has told this one without a program around it.
    let untold = ["loglevel", "bind", "enable-debug-command", "client-query-buffer-limit"];
    let differing: Vec<_> =
        differing.into_iter().filter(|(name, _, _)| !untold.contains(&name.as_str())).collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn every_setting_takes_the_value_that_it_has_or_says_why_not() {
    let Some((redis, server)) = both() else { return };
    let (mut theirs, mut ours) = (redis.resp(), running::client(&server));
    for (name, value) in settings(&mut ours) {
        let set = ["CONFIG", "SET", &name, &value];
        let reply = ours.command(&set).expect("the server answers");
        if matches!(&reply, Reply::Simple(text) if text == "OK") {
            continue;
        }
        let text = reply.error().expect("an error").to_owned();
        // No program around this database has told of its log.
        assert!(text.contains("immutable") || name == "loglevel", "{name}: {text}");
        // What can be set there and not here is what the server is started with.
        let their_reply = theirs.command(&set).expect("redis-server answers");
        if matches!(&their_reply, Reply::Simple(text) if text == "OK") {
            assert!(["bind", "loglevel", "port"].contains(&name.as_str()), "{name}: {text}");
        }
    }
}

#[test]
fn every_figure_of_redis_is_found() {
    let Some((redis, server)) = both() else { return };
    let (mut their_client, mut our_client) = (redis.resp(), running::client(&server));
    for client in [&mut their_client, &mut our_client] {
        client.command(&["SET", "key", "value", "EX", "100"]).expect("the server answers");
        client.command(&["INCR", "key"]).expect("the server answers");
    }
    let (theirs, ours) = (figures(&mut their_client), figures(&mut our_client));
    let missing: Vec<_> = theirs
        .keys()
        .filter(|name| !ours.contains_key(*name) && !ABSENT.contains(&name.as_str()))
        // Somebody may have asked only one of them whether it is there.
        .filter(|name| !name.ends_with("_ping"))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let needless: Vec<_> = ABSENT.iter().filter(|name| ours.contains_key(**name)).collect();
    assert!(needless.is_empty(), "they are there: {needless:?}");
    for name in ["cmdstat_set", "cmdstat_incr", "errorstat_ERR", "latency_percentiles_usec_set", "db0"] {
        let words = |figures: &BTreeMap<String, String>| -> Vec<String> {
            let value = figures.get(name).unwrap_or_else(|| panic!("no {name}"));
            value
                .split(',')
                .filter_map(|word| word.split_once('='))
                .map(|(word, _)| word.to_owned())
                .collect()
        };
        assert_eq!(words(&ours), words(&theirs), "{name}");
    }
    assert!(ours["cmdstat_incr"].contains("calls=1") && ours["cmdstat_incr"].contains("failed_calls=1"));
    assert_eq!(ours["errorstat_ERR"], "count=1");
}

#[test]
fn info_shows_the_percentiles_that_were_chosen() {
    let server = running::server();
    let mut client = running::client(&server);
    let choose = ["CONFIG", "SET", "latency-tracking-info-percentiles", "25 99.99"];
    client.command(&choose).expect("the server answers");
    let shown = figures(&mut client)["latency_percentiles_usec_config|set"].clone();
    assert!(shown.starts_with("p25=") && shown.contains(",p99.99="), "{shown}");
    client.command(&["CONFIG", "SET", "latency-tracking", "no"]).expect("the server answers");
    assert!(!figures(&mut client).contains_key("latency_percentiles_usec_config|set"));
}
