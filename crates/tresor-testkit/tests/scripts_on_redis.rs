//! The golden scripts through a real redis-server: what they expect is what Redis does.
//!
//! `@requires tresor` ends a script for Redis; from there on our own commands, or those of a later
//! Redis than the one installed, are expected.

use tresor_testkit::{
    RedisServer, Reply,
    script_runner::{Door, Shape, run_folder},
};

fn through(shape: Shape) {
    let Some(redis) = RedisServer::start(&[]) else { return };
    run_folder("", |run| {
        let mut client = redis.resp();
        client.command(&["FLUSHALL"]).expect("redis-server answers");
        if shape == Shape::Resp3 {
            client.hello(3).expect("redis-server answers");
        }
        let name = format!("redis-server, {shape:?}");
        let mut execute =
            |words: &[Vec<u8>]| -> Reply { client.command(words).expect("redis-server answers") };
        run(Door { name: &name, shape, has: &["redis", "batches"], execute: &mut execute, advance_ms: None });
    });
}

#[test]
fn scripts_hold_on_redis_in_version_2() {
    through(Shape::Resp2);
}

#[test]
fn scripts_hold_on_redis_in_version_3() {
    through(Shape::Resp3);
}
