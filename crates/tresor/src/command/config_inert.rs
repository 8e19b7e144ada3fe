//! Settings that Redis has and that mean nothing here, so that programs which ask for them find them.
//!
//! Harmless ones take what Redis would take and keep it; where taking a value would promise what is not
//! done, only the value that tells the truth is taken. What is kept is gone when the server stops.
//! Names, defaults and limits are those of Redis 7.2 (`CONFIG GET *` of 7.0.15, and four newer names).

use super::config::{bytes, choice, flag, integer, yes_or_no};

/// A setting without effect.
pub(super) struct Inert {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    takes: Takes,
}

/// What such a setting can be given.
#[derive(Clone, Copy)]
enum Takes {
    Flag,
    Integer(i64, i64),
    /// A number with or without a unit.
    Bytes(i64, i64),
    Choice(&'static [&'static str]),
    Text,
    /// As text, and never shown.
    Secret,
    /// Nothing but the value that it has, for this reason.
    Only(&'static str),
    /// Redis does not let it be set either.
    Fixed,
}

use Takes::{Bytes, Choice, Fixed, Flag, Integer, Only, Secret, Text};

const NO_TLS: &str = "TLS is not spoken here: put a proxy in front";
const MOST: i64 = i64::MAX;
const LEAST_INT: i64 = i32::MIN as i64;
const MOST_INT: i64 = i32::MAX as i64;

/// Older names of settings.
const ALIASES: &[(&str, &str)] = &[
    ("cluster-slave-no-failover", "cluster-replica-no-failover"),
    ("cluster-slave-validity-factor", "cluster-replica-validity-factor"),
    ("hash-max-ziplist-entries", "hash-max-listpack-entries"),
    ("hash-max-ziplist-value", "hash-max-listpack-value"),
    ("list-max-ziplist-size", "list-max-listpack-size"),
    ("lua-time-limit", "busy-reply-threshold"),
    ("min-slaves-max-lag", "min-replicas-max-lag"),
    ("min-slaves-to-write", "min-replicas-to-write"),
    ("repl-ping-slave-period", "repl-ping-replica-period"),
    ("slave-announce-ip", "replica-announce-ip"),
    ("slave-announce-port", "replica-announce-port"),
    ("slave-ignore-maxmemory", "replica-ignore-maxmemory"),
    ("slave-lazy-flush", "replica-lazy-flush"),
    ("slave-priority", "replica-priority"),
    ("slave-read-only", "replica-read-only"),
    ("slave-serve-stale-data", "replica-serve-stale-data"),
    ("slaveof", "replicaof"),
    ("zset-max-ziplist-entries", "zset-max-listpack-entries"),
    ("zset-max-ziplist-value", "zset-max-listpack-value"),
];

