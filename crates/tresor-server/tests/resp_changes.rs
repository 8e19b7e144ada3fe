//! TRESOR.CHANGES over sockets: pushes beside replies, positions, STOP, and who may not have it.

#![allow(clippy::unwrap_used, reason = "a helper that fails has failed its test")]

mod running;

use running::{client, config, server_over};
use tresor::engine::memory::{MemoryEngine, MemoryOptions};
use tresor_server::Server;
use tresor_testkit::{Reply, RespClient};

fn server() -> Server {
    server_over(MemoryEngine::volatile(&MemoryOptions::default()).unwrap(), config())
}

fn text(text: &str) -> Reply {
    Reply::Bulk(text.into())
}

fn connect(server: &Server) -> RespClient {
    let mut client = client(server);
    client.hello(3).expect("the server answers");
    client
}

/// Kind and key of a push, and its other elements behind.
fn pushed(client: &mut RespClient) -> (String, Reply, Vec<Reply>) {
    let Reply::Push(elements) = client.reply().unwrap() else { panic!("a push was expected") };
    assert_eq!(elements[0], text("tresor.changes"));
    let Reply::Bulk(kind) = &elements[2] else { panic!("{elements:?}") };
    (String::from_utf8_lossy(kind).into_owned(), elements[3].clone(), elements[4..].to_vec())
}

#[test]
fn changes_come_as_pushes_while_commands_are_answered() {
    let server = server();
    let (mut reader, mut writer) = (connect(&server), client(&server));
    let Reply::Bulk(position) = reader.command(&["TRESOR.CHANGES", "VALUES"]).unwrap() else {
        panic!("no position")
    };
    writer.command(&["SET", "a", "1"]).unwrap();
    let (kind, key, value) = pushed(&mut reader);
    assert_eq!((&*kind, key, &value[0]), ("set", text("a"), &text("1")));
    assert!(matches!(value[1], Reply::Integer(_)));
    assert_eq!(reader.command(&["GET", "a"]).unwrap(), text("1"));
    writer.command(&["DEL", "a"]).unwrap();
    let (kind, key, value) = pushed(&mut reader);
    assert_eq!((&*kind, key, value), ("delete", text("a"), vec![Reply::Null, Reply::Null]));
    writer.command(&["FLUSHDB"]).unwrap();
    assert_eq!(pushed(&mut reader).0, "clear");
    writer.command(&["SWAPDB", "0", "4"]).unwrap();
    let (kind, with, _) = pushed(&mut reader);
    assert_eq!((&*kind, with), ("swap", Reply::Integer(4)));
    assert_eq!(reader.command(&["TRESOR.CHANGES", "STOP"]).unwrap(), Reply::Simple("OK".into()));
    writer.command(&["SET", "b", "1"]).unwrap();
    assert_eq!(reader.command(&["PING"]).unwrap(), Reply::Simple("PONG".into()));

    // Somebody else goes on from there, and hears of one prefix.
    let mut second = connect(&server);
    let position = String::from_utf8(position).unwrap();
    second.command(&["TRESOR.CHANGES", "SINCE", &position, "PREFIX", "b"]).unwrap();
    let told: Vec<_> = (0..3).map(|_| pushed(&mut second).0).collect();
    assert_eq!(told, ["clear", "swap", "set"]);
    assert_eq!(second.command(&["RESET"]).unwrap(), Reply::Simple("RESET".into()));
}

#[test]
fn its_own_changes_and_those_of_the_selected_database_are_told() {
    let server = server();
    let mut reader = connect(&server);
    reader.command(&["SELECT", "3"]).unwrap();
    reader.command(&["TRESOR.CHANGES"]).unwrap();
    client(&server).command(&["SET", "of 0", "1"]).unwrap();
    assert_eq!(reader.command(&["SET", "of 3", "1"]).unwrap(), Reply::Simple("OK".into()));
    let (kind, key, rest) = pushed(&mut reader);
    assert_eq!((&*kind, key, rest), ("set", text("of 3"), vec![]));
}

#[test]
fn version_2_and_transactions_are_told_what_to_do_instead() {
    let server = server();
    let mut old = client(&server);
    let Reply::Error(error) = old.command(&["TRESOR.CHANGES"]).unwrap() else { panic!("no error") };
    assert!(error.contains("HELLO 3"), "{error}");
    let mut new = connect(&server);
    new.command(&["MULTI"]).unwrap();
    assert!(matches!(new.command(&["TRESOR.CHANGES"]).unwrap(), Reply::Error(_)));
    for words in
        [&["TRESOR.CHANGES", "SINCE"][..], &["TRESOR.CHANGES", "SINCE", "x"], &["TRESOR.CHANGES", "COLOUR"]]
    {
        assert!(matches!(connect(&server).command(words).unwrap(), Reply::Error(_)), "{words:?}");
    }
}

#[test]
fn a_gap_is_pushed_first() {
    let server = server();
    client(&server).command(&["SET", "before", "1"]).unwrap();
    let mut reader = connect(&server);
    reader.command(&["TRESOR.CHANGES", "SINCE", "0"]).unwrap();
    let (kind, from, _) = pushed(&mut reader);
    assert_eq!((&*kind, from), ("gap", Reply::Integer(1)));
}

#[test]
fn a_client_that_does_not_read_costs_no_more_and_hears_all_that_is_kept() {
    let server = server();
    let (mut reader, mut writer) = (connect(&server), client(&server));
    reader.command(&["TRESOR.CHANGES", "VALUES"]).unwrap();
    let value = "x".repeat(10_000);
    for _ in 0..1000 {
        writer.command(&["SET", "k", &value]).unwrap();
    }
    writer.command(&["SET", "end", "1"]).unwrap();
    let mut sequence = None;
    loop {
        let Reply::Push(elements) = reader.reply().unwrap() else { panic!("a push was expected") };
        let Reply::Integer(next) = elements[1] else { panic!("{elements:?}") };
        assert!(sequence.is_none_or(|before| next == before + 1), "{next} behind {sequence:?}");
        sequence = Some(next);
        if elements[3] == text("end") {
            break;
        }
    }
}
