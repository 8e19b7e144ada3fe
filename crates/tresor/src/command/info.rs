//! INFO: how the server is doing, under the names that Redis's clients and monitors read.
//!
//! Only what is true here is told; figures of things that Tresor does not have (forks, rewrites,
//! replicas) stand where common monitors look for them, with the value that says "none".

use std::{fmt::Write, sync::atomic::Ordering::Relaxed};

use super::{Args, connection::REDIS_VERSION, is};
use crate::{
    command::CATALOG,
    config::Durability,
    database::Core,
    engine::Status,
    error::Result,
    process::{ProcessFigures, total_memory_bytes},
    reply::ReplyWriter,
    session::Session,
};

/// What the sections are written from: gathered once, so that they agree with one another.
struct Facts<'a> {
    core: &'a Core,
    status: Status,
    now_ms: u64,
    process: ProcessFigures,
    buffer_bytes: u64,
}

struct Section {
    name: &'static str,
    /// Part of INFO without arguments.
    usual: bool,
    write: fn(&Facts<'_>, &mut Lines),
}

const SECTIONS: &[Section] = &[
    Section { name: "Server", usual: true, write: server },
    Section { name: "Clients", usual: true, write: clients },
    Section { name: "Memory", usual: true, write: memory },
    Section { name: "Persistence", usual: true, write: persistence },
    Section { name: "Stats", usual: true, write: stats },
    Section { name: "Replication", usual: true, write: replication },
    Section { name: "CPU", usual: true, write: cpu },
    Section { name: "Modules", usual: true, write: |_, _| {} },
    Section { name: "Commandstats", usual: false, write: commandstats },
    Section { name: "Errorstats", usual: true, write: errorstats },
    Section { name: "Latencystats", usual: false, write: latencystats },
    Section { name: "Cluster", usual: true, write: |_, lines| lines.add("cluster_enabled", 0) },
    Section { name: "Cache", usual: true, write: cache },
    Section { name: "Transactions", usual: true, write: transactions },
    Section { name: "Keyspace", usual: true, write: keyspace },
];

/// `name:value`, a line each.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// The value, and once more for people.
    fn add_bytes(&mut self, name: &str, bytes: u64) {
        self.add(name, bytes);
        self.add(&format!("{name}_human"), human(bytes));
    }
}

fn human(bytes: u64) -> String {
    let units = [("", 1_u64), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];
    match units.iter().rev().find(|(_, size)| bytes >= *size) {
        None | Some(("", _)) => format!("{bytes}B"),
        Some((unit, size)) => format!("{:.2}{unit}", bytes as f64 / *size as f64),
    }
}

pub(super) async fn info(session: &mut Session, args: Args<'_>, reply: &mut ReplyWriter) -> Result<()> {
    let core = session.core().clone();
    let status = core.engine.status().await?;
    session.saw(status.sequence);
    let buffer_bytes = core.memory_limit.buffer_bytes();
    let facts =
        Facts { core: &core, status, now_ms: session.now_ms(), process: ProcessFigures::now(), buffer_bytes };
    let wanted = |section: &Section| {
        let named = |word: &&[u8]| {
            is(word, section.name)
                || is(word, "all")
                || is(word, "everything")
                || (section.usual && is(word, "default"))
        };
        if args.len() == 1 { section.usual } else { args[1..].iter().any(named) }
    };
    let mut lines = Lines::default();
    for section in SECTIONS.iter().filter(|section| wanted(section)) {
        if !lines.0.is_empty() {
            lines.0.push_str("\r\n");
        }
        let _ = write!(lines.0, "# {}\r\n", section.name);
        (section.write)(&facts, &mut lines);
    }
    reply.verbatim("txt", &lines.0);
    Ok(())
}

/// When the latest snapshot was taken, in Unix milliseconds; the start, where there is none.
pub(super) fn last_save_ms(core: &Core, status: &Status) -> u64 {
    let saved_ms = status.log.as_ref().map_or(0, |log| log.last_snapshot_time_ms);
    if saved_ms > 0 { saved_ms } else { core.start.at_ms }
}

