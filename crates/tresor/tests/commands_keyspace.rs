//! Commands over whole databases: complete, and never in the way of others.

mod commands_client;

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
    thread,
};

use commands_client::{TestClient, database};
use tresor::reply::Reply;

const KEYS: usize = 20_000;

fn filled() -> (tresor::Database, TestClient) {
    let database = database();
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    for number in 0..KEYS {
        client.reply(&format!("SET key:{number} value"));
    }
    (database, client)
}

fn elements(reply: Reply) -> Vec<Reply> {
    match reply {
        Reply::Array(elements) => elements,
        other => panic!("{other:?} is no array"),
    }
}

fn name(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("{other:?} is no name"),
    }
}

/// Between two pages of KEYS another client, and even one that needs every gate, gets its turn.
#[test]
fn keys_lets_others_through() {
    let (database, mut lister) = filled();
    let mut other = TestClient::connect(&database, "10.0.0.2:2");
    let (mut turns, mut context) = (0, Context::from_waker(Waker::noop()));
    {
        let words: [&[u8]; 2] = [b"KEYS", b"key:*"];
        let mut listing = pin!(async {
            lister.session.enter().await;
            let command = lister.session.prepare(&words).expect("a command");
            lister.session.execute(command, &mut lister.writer).await;
            lister.session.leave();
        });
        while listing.as_mut().poll(&mut context) == Poll::Pending {
            turns += 1;
            assert_eq!(other.text("GET key:0"), "value");
            if turns == 1 {
                other.reply("SELECT 1");
                assert_eq!(other.reply("FLUSHDB"), Reply::Simple("OK".into()));
                other.reply("SELECT 0");
            }
        }
    }
    // Pages are read and then written, about a thousand keys each.
    assert!(turns >= 2 * (KEYS / 2000), "only {turns} turns for others");
    let listed: BTreeSet<_> = elements(lister.take().remove(0)).iter().map(name).collect();
    assert_eq!(listed.len(), KEYS);
}

#[test]
fn a_scan_sees_every_key_once_while_others_come_and_go() {
    let (_database, mut client) = filled();
    let (mut cursor, mut seen, mut round) = ("0".to_owned(), Vec::new(), 0);
    loop {
        let page = elements(client.reply(&format!("SCAN {cursor} COUNT 100 MATCH key:*")));
        seen.extend(elements(page[1].clone()).iter().map(name));
        round += 1;
        client.reply(&format!("SET other:{round} value"));
        client.reply(&format!("DEL other:{}", round / 2));
        cursor = name(&page[0]);
        if cursor == "0" {
            break;
        }
    }
    let distinct: BTreeSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (KEYS, KEYS));
    assert!(round >= KEYS / 200, "{round} pages");
    let page = elements(client.reply("SCAN 0 COUNT 1000000"));
    assert_eq!(name(&page[0]), "0");
    assert!(elements(page[1].clone()).len() >= KEYS);
    assert_eq!(client.text("SCAN 12345"), "ERR invalid cursor");
}

#[test]
fn random_keys_are_of_every_kind() {
    let database = database();
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    assert_eq!(client.reply("RANDOMKEY"), Reply::Null);
    (0..10).for_each(|number| assert!(matches!(client.reply(&format!("SET {number} x")), Reply::Simple(_))));
    // Each is missed by all of 2000 draws with a probability far below that of a broken machine.
    let drawn: BTreeSet<_> = (0..2000).map(|_| client.text("RANDOMKEY")).collect();
    assert_eq!(drawn.len(), 10);
}

#[test]
fn keys_and_values_over_their_limits_are_refused() {
    let database = database();
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    let long = "k".repeat(32 * 1024 + 1);
    for line in
        [format!("SET {long} v"), format!("GET {long}"), format!("MGET a {long}"), format!("DEL {long}")]
    {
        assert!(client.text(&line).starts_with("ERR key is longer than 32768 bytes"));
    }
    client.reply("SET key value");
    for line in ["SETRANGE key 67108864 x", "SETRANGE key 9223372036854775807 xyz"] {
        assert!(client.text(line).starts_with("ERR string exceeds maximum allowed size"), "{line}");
    }
    assert_eq!(client.reply("SETRANGE key 67108863 x"), Reply::Integer(64 * 1024 * 1024));
    assert!(client.text("APPEND key x").starts_with("ERR string exceeds maximum allowed size"));
    assert_eq!(client.reply("STRLEN key"), Reply::Integer(64 * 1024 * 1024));
}

/// Every command's future is part of every session's: none may make all of them large.
#[test]
fn executing_a_command_needs_little_memory() {
    let (database, mut writer) = (database(), tresor::reply::ReplyWriter::Owned(Default::default()));
    let mut session = database.session(0);
    let words: [&[u8]; 2] = [b"GET", b"key"];
    let command = session.prepare(&words).expect("a command");
    let size = size_of_val(&session.execute(command, &mut writer));
    println!("a command's future has {size} bytes");
    assert!(size <= 2048, "{size} bytes");
}

/// RENAME reads and writes in two steps: what is written in between moves along, or the move waits.
#[test]
fn a_write_during_a_rename_is_not_lost() {
    const WRITES: usize = 3_000;
    let database = database();
    let mut writer = TestClient::connect(&database, "10.0.0.1:1");
    writer.reply("SET a 0");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut mover = TestClient::connect(&database, "10.0.0.2:2");
            while !stop.load(Ordering::Relaxed) {
                mover.reply("RENAME a b");
                mover.reply("RENAME b a");
            }
        });
        for number in 1..=WRITES {
            let key = |key| format!("SET {key} {number} XX");
            while writer.reply(&key("a")) == Reply::Null && writer.reply(&key("b")) == Reply::Null {}
            let both = elements(writer.reply("MGET a b"));
            let there: Vec<_> = both.iter().filter(|reply| **reply != Reply::Null).map(name).collect();
            if there != [number.to_string()] {
                stop.store(true, Ordering::Relaxed);
                panic!("after write {number}: {there:?}");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
