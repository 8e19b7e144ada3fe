//! Random commands to a real redis-server and to ours: every reply must be the same.
//!
//! Commands are made from templates whose places are filled with words that are likely to matter:
//! few keys, so that they meet again, and numbers at every edge. Now and then a word is left out or
//! added. Where the two differ on purpose, [`DIFFERENCES`] names the difference, says why, and checks
//! what must hold instead; anything else is a failure. The seed is printed.

mod running;

use std::env;

use tresor::engine::memory::{MemoryEngine, MemoryOptions};
use tresor_testkit::{RedisServer, Reply, RespClient, quoted, random, random::Random};

/// Commands of a round; with `TRESOR_FULL` a million in all, of twenty-five seeds in each version.
const COMMANDS: usize = 20_000;
const ROUNDS_IN_FULL: u64 = 25;

/// How far two clocks, and the time between two commands, may be apart.
const APART_MS: i64 = 5_000;

/// A place in braces is filled in: see [`words`].
const TEMPLATES: &[&str] = &[
    "GET {key}",
    "SET {key} {value}",
    "SET {key} {value} {set}",
    "SET {key} {value} {set} {set}",
    "SET {key} {value} {set} {set} {set}",
    "SETNX {key} {value}",
    "SETEX {key} {time} {value}",
    "PSETEX {key} {ms} {value}",
    "GETSET {key} {value}",
    "GETDEL {key}",
    "GETEX {key}",
    "GETEX {key} {getex}",
    "GETEX {key} {getex} {getex}",
    "MGET {key} {key} {key}",
    "MSET {key} {value} {key} {value}",
    "MSETNX {key} {value} {key} {value}",
    "APPEND {key} {value}",
    "STRLEN {key}",
    "SETRANGE {key} {offset} {value}",
    "GETRANGE {key} {place} {place}",
    "SUBSTR {key} {place} {place}",
    "INCR {key}",
    "DECR {key}",
    "INCRBY {key} {number}",
    "DECRBY {key} {number}",
    "INCRBYFLOAT {key} {float}",
    "SET {key} {number}",
    "SET {key} {float}",
    "DEL {key}",
    "DEL {key} {key}",
    "UNLINK {key} {key} {key}",
    "EXISTS {key} {key}",
    "TOUCH {key}",
    "TYPE {key}",
    "EXPIRE {key} {time}",
    "EXPIRE {key} {time} {when}",
    "EXPIRE {key} {time} {when} {when}",
    "PEXPIRE {key} {ms} {when}",
    "EXPIREAT {key} {moment}",
    "EXPIREAT {key} {moment} {when}",
    "PEXPIREAT {key} {moment} {when}",
    "TTL {key}",
    "PTTL {key}",
    "EXPIRETIME {key}",
    "PEXPIRETIME {key}",
    "PERSIST {key}",
    "RENAME {key} {key}",
    "RENAMENX {key} {key}",
    "COPY {key} {key}",
    "COPY {key} {key} {copy} {copy}",
    "MOVE {key} {database}",
    "SWAPDB {database} {database}",
    "DUMP {key}",
    "RESTORE {key} {time} {value}",
    "RESTORE {key} {time} {value} {restore} {restore}",
    "OBJECT ENCODING {key}",
    "OBJECT REFCOUNT {key}",
    "OBJECT FREQ {key}",
    "OBJECT {value} {key}",
    "WAIT {number} {wait}",
    "LCS {key} {key}",
    "LCS {key} {key} {lcs} {lcs}",
    "LCS {key} {key} {lcs} {lcs} {lcs}",
    "SETBIT {key} {bit} {on}",
    "GETBIT {key} {bit}",
    "BITCOUNT {key}",
    "BITCOUNT {key} {place} {place}",
    "BITCOUNT {key} {place} {place} {unit}",
    "BITPOS {key} {on}",
    "BITPOS {key} {on} {place}",
    "BITPOS {key} {on} {place} {place}",
    "BITPOS {key} {on} {place} {place} {unit}",
    "BITOP {operation} {key} {key}",
    "BITOP {operation} {key} {key} {key} {key}",
    "BITFIELD {key} {field}",
    "BITFIELD {key} {field} {field} {field}",
    "BITFIELD {key} {field} {field} {field} {field} {field}",
    "BITFIELD_RO {key} {field}",
    "BITFIELD_RO {key} GET u8 {bit} GET i13 {bit}",
    "KEYS {glob}",
    "KEYS {glob}{glob}",
    "SCAN 0 COUNT 10000",
    "SCAN 0 MATCH {glob} COUNT 10000",
    "SCAN 0 COUNT 10000 TYPE {type}",
    "DBSIZE",
    "SELECT {database}",
    "FLUSHDB",
    "PING",
    "PING {value}",
    "ECHO {value}",
    "AUTH {value}",
    "COMMAND GETKEYS GET {key}",
    "COMMAND GETKEYS MSET {key} 1 {key} 2",
    "COMMAND GETKEYS BITOP AND {key} {key} {key}",
    "COMMAND GETKEYS OBJECT ENCODING {key}",
    "COMMAND GETKEYS COPY {key} {key} REPLACE",
    "CLIENT SETNAME {value}",
    "CLIENT GETNAME",
    "CLIENT {value}",
    "{value} {key}",
    "CONFIG SET timeout {number}",
    "CONFIG SET maxmemory-policy {value}",
    "CONFIG SET {value} {value}",
    "CONFIG SET {setting} {choice}",
    "CONFIG SET {setting} {number}",
    "CONFIG SET {setting} {choice} {setting} {choice}",
    "CONFIG GET {setting}",
    "CONFIG GET {value}",
    "CONFIG SET slowlog-log-slower-than {never}",
    "CONFIG SET slowlog-max-len {entries}",
    "CONFIG SET latency-monitor-threshold {never}",
    "CONFIG GET slowlog-max-len",
    "SLOWLOG {value}",
    "SLOWLOG LEN",
    "SLOWLOG GET {number}",
    "SLOWLOG RESET",
    "LATENCY {value}",
    "LATENCY LATEST",
    "LATENCY HISTORY {value}",
    "LATENCY GRAPH {value}",
    "LATENCY RESET {value}",
    "DEBUG {value}",
    "DEBUG PROTOCOL {type}",
];

