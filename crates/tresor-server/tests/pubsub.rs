//! Publish and subscribe over sockets: confirmations, messages, counts and their order, in both versions of
//! the protocol.

mod running;

use running::{client, server};
use tresor_server::Server;
use tresor_testkit::{Reply, RespClient, deadline::wait_until, resp_client::encode};

fn text(text: &str) -> Reply {
    Reply::Bulk(text.into())
}

/// What a version of the protocol makes of something that answers no request.
fn push(protocol: u8, elements: &[Reply]) -> Reply {
    if protocol == 3 { Reply::Push(elements.to_vec()) } else { Reply::Array(elements.to_vec()) }
}

fn confirmed(protocol: u8, word: &str, name: &str, count: i64) -> Reply {
    push(protocol, &[text(word), text(name), Reply::Integer(count)])
}

fn message(protocol: u8, words: &[&str]) -> Reply {
    push(protocol, &words.iter().map(|word| text(word)).collect::<Vec<_>>())
}

fn connect(server: &Server, protocol: u8) -> RespClient {
    let mut client = client(server);
    if protocol == 3 {
        client.hello(3).expect("the server answers");
    }
    client
}

/// A client that listens to one channel.
fn listener(server: &Server, channel: &str) -> RespClient {
    let mut client = client(server);
    assert_eq!(
        client.command(&["SUBSCRIBE", channel]).expect("the server answers"),
        confirmed(2, "subscribe", channel, 1)
    );
    client
}

#[test]
fn names_are_confirmed_one_by_one_and_counted_together() {
    let server = server();
    for protocol in [2, 3] {
        let mut client = connect(&server, protocol);
        client.send(&encode(&["SUBSCRIBE", "a", "b", "a"])).unwrap();
        for (name, count) in [("a", 1), ("b", 2), ("a", 2)] {
            assert_eq!(client.reply().unwrap(), confirmed(protocol, "subscribe", name, count));
        }
        client.send(&encode(&["PSUBSCRIBE", "p*", "a"])).unwrap();
        for (name, count) in [("p*", 3), ("a", 4)] {
            assert_eq!(client.reply().unwrap(), confirmed(protocol, "psubscribe", name, count));
        }
        let reply = client.command(&["SSUBSCRIBE", "a"]).unwrap();
        assert_eq!(reply, confirmed(protocol, "ssubscribe", "a", 1));
        let reply = client.command(&["UNSUBSCRIBE", "absent"]).unwrap();
        assert_eq!(reply, confirmed(protocol, "unsubscribe", "absent", 4));
        client.send(&[encode(&["UNSUBSCRIBE"]), encode(&["PUNSUBSCRIBE", "a"])].concat()).unwrap();
        for (word, name, count) in
            [("unsubscribe", "a", 3), ("unsubscribe", "b", 2), ("punsubscribe", "a", 1)]
        {
            assert_eq!(client.reply().unwrap(), confirmed(protocol, word, name, count));
        }
        assert_eq!(client.command(&["SUNSUBSCRIBE"]).unwrap(), confirmed(protocol, "sunsubscribe", "a", 0));
        let reply = client.command(&["PUNSUBSCRIBE"]).unwrap();
        assert_eq!(reply, confirmed(protocol, "punsubscribe", "p*", 0));
        for word in ["unsubscribe", "punsubscribe", "sunsubscribe"] {
            let nothing = push(protocol, &[text(word), Reply::Null, Reply::Integer(0)]);
            assert_eq!(client.command(&[word]).unwrap(), nothing);
        }
        // Nothing is left of it.
        assert_eq!(client.command(&["PUBSUB", "CHANNELS"]).unwrap(), Reply::Array(vec![]));
        assert_eq!(client.command(&["PUBSUB", "NUMPAT"]).unwrap(), Reply::Integer(0));
        assert_eq!(client.command(&["PING"]).unwrap(), Reply::Simple("PONG".into()));
    }
}