fn server(facts: &Facts<'_>, lines: &mut Lines) {
    let core = facts.core;
    let clock = core.time.clock();
    let uptime_s = clock.monotonic_ns().saturating_sub(core.start.at_ns) / 1_000_000_000;
    let fact = |name: &str| core.settings.fact(name).unwrap_or_default();
    lines.add("redis_version", REDIS_VERSION);
    lines.add("server_name", "tresor");
    lines.add("tresor_version", env!("CARGO_PKG_VERSION"));
    lines.add("redis_git_sha1", "00000000");
    lines.add("redis_git_dirty", 0);
    lines.add("redis_build_id", 0);
    lines.add("redis_mode", "standalone");
    lines.add("os", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH));
    lines.add("arch_bits", usize::BITS);
    lines.add("monotonic_clock", "POSIX clock_gettime");
    lines.add("process_id", std::process::id());
    lines.add("process_supervised", "no");
    lines.add("run_id", &core.start.run_id);
    lines.add("tcp_port", fact("port"));
    lines.add("server_time_usec", facts.now_ms * 1000);
    lines.add("uptime_in_seconds", uptime_s);
    lines.add("uptime_in_days", uptime_s / 86_400);
    lines.add("hz", 10);
    lines.add("configured_hz", 10);
    lines.add("executable", std::env::current_exe().unwrap_or_default().display());
    lines.add("config_file", fact("config_file"));
    lines.add("io_threads_active", 0);
    lines.add("engine", core.engine.capabilities().name);
    lines.add("worker_threads", core.config.workers);
    lines.add("store_id", format!("{:016x}", facts.status.store_id));
}

fn clients(facts: &Facts<'_>, lines: &mut Lines) {
    let all = facts.core.clients.all();
    let most =
        |bytes: fn((u64, u64)) -> u64| all.iter().map(|client| bytes(client.buffers())).max().unwrap_or(0);
    lines.add("connected_clients", all.len());
    lines.add("cluster_connections", 0);
    lines.add("maxclients", facts.core.settings.max_clients.load(Relaxed));
    lines.add("client_recent_max_input_buffer", most(|(input, _)| input));
    lines.add("client_recent_max_output_buffer", most(|(_, output)| output));
    lines.add("blocked_clients", 0);
    lines.add("pubsub_clients", all.iter().filter(|client| client.listens()).count());
    lines.add("tracking_clients", 0);
    lines.add("watching_clients", all.iter().filter(|client| client.watched() > 0).count());
    lines.add("clients_in_timeout_table", 0);
    lines.add("total_watched_keys", all.iter().map(|client| client.watched()).sum::<u64>());
    lines.add("total_blocking_keys", 0);
    lines.add("total_blocking_keys_on_nokey", 0);
}

fn memory(facts: &Facts<'_>, lines: &mut Lines) {
    let log_bytes = facts.status.log.as_ref().map_or(0, |log| log.buffer_capacity_bytes as u64);
    let overhead = facts.buffer_bytes + log_bytes;
    let used = facts.status.data_bytes + overhead;
    let resident = facts.process.resident_bytes;
    let limit = facts.core.memory_limit.max_bytes().unwrap_or(0);
    let peak = facts.process.peak_resident_bytes;
    let percent = |part: u64, whole: u64| format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64);
    lines.add_bytes("used_memory", used);
    lines.add_bytes("used_memory_rss", resident);
    lines.add_bytes("used_memory_peak", peak);
    lines.add("used_memory_peak_perc", percent(used, peak));
    lines.add("used_memory_overhead", overhead);
    lines.add("used_memory_dataset", facts.status.data_bytes);
    lines.add("used_memory_dataset_perc", percent(facts.status.data_bytes, used));
    lines.add_bytes("total_system_memory", total_memory_bytes());
    none(lines, &["used_memory_lua", "used_memory_vm_eval", "used_memory_scripts_eval"]);
    none(lines, &["number_of_cached_scripts", "number_of_functions", "number_of_libraries"]);
    none(lines, &["used_memory_vm_functions", "used_memory_vm_total", "used_memory_functions"]);
    lines.add("used_memory_scripts", 0);
    lines.add_bytes("maxmemory", limit);
    lines.add("maxmemory_policy", facts.core.memory_limit.policy().name());
    lines.add("mem_fragmentation_ratio", format!("{:.2}", resident as f64 / used.max(1) as f64));
    lines.add("mem_fragmentation_bytes", resident as i64 - used as i64);
    none(lines, &["mem_not_counted_for_evict", "mem_replication_backlog", "mem_total_replication_buffers"]);
    none(lines, &["mem_clients_slaves", "mem_cluster_links"]);
    lines.add("mem_clients_normal", facts.buffer_bytes);
    lines.add("mem_aof_buffer", log_bytes);
    lines.add("active_defrag_running", 0);
    lines.add("lazyfree_pending_objects", 0);
    lines.add("lazyfreed_objects", 0);
}

/// Figures of what does not exist here, for monitors that ask for them.
fn none(lines: &mut Lines, names: &[&str]) {
    names.iter().for_each(|name| lines.add(name, 0));
}

