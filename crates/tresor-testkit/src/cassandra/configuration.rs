//! What a node is told: its `cassandra.yaml`, its `logback.xml` and its Java virtual machine's words.
//!
//! Small and quick to start rather than fast: a heap that three nodes on a laptop can have, the
//! simplest collector, the first compiler only, short waits for a ring that is on one machine. What a
//! client can see (timeouts, consistency, limits) is left as Cassandra ships it, but the timeouts of a
//! node with Accord, which is slow still.

use std::{ffi::OsString, fs, net::Ipv4Addr, path::Path};

use super::{
    CQL_PORT, Options, STORAGE_PORT,
    artifacts::Artifacts,
    certificates::{self, STORE_PASSWORD},
};

/// When a node's commit log reaches the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitLog {
    /// Every ten seconds, as Cassandra ships it: SIGKILL may take back what the node acknowledged last.
    #[default]
    Periodic,
    /// Before a write is acknowledged: SIGKILL loses nothing, and each write waits for the disk.
    Batch,
    /// Before a write is acknowledged, with all writes of 10 ms together.
    Group,
}

impl CommitLog {
    fn yaml(self) -> &'static str {
        match self {
            Self::Periodic => "commitlog_sync: periodic\ncommitlog_sync_period: 10000ms",
            Self::Batch => "commitlog_sync: batch",
            Self::Group => "commitlog_sync: group\ncommitlog_sync_group_window: 10ms",
        }
    }
}

/// How long a node with Accord waits for what it asked.
const PATIENCE: &str = "20000ms";

/// Modules' packages that Cassandra reaches into, opened and exported.
const OPENED: [&str; 18] = [
    "java.lang",
    "java.lang.module",
    "java.lang.ref",
    "java.lang.reflect",
    "java.io",
    "java.nio",
    "java.net",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "jdk.internal.loader",
    "jdk.internal.math",
    "jdk.internal.misc",
    "jdk.internal.module",
    "jdk.internal.ref",
    "jdk.internal.reflect",
    "jdk.internal.util.jar",
    "sun.nio.ch",
];

/// Packages of other modules that are exported only.
const EXPORTED: [&str; 5] = [
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
];

/// Heap, collector, compiler, and the short waits. JMX stays off: nobody asks for its port.
const VIRTUAL_MACHINE: [&str; 12] = [
    "-Xms768m",
    "-Xmx768m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+PerfDisableSharedMem",
    "-Djdk.attach.allowAttachSelf=true",
    "-Dcassandra-foreground=yes",
    "-Dcassandra.ring_delay_ms=2000",
    "-Dcassandra.superuser_setup_delay_ms=0",
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "--add-opens=jdk.management/com.sun.management.internal=ALL-UNNAMED",
];

const LOGBACK: &str = r#"<configuration>
  <appender name="O" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level %date{HH:mm:ss} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="O"/></root>
</configuration>
"#;

/// Writes a node's files below its directory, which is made if it is not there. `seeds` are asked who
/// else is in the ring; a node that is its own seed may start alone.
pub(super) fn write(
    directory: &Path,
    address: Ipv4Addr,
    seeds: &[Ipv4Addr],
    options: &Options,
) -> Result<(), String> {
    let put = |path: &Path, text: &str| {
        let parent = path.parent().unwrap_or(path);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(path, text))
            .map_err(|error| format!("{}: {error}", path.display()))
    };
    put(&directory.join("conf/cassandra.yaml"), &yaml(directory, address, seeds, options))?;
    put(&directory.join("conf/logback.xml"), LOGBACK)
}

fn yaml(directory: &Path, address: Ipv4Addr, seeds: &[Ipv4Addr], options: &Options) -> String {
    // A JSON string is a YAML string, whatever the path has in it.
    let data = |name: &str| serde_json::json!(directory.join("data").join(name).to_string_lossy());
    let seeds = seeds.iter().map(|seed| format!("{seed}:{STORAGE_PORT}")).collect::<Vec<_>>().join(",");
    let mut yaml = format!(
        "\
cluster_name: tresor
num_tokens: 16
allocate_tokens_for_local_replication_factor: 3
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
listen_address: {address}
rpc_address: {address}
storage_port: {STORAGE_PORT}
native_transport_port: {CQL_PORT}
start_native_transport: true
{sync}
paxos_variant: v2
data_file_directories: [{tables}]
commitlog_directory: {commitlog}
hints_directory: {hints}
saved_caches_directory: {caches}
cdc_raw_directory: {cdc}
memtable_heap_space: 128MiB
memtable_offheap_space: 128MiB
file_cache_size: 64MiB
key_cache_size: 16MiB
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: \"{seeds}\"}}]
",
        sync = options.commit_log.yaml(),
        tables = data("data"),
        commitlog = data("commitlog"),
        hints = data("hints"),
        caches = data("caches"),
        cdc = data("cdc"),
    );
    if options.secured {
        yaml.push_str(&security(directory));
    }
    if options.version.starts_with('6') {
        yaml.push_str(&accord(&data("accord"), options.commit_log));
    }
    yaml
}