#[test]
fn a_message_comes_once_for_each_name_that_takes_it() {
    let server = server();
    let mut publisher = client(&server);
    for protocol in [2, 3] {
        let mut subscriber = connect(&server, protocol);
        subscriber.command(&["SUBSCRIBE", "news.one"]).unwrap();
        for pattern in ["news.*", "n[a-f]ws.?ne", "other*"] {
            subscriber.command(&["PSUBSCRIBE", pattern]).unwrap();
        }
        subscriber.command(&["SSUBSCRIBE", "news.one"]).unwrap();
        assert_eq!(publisher.command(&["PUBLISH", "news.one", "m"]).unwrap(), Reply::Integer(3));
        assert_eq!(publisher.command(&["SPUBLISH", "news.one", "s"]).unwrap(), Reply::Integer(1));
        assert_eq!(publisher.command(&["PUBLISH", "nobody", "m"]).unwrap(), Reply::Integer(0));
        assert_eq!(subscriber.reply().unwrap(), message(protocol, &["message", "news.one", "m"]));
        for pattern in ["news.*", "n[a-f]ws.?ne"] {
            let expected = message(protocol, &["pmessage", pattern, "news.one", "m"]);
            assert_eq!(subscriber.reply().unwrap(), expected);
        }
        assert_eq!(subscriber.reply().unwrap(), message(protocol, &["smessage", "news.one", "s"]));
        // Whatever bytes there are.
        let payload = [&[0, 255, b'\r', b'\n'][..], &vec![b'x'; 100_000]].concat();
        publisher.command(&[&b"PUBLISH"[..], b"news.one", &payload]).unwrap();
        let (Reply::Array(elements) | Reply::Push(elements)) = subscriber.reply().unwrap() else {
            panic!("not a message")
        };
        assert_eq!(elements[2], Reply::Bulk(payload));
        subscriber.command(&["RESET"]).map(drop).unwrap();
        drop(subscriber);
        wait_until("the subscriber to be gone", || {
            publisher.command(&["PUBSUB", "NUMPAT"]).unwrap() == Reply::Integer(0)
        });
    }
}

#[test]
fn pubsub_tells_who_listens() {
    let server = server();
    let mut asker = client(&server);
    let _one = listener(&server, "one");
    let mut two = listener(&server, "two");
    two.command(&["SUBSCRIBE", "one"]).unwrap();
    two.command(&["PSUBSCRIBE", "t*"]).unwrap();
    two.command(&["SSUBSCRIBE", "shard"]).unwrap();
    let names = |names: &[&str]| Reply::Array(names.iter().map(|name| text(name)).collect());
    assert_eq!(asker.command(&["PUBSUB", "CHANNELS"]).unwrap(), names(&["one", "two"]));
    assert_eq!(asker.command(&["PUBSUB", "CHANNELS", "t*"]).unwrap(), names(&["two"]));
    assert_eq!(asker.command(&["PUBSUB", "SHARDCHANNELS"]).unwrap(), names(&["shard"]));
    let counted = |pairs: &[(&str, i64)]| {
        Reply::Array(pairs.iter().flat_map(|(name, count)| [text(name), Reply::Integer(*count)]).collect())
    };
    let reply = asker.command(&["PUBSUB", "NUMSUB", "one", "two", "three"]).unwrap();
    assert_eq!(reply, counted(&[("one", 2), ("two", 1), ("three", 0)]));
    assert_eq!(asker.command(&["PUBSUB", "NUMSUB"]).unwrap(), counted(&[]));
    let reply = asker.command(&["PUBSUB", "SHARDNUMSUB", "shard", "one"]).unwrap();
    assert_eq!(reply, counted(&[("shard", 1), ("one", 0)]));
    assert_eq!(asker.command(&["PUBSUB", "NUMPAT"]).unwrap(), Reply::Integer(1));
    let list = asker.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).unwrap();
    let list = list.text().expect("text").to_owned();
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(list.contains(" flags=P db=0 sub=2 psub=1 ssub=1 "), "{list}");
    let normal = asker.command(&["CLIENT", "LIST", "TYPE", "normal"]).unwrap();
    assert_eq!(normal.text().expect("text").lines().count(), 1);
    let info = asker.command(&["INFO"]).unwrap();
    let info = info.text().expect("text").to_owned();
    for line in ["pubsub_clients:2", "pubsub_channels:2", "pubsub_patterns:1", "pubsubshard_channels:1"] {
        assert!(info.contains(line), "{line}: {info}");
    }
    assert_eq!(asker.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap(), Reply::Integer(2));
    assert_eq!(two.until_closed().unwrap(), b"");
    wait_until("nobody to listen", || asker.command(&["PUBSUB", "CHANNELS"]).unwrap() == names(&[]));
}

