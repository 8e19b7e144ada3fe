//! `/metrics`: everything that is counted, for Prometheus.
//!
//! Names begin with `tresor_`, units are base units, and a figure that exists elsewhere (INFO) has the
//! same source here. Commands that were never called are left out.

use http::{HeaderValue, Response, header};
use tresor::{
    FeedFigures,
    command::CATALOG,
    engine::{CacheStatus, ClusterStatus, Status},
    index::{IndexState, IndexStatus},
    layer::sharded::{Listed, Progress},
    oplog::LogStatus,
    process::ProcessFigures,
    publish::Hub,
    transaction::TransactionFigures,
};

use super::{
    body::Body,
    counters::{CLASSES, METHODS},
    exchange::{Answer, Exchange},
    prometheus::Families,
    rate_limit::RateLimit,
    route::Route,
    shards,
};

/// Answers `/metrics`.
pub(super) async fn answer(exchange: Exchange<'_>) -> Answer {
    let status = exchange.database.engine().status().await?;
    let mut families = Families::default();
    commands(&mut families, &exchange);
    line_commands(&mut families, &exchange);
    requests(&mut families, &exchange);
    store(&mut families, &exchange, &status);
    transactions(&mut families, &exchange.database.transaction_figures());
    publishing(&mut families, exchange.database.hub());
    changes(&mut families, &exchange.database.feed_figures());
    indexes(&mut families, &exchange.database.indexes());
    if let Some(log) = &status.log {
        oplog(&mut families, log);
    }
    if let Some(status) = &status.cluster {
        cluster(&mut families, status);
    }
    if let Some(status) = &status.cache {
        cache(&mut families, status);
    }
    if let Some(control) = &exchange.shared.shards {
        let (listed, progress) = shards::figures(control.clone()).await?;
        shard_figures(&mut families, &listed, &progress);
    }
    process_figures(&mut families);
    let mut response = Response::new(Body::Full(families.into_text().into()));
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

fn commands(families: &mut Families, exchange: &Exchange<'_>) {
    let metrics = exchange.database.metrics();
    let called: Vec<_> = CATALOG
        .iter()
        .map(|row| (row.name, metrics.command(row.id)))
        .filter(|(_, figures)| figures.calls + figures.rejected + figures.failed > 0)
        .collect();
    let mut calls = families.counter("tresor_commands_total", "Commands executed.");
    for (name, figures) in &called {
        calls.labelled(&[("command", name)], figures.calls);
    }
    let mut failed =
        families.counter("tresor_commands_failed_total", "Commands that answered with an error.");
    for (name, figures) in &called {
        failed.labelled(&[("command", name)], figures.failed);
    }
    let mut rejected =
        families.counter("tresor_commands_rejected_total", "Commands refused before they were executed.");
    for (name, figures) in &called {
        rejected.labelled(&[("command", name)], figures.rejected);
    }
    let mut seconds = families.histogram("tresor_command_duration_seconds", "Time spent in commands.");
    for (name, figures) in &called {
        seconds.latencies(&[("command", name)], &figures.buckets, figures.nanoseconds);
    }
    families
        .counter("tresor_slow_commands_total", "Commands that the slow log has kept.")
        .value(exchange.database.slow_commands());
    let mut errors = families
        .counter("tresor_errors_total", "Errors answered, by their first word on the Redis protocol.");
    for (code, count) in metrics.errors() {
        errors.labelled(&[("code", &code)], count);
    }
    let (received, sent) = metrics.received_and_sent_bytes();
    families
        .counter("tresor_received_bytes_total", "Bytes that clients of the Redis protocol have sent.")
        .value(received);
    families.counter("tresor_sent_bytes_total", "Bytes sent to clients of the Redis protocol.").value(sent);
}

fn line_commands(families: &mut Families, exchange: &Exchange<'_>) {
    let called: Vec<_> = exchange.shared.line.figures().collect();
    let mut calls = families.counter("tresor_line_commands_total", "Commands of the line protocol executed.");
    for figures in &called {
        calls.labelled(&[("command", &figures.command)], figures.calls);
    }
    let mut failed = families.counter(
        "tresor_line_commands_failed_total",
        "Commands of the line protocol that answered with an error.",
    );
    for figures in &called {
        failed.labelled(&[("command", &figures.command)], figures.failed);
    }
}

fn requests(families: &mut Families, exchange: &Exchange<'_>) {
    let counters = &exchange.shared.counters;
    let routes: Vec<_> = Route::ALL.iter().map(|route| (route.name(), counters.route(*route))).collect();
    let mut requests = families.counter("tresor_http_requests_total", "HTTP requests answered.");
    for (route, figures) in &routes {
        for (method, classes) in METHODS.iter().zip(&figures.requests) {
            for (class, count) in CLASSES.iter().zip(classes).filter(|(_, count)| **count > 0) {
                requests.labelled(&[("route", route), ("method", method), ("status", class)], count);
            }
        }
    }
    let mut seconds = families.histogram(
        "tresor_http_request_duration_seconds",
        "Time from the head of an HTTP request to its answer.",
    );
    for (route, figures) in &routes {
        if figures.requests.iter().flatten().any(|count| *count > 0) {
            seconds.latencies(&[("route", route)], &figures.buckets, figures.nanoseconds);
        }
    }
    let (opened, open) = counters.connections();
    families.counter("tresor_http_connections_total", "HTTP connections accepted.").value(opened);
    families.gauge("tresor_http_connections", "HTTP connections open now.").value(open);
    let refused = exchange.shared.rate_limit.as_ref().map_or(0, RateLimit::refused);
    families
        .counter("tresor_http_rate_limited_total", "HTTP requests refused with 429 by --http-rate-limit.")
        .value(refused);
    let clients = exchange.database.clients();
    let (received, rejected) = clients.received_and_rejected();
    families.gauge("tresor_connections", "Connections of other protocols open now.").value(clients.len());
    families
        .counter("tresor_connections_received_total", "Connections of other protocols accepted.")
        .value(received);
    families
        .counter("tresor_connections_rejected_total", "Connections turned away because there were too many.")
        .value(rejected);
}

fn transactions(families: &mut Families, figures: &TransactionFigures) {
    families.gauge("tresor_transactions", "Transactions open now.").value(figures.open);
    families
        .gauge("tresor_lock_waits", "Commands that wait for a key that a transaction has locked.")
        .value(figures.waiting);
    for (name, help, value) in [
        ("tresor_transactions_begun_total", "Transactions begun.", figures.begun),
        ("tresor_transactions_committed_total", "Transactions committed.", figures.committed),
        ("tresor_transactions_aborted_total", "Transactions discarded, by whomever.", figures.aborted),
        ("tresor_deadlocks_total", "Transactions discarded to end a deadlock.", figures.deadlocks),
        ("tresor_lock_timeouts_total", "Waits for a lock that took too long.", figures.lock_timeouts),
        (
            "tresor_transaction_idle_timeouts_total",
            "Transactions discarded because their client did nothing.",
            figures.idle_timeouts,
        ),
    ] {
        families.counter(name, help).value(value);
    }
}

fn publishing(families: &mut Families, hub: &Hub) {
    let (channels, patterns, shard_channels) = hub.counts();
    let mut names = families.gauge("tresor_subscribed", "Names that have subscribers, by kind.");
    for (kind, count) in [("channel", channels), ("pattern", patterns), ("shard_channel", shard_channels)] {
        names.labelled(&[("kind", kind)], count);
    }
    families
        .counter(
            "tresor_subscribers_dropped_total",
            "Subscribers disconnected because they took their messages too slowly.",
        )
        .value(hub.dropped());
}

fn changes(families: &mut Families, figures: &FeedFigures) {
    families.gauge("tresor_change_readers", "Readers of the change feed now.").value(figures.readers);
    families
        .counter("tresor_changes_told_total", "Changes told by the change feed, to each reader.")
        .value(figures.told);
    families
        .counter("tresor_change_gaps_total", "Gaps told by the change feed: what a reader wanted was gone.")
        .value(figures.gaps);
}

fn indexes(families: &mut Families, indexes: &[IndexStatus]) {
    let mut tell = |name, help, figure: fn(&IndexStatus) -> u64| {
        let mut gauge = families.gauge(name, help);
        for index in indexes {
            gauge.labelled(&[("index", index.definition.name())], figure(index));
        }
    };
    tell("tresor_index_ready", "Whether an index is built and used.", |index| {
        u64::from(index.state == IndexState::Ready)
    });
    tell("tresor_index_entries", "Entries in an index.", |index| index.entries);
    tell("tresor_index_unreadable", "Entries that an index cannot read as it should.", |index| {
        index.unreadable
    });
    tell("tresor_index_waiting", "Vectors that are not in an index's graph yet.", |index| index.waiting);
    tell("tresor_index_bytes", "Memory that an index takes, about.", |index| index.bytes);
}

fn store(families: &mut Families, exchange: &Exchange<'_>, status: &Status) {
    let (hits, misses) = exchange.database.metrics().hits_and_misses();
    families.counter("tresor_hits_total", "Reads that found their key.").value(hits);
    families.counter("tresor_misses_total", "Reads that did not find their key.").value(misses);
    let mut keys = families.gauge("tresor_keys", "Keys, expired ones not yet removed included.");
    for (database, count) in status.keys.iter().enumerate() {
        keys.labelled(&[("db", &database.to_string())], count);
    }
    let mut expiring = families.gauge("tresor_keys_expiring", "Keys that have an expiry.");
    for (database, count) in status.expiring.iter().enumerate() {
        expiring.labelled(&[("db", &database.to_string())], count);
    }
    families
        .gauge("tresor_data_bytes", "Bytes that keys, values and tables hold, where the engine has them.")
        .value(status.data_bytes);
    let limit = exchange.database.memory_limit();
    families.gauge("tresor_buffer_bytes", "Memory that clients' buffers hold.").value(limit.buffer_bytes());
    families
        .gauge("tresor_limited_memory_bytes", "Memory that counts against the limit, buffers included.")
        .value(limit.data_bytes() + limit.buffer_bytes());
    families
        .gauge("tresor_max_memory_bytes", "The limit on data and buffers together; 0 for none.")
        .value(limit.max_bytes().unwrap_or(0));
    families
        .counter("tresor_expired_total", "Keys removed because they expired.")
        .value(status.expired.removed());
    families
        .histogram("tresor_expiry_lag_seconds", "Time from when a key was due to when it was removed.")
        .expiry_lag(&status.expired);
    families.counter("tresor_evicted_total", "Keys evicted for want of memory.").value(status.evicted);
    families.gauge("tresor_sequence", "Number of the latest change.").value(status.sequence);
    let engine = exchange.database.engine().capabilities().name;
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("engine", engine)];
    families.gauge("tresor_build_info", "What is running; always 1.").labelled(&labels, 1);
}

