//! `/metrics` and health: the format, as Prometheus reads it, and the figures.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tresor::{
    FeedOptions,
    engine::{
        Batch, Change, Engine, Expires, Guard, KeyRef, Kind,
        memory::{MemoryEngine, MemoryOptions},
    },
    index::IndexDefinition,
    layer::cached::{Cached, Capacity},
};
use tresor_testkit::{ManualClock, START_MS, deadline::wait_until};

use crate::{
    changes::following,
    running::{Running, Setup, server},
};

/// Samples by name and labels, after checking everything that the format demands.
struct Metrics {
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    fn of(server: &Running) -> Self {
        let answer = server.client().request("GET", "/metrics", &[], b"");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        let metrics = Self { samples: parse(answer.text()) };
        metrics.check_histograms();
        metrics
    }

    fn get(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("no {sample} in {:#?}", self.samples))
    }

    /// Buckets never fall, and the last is the count.
    fn check_histograms(&self) {
        for (sample, count) in self.samples.iter().filter(|(name, _)| name.contains("_count")) {
            let series = sample.replace("_count", "_bucket");
            let series = series.trim_end_matches('}');
            let mut buckets: Vec<(f64, f64)> = (self.samples.iter())
                .filter(|(name, _)| name.starts_with(series))
                .map(|(name, value)| {
                    let bound = name.rsplit_once("le=\"").unwrap().1.trim_end_matches("\"}");
                    (bound.parse().unwrap_or(f64::INFINITY), *value)
                })
                .collect();
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.len() > 5, "{sample}");
            assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{sample}: {buckets:?}");
            assert_eq!(buckets.last().unwrap(), &(f64::INFINITY, *count), "{sample}");
            assert!(self.samples.contains_key(&sample.replace("_count", "_sum")), "{sample}");
        }
    }
}

fn parse(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'));
    let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
    let (mut described, mut family, mut kind) = (None, "", "");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("HELP has words");
            assert!(!words.is_empty() && families.insert(name), "{name} is described twice");
            assert!(name.starts_with("tresor_"), "{name}");
            described = Some(name);
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            (family, kind) = typed.split_once(' ').expect("TYPE has a type");
            assert_eq!(described.take(), Some(family), "HELP comes before TYPE");
            assert_eq!(kind == "counter", family.ends_with("_total"), "{family} is a {kind}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
            let bare = name.split('{').next().unwrap();
            let suffix = bare.strip_prefix(family).unwrap_or_else(|| panic!("{line} is not of {family}"));
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.contains(&suffix), "{line}");
            check_labels(&name[bare.len()..]);
            let value = value.parse().unwrap_or_else(|_| panic!("{line} has no number"));
            assert!(samples.insert(name.to_owned(), value).is_none(), "{name} is there twice");
        }
    }
    samples
}

fn check_labels(labels: &str) {
    let Some(inside) = labels.strip_prefix('{') else { return assert_eq!(labels, "") };
    let inside = inside.strip_suffix('}').expect("labels end");
    for label in inside.split("\",") {
        let (name, value) = label.split_once("=\"").expect("name=\"value\"");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{labels}");
        assert!(!value.trim_end_matches('"').contains(['"', '\n']), "{labels}");
    }
}