#[test]
fn a_client_of_version_2_that_listens_may_do_little_else() {
    let server = server();
    let mut client = listener(&server, "a");
    for (words, name) in [
        (&["GET", "k"][..], "get"),
        (&["PUBLISH", "a", "m"], "publish"),
        (&["HELLO", "3"], "hello"),
        (&["CLIENT", "ID"], "client|id"),
        (&["PUBSUB", "NUMPAT"], "pubsub|numpat"),
        (&["SPUBLISH", "a", "m"], "spublish"),
        (&["MULTI"], "multi"),
    ] {
        let expected = format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
             in this context"
        );
        assert_eq!(client.command(words).unwrap(), Reply::Error(expected));
    }
    assert_eq!(client.command(&["PING"]).unwrap(), message(2, &["pong", ""]));
    assert_eq!(client.command(&["PING", "x"]).unwrap(), message(2, &["pong", "x"]));
    let reply = client.command(&["PING", "x", "y"]).unwrap();
    assert_eq!(reply, Reply::Error("ERR wrong number of arguments for 'ping' command".into()));
    assert_eq!(client.command(&["RESET"]).unwrap(), Reply::Simple("RESET".into()));
    assert_eq!(client.command(&["PING"]).unwrap(), Reply::Simple("PONG".into()));
    assert_eq!(client.command(&["PUBLISH", "a", "m"]).unwrap(), Reply::Integer(0));
    client.command(&["SUBSCRIBE", "a"]).unwrap();
    assert_eq!(client.command(&["QUIT"]).unwrap(), Reply::Simple("OK".into()));
    assert_eq!(client.until_closed().unwrap(), b"");
}

#[test]
fn a_client_of_version_3_hears_itself_behind_the_reply() {
    let server = server();
    let mut client = connect(&server, 3);
    client.command(&["SUBSCRIBE", "a"]).unwrap();
    let batch: [&[&str]; 5] =
        [&["PUBLISH", "a", "1"], &["PING"], &["PUBLISH", "a", "2"], &["UNSUBSCRIBE"], &["PUBLISH", "a", "3"]];
    client.send(&batch.map(encode).concat()).unwrap();
    let expected = [
        Reply::Integer(1),
        message(3, &["message", "a", "1"]),
        Reply::Simple("PONG".into()),
        Reply::Integer(1),
        message(3, &["message", "a", "2"]),
        confirmed(3, "unsubscribe", "a", 0),
        Reply::Integer(0),
    ];
    for expected in expected {
        assert_eq!(client.reply().unwrap(), expected);
    }
}

#[test]
fn exec_subscribes_and_publishes_once_and_only_if_it_happens() {
    let server = server();
    let mut other = client(&server);
    for protocol in [2, 3] {
        let mut client = connect(&server, protocol);
        let queue: [&[&str]; 6] = [
            &["MULTI"],
            &["SUBSCRIBE", "a"],
            &["SET", "k", "v"],
            &["PUBLISH", "a", "m"],
            &["PING"],
            &["EXEC"],
        ];
        client.send(&queue.map(encode).concat()).unwrap();
        for _ in 0..5 {
            client.reply().unwrap();
        }
        let pong = if protocol == 3 { Reply::Simple("PONG".into()) } else { message(2, &["pong", ""]) };
        let ok = Reply::Simple("OK".into());
        let answers = vec![confirmed(protocol, "subscribe", "a", 1), ok, Reply::Integer(1), pong];
        assert_eq!(client.reply().unwrap(), Reply::Array(answers));
        assert_eq!(client.reply().unwrap(), message(protocol, &["message", "a", "m"]));
        drop(client);
        wait_until("it to be gone", || other.command(&["PUBLISH", "a", "x"]).unwrap() == Reply::Integer(0));
    }
    let mut watcher = connect(&server, 3);
    let mut subscriber = listener(&server, "b");
    watcher.command(&["WATCH", "k"]).unwrap();
    watcher.command(&["MULTI"]).unwrap();
    for words in
        [&["SUBSCRIBE", "c"][..], &["PUBLISH", "b", "never"], &["SET", "other", "v"], &["SELECT", "1"]]
    {
        assert_eq!(watcher.command(words).unwrap(), Reply::Simple("QUEUED".into()));
    }
    other.command(&["SET", "k", "changed"]).unwrap();
    assert_eq!(watcher.command(&["EXEC"]).unwrap(), Reply::Null);
    // Not even its database has changed.
    assert_eq!(watcher.command(&["GET", "k"]).unwrap(), text("changed"));
    assert_eq!(other.command(&["PUBLISH", "c", "x"]).unwrap(), Reply::Integer(0));
    assert_eq!(other.command(&["PUBLISH", "b", "first"]).unwrap(), Reply::Integer(1));
    assert_eq!(subscriber.reply().unwrap(), message(2, &["message", "b", "first"]));
}