/// Users, rights, and encrypted connections beside plain ones.
fn security(directory: &Path) -> String {
    let root = directory.parent().unwrap_or(directory);
    format!(
        "\
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
client_encryption_options:
  {{enabled: true, optional: true, keystore: {keys}, keystore_password: {STORE_PASSWORD}, store_type: PKCS12}}
",
        keys = serde_json::json!(certificates::key_store(root).to_string_lossy()),
    )
}

/// Accord's part of the file. After SIGKILL a node refuses to start unless told otherwise, since it may
/// have forgotten votes; where its journal is flushed before each vote it has forgotten none. A node
/// that shares its cores with a build needs more than the 2 s that Cassandra ships.
fn accord(journal: &serde_json::Value, commit_log: CommitLog) -> String {
    let mode = match commit_log {
        CommitLog::Periodic => "PERIODIC",
        CommitLog::Batch | CommitLog::Group => "BATCH",
    };
    format!(
        "\
accord:
  enabled: true
  journal_directory: {journal}
  journal: {{flush_mode: {mode}, stop_marker_failure_policy: ALLOW_UNSAFE_STARTUP}}
read_request_timeout: {PATIENCE}
range_request_timeout: {PATIENCE}
write_request_timeout: {PATIENCE}
cas_contention_timeout: {PATIENCE}
request_timeout: {PATIENCE}
"
    )
}

/// The words after `java`.
pub(super) fn java_arguments(directory: &Path, artifacts: &Artifacts) -> Vec<OsString> {
    let mut words: Vec<OsString> = VIRTUAL_MACHINE.iter().map(OsString::from).collect();
    for package in OPENED {
        words.push(format!("--add-opens=java.base/{package}=ALL-UNNAMED").into());
        words.push(format!("--add-exports=java.base/{package}=ALL-UNNAMED").into());
    }
    words.extend(EXPORTED.iter().map(|package| format!("--add-exports={package}=ALL-UNNAMED").into()));
    words.push(identity(directory).into());
    words.push(format!("-Dlogback.configurationFile={}", url(&directory.join("conf/logback.xml"))).into());
    for (name, path) in
        [("cassandra.storagedir", directory.join("data")), ("java.io.tmpdir", directory.into())]
    {
        let mut word = OsString::from(format!("-D{name}="));
        word.push(path);
        words.push(word);
    }
    words.extend([OsString::from("-cp"), artifacts.class_path().into()]);
    words.push("org.apache.cassandra.service.CassandraDaemon".into());
    words
}

/// The word of the command line by which a process is known to be the node of this directory.
pub(super) fn identity(directory: &Path) -> String {
    format!("-Dcassandra.config={}", url(&directory.join("conf/cassandra.yaml")))
}

fn url(path: &Path) -> String {
    let mut url = "file://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'~' => url.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => url.push(char::from(*byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, path::Path};

    use super::{CommitLog, Options, identity, yaml};

    fn yaml_of(options: &Options) -> String {
        let address = Ipv4Addr::new(127, 0, 3, 2);
        yaml(Path::new("/a \"b\""), address, &[Ipv4Addr::new(127, 0, 3, 1), address], options)
    }

    #[test]
    fn a_node_is_told_its_address_its_seeds_and_its_quoted_paths() {
        let yaml = yaml_of(&Options::default());
        for line in [
            "rpc_address: 127.0.3.2",
            "commitlog_sync: periodic",
            r#"hints_directory: "/a \"b\"/data/hints""#,
            r#"    parameters: [{seeds: "127.0.3.1:7000,127.0.3.2:7000"}]"#,
        ] {
            assert!(yaml.lines().any(|is| is == line), "{line}\n{yaml}");
        }
        assert!(!yaml.contains("accord"));
    }

    #[test]
    fn version_6_gets_accord_and_the_commit_log_can_be_chosen() {
        let commit_log = CommitLog::Batch;
        let yaml = yaml_of(&Options { version: "6.0-alpha2".into(), commit_log, ..Options::default() });
        assert!(yaml.contains("accord:\n  enabled: true\n  journal_directory: \"/a"));
        assert!(yaml.contains("commitlog_sync: batch\n"));
    }

    #[test]
    fn a_node_is_known_by_its_directory() {
        assert_eq!(identity(Path::new("/a b/n1")), "-Dcassandra.config=file:///a%20b/n1/conf/cassandra.yaml");
    }
}