/// The words that a place may be filled with; of those in [`WITH_WORDS`] each is several.
const WORDS: &[(&str, &[&str])] = &[
    ("key", &["a", "b", "c", "d", "a1", "b[1]", "k*", ""]),
    ("value", &["1", "10", "-5", "v", "", "two words", "3.5", "x\0y\r\nz", "9223372036854775807"]),
    (
        "number",
        &[
            "0",
            "1",
            "-1",
            "7",
            "100",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "01",
            "+1",
            " 1",
            "1 ",
            "",
            "x",
            "1.0",
            "-0",
        ],
    ),
    (
        "float",
        &[
            "0",
            "1",
            "0.5",
            "-0.25",
            "3.0e2",
            "1e-3",
            "10.1",
            "-1.5",
            "100000000.25",
            "x",
            "",
            " 1",
            "nan",
            "inf",
        ],
    ),
    ("offset", &["0", "1", "5", "30", "-1", "x", "600000000", "9223372036854775807"]),
    (
        "place",
        &["0", "1", "-1", "3", "-3", "100", "-100", "x", "9223372036854775807", "-9223372036854775808"],
    ),
    (
        "time",
        &[
            "100",
            "1000",
            "100000",
            "0",
            "-1",
            "x",
            "9223372036854775807",
            "9223372036854775",
            "-9223372036854775808",
        ],
    ),
    // Long enough that no key expires between the one server and the other.
    ("ms", &["1000000", "2000000", "0", "-1", "x", "9223372036854775807", "-9223372036854775808"]),
    ("moment", &["33177117420", "33177117420123", "1", "0", "-1", "x", "9223372036854775807"]),
    ("when", &["NX", "XX", "GT", "LT", "nx", "SOON"]),
    (
        "set",
        &[
            "NX",
            "XX",
            "GET",
            "KEEPTTL",
            "EX 1000",
            "PX 1000000",
            "EXAT 33177117420",
            "PXAT 33177117420123",
            "EX 0",
            "PX -1",
            "EX x",
            "EX",
            "EXAT 1",
            "EX 9223372036854775807",
            "PERSIST",
            "nosuch",
            "get",
            "xx",
        ],
    ),
    (
        "getex",
        &["PERSIST", "EX 1000", "PX 1000000", "EXAT 33177117420", "EX 0", "EX x", "EX", "PXAT 1", "KEEPTTL"],
    ),
    // Nothing is ever slow by these, so that what is kept of it is the same.
    ("never", &["9223372036854775807", "9223372036854775808", "x", "", "01", "-"]),
    ("entries", &["0", "1", "128", "100000", "-1", "x"]),
    (
        "glob",
        &["*", "?", "a*", "[ab]*", "[^a]", "[a-c]1", "\\*", "[", "b\\[1]", "*1*", "k\\*", "[]", "[a-", "**"],
    ),
    (
        "setting",
        &[
            "cluster-node-timeout",
            "CLUSTER-NODE-TIMEOUT",
            "activerehashing",
            "lfu-log-factor",
            "auto-aof-rewrite-min-size",
            "propagation-error-behavior",
            "slave-priority",
            "replica-priority",
            "active-defrag-cycle-min",
            "latency-tracking",
            "latency-tracking-info-percentiles",
            "list-max-listpack-size",
            "masteruser",
            "databases",
            "cluster-enabled",
            "maxmemory-policy",
        ],
    ),
    (
        "choice",
        &["yes", "NO", "ignore", "panic", "5", "1mb", "0", "-3", "", "99", "allkeys-lru", "noeviction"],
    ),
    ("type", &["string", "list", "STRING", "hash"]),
    ("database", &["0", "0", "1", "15", "16", "-1", "x", "99999999999"]),
    ("copy", &["DB 0", "DB 1", "DB 16", "DB x", "DB", "REPLACE", "replace", "NX"]),
    ("restore", &["REPLACE", "ABSTTL", "IDLETIME 1", "IDLETIME -1", "FREQ 1", "FREQ 256", "FREQ", "NX"]),
    ("wait", &["1", "-1", "x", "0.5"]),
    ("lcs", &["LEN", "IDX", "WITHMATCHLEN", "MINMATCHLEN 2", "MINMATCHLEN x", "MINMATCHLEN", "idx", "NX"]),
    (
        "bit",
        &["0", "1", "7", "8", "9", "63", "100", "-1", "x", "#1", "01", "5000000000", "9223372036854775807"],
    ),
    ("on", &["0", "1", "0", "1", "2", "x", "01"]),
    ("unit", &["BIT", "BYTE", "bit", "NIBBLE"]),
    ("operation", &["AND", "OR", "XOR", "NOT", "not", "NAND"]),
    (
        "field",
        &[
            "GET u8 0",
            "GET i64 3",
            "GET u63 #1",
            "GET u1 100",
            "GET u64 0",
            "GET i8 -1",
            "SET u8 0 300",
            "SET i5 7 -9",
            "SET i64 1 9223372036854775807",
            "SET u63 #1 -1",
            "SET u8 0 x",
            "SET u8 5000000000 1",
            "INCRBY u2 13 1",
            "INCRBY i8 #2 100",
            "INCRBY i64 1 9223372036854775807",
            "INCRBY u63 64 -1",
            "INCRBY u2 13",
            "OVERFLOW WRAP",
            "OVERFLOW SAT",
            "OVERFLOW FAIL",
            "OVERFLOW BEND",
        ],
    ),
];

