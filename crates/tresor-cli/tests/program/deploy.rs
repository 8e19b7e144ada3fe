//! The dashboard and the alerts in `deploy/`: every metric that they name is one that a server tells.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tresor_testkit::{Server, TemporaryDirectory, programs};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

fn text(name: &str) -> String {
    let path = file(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names that `/metrics` has samples of.
fn told_by(server: &Server) -> BTreeSet<String> {
    let mut answer = ureq::get(server.url("/metrics")).call().expect("the server answers");
    let text = answer.body_mut().read_to_string().expect("the answer ends");
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    families
        .flat_map(|(name, kind)| match kind {
            "histogram" => ["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")).to_vec(),
            _ => vec![name.to_owned()],
        })
        .collect()
}

/// What looks like one of our metrics.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("tresor_")).map(str::to_owned).collect()
}

/// All metrics of a store with a log and a cache, and of one with shards.
fn all_told() -> BTreeSet<String> {
    let directory = TemporaryDirectory::new("deploy");
    let path = directory.join("store");
    let path = path.to_str().expect("temporary paths are UTF-8");
    let whole = Server::start(&["--store-path", path, "--mode", "2"]);
    let config = directory.join("tresor.toml");
    fs::write(&config, "[[shard]]\nname = \"a\"\nengine = \"memory\"\n").expect("the directory takes a file");
    let config = config.to_str().expect("temporary paths are UTF-8");
    let sharded = Server::start(&["--config", config]);
    told_by(&whole).union(&told_by(&sharded)).cloned().collect()
}

#[test]
fn every_metric_that_is_shown_or_watched_exists() {
    let told = all_told();
    for name in ["grafana-dashboard.json", "prometheus-alerts.yml"] {
        let named = named_in(&text(name));
        assert!(named.len() > 10, "{name} names {named:?}");
        let unknown: Vec<_> = named.difference(&told).collect();
        assert!(unknown.is_empty(), "{name} names metrics that no server tells: {unknown:?}");
    }
}

#[test]
fn the_dashboard_is_one() {
    let dashboard: Value = serde_json::from_str(&text("grafana-dashboard.json")).expect("it is JSON");
    assert_eq!(dashboard["title"], "Tresor");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "an id comes twice");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().expect("targets");
        let shows = |target: &Value| target["expr"].as_str().is_some_and(|expression| !expression.is_empty());
        assert!(!targets.is_empty() && targets.iter().all(shows), "{} shows nothing", panel["title"]);
    }
}

#[test]
fn prometheus_takes_the_alerts() {
    let Some(promtool) = programs::wish_for("promtool") else { return };
    let checked = Command::new(promtool).args(["check", "rules"]).arg(file("prometheus-alerts.yml")).output();
    let checked = checked.expect("promtool runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
