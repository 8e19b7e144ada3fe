//! Publish and subscribe, and notifications, as a Rust program has them.

use std::thread;

use tresor::{Config, Database, ErrorKind, Message, publish::EventClasses};

fn text(message: &Message) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&message.channel), text(&message.payload))
}

#[test]
fn who_subscribes_gets_what_is_published_from_then_on() {
    let store = Database::open(Config::memory()).unwrap();
    assert_eq!(store.publish("a", "nobody"), 0);
    let mut subscription = store.subscribe(["a", "b", "a"]);
    assert_eq!(store.publish("a", "1"), 1);
    subscription.add_pattern("b*");
    assert_eq!(store.publish("b", "2"), 2);
    assert_eq!(text(&subscription.wait().unwrap()), ("a".into(), "1".into()));
    let by: Vec<_> = (0..2).map(|_| subscription.wait().unwrap().pattern).collect();
    assert_eq!(by, [None, Some("b*".into())]);
    assert_eq!(subscription.try_message().unwrap(), None);
    subscription.remove_channel("a");
    subscription.remove_pattern("b*");
    assert_eq!(store.publish("a", "3"), 0);
    assert_eq!(store.publish("b", "4"), 1);
    assert_eq!(text(&subscription.wait().unwrap()), ("b".into(), "4".into()));
    drop(subscription);
    assert_eq!(store.publish("b", "5"), 0);
}

#[test]
fn a_thread_waits_for_its_messages() {
    let store = Database::open(Config::memory()).unwrap();
    let mut subscription = store.subscribe(["c"]);
    let listener =
        thread::spawn(move || (0..1000).map(|_| text(&subscription.wait().unwrap()).1).collect::<Vec<_>>());
    for number in 0..1000 {
        assert_eq!(store.publish("c", number.to_string()), 1);
    }
    let expected: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(listener.join().unwrap(), expected);
}

#[test]
fn who_takes_nothing_is_dropped_at_the_limit() {
    let store = Database::open(Config::memory()).unwrap();
    let mut limit = store.hub().limits().subscribers();
    limit.hard_bytes = 100_000;
    store.hub().limits().set_subscribers(limit);
    let (mut idle, mut reader) = (store.subscribe(["c"]), store.subscribe(["c"]));
    for _ in 0..200 {
        store.publish("c", [b'x'; 1000]);
        assert_eq!(reader.wait().unwrap().payload.len(), 1000);
    }
    assert_eq!(idle.wait().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(idle.try_message().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.hub().dropped(), 1);
    assert!(store.memory_limit().buffer_bytes() < 100_000);
}

#[test]
fn a_program_hears_of_events() {
    let store = Database::open(Config::memory()).unwrap();
    let mut subscription = store.subscribe(["__keyspace@0__:k"]);
    store.put("k", 1).unwrap();
    store.notify(EventClasses::parse("KA").unwrap()).unwrap();
    store.put("k", 2).unwrap();
    store.delete("k").unwrap();
    store.delete("k").unwrap();
    store.notify(EventClasses::default()).unwrap();
    store.put("k", 3).unwrap();
    assert_eq!(store.publish("__keyspace@0__:k", "end"), 1);
    let events: Vec<_> = (0..3).map(|_| text(&subscription.wait().unwrap()).1).collect();
    assert_eq!(events, ["set", "del", "end"]);
    store.close().unwrap();
}

#[test]
fn nothing_is_left_of_a_database_that_tells_of_events() {
    let store = Database::open(Config::memory()).unwrap();
    store.notify(EventClasses::parse("KEA").unwrap()).unwrap();
    store.put("k", 1).unwrap();
    let engine = std::sync::Arc::downgrade(store.engine());
    drop(store);
    assert!(engine.upgrade().is_none());
}