/// Places whose options are several words.
const WITH_WORDS: &[&str] = &["{set}", "{getex}", "{copy}", "{restore}", "{lcs}", "{field}"];

fn words(place: &str) -> &'static [&'static str] {
    let found = WORDS.iter().find(|(known, _)| *known == place);
    found.map(|(_, words)| *words).unwrap_or_else(|| panic!("no such place: {place}"))
}

/// A difference that is meant, and what must hold where it shows.
struct Difference {
    /// What differs, and why.
    reason: &'static str,
    /// Whether it explains these replies: command in capitals, Redis's, ours.
    explains: fn(&str, &Reply, &Reply) -> bool,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        reason: "time passes between the two: what is left of a key's time differs by a little",
        explains: |command, theirs, ours| match command {
            "TTL" | "EXPIRETIME" => close(theirs, ours, APART_MS / 1000),
            "PTTL" | "PEXPIRETIME" => close(theirs, ours, APART_MS),
            _ => false,
        },
    },
    Difference {
        reason: "INCRBYFLOAT adds decimals; Redis adds binary fractions of 80 bits, whose noise it shows",
        explains: |command, theirs, ours| {
            command == "INCRBYFLOAT"
                && numbers(theirs, ours).is_some_and(|(a, b)| (a - b).abs() <= a.abs() * 1e-15)
        },
    },
    Difference {
        reason: "the limit on a value's length is named by the option that sets it here",
        explains: |_, theirs, ours| {
            theirs.error() == Some("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
                && ours.error() == Some("ERR string exceeds maximum allowed size (--max-value-bytes)")
        },
    },
    Difference {
        reason: "a word with a zero byte is shown whole in an error; Redis shows it up to there",
        explains: |_, theirs, ours| match (theirs.error(), ours.error()) {
            (Some(theirs), Some(ours)) => {
                let same = theirs.bytes().zip(ours.bytes()).take_while(|(a, b)| a == b).count();
                ours.as_bytes().get(same) == Some(&0)
            }
            _ => false,
        },
    },
    Difference {
        reason: "stars match nothing, so the empty key too; Redis grants it that for a single star only",
        explains: |command, theirs, ours| match (theirs, ours) {
            (Reply::Array(theirs), Reply::Array(ours)) if command == "KEYS" => without_empty(ours) == *theirs,
            (Reply::Array(theirs), Reply::Array(ours)) if command == "SCAN" => {
                matches!((&theirs[1], &ours[1]), (Reply::Array(theirs), Reply::Array(ours)) if without_empty(ours) == *theirs)
            }
            _ => false,
        },
    },
    Difference {
        reason: "COMMAND GETKEYS takes a command without arguments since Redis 7.2",
        explains: |command, theirs, ours| {
            command == "COMMAND"
                && theirs.error() == Some("ERR wrong number of arguments for 'command|getkeys' command")
                && ours.error() == Some("ERR Invalid number of arguments specified for command")
        },
    },
    Difference {
        reason: "SET with a moment that has passed leaves nothing; Redis counts what is left until it removes it",
        explains: |command, theirs, ours| command == "DBSIZE" && theirs.integer() > ours.integer(),
    },
    Difference {
        reason: "DUMP writes values as they are; Redis compresses those over 20 bytes",
        explains: |command, theirs, _| command == "DUMP" && theirs.bytes().is_some_and(|it| it[1] == 0xc3),
    },
    Difference {
        reason: "OBJECT ENCODING goes by the value; Redis remembers how it was written",
        explains: |command, theirs, ours| {
            command == "OBJECT"
                && matches!(
                    (theirs.bytes(), ours.bytes()),
                    (Some(b"raw"), Some(b"int" | b"embstr")) | (Some(b"embstr"), Some(b"int"))
                )
        },
    },
    Difference {
        reason: "OBJECT REFCOUNT is 1; Redis shares small numbers",
        explains: |command, theirs, ours| {
            command == "OBJECT" && theirs.integer() == Some(i64::from(i32::MAX)) && ours.integer() == Some(1)
        },
    },
    Difference {
        reason: "SLOWLOG keeps 100000 commands at most; Redis as many as there is memory for",
        explains: |_, theirs, ours| {
            let reason = "argument must be between 0 and";
            [theirs, ours].iter().all(|reply| reply.error().is_some_and(|error| error.contains(reason)))
        },
    },
    Difference {
        reason: "what DEBUG needs is named as it is called here",
        explains: |command, theirs, ours| {
            let refused = "ERR DEBUG command not allowed. ";
            command == "DEBUG"
                && [theirs, ours]
                    .iter()
                    .all(|reply| reply.error().is_some_and(|error| error.starts_with(refused)))
        },
    },
];