fn oplog(families: &mut Families, log: &LogStatus) {
    families.gauge("tresor_log_synced_sequence", "Number of the latest change on disk.").value(log.synced);
    families.gauge("tresor_log_segments", "Segments of the log on disk.").value(log.segments);
    families
        .gauge("tresor_log_buffered_bytes", "Records of the log that wait to be written.")
        .value(log.buffered_bytes);
    families
        .gauge("tresor_log_buffer_capacity_bytes", "Memory that the log's buffers hold.")
        .value(log.buffer_capacity_bytes);
    families.counter("tresor_log_written_bytes_total", "Bytes of records written.").value(log.written_bytes);
    families.counter("tresor_log_syncs_total", "Syncs of the log.").value(log.syncs);
    families
        .counter("tresor_log_sync_seconds_total", "Time that syncs of the log took.")
        .value(log.sync_ns as f64 / 1e9);
    families.counter("tresor_snapshots_total", "Snapshots finished.").value(log.snapshots);
    families
        .gauge("tresor_snapshot_in_progress", "Whether a snapshot is being written.")
        .value(u8::from(log.snapshotting));
    families
        .gauge("tresor_last_snapshot_timestamp_seconds", "When the latest snapshot was taken; 0 for never.")
        .value(log.last_snapshot_time_ms as f64 / 1000.0);
    families
        .gauge("tresor_last_snapshot_bytes", "Size of the latest snapshot taken since the start.")
        .value(log.last_snapshot_bytes);
    families
        .gauge("tresor_log_without_space", "Whether the disk has no room for the log.")
        .value(u8::from(log.shortage.is_some()));
    families
        .gauge("tresor_log_poisoned", "Whether a failed sync has ended all promises.")
        .value(u8::from(log.poison.is_some()));
}