fn persistence(facts: &Facts<'_>, lines: &mut Lines) {
    let status = &facts.status;
    let log = status.log.clone().unwrap_or_default();
    let failing = log.shortage.is_some() || log.poison.is_some();
    lines.add("loading", 0);
    none(lines, &["async_loading", "current_cow_peak", "current_cow_size", "current_cow_size_age"]);
    lines.add("current_fork_perc", "0.00");
    none(lines, &["current_save_keys_processed", "current_save_keys_total"]);
    lines.add("rdb_changes_since_last_save", status.sequence.saturating_sub(log.last_snapshot));
    lines.add("rdb_bgsave_in_progress", i32::from(log.snapshotting));
    lines.add("rdb_last_save_time", last_save_ms(facts.core, status) / 1000);
    lines.add("rdb_last_bgsave_status", if log.snapshot_failure.is_some() { "err" } else { "ok" });
    lines.add("rdb_last_bgsave_time_sec", -1);
    lines.add("rdb_current_bgsave_time_sec", -1);
    lines.add("rdb_saves", log.snapshots);
    lines.add("rdb_last_cow_size", 0);
    lines.add("aof_enabled", i32::from(status.log.is_some()));
    lines.add("aof_rewrite_in_progress", 0);
    lines.add("aof_rewrite_scheduled", 0);
    lines.add("aof_last_rewrite_time_sec", -1);
    lines.add("aof_current_rewrite_time_sec", -1);
    lines.add("aof_last_bgrewrite_status", "ok");
    none(lines, &["aof_rewrites", "aof_rewrites_consecutive_failures", "aof_last_cow_size"]);
    none(lines, &["module_fork_in_progress", "module_fork_last_cow_size"]);
    lines.add("aof_last_write_status", if failing { "err" } else { "ok" });
    if status.log.is_some() {
        lines.add("aof_buffer_length", log.buffered_bytes);
        lines.add("log_written_bytes", log.written_bytes);
        lines.add("log_segments", log.segments);
        lines.add("log_syncs", log.syncs);
        lines.add("log_synced_sequence", log.synced);
        lines.add("snapshot_bytes", log.last_snapshot_bytes);
    }
    let durability = match facts.core.config.durability {
        Durability::None => "none",
        Durability::Interval { .. } => "interval",
        Durability::Always => "always",
    };
    lines.add("durability", durability);
    lines.add("sequence", status.sequence);
}

fn stats(facts: &Facts<'_>, lines: &mut Lines) {
    let metrics = &facts.core.metrics;
    let (received, rejected) = facts.core.clients.received_and_rejected();
    let (hits, misses) = metrics.hits_and_misses();
    let (received_bytes, sent_bytes) = metrics.received_and_sent_bytes();
    let commands = metrics.commands_processed();
    let (channels, patterns, shard_channels) = facts.core.hub.counts();
    let now_ns = facts.core.time.clock().monotonic_ns();
    let [commands_a_second, received_a_second, sent_a_second] =
        facts.core.start.rates(now_ns, [commands, received_bytes, sent_bytes]);
    let kilobytes = |bytes: f64| format!("{:.2}", bytes / 1024.0);
    lines.add("total_connections_received", received);
    lines.add("total_commands_processed", commands);
    lines.add("instantaneous_ops_per_sec", format!("{commands_a_second:.0}"));
    lines.add("total_net_input_bytes", received_bytes);
    lines.add("total_net_output_bytes", sent_bytes);
    none(lines, &["total_net_repl_input_bytes", "total_net_repl_output_bytes"]);
    lines.add("instantaneous_input_kbps", kilobytes(received_a_second));
    lines.add("instantaneous_output_kbps", kilobytes(sent_a_second));
    lines.add("rejected_connections", rejected);
    none(lines, &["sync_full", "sync_partial_ok", "sync_partial_err"]);
    lines.add("expired_keys", facts.status.expired.removed());
    lines.add("expired_stale_perc", "0.00");
    lines.add("expired_time_cap_reached_count", 0);
    lines.add("evicted_keys", facts.status.evicted);
    none(lines, &["evicted_clients", "total_eviction_exceeded_time", "current_eviction_exceeded_time"]);
    lines.add("keyspace_hits", hits);
    lines.add("keyspace_misses", misses);
    lines.add("pubsub_channels", channels);
    lines.add("pubsub_patterns", patterns);
    lines.add("pubsubshard_channels", shard_channels);
    lines.add("client_output_buffer_limit_disconnections", facts.core.hub.dropped());
    none(lines, &["latest_fork_usec", "total_forks", "migrate_cached_sockets", "slave_expires_tracked_keys"]);
    none(lines, &["active_defrag_hits", "active_defrag_misses", "total_active_defrag_time"]);
    none(lines, &["active_defrag_key_hits", "active_defrag_key_misses", "current_active_defrag_time"]);
    none(lines, &["tracking_total_keys", "tracking_total_items", "tracking_total_prefixes"]);
    lines.add("unexpected_error_replies", 0);
    lines.add("total_error_replies", metrics.errors().iter().map(|(_, count)| count).sum::<u64>());
    lines.add("dump_payload_sanitizations", 0);
    lines.add("tresor_expiry_lag_p50_ms", facts.status.expired.percentile_ms(50.0));
    lines.add("tresor_expiry_lag_p99_ms", facts.status.expired.percentile_ms(99.0));
}

