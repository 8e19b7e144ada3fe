//! redis-rs: blocking in both versions of the protocol, and asynchronous with a connection that renews itself.

use redis::{
    AsyncTypedCommands, Client, Connection, ErrorKind, PushInfo, PushKind, TypedCommands, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tresor_testkit::deadline::PATIENCE;

use crate::served::{Door, PASSWORD, Served};

fn client(served: &Served, password: &str, database: u8, protocol: u8) -> Client {
    let (password, address) = (password.replace(' ', "%20"), served.address());
    Client::open(format!("redis://:{password}@{address}/{database}?protocol={protocol}"))
        .expect("it is an address")
}

fn connect(served: &Served, database: u8, protocol: u8) -> Connection {
    client(served, PASSWORD, database, protocol).get_connection().expect("the server accepts")
}

#[test]
fn redis_rs_in_protocol_2() {
    blocking(2);
}

#[test]
fn redis_rs_in_protocol_3() {
    blocking(3);
}

fn blocking(protocol: u8) {
    let mut served = Served::start(Door::Redis);
    let refused = client(&served, "wrong", 0, protocol).get_connection().map(|_| ());
    // HELLO's WRONGPASS is none of the codes that it has a kind for.
    let kind = if protocol == 2 { ErrorKind::AuthenticationFailed } else { ErrorKind::Extension };
    assert_eq!(refused.expect_err("the password is wrong").kind(), kind);
    let mut connection = connect(&served, 3, protocol);
    everyday(&mut connection);
    assert_eq!(connect(&served, 0, protocol).get("counter"), Ok(None), "databases are apart");
    transactions(&mut connection, &mut connect(&served, 3, protocol));

    let mut listening = connect(&served, 3, protocol);
    let mut listener = listening.as_pubsub();
    listener.subscribe("news").expect("it is subscribed");
    assert_eq!(connection.publish("news", "it works"), Ok(1));
    let message = listener.get_message().expect("the message comes");
    assert_eq!((message.get_channel_name(), message.get_payload_bytes()), ("news", &b"it works"[..]));

    served.stop();
    assert!(connection.get("counter").expect_err("the server has gone").is_connection_dropped());
    let refused = client(&served, PASSWORD, 3, protocol).get_connection().map(|_| ());
    assert!(refused.expect_err("nobody listens").is_connection_refusal());
    served.start_again();
    let mut connection = connect(&served, 3, protocol);
    assert_eq!(connection.get("counter"), Ok(Some("44".to_owned())));
}

fn everyday(connection: &mut Connection) {
    assert_eq!(connection.set("name", "Alice"), Ok(()));
    assert_eq!(connection.get("name"), Ok(Some("Alice".to_owned())));
    assert_eq!(connection.get("absent"), Ok(None));
    assert_eq!(connection.expire("name", 100), Ok(true));
    assert_eq!(connection.incr("counter", 42), Ok(42));
    let not_a_number = connection.incr("name", 1).expect_err("a name is no number");
    assert!(not_a_number.to_string().contains("not an integer"), "{not_a_number}");

    let mut pipeline = redis::pipe();
    for number in 0..5000 {
        pipeline.set(format!("p:{number}"), number).ignore().get(format!("p:{number}"));
    }
    let read: Vec<u32> = pipeline.query(connection).expect("the pipeline runs");
    assert_eq!(read, (0..5000).collect::<Vec<u32>>());
    let scanned = connection.scan_match::<_, String>("p:1??").expect("it scans").count();
    assert_eq!(scanned, 100);
}

/// A transaction whose watched key somebody changes once, so that it is tried a second time.
fn transactions(connection: &mut Connection, other: &mut Connection) {
    let mut tries = 0;
    let (counted,): (u32,) = redis::transaction(connection, &["counter"], |connection, pipeline| {
        tries += 1;
        let read: u32 = redis::cmd("GET").arg("counter").query(connection)?;
        if tries == 1 {
            other.incr("counter", 1)?;
        }
        pipeline.set("counter", read + 1).ignore().get("counter").query(connection)
    })
    .expect("the second try succeeds");
    assert_eq!((counted, tries), (44, 2));
}

#[test]
fn redis_rs_with_a_connection_manager() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
    let passed = runtime.block_on(async { tokio::time::timeout(PATIENCE, renewing()).await });
    passed.expect("the manager finds the server again");
}

/// The connection manager makes another connection by itself, and subscribes once more.
async fn renewing() {
    let mut served = Served::start(Door::Redis);
    let (sender, mut pushes) = unbounded_channel();
    let config = ConnectionManagerConfig::new().set_push_sender(sender).set_automatic_resubscription();
    let client = client(&served, PASSWORD, 3, 3);
    let mut manager = ConnectionManager::new_with_config(client, config).await.expect("it connects");
    manager.set("name", "Alice").await.expect("it is set");
    manager.subscribe("news").await.expect("it is subscribed");
    assert_eq!(manager.publish("news", "it works").await, Ok(1));
    assert_eq!(message(&mut pushes).await, "it works");

    served.stop();
    manager.get("name").await.expect_err("the server has gone");
    served.start_again();
    // What finds the connection gone is an error itself, and has another one made.
    while manager.get("name").await != Ok(Some("Alice".to_owned())) {}
    assert_eq!(manager.publish("news", "it works again").await, Ok(1));
    assert_eq!(message(&mut pushes).await, "it works again");
}

/// The next message; pushes of other kinds are passed over.
async fn message(pushes: &mut UnboundedReceiver<PushInfo>) -> String {
    loop {
        let push = pushes.recv().await.expect("the manager is there");
        if let (PushKind::Message, [_, Value::BulkString(payload)]) = (&push.kind, push.data.as_slice()) {
            return String::from_utf8_lossy(payload).into_owned();
        }
    }
}