fn cluster(families: &mut Families, cluster: &ClusterStatus) {
    families
        .gauge("tresor_cluster_connections", "Connections to the cluster's nodes.")
        .value(cluster.connections);
    let mut nodes =
        families.gauge("tresor_cluster_node_connected", "Whether there is a connection to a node.");
    for node in &cluster.nodes {
        let labels = [("address", node.address.as_str()), ("datacenter", node.datacenter.as_str())];
        nodes.labelled(&labels, u8::from(node.connected));
    }
    families.counter("tresor_cluster_requests_total", "Requests to the cluster.").value(cluster.requests);
    families
        .counter("tresor_cluster_errors_total", "Requests to the cluster that failed.")
        .value(cluster.errors);
    families
        .counter("tresor_cluster_retries_total", "Requests to the cluster that were sent again.")
        .value(cluster.retries);
    families
        .gauge("tresor_cluster_clock_ahead_seconds", "How far this server's clock is ahead of a node's.")
        .value(cluster.clock_ahead_ms as f64 / 1000.0);
}

fn cache(families: &mut Families, cache: &CacheStatus) {
    families.counter("tresor_cache_hits_total", "Reads of a key that the cache answered.").value(cache.hits);
    families
        .counter("tresor_cache_misses_total", "Reads of a key that the cache had to ask the engine for.")
        .value(cache.misses);
    families
        .counter("tresor_cache_evictions_total", "Entries that left the cache for want of room.")
        .value(cache.evictions);
    families.gauge("tresor_cache_entries", "Entries in the cache.").value(cache.entries);
    families.gauge("tresor_cache_bytes", "Memory that the cache's entries hold.").value(cache.bytes);
    families
        .gauge("tresor_cache_max_entries", "The cache's limit on entries; 0 for none.")
        .value(cache.max_entries.unwrap_or(0));
    families
        .gauge("tresor_cache_max_bytes", "The cache's limit on bytes; 0 for none.")
        .value(cache.max_bytes.unwrap_or(0));
}