#[rustfmt::skip]
const SETTINGS: &[Inert] = &[
    inert("acl-pubsub-default", "resetchannels", Choice(&["allchannels", "resetchannels"])),
    inert("aclfile", "", Fixed),
    inert("acllog-max-len", "128", Integer(0, MOST)),
    inert("active-defrag-cycle-max", "25", Integer(1, 99)),
    inert("active-defrag-cycle-min", "1", Integer(1, 99)),
    inert("active-defrag-ignore-bytes", "104857600", Bytes(1, MOST)),
    inert("active-defrag-max-scan-fields", "1000", Integer(1, MOST)),
    inert("active-defrag-threshold-lower", "10", Integer(0, 1000)),
    inert("active-defrag-threshold-upper", "100", Integer(0, 1000)),
    inert("active-expire-effort", "1", Integer(1, 10)),
    inert("activedefrag", "no", Only("there is nothing to defragment")),
    inert("activerehashing", "yes", Flag),
    inert("always-show-logo", "no", Fixed),
    inert("aof-disable-auto-gc", "no", Flag),
    inert("aof-load-truncated", "yes", Flag),
    inert("aof-rewrite-incremental-fsync", "yes", Flag),
    inert("aof-timestamp-enabled", "no", Flag),
    inert("aof-use-rdb-preamble", "yes", Flag),
    inert("aof_rewrite_cpulist", "", Fixed),
    inert("appenddirname", "appendonlydir", Fixed),
    inert("appendfilename", "appendonly.aof", Fixed),
    inert("auto-aof-rewrite-min-size", "67108864", Bytes(0, MOST)),
    inert("auto-aof-rewrite-percentage", "100", Integer(0, MOST_INT)),
    inert("bgsave_cpulist", "", Fixed),
    inert("bind-source-addr", "", Text),
    inert("bio_cpulist", "", Fixed),
    inert("busy-reply-threshold", "5000", Integer(0, MOST)),
    inert("cluster-allow-pubsubshard-when-down", "yes", Flag),
    inert("cluster-allow-reads-when-down", "no", Flag),
    inert("cluster-allow-replica-migration", "yes", Flag),
    inert("cluster-announce-bus-port", "0", Integer(0, 65535)),
    inert("cluster-announce-hostname", "", Text),
    inert("cluster-announce-human-nodename", "", Text),
    inert("cluster-announce-ip", "", Text),
    inert("cluster-announce-port", "0", Integer(0, 65535)),
    inert("cluster-announce-tls-port", "0", Integer(0, 65535)),
    inert("cluster-config-file", "nodes.conf", Fixed),
    inert("cluster-enabled", "no", Fixed),
    inert("cluster-link-sendbuf-limit", "0", Bytes(0, MOST)),
    inert("cluster-migration-barrier", "1", Integer(0, MOST_INT)),
    inert("cluster-node-timeout", "15000", Integer(0, MOST)),
    inert("cluster-port", "0", Fixed),
    inert("cluster-preferred-endpoint-type", "ip", Choice(&["ip", "hostname", "unknown-endpoint"])),
    inert("cluster-replica-no-failover", "no", Flag),
    inert("cluster-replica-validity-factor", "10", Integer(0, MOST_INT)),
    inert("cluster-require-full-coverage", "yes", Flag),
    inert("crash-log-enabled", "yes", Flag),
    inert("crash-memcheck-enabled", "yes", Flag),
    inert("daemonize", "no", Fixed),
    inert("dbfilename", "dump.rdb", Fixed),
    inert("disable-thp", "yes", Fixed),
    inert("dynamic-hz", "yes", Flag),
    inert("enable-module-command", "no", Fixed),
    inert("enable-protected-configs", "no", Fixed),
    inert("hash-max-listpack-entries", "512", Integer(0, MOST)),
    inert("hash-max-listpack-value", "64", Bytes(0, MOST)),
    inert("hll-sparse-max-bytes", "3000", Bytes(0, MOST)),
    inert("hz", "10", Integer(0, MOST_INT)),
    inert("ignore-warnings", "", Text),
    inert("io-threads-do-reads", "no", Fixed),
    inert("jemalloc-bg-thread", "yes", Flag),
    inert("lazyfree-lazy-eviction", "no", Flag),
    inert("lazyfree-lazy-expire", "no", Flag),
    inert("lazyfree-lazy-server-del", "no", Flag),
    inert("lazyfree-lazy-user-del", "no", Flag),
    inert("lazyfree-lazy-user-flush", "no", Flag),
    inert("lfu-decay-time", "1", Integer(0, MOST_INT)),
    inert("lfu-log-factor", "10", Integer(0, MOST_INT)),
    inert("list-compress-depth", "0", Integer(0, MOST_INT)),
    inert("list-max-listpack-size", "-2", Integer(LEAST_INT, MOST_INT)),
    inert("locale-collate", "", Text),
    inert("logfile", "", Fixed),
    inert("masterauth", "", Secret),
    inert("masteruser", "", Text),
    inert("maxmemory-clients", "0", Only("the memory of clients counts against maxmemory")),
    inert("maxmemory-eviction-tenacity", "10", Integer(0, 100)),
    inert("maxmemory-samples", "5", Integer(1, MOST_INT)),
    inert("min-replicas-max-lag", "10", Integer(0, MOST_INT)),
    inert("min-replicas-to-write", "0", Only("there are no replicas")),
    inert("no-appendfsync-on-rewrite", "no", Flag),
    inert("oom-score-adj", "no", Only("the operating system's choice is left alone")),
    inert("oom-score-adj-values", "0 200 800", Text),
    inert("pidfile", "", Fixed),
    inert("proc-title-template", "{title} {listen-addr} {server-mode}", Text),
    inert("propagation-error-behavior", "ignore", Choice(&["ignore", "panic", "panic-on-replicas"])),
    inert("protected-mode", "yes", Flag),
    inert("rdb-del-sync-files", "no", Flag),
    inert("rdb-save-incremental-fsync", "yes", Flag),
    inert("rdbchecksum", "yes", Fixed),
    inert("rdbcompression", "yes", Flag),
    inert("repl-backlog-size", "1048576", Bytes(1, MOST)),
    inert("repl-backlog-ttl", "3600", Integer(0, MOST)),
    inert("repl-disable-tcp-nodelay", "no", Flag),
    inert("repl-diskless-load", "disabled", Choice(&["disabled", "on-empty-db", "swapdb"])),
    inert("repl-diskless-sync", "yes", Flag),
    inert("repl-diskless-sync-delay", "5", Integer(0, MOST_INT)),
    inert("repl-diskless-sync-max-replicas", "0", Integer(0, MOST_INT)),
    inert("repl-ping-replica-period", "10", Integer(1, MOST_INT)),
    inert("repl-timeout", "60", Integer(1, MOST_INT)),
    inert("replica-announce-ip", "", Text),
    inert("replica-announce-port", "0", Integer(0, 65535)),
    inert("replica-announced", "yes", Flag),
    inert("replica-ignore-disk-write-errors", "no", Flag),
    inert("replica-ignore-maxmemory", "yes", Flag),
    inert("replica-lazy-flush", "no", Flag),
    inert("replica-priority", "100", Integer(0, MOST_INT)),
    inert("replica-read-only", "yes", Flag),
    inert("replica-serve-stale-data", "yes", Flag),
    inert("replicaof", "", Fixed),
    inert("sanitize-dump-payload", "no", Choice(&["no", "yes", "clients"])),
    inert("server_cpulist", "", Fixed),
    inert("set-max-intset-entries", "512", Integer(0, MOST)),
    inert("set-max-listpack-entries", "128", Integer(0, MOST)),
    inert("set-max-listpack-value", "64", Bytes(0, MOST)),
    inert("set-proc-title", "yes", Fixed),
    inert("shutdown-on-sigint", "default", Only("a signal saves what --durability promises")),
    inert("shutdown-on-sigterm", "default", Only("a signal saves what --durability promises")),
    inert("shutdown-timeout", "10", Only("connections have ten seconds to end")),
    inert("socket-mark-id", "0", Fixed),
    inert("stop-writes-on-bgsave-error", "yes", Flag),
    inert("stream-node-max-bytes", "4096", Bytes(0, MOST)),
    inert("stream-node-max-entries", "100", Integer(0, MOST)),
    inert("supervised", "no", Fixed),
    inert("syslog-enabled", "no", Fixed),
    inert("syslog-facility", "local0", Fixed),
    inert("syslog-ident", "redis", Fixed),
    inert("tcp-backlog", "511", Fixed),
    inert("tls-auth-clients", "yes", Choice(&["no", "yes", "optional"])),
    inert("tls-ca-cert-dir", "", Only(NO_TLS)),
    inert("tls-ca-cert-file", "", Only(NO_TLS)),
    inert("tls-cert-file", "", Only(NO_TLS)),
    inert("tls-ciphers", "", Only(NO_TLS)),
    inert("tls-ciphersuites", "", Only(NO_TLS)),
    inert("tls-client-cert-file", "", Only(NO_TLS)),
    inert("tls-client-key-file", "", Only(NO_TLS)),
    inert("tls-client-key-file-pass", "", Only(NO_TLS)),
    inert("tls-cluster", "no", Only(NO_TLS)),
    inert("tls-dh-params-file", "", Only(NO_TLS)),
    inert("tls-key-file", "", Only(NO_TLS)),
    inert("tls-key-file-pass", "", Only(NO_TLS)),
    inert("tls-port", "0", Only(NO_TLS)),
    inert("tls-prefer-server-ciphers", "no", Flag),
    inert("tls-protocols", "", Only(NO_TLS)),
    inert("tls-replication", "no", Only(NO_TLS)),
    inert("tls-session-cache-size", "20480", Integer(0, MOST_INT)),
    inert("tls-session-cache-timeout", "300", Integer(0, MOST_INT)),
    inert("tls-session-caching", "yes", Flag),
    inert("tracking-table-max-keys", "1000000", Integer(0, MOST)),
    inert("unixsocket", "", Fixed),
    inert("unixsocketperm", "0", Fixed),
    inert("zset-max-listpack-entries", "128", Integer(0, MOST)),
    inert("zset-max-listpack-value", "64", Bytes(0, MOST)),
];