#[test]
fn requests_are_counted_by_route_method_and_status() {
    let server = server();
    let mut client = server.client();
    client.request("PUT", "/keys/k", &[], b"v");
    client.request("GET", "/keys/k", &[], b"");
    client.request("GET", "/keys/k", &[], b"");
    client.request("GET", "/keys/absent", &[], b"");
    client.request("GET", "/kv?k", &[], b"");
    client.request("BREW", "/kv", &[], b"");
    client.request("GET", "/nothing", &[], b"");
    let metrics = Metrics::of(&server);
    for (labels, count) in [
        ("route=\"/keys/{key}\",method=\"PUT\",status=\"2xx\"", 1.0),
        ("route=\"/keys/{key}\",method=\"GET\",status=\"2xx\"", 2.0),
        ("route=\"/keys/{key}\",method=\"GET\",status=\"4xx\"", 1.0),
        ("route=\"/kv\",method=\"GET\",status=\"2xx\"", 1.0),
        ("route=\"/kv\",method=\"other\",status=\"4xx\"", 1.0),
        ("route=\"unknown\",method=\"GET\",status=\"4xx\"", 1.0),
    ] {
        assert_eq!(metrics.get(&format!("tresor_http_requests_total{{{labels}}}")), count, "{labels}");
    }
    assert_eq!(metrics.get("tresor_http_request_duration_seconds_count{route=\"/keys/{key}\"}"), 4.0);
    assert_eq!(metrics.get("tresor_hits_total"), 3.0);
    assert_eq!(metrics.get("tresor_misses_total"), 1.0);
    assert_eq!(metrics.get("tresor_keys{db=\"0\"}"), 1.0);
    assert_eq!(metrics.get("tresor_keys{db=\"15\"}"), 0.0);
    assert_eq!(metrics.get("tresor_http_connections"), 2.0);
    assert!(metrics.get("tresor_process_resident_memory_bytes") > 1e6);
    assert!(metrics.get("tresor_process_cpu_seconds_total") >= 0.0);
    drop(client);
    wait_until("the first client to be gone", || Metrics::of(&server).get("tresor_http_connections") == 1.0);
}

#[test]
fn a_cache_is_counted() {
    let memory = MemoryEngine::volatile(&MemoryOptions::default()).unwrap();
    let cached = Cached::new(memory, Capacity::Bytes(1 << 20)).unwrap();
    let server = Setup { engine: Arc::new(cached), ..Setup::default() }.start();
    let mut client = server.client();
    client.request("PUT", "/keys/k", &[], b"value");
    client.request("GET", "/keys/k", &[], b"");
    client.request("GET", "/keys/none", &[], b"");
    let metrics = Metrics::of(&server);
    assert_eq!(metrics.get("tresor_cache_hits_total"), 1.0);
    assert_eq!(metrics.get("tresor_cache_misses_total"), 1.0);
    assert_eq!(metrics.get("tresor_cache_evictions_total"), 0.0);
    assert_eq!(metrics.get("tresor_cache_entries"), 1.0);
    assert!(metrics.get("tresor_cache_bytes") > 5.0);
    assert_eq!(metrics.get("tresor_cache_max_entries"), 0.0);
    assert_eq!(metrics.get("tresor_cache_max_bytes"), 1_048_576.0);
    let plain = Metrics::of(&self::server());
    assert!(!plain.samples.keys().any(|name| name.contains("cache")));
}

#[test]
fn how_late_expired_keys_go_is_a_histogram() {
    let clock = ManualClock::new();
    let engine = MemoryEngine::volatile_at(&MemoryOptions::default(), clock.clone()).unwrap();
    let server = Setup { engine: engine.clone(), ..Setup::default() }.start();
    for (name, lag_ms) in [("a", 30), ("b", 30), ("c", 300)] {
        let (key, expires) = (KeyRef::new(0, name.as_bytes()), Expires::At(START_MS + 1_024 - lag_ms));
        let put = Change::Put { key, guard: Guard::None, value: b"value", kind: Kind::Raw, expires };
        engine.write(Batch::of(&[put]), START_MS).wait().unwrap();
    }
    assert_eq!(Metrics::of(&server).get("tresor_expiry_lag_seconds_count"), 0.0);
    clock.advance(Duration::from_millis(1_024));
    wait_until("the sweep", || Metrics::of(&server).get("tresor_expiry_lag_seconds_count") == 3.0);
    let metrics = Metrics::of(&server);
    for (bound, removed) in [("0.02", 0.0), ("0.05", 2.0), ("0.2", 2.0), ("0.5", 3.0), ("600", 3.0)] {
        let bucket = format!("tresor_expiry_lag_seconds_bucket{{le=\"{bound}\"}}");
        assert_eq!(metrics.get(&bucket), removed, "{bound}");
    }
    assert_eq!(metrics.get("tresor_expiry_lag_seconds_sum"), 0.36);
    assert_eq!(metrics.get("tresor_expired_total"), 3.0);
}