#[test]
fn confirmations_and_messages_come_without_replies_too() {
    let server = server();
    let mut client = connect(&server, 3);
    let batch: [&[&str]; 5] = [
        &["CLIENT", "REPLY", "OFF"],
        &["SUBSCRIBE", "a"],
        &["PUBLISH", "a", "m"],
        &["CLIENT", "REPLY", "ON"],
        &["PING"],
    ];
    client.send(&batch.map(encode).concat()).unwrap();
    let expected = [
        confirmed(3, "subscribe", "a", 1),
        message(3, &["message", "a", "m"]),
        Reply::Simple("OK".into()),
        Reply::Simple("PONG".into()),
    ];
    for expected in expected {
        assert_eq!(client.reply().unwrap(), expected);
    }
}

#[test]
fn one_hundred_subscribers_get_everything_in_order() {
    const MESSAGES: usize = 1000;
    const CHANNELS: usize = 3;
    let server = server();
    let mut subscribers: Vec<_> = (0..100)
        .map(|number| {
            let mut client = connect(&server, if number % 2 == 0 { 2 } else { 3 });
            match number % 4 {
                3 => client.command(&["PSUBSCRIBE", "c*"]).unwrap(),
                _ => client.command(&["SUBSCRIBE", &format!("c{}", number % CHANNELS)]).unwrap(),
            };
            client
        })
        .collect();
    // Two publishers for each channel: their messages mix, in one order for all.
    let mut publishers: Vec<_> = (0..2).map(|_| client(&server)).collect();
    for (number, publisher) in publishers.iter_mut().enumerate() {
        let all: Vec<u8> = (0..MESSAGES * CHANNELS)
            .flat_map(|at| {
                let payload = format!("{number}:{}", at / CHANNELS);
                encode(&["PUBLISH", &format!("c{}", at % CHANNELS), &payload])
            })
            .collect();
        publisher.send(&all).unwrap();
    }
    let mut seen: [Option<Vec<Vec<u8>>>; CHANNELS] = Default::default();
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        let channels = if number % 4 == 3 { 0..CHANNELS } else { number % CHANNELS..number % CHANNELS + 1 };
        let mut got: [Vec<Vec<u8>>; CHANNELS] = Default::default();
        for _ in 0..MESSAGES * publishers.len() * channels.len() {
            let (Reply::Array(elements) | Reply::Push(elements)) = subscriber.reply().unwrap() else {
                panic!("not a message")
            };
            let [.., channel, payload] = &elements[..] else { panic!("not a message") };
            let channel = usize::from(channel.bytes().expect("a name")[1] - b'0');
            got[channel].push(payload.bytes().expect("a payload").to_vec());
        }
        for channel in channels {
            let messages = std::mem::take(&mut got[channel]);
            assert_eq!(*seen[channel].get_or_insert_with(|| messages.clone()), messages);
        }
    }
    for publisher in &mut publishers {
        for _ in 0..MESSAGES * CHANNELS {
            publisher.reply().unwrap();
        }
    }
}

#[test]
fn a_restarted_server_knows_no_subscriptions() {
    let first = server();
    let mut subscriber = listener(&first, "a");
    first.shutdown();
    assert_eq!(subscriber.until_closed().unwrap(), b"");
    let second = server();
    assert_eq!(client(&second).command(&["PUBLISH", "a", "m"]).unwrap(), Reply::Integer(0));
}
