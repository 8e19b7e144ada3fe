//! Programs with client libraries that others have written, unchanged, against `tresor serve`.
//!
//! One program a library, in its language, beside this file. Each authenticates, chooses a database, pipelines,
//! listens to messages, and goes on after the server was stopped and started again: it asks for that on its
//! output and reads on its input that it is done, so nothing here waits by time. redis-cli, which wants a
//! terminal, and redis-rs, which is in our own language, go the same way in files of their own. @upstash/redis
//! comes in over HTTP, and so does schemathesis (`described_requests.rs`).

mod client_program;
mod described_requests;
mod redis_cli;
mod redis_rs;
mod served;

use std::{path::Path, process::Command};

use tresor_testkit::{client_libraries, programs};

use crate::served::Door;

/// The programs and the lists of what they need.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_clients");

/// One test a program, each with what it is given besides the server's address.
macro_rules! client_programs {
    ($door:ident: $($name:ident: $command:expr,)*) => {$(
        #[test]
        fn $name() {
            if let Some(command) = $command {
                client_program::passes(command, Door::$door);
            }
        }
    )*};
}

client_programs! {
    Redis:
    redis_py_in_protocol_2: python("redis_py.py", &["2"]),
    redis_py_in_protocol_3: python("redis_py.py", &["3"]),
    redis_py_with_asyncio_in_protocol_2: python("redis_py_asyncio.py", &["2"]),
    redis_py_with_asyncio_in_protocol_3: python("redis_py_asyncio.py", &["3"]),
    django: python("django_cache.py", &[]),
    flask: python("flask_sessions.py", &[]),
    ioredis_in_protocol_2: node("ioredis.js", &["2"]),
    ioredis_in_protocol_3: node("ioredis.js", &["3"]),
    node_redis_in_protocol_2: node("node_redis.js", &["2"]),
    node_redis_in_protocol_3: node("node_redis.js", &["3"]),
    go_redis_in_protocol_2: go("go_redis", &["2"]),
    go_redis_in_protocol_3: go("go_redis", &["3"]),
    redis_exporter: exporter(),
}

client_programs! {
    Http:
    upstash_redis: node("upstash_redis.js", &[]),
}

fn python(source: &str, arguments: &[&str]) -> Option<Command> {
    let mut python = client_libraries::python()?;
    python.arg(Path::new(FOLDER).join(source)).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    Some(python)
}

fn node(source: &str, arguments: &[&str]) -> Option<Command> {
    let mut node = client_libraries::node()?;
    node.arg(Path::new(FOLDER).join(source)).args(arguments);
    Some(node)
}

fn go(folder: &str, arguments: &[&str]) -> Option<Command> {
    let mut program = client_libraries::go(&Path::new(FOLDER).join(folder))?;
    program.args(arguments);
    Some(program)
}

/// The exporter is a server itself, which a program in Python starts, reads and judges.
fn exporter() -> Option<Command> {
    let exporter = programs::require("prometheus-redis-exporter")?;
    python("redis_exporter.py", &[exporter.to_str().expect("programs have plain names")])
}