#[test]
fn commands_are_counted() {
    let server = server();
    let mut session = server.database.session(0);
    let mut reply = tresor::reply::ReplyWriter::Owned(tresor::reply::OwnedWriter::default());
    tresor::engine::block_on(async {
        session.enter().await;
        let command = session.prepare(&[b"GET", b"k"]).unwrap();
        session.execute(command, &mut reply).await;
        session.leave();
    });
    let metrics = Metrics::of(&server);
    assert_eq!(metrics.get("tresor_commands_total{command=\"get\"}"), 1.0);
    assert_eq!(metrics.get("tresor_command_duration_seconds_count{command=\"get\"}"), 1.0);
}

#[test]
fn health_says_what_is_wrong() {
    let server = server();
    let mut client = server.client();
    for target in ["/livez", "/readyz"] {
        let answer = client.request("GET", target, &[], b"");
        assert_eq!((answer.status, answer.text()), (200, "ok"));
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
    let verbose = client.request("GET", "/readyz?verbose", &[], b"");
    assert!(verbose.text().ends_with("[+]server ok\nreadyz check passed\n"), "{}", verbose.text());
    server.database.close().unwrap();
    assert_eq!(client.request("GET", "/livez", &[], b"").status, 200);
    let failed = client.request("GET", "/readyz?verbose", &[], b"");
    assert_eq!((failed.status, failed.text().lines().last()), (503, Some("readyz check failed")));
    assert!(failed.text().starts_with("[-]engine "), "{}", failed.text());
    assert_eq!(client.request("GET", "/readyz", &[], b"").text(), failed.text());
    assert_eq!(client.request("GET", "/keys/k", &[], b"").status, 503);
}

#[test]
fn indexes_and_readers_of_changes_are_told_of() {
    let server = following();
    server.database.put("before", "1").unwrap();
    let begin = server.database.change_feed(&FeedOptions::new()).unwrap().next_page(Duration::ZERO).unwrap();
    server.database.create_index(IndexDefinition::new("ages", 0).unwrap()).unwrap();
    server.database.put("read", "7").unwrap();
    server.database.put("unreadable", "no number").unwrap();
    wait_until("the index is built", || {
        Metrics::of(&server).get("tresor_index_ready{index=\"ages\"}") == 1.0
    });
    let options = FeedOptions::new().since(begin.position);
    let mut feed = server.database.change_feed(&options).unwrap();
    assert_eq!(feed.next_page(Duration::ZERO).unwrap().changes.len(), 2);
    let metrics = Metrics::of(&server);
    for (name, expected) in [
        ("tresor_index_entries{index=\"ages\"}", 2.0),
        ("tresor_index_unreadable{index=\"ages\"}", 1.0),
        ("tresor_index_waiting{index=\"ages\"}", 0.0),
        ("tresor_change_readers", 1.0),
        ("tresor_changes_told_total", 2.0),
        ("tresor_change_gaps_total", 0.0),
    ] {
        assert_eq!(metrics.get(name), expected, "{name}");
    }
    assert!(metrics.get("tresor_index_bytes{index=\"ages\"}") > 100.0);
    drop(feed);
    // Nothing was kept before the first reader came.
    let mut late = server.database.change_feed(&FeedOptions::new().since("0".parse().unwrap())).unwrap();
    assert!(late.next_page(Duration::ZERO).unwrap().gap.is_some());
    drop(late);
    let metrics = Metrics::of(&server);
    assert_eq!((metrics.get("tresor_change_readers"), metrics.get("tresor_change_gaps_total")), (0.0, 1.0));
}