fn without_empty(keys: &[Reply]) -> Vec<Reply> {
    keys.iter().filter(|key| key.bytes() != Some(b"")).cloned().collect()
}

fn close(theirs: &Reply, ours: &Reply, apart: i64) -> bool {
    match (theirs.integer(), ours.integer()) {
        (Some(theirs), Some(ours)) => theirs > 0 && ours > 0 && (theirs - ours).abs() <= apart,
        _ => false,
    }
}

fn numbers(theirs: &Reply, ours: &Reply) -> Option<(f64, f64)> {
    Some((theirs.text()?.parse().ok()?, ours.text()?.parse().ok()?))
}

/// A command: a template filled in, and one time in twenty a word too few or too many.
fn command(random: &mut Random) -> Vec<Vec<u8>> {
    let template = random.choice(TEMPLATES);
    let mut command = Vec::new();
    for part in template.split(' ') {
        let mut word = String::new();
        let mut rest = part;
        while let Some((before, after)) = rest.split_once('{') {
            let (place, after) = after.split_once('}').expect("a place ends");
            word = word + before + random.choice::<&str>(words(place));
            rest = after;
        }
        word += rest;
        match word.split_once(' ') {
            // Options bring what belongs to them as words of their own.
            Some(_) if WITH_WORDS.contains(&part) => {
                command.extend(word.split(' ').map(|word| word.as_bytes().to_vec()));
            }
            _ => command.push(word.into_bytes()),
        }
    }
    if random.one_in(20) && command.len() > 1 {
        command.pop();
    } else if random.one_in(20) {
        command.push(b"more".to_vec());
    }
    command
}

