//! Every command's reply has the shape that Redis gives it, in both versions of the protocol.
//!
//! Each row of the catalog has an example here. Where the real redis-server knows the command, its answer
//! says what the shape is; else the shape stands in the table. What a shape leaves out are the values and
//! how many there are.

mod running;

use std::collections::BTreeSet;

use tresor::{
    command::CATALOG,
    engine::memory::{MemoryEngine, MemoryOptions},
};
use tresor_testkit::{RedisServer, Reply, RespClient};

/// An example: the commands before it, separated by semicolons, and the command itself.
struct Example {
    row: &'static str,
    before: &'static str,
    command: &'static str,
    /// For what redis-server 7.0 does not have, the shapes in versions 2 and 3.
    shapes: Option<[&'static str; 2]>,
}

const fn like_redis(row: &'static str, before: &'static str, command: &'static str) -> Example {
    Example { row, before, command, shapes: None }
}

const fn own(
    row: &'static str,
    before: &'static str,
    command: &'static str,
    shapes: [&'static str; 2],
) -> Example {
    Example { row, before, command, shapes: Some(shapes) }
}

/// Commands that answer nothing, or what another answers for each command.
const WITHOUT_EXAMPLE: &[&str] = &["command", "shutdown"];

#[rustfmt::skip]
const EXAMPLES: &[Example] = &[
    like_redis("acl|help", "", "ACL HELP"),
    like_redis("acl|whoami", "", "ACL WHOAMI"),
    like_redis("append", "", "APPEND k v"),
    like_redis("auth", "", "AUTH wrong"),
    own("bgsave", "", "BGSAVE", ["error", "error"]),
    like_redis("bitcount", "SET k v", "BITCOUNT k"),
    like_redis("bitfield", "SET k v", "BITFIELD k GET u8 0 OVERFLOW FAIL INCRBY u2 0 9"),
    like_redis("bitfield_ro", "SET k v", "BITFIELD_RO k GET u8 0"),
    like_redis("bitop", "SET k v", "BITOP NOT d k"),
    like_redis("bitpos", "SET k v", "BITPOS k 1"),
    like_redis("client|caching", "", "CLIENT CACHING YES"),
    like_redis("client|getname", "CLIENT SETNAME n", "CLIENT GETNAME"),
    like_redis("client|getname", "", "CLIENT GETNAME"),
    like_redis("client|getredir", "", "CLIENT GETREDIR"),
    like_redis("client|help", "", "CLIENT HELP"),
    like_redis("client|id", "", "CLIENT ID"),
    like_redis("client|info", "", "CLIENT INFO"),
    like_redis("client|kill", "", "CLIENT KILL ID 999999"),
    like_redis("client|list", "", "CLIENT LIST"),
    like_redis("client|no-evict", "", "CLIENT NO-EVICT ON"),
    own("client|no-touch", "", "CLIENT NO-TOUCH ON", ["simple", "simple"]),
    like_redis("client|pause", "", "CLIENT PAUSE 0"),
    like_redis("client|reply", "", "CLIENT REPLY ON"),
    own("client|setinfo", "", "CLIENT SETINFO LIB-NAME x", ["simple", "simple"]),
    like_redis("client|setname", "", "CLIENT SETNAME n"),
    like_redis("client|tracking", "", "CLIENT TRACKING OFF"),
    own("client|tracking", "", "CLIENT TRACKING ON", ["error", "error"]),
    like_redis("client|trackinginfo", "", "CLIENT TRACKINGINFO"),
    like_redis("client|unblock", "", "CLIENT UNBLOCK 999999"),
    like_redis("client|unpause", "", "CLIENT UNPAUSE"),
    own("cluster|help", "", "CLUSTER HELP", ["array(simple)", "array(simple)"]),
    own("cluster|info", "", "CLUSTER INFO", ["bulk", "verbatim"]),
    own("cluster|keyslot", "", "CLUSTER KEYSLOT k", ["integer", "integer"]),
    own("cluster|myid", "", "CLUSTER MYID", ["bulk", "bulk"]),
    like_redis("command|count", "", "COMMAND COUNT"),
    like_redis("command|docs", "", "COMMAND DOCS get"),
    like_redis("command|docs", "", "COMMAND DOCS client|id nosuch"),
    like_redis("command|docs", "", "COMMAND DOCS mset"),
    like_redis("command|getkeys", "", "COMMAND GETKEYS MGET a b"),
    like_redis("command|help", "", "COMMAND HELP"),
    like_redis("command|info", "", "COMMAND INFO get nosuch"),
    own("command|info", "", "COMMAND INFO module", [
        "array(array(array()|array(array(array()|array(simple)|bulk|integer))|array(simple)|bulk|integer))",
        "array(array(array(array(bulk|integer|set()|set(simple)))|bulk|integer|set()|set(simple)))",
    ]),
    like_redis("command|list", "", "COMMAND LIST"),
    like_redis("config|get", "", "CONFIG GET max*"),
    like_redis("config|help", "", "CONFIG HELP"),
    like_redis("config|resetstat", "", "CONFIG RESETSTAT"),
    like_redis("config|rewrite", "", "CONFIG REWRITE"),
    like_redis("config|set", "", "CONFIG SET hz 10"),
    like_redis("copy", "SET k v", "COPY k d"),
    like_redis("dbsize", "", "DBSIZE"),
    like_redis("debug|help", "", "DEBUG HELP"),
    like_redis("debug|object", "SET k v", "DEBUG OBJECT k"),
    like_redis("debug|protocol", "", "DEBUG PROTOCOL MAP"),
    like_redis("debug|set-active-expire", "", "DEBUG SET-ACTIVE-EXPIRE 1"),
    like_redis("debug|sleep", "", "DEBUG SLEEP 0"),
    like_redis("decr", "", "DECR n"),
    like_redis("decrby", "", "DECRBY n 2"),
    like_redis("del", "SET k v", "DEL k"),
    own("delifeq", "SET k v", "DELIFEQ k v", ["integer", "integer"]),
    like_redis("discard", "MULTI", "DISCARD"),
    like_redis("dump", "SET k v", "DUMP k"),
    like_redis("dump", "", "DUMP k"),
    like_redis("echo", "", "ECHO x"),
    like_redis("exec", "MULTI;SET k v;GET k;GET absent;INCR n;CONFIG GET hz", "EXEC"),
    like_redis("exec", "WATCH k;SET k v;MULTI;GET k", "EXEC"),
    like_redis("exec", "MULTI;SET k", "EXEC"),
    like_redis("exists", "SET k v", "EXISTS k"),
    like_redis("expire", "SET k v", "EXPIRE k 10"),
    like_redis("expireat", "SET k v", "EXPIREAT k 99999999999"),
    like_redis("expiretime", "SET k v", "EXPIRETIME k"),
    like_redis("flushall", "", "FLUSHALL"),
    like_redis("flushdb", "", "FLUSHDB"),
    like_redis("get", "SET k v", "GET k"),
    like_redis("get", "", "GET k"),
    like_redis("getbit", "SET k v", "GETBIT k 1"),
    like_redis("getdel", "SET k v", "GETDEL k"),
    like_redis("getex", "SET k v", "GETEX k EX 10"),
    like_redis("getrange", "SET k v", "GETRANGE k 0 -1"),
    like_redis("getset", "SET k v", "GETSET k w"),
    like_redis("getset", "", "GETSET k w"),
    like_redis("hello", "", "HELLO"),
    like_redis("incr", "", "INCR n"),
    like_redis("incrby", "", "INCRBY n 2"),
    like_redis("incrbyfloat", "", "INCRBYFLOAT n 1.5"),
    like_redis("info", "", "INFO server"),
    like_redis("keys", "SET k v", "KEYS *"),
    like_redis("lastsave", "", "LASTSAVE"),
    like_redis("latency|doctor", "", "LATENCY DOCTOR"),
    like_redis("latency|graph", "", "LATENCY GRAPH command"),
    like_redis("latency|help", "", "LATENCY HELP"),
    like_redis("latency|histogram", "SET k v", "LATENCY HISTOGRAM set"),
    like_redis("latency|history", "", "LATENCY HISTORY command"),
    like_redis("latency|latest", "", "LATENCY LATEST"),
    like_redis("latency|reset", "", "LATENCY RESET"),
    like_redis("lcs", "MSET a abc b bcd", "LCS a b"),
    like_redis("lcs", "MSET a abc b bcd", "LCS a b LEN"),
    like_redis("lcs", "MSET a abc b bcd", "LCS a b IDX WITHMATCHLEN"),
    like_redis("lolwut", "", "LOLWUT"),
    like_redis("memory|help", "", "MEMORY HELP"),
    like_redis("memory|usage", "SET k v", "MEMORY USAGE k"),
    like_redis("memory|usage", "", "MEMORY USAGE k"),
    like_redis("mget", "SET k v", "MGET k absent"),
    like_redis("module|help", "", "MODULE HELP"),
    like_redis("module|list", "", "MODULE LIST"),
    like_redis("monitor", "", "MONITOR"),
    like_redis("move", "SET k v", "MOVE k 1"),
    like_redis("mset", "", "MSET k v"),
    like_redis("msetnx", "", "MSETNX k v"),
    like_redis("multi", "", "MULTI"),
    like_redis("object|encoding", "SET k v", "OBJECT ENCODING k"),
    like_redis("object|freq", "SET k v", "OBJECT FREQ k"),
    like_redis("object|help", "", "OBJECT HELP"),
    own("object|idletime", "SET k v", "OBJECT IDLETIME k", ["error", "error"]),
    like_redis("object|idletime", "", "OBJECT IDLETIME k"),
    like_redis("object|refcount", "SET k v", "OBJECT REFCOUNT k"),
    like_redis("persist", "SET k v", "PERSIST k"),
    like_redis("pexpire", "SET k v", "PEXPIRE k 1000"),
    like_redis("pexpireat", "SET k v", "PEXPIREAT k 99999999999999"),
    like_redis("pexpiretime", "SET k v", "PEXPIRETIME k"),
    like_redis("ping", "", "PING"),
    like_redis("ping", "", "PING x"),
    like_redis("ping", "SUBSCRIBE c", "PING"),
    like_redis("psetex", "", "PSETEX k 1000 v"),
    like_redis("psubscribe", "", "PSUBSCRIBE c*"),
    like_redis("pttl", "", "PTTL k"),
    like_redis("publish", "", "PUBLISH c m"),
    like_redis("pubsub|channels", "", "PUBSUB CHANNELS"),
    like_redis("pubsub|help", "", "PUBSUB HELP"),
    like_redis("pubsub|numpat", "", "PUBSUB NUMPAT"),
    like_redis("pubsub|numsub", "", "PUBSUB NUMSUB c"),
    like_redis("pubsub|shardchannels", "", "PUBSUB SHARDCHANNELS"),
    like_redis("pubsub|shardnumsub", "", "PUBSUB SHARDNUMSUB c"),
    like_redis("punsubscribe", "PSUBSCRIBE c*", "PUNSUBSCRIBE c*"),
    like_redis("quit", "", "QUIT"),
    like_redis("randomkey", "SET k v", "RANDOMKEY"),
    like_redis("randomkey", "", "RANDOMKEY"),
    like_redis("rename", "SET k v", "RENAME k d"),
    like_redis("renamenx", "SET k v", "RENAMENX k d"),
    like_redis("reset", "", "RESET"),
    like_redis("restore", "", "RESTORE k 0 damaged"),
    own("save", "", "SAVE", ["error", "error"]),
    like_redis("scan", "SET k v", "SCAN 0"),
    like_redis("select", "", "SELECT 1"),
    like_redis("set", "", "SET k v"),
    like_redis("set", "SET k v", "SET k w GET"),
    like_redis("set", "SET k v", "SET k w NX"),
    like_redis("setbit", "", "SETBIT k 1 1"),
    like_redis("setex", "", "SETEX k 10 v"),
    like_redis("setnx", "", "SETNX k v"),
    like_redis("setrange", "", "SETRANGE k 1 v"),
    like_redis("slowlog|get", "CONFIG SET slowlog-log-slower-than 0;SET k v", "SLOWLOG GET"),
    like_redis("slowlog|help", "", "SLOWLOG HELP"),
    like_redis("slowlog|len", "", "SLOWLOG LEN"),
    like_redis("slowlog|reset", "", "SLOWLOG RESET"),
    like_redis("spublish", "", "SPUBLISH c m"),
    like_redis("ssubscribe", "", "SSUBSCRIBE c"),
    like_redis("strlen", "", "STRLEN k"),
    like_redis("subscribe", "", "SUBSCRIBE c"),
    like_redis("substr", "SET k v", "SUBSTR k 0 -1"),
    like_redis("sunsubscribe", "", "SUNSUBSCRIBE"),
    like_redis("swapdb", "", "SWAPDB 0 1"),
    like_redis("time", "", "TIME"),
    like_redis("touch", "SET k v", "TOUCH k"),
    own("tresor.abort", "TRESOR.BEGIN", "TRESOR.ABORT", ["simple", "simple"]),
    own("tresor.begin", "", "TRESOR.BEGIN", ["integer", "integer"]),
    own("tresor.changes", "", "TRESOR.CHANGES STOP", ["simple", "simple"]),
    own("tresor.commit", "TRESOR.BEGIN", "TRESOR.COMMIT", ["simple", "simple"]),
    own("tresor.delmatch", "SET k v", "TRESOR.DELMATCH PREFIX k", ["integer", "integer"]),
    own("tresor.find", "SET k v", "TRESOR.FIND", ["array(array(bulk)|bulk|integer|null)", "map(bulk => array(bulk)|bulk => integer|bulk => null)"]),
    own("tresor.index|create", "TRESOR.INDEX DROP a", "TRESOR.INDEX CREATE a", ["simple", "simple"]),
    own("tresor.index|drop", "TRESOR.INDEX CREATE a", "TRESOR.INDEX DROP a", ["simple", "simple"]),
    own("tresor.index|help", "", "TRESOR.INDEX HELP", ["array(simple)", "array(simple)"]),
    own("tresor.index|list", "TRESOR.INDEX CREATE a", "TRESOR.INDEX LIST", ["array(array(bulk|integer))", "array(map(bulk => bulk|bulk => integer))"]),
    own("tresor.put", "", "TRESOR.PUT k v raw", ["simple", "simple"]),
    own("tresor.rollback", "TRESOR.BEGIN;SET k v", "TRESOR.ROLLBACK", ["array(bulk|null)", "array(bulk|null)"]),
    own("tresor.scan", "SET k v", "TRESOR.SCAN 0", ["array(array(array(bulk|null))|bulk)", "array(array(array(bulk|null))|bulk)"]),
    like_redis("ttl", "", "TTL k"),
    like_redis("type", "SET k v", "TYPE k"),
    like_redis("unlink", "", "UNLINK k"),
    like_redis("unsubscribe", "", "UNSUBSCRIBE"),
    like_redis("unwatch", "", "UNWATCH"),
    like_redis("wait", "", "WAIT 0 10"),
    like_redis("watch", "", "WATCH k"),
];

/// What kinds of replies a reply is made of; an array of many of a kind is as one of one.
fn shape(reply: &Reply) -> String {
    let each = |elements: &[Reply]| {
        let shapes: BTreeSet<String> = elements.iter().map(shape).collect();
        shapes.into_iter().collect::<Vec<_>>().join("|")
    };
    match reply {
        Reply::Simple(_) => "simple".to_owned(),
        Reply::Error(_) => "error".to_owned(),
        Reply::Integer(_) => "integer".to_owned(),
        Reply::Bulk(_) => "bulk".to_owned(),
        Reply::Null => "null".to_owned(),
        Reply::NullArray => "null array".to_owned(),
        Reply::Array(elements) => format!("array({})", each(elements)),
        Reply::Set(elements) => format!("set({})", each(elements)),
        Reply::Push(elements) => format!("push({})", each(elements)),
        Reply::Map(pairs) => {
            let shapes: BTreeSet<String> =
                pairs.iter().map(|(key, value)| format!("{} => {}", shape(key), shape(value))).collect();
            format!("map({})", shapes.into_iter().collect::<Vec<_>>().join("|"))
        }
        Reply::Double(_) => "double".to_owned(),
        Reply::Boolean(_) => "boolean".to_owned(),
        Reply::BigNumber(_) => "big number".to_owned(),
        Reply::Verbatim(..) => "verbatim".to_owned(),
    }
}

/// The shape of the answer on a connection of its own, over an empty store.
fn answered(mut client: RespClient, version: u8, example: &Example) -> String {
    let mut ask = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        client.command(&words).unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    if version == 3 {
        ask("HELLO 3");
    }
    ask("FLUSHALL");
    for line in example.before.split(';').filter(|line| !line.is_empty()) {
        ask(line);
    }
    shape(&ask(example.command))
}

#[test]
fn every_row_of_the_catalog_has_an_example() {
    let examples: BTreeSet<&str> = EXAMPLES.iter().map(|example| example.row).collect();
    let without: Vec<&str> = CATALOG
        .iter()
        .filter(|row| row.subcommands().next().is_none() || row.name == "command")
        .map(|row| row.name)
        .filter(|name| !examples.contains(name) && !WITHOUT_EXAMPLE.contains(name))
        .collect();
    assert!(without.is_empty(), "{without:?}");
    let unknown: Vec<&str> =
        examples.into_iter().filter(|name| !CATALOG.iter().any(|row| row.name == *name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn replies_have_the_shapes_of_redis() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let engine = MemoryEngine::volatile(&MemoryOptions::default()).expect("an empty engine");
    let server = running::server_over(engine, running::config());
    let mut wrong = Vec::new();
    for example in EXAMPLES {
        for version in [2, 3] {
            let ours = answered(running::client(&server), version, example);
            let theirs = match example.shapes {
                Some(shapes) => shapes[usize::from(version) - 2].to_owned(),
                None => answered(redis.resp(), version, example),
            };
            if ours != theirs {
                wrong.push(format!("{} in version {version}\n  {theirs}\n  {ours}", example.command));
            }
        }
    }
    assert!(wrong.is_empty(), "expected, then answered:\n{}", wrong.join("\n"));
}