const fn inert(name: &'static str, default: &'static str, takes: Takes) -> Inert {
    Inert { name, default, takes }
}

/// Every such setting, under each of its names.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static Inert)> {
    let aliases = ALIASES.iter().filter_map(|(alias, name)| Some((*alias, by_name(name)?)));
    SETTINGS.iter().map(|inert| (inert.name, inert)).chain(aliases)
}

/// The setting of a name, in any case.
pub(super) fn find(name: &str) -> Option<&'static Inert> {
    let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
    by_name(alias.map_or(name, |(_, name)| name))
}

fn by_name(name: &str) -> Option<&'static Inert> {
    SETTINGS.iter().find(|inert| inert.name.eq_ignore_ascii_case(name))
}

impl Inert {
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.takes, Fixed)
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self.takes, Secret)
    }

    /// The value as it is kept, or what is wrong with it in words that follow CONFIG SET's own.
    pub(super) fn parse(&self, value: &[u8]) -> Result<String, String> {
        let text = || String::from_utf8_lossy(value).into_owned();
        match self.takes {
            Flag => Ok(yes_or_no(flag(value)?)),
            Integer(from, to) => Ok(integer(value, from..=to)?.to_string()),
            Bytes(from, to) => Ok(bytes(value, from..=to)?.to_string()),
            Choice(names) => Ok(choice(value, names)?.to_owned()),
            Text | Secret => Ok(text()),
            Only(_) if value.eq_ignore_ascii_case(self.default.as_bytes()) => Ok(self.default.to_owned()),
            Only(reason) => Err(format!("only '{}' is possible: {reason}", self.default)),
            Fixed => Err("can't set immutable config".to_owned()),
        }
    }
}