/// Sets and scans come in no particular order.
fn sorted(command: &str, mut reply: Reply) -> Reply {
    let sort = |elements: &mut Vec<Reply>| elements.sort_by_cached_key(ToString::to_string);
    match &mut reply {
        Reply::Array(elements) if command == "KEYS" => sort(elements),
        Reply::Array(parts) if command == "SCAN" => {
            if let Some(Reply::Array(elements)) = parts.get_mut(1) {
                sort(elements);
            }
        }
        _ => {}
    }
    reply
}

fn shown(words: &[Vec<u8>]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn compare(mut theirs: RespClient, mut ours: RespClient, random: &mut Random) {
    let mut history = Vec::new();
    for number in 0..COMMANDS {
        let words = command(random);
        let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
        let their_reply = sorted(&name, theirs.command(&words).expect("redis-server answers"));
        let our_reply = sorted(&name, ours.command(&words).expect("the server answers"));
        history.push(format!("{}\n    {}", shown(&words), their_reply.to_string().replace('\n', "\n    ")));
        if their_reply == our_reply {
            continue;
        }
        let explained = DIFFERENCES.iter().find(|known| (known.explains)(&name, &their_reply, &our_reply));
        assert!(
            explained.is_some(),
            "command {number}\n{}\n--- redis-server\n{their_reply}\n--- ours\n{our_reply}\n--- before it\n{}",
            shown(&words),
            history[history.len().saturating_sub(12)..].join("\n")
        );
        if name == "INCRBYFLOAT" {
            // Both go on with the same number, else the noise would show again and again.
            let value = their_reply.bytes().expect("a number as text").to_vec();
            let again = [b"SET".to_vec(), words[1].clone(), value, b"KEEPTTL".to_vec()];
            theirs.command(&again).expect("redis-server answers");
            ours.command(&again).expect("the server answers");
        }
    }
}

fn run(version: u8) {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let engine = MemoryEngine::volatile(&MemoryOptions::default()).expect("an empty engine");
    let server = running::server_over(engine, running::config());
    println!("{} differences are meant:", DIFFERENCES.len());
    DIFFERENCES.iter().for_each(|difference| println!("  {}", difference.reason));
    let seed = random::seed("differential");
    let rounds = if env::var_os("TRESOR_FULL").is_some() { ROUNDS_IN_FULL } else { 1 };
    for round in 0..rounds {
        let (mut theirs, mut ours) = (redis.resp(), running::client(&server));
        for client in [&mut theirs, &mut ours] {
            // How long a command takes must not show, that of the very first included.
            client.command(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]).expect("it answers");
            client.command(&["FLUSHALL"]).expect("the server answers");
            if version == 3 {
                client.hello(3).expect("the server answers");
            }
        }
        println!("round {round}");
        compare(theirs, ours, &mut Random::new(seed ^ u64::from(version) ^ round << 32));
    }
}

#[test]
fn replies_are_those_of_redis_in_version_2() {
    run(2);
}

#[test]
fn replies_are_those_of_redis_in_version_3() {
    run(3);
}