fn shard_figures(families: &mut Families, listed: &[Listed], progress: &Progress) {
    let mut weights = families.gauge("tresor_shard_weight", "Weight of a shard; 0 while it has no keys.");
    for shard in listed {
        weights.labelled(&[("shard", &shard.name), ("engine", shard.engine)], shard.weight);
    }
    let mut shares = families.gauge("tresor_shard_share", "A shard's part of all keys, from 0 to 1.");
    for shard in listed {
        shares.labelled(&[("shard", &shard.name), ("engine", shard.engine)], shard.share);
    }
    families
        .gauge("tresor_shards_moving", "Whether keys are being moved between shards.")
        .value(u8::from(progress.moving));
    families
        .gauge("tresor_shards_moved_keys", "Keys moved by the move that goes on, or by the last one.")
        .value(progress.keys);
    families
        .gauge("tresor_shards_expected_keys", "About how many keys that move has to move.")
        .value(progress.expected_keys);
}

fn process_figures(families: &mut Families) {
    let figures = ProcessFigures::now();
    families
        .counter("tresor_process_cpu_seconds_total", "Processor time of the server.")
        .value(figures.user_seconds + figures.system_seconds);
    families
        .gauge("tresor_process_resident_memory_bytes", "Resident memory of the server.")
        .value(figures.resident_bytes);
}