fn replication(facts: &Facts<'_>, lines: &mut Lines) {
    lines.add("role", "master");
    lines.add("connected_slaves", 0);
    lines.add("master_failover_state", "no-failover");
    lines.add("master_replid", &facts.core.start.run_id);
    lines.add("master_replid2", "0".repeat(40));
    lines.add("master_repl_offset", 0);
    lines.add("second_repl_offset", -1);
    lines.add("repl_backlog_active", 0);
    lines.add("repl_backlog_size", 0);
    lines.add("repl_backlog_first_byte_offset", 0);
    lines.add("repl_backlog_histlen", 0);
}

fn cpu(facts: &Facts<'_>, lines: &mut Lines) {
    lines.add("used_cpu_sys", format!("{:.6}", facts.process.system_seconds));
    lines.add("used_cpu_user", format!("{:.6}", facts.process.user_seconds));
    lines.add("used_cpu_sys_children", "0.000000");
    lines.add("used_cpu_user_children", "0.000000");
}

fn commandstats(facts: &Facts<'_>, lines: &mut Lines) {
    for row in CATALOG {
        let figures = facts.core.metrics.command(row.id);
        if figures.calls + figures.rejected == 0 {
            continue;
        }
        let microseconds = figures.nanoseconds as f64 / 1000.0;
        let value = format!(
            "calls={},usec={microseconds:.0},usec_per_call={:.2},rejected_calls={},failed_calls={}",
            figures.calls,
            microseconds / figures.calls.max(1) as f64,
            figures.rejected,
            figures.failed
        );
        lines.add(&format!("cmdstat_{}", row.name), value);
    }
}

fn errorstats(facts: &Facts<'_>, lines: &mut Lines) {
    for (code, count) in facts.core.metrics.errors() {
        lines.add(&format!("errorstat_{code}"), format!("count={count}"));
    }
}

fn latencystats(facts: &Facts<'_>, lines: &mut Lines) {
    if !facts.core.settings.latency_tracking.load(Relaxed) {
        return;
    }
    let percentiles = facts.core.settings.latency_percentiles();
    for row in CATALOG {
        let figures = facts.core.metrics.command(row.id);
        if figures.calls == 0 {
            continue;
        }
        let shown: Vec<String> = percentiles
            .iter()
            .map(|percentile| {
                let microseconds = figures.percentile_ns(percentile / 100.0) as f64 / 1000.0;
                format!("p{percentile}={microseconds:.3}")
            })
            .collect();
        lines.add(&format!("latency_percentiles_usec_{}", row.name), shown.join(","));
    }
}

/// The cache in front of the engine, not the commands' own hits, which `Stats` has.
fn transactions(facts: &Facts<'_>, lines: &mut Lines) {
    let figures = facts.core.transactions.figures();
    for (name, value) in [
        ("transactions_open", figures.open),
        ("transactions_waiting_for_locks", figures.waiting),
        ("transactions_begun", figures.begun),
        ("transactions_committed", figures.committed),
        ("transactions_aborted", figures.aborted),
        ("transactions_deadlocks", figures.deadlocks),
        ("transactions_lock_timeouts", figures.lock_timeouts),
        ("transactions_idle_timeouts", figures.idle_timeouts),
    ] {
        lines.add(name, value);
    }
}

fn cache(facts: &Facts<'_>, lines: &mut Lines) {
    let Some(cache) = &facts.status.cache else {
        lines.add("cache_enabled", 0);
        return;
    };
    lines.add("cache_enabled", 1);
    lines.add("cache_hits", cache.hits);
    lines.add("cache_misses", cache.misses);
    lines.add("cache_evictions", cache.evictions);
    lines.add("cache_entries", cache.entries);
    lines.add("cache_max_entries", cache.max_entries.unwrap_or(0));
    lines.add_bytes("cache_bytes", cache.bytes);
    lines.add("cache_max_bytes", cache.max_bytes.unwrap_or(0));
}

fn keyspace(facts: &Facts<'_>, lines: &mut Lines) {
    let status = &facts.status;
    for (number, (keys, expiring)) in status.keys.iter().zip(&status.expiring).enumerate() {
        if *keys > 0 {
            // As in Redis, what expired and is not yet removed may let it sink to 0.
            let ttl_ms = status.mean_expiry_ms[number].saturating_sub(facts.now_ms);
            lines.add(&format!("db{number}"), format!("keys={keys},expires={expiring},avg_ttl={ttl_ms}"));
        }
    }
}
