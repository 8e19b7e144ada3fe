//! What clients may know of and do to one another, and what they must show first.

mod commands_client;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use commands_client::{TestClient, database};
use tresor::reply::Reply;

const NOAUTH: &str = "NOAUTH Authentication required.";
const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";

#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn ok() -> Reply {
    Reply::Simple("OK".into())
}

#[test]
fn clients_are_listed_as_long_as_they_are_connected() {
    let database = database();
    let mut one = TestClient::connect(&database, "10.0.0.1:1");
    let mut two = TestClient::connect(&database, "10.0.0.2:2");
    two.reply("CLIENT SETNAME second");
    two.reply("CLIENT SETINFO LIB-NAME tresor-test");
    two.reply("SELECT 3");
    two.reply("GET key");
    let lines = one.text("CLIENT LIST");
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(lines.len(), 2);
    for field in
        ["addr=10.0.0.2:2", "laddr=127.0.0.1:6379", "name=second", "db=3", "cmd=get", "lib-name=tresor-test"]
    {
        assert!(lines[1].split(' ').any(|found| found == field), "{field} is not in {}", lines[1]);
    }
    assert_eq!(one.text("CLIENT INFO"), lines[0].replace("cmd=ping", "cmd=client|list") + "\n");
    let id = two.session.client().id();
    assert_eq!(one.text(&format!("CLIENT LIST ID {id} 999")).lines().count(), 1);
    assert!(one.text("INFO clients").contains("connected_clients:2\r\n"));
    let library = database.session(1);
    drop(two);
    assert_eq!(one.text("CLIENT LIST").lines().count(), 1);
    assert!(one.text("INFO stats").contains("total_connections_received:2\r\n"));
    drop(library);
}

#[test]
fn a_killed_client_is_woken_and_told() {
    let database = database();
    let mut one = TestClient::connect(&database, "10.0.0.1:1");
    let two = TestClient::connect(&database, "10.0.0.2:2");
    let wakes = Arc::new(Counted::default());
    let waker = Waker::from(wakes.clone());
    let context = Context::from_waker(&waker);
    assert_eq!(two.session.client().poll_killed(&context), Poll::Pending);
    assert_eq!(one.reply("CLIENT KILL LADDR 127.0.0.1:6379 TYPE pubsub"), Reply::Integer(0));
    assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
    assert_eq!(one.reply("CLIENT KILL ADDR 10.0.0.2:2"), Reply::Integer(1));
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert_eq!(two.session.client().poll_killed(&context), Poll::Ready(()));
    // Oneself only when asked for, and behind the reply.
    assert_eq!(one.reply("CLIENT KILL ADDR 10.0.0.1:1"), Reply::Integer(0));
    assert!(!one.session.closing());
    assert_eq!(one.reply("CLIENT KILL 10.0.0.1:1"), ok());
    assert!(one.session.closing());
    assert!(!one.session.client().is_killed());
}

#[test]
fn replies_are_left_out_as_the_client_says() {
    let database = database();
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    assert_eq!(client.replies("CLIENT REPLY SKIP"), []);
    assert_eq!(client.replies("SET key value"), []);
    assert_eq!(client.text("GET key"), "value");
    assert_eq!(client.replies("CLIENT REPLY OFF"), []);
    for line in ["GET key", "NOSUCH", "GET", "CLIENT REPLY SKIP", "PING", "MGET key key"] {
        assert_eq!(client.replies(line), [], "{line}");
    }
    assert!(!client.session.runs(), "a run answers every command");
    assert_eq!(client.reply("CLIENT REPLY ON"), ok());
    client.replies("CLIENT REPLY SKIP");
    assert!(!client.session.runs(), "the next command is not answered");
    assert_eq!(client.replies("GET key"), []);
    assert!(client.session.runs());
    assert_eq!(client.replies("SHUTDOWN NOSAVE"), []);
    assert!(client.session.closing());
}

#[test]
fn without_the_password_only_a_few_commands_are_allowed() {
    let database = database();
    database.settings().set_password(Some(b"secret"));
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    for line in ["GET key", "PING", "FLUSHALL", "CONFIG GET requirepass", "COMMAND", "CLIENT ID", "SHUTDOWN"]
    {
        assert_eq!(client.text(line), NOAUTH, "{line}");
    }
    assert!(client.text("NOSUCH").starts_with("ERR unknown command"));
    assert!(client.text("HELLO 3").starts_with("NOAUTH HELLO must be called"));
    for line in [
        "AUTH wrong",
        "AUTH secretly",
        "AUTH default wrong",
        "AUTH other secret",
        "HELLO 3 AUTH default wrong",
    ] {
        assert_eq!(client.text(line), WRONGPASS, "{line}");
        assert_eq!(client.text("GET key"), NOAUTH);
    }
    assert_eq!(client.reply("AUTH secret"), ok());
    assert_eq!(client.text("PING"), "PONG");
    assert_eq!(client.text("RESET"), "RESET");
    assert_eq!(client.text("PING"), NOAUTH);
    assert!(matches!(client.reply("HELLO 3 AUTH default secret SETNAME me"), Reply::Map(_)));
    assert_eq!(client.text("CLIENT GETNAME"), "me");
    let mut stranger = TestClient::connect(&database, "10.0.0.2:2");
    assert_eq!(stranger.reply("QUIT"), ok());
    assert!(stranger.session.closing());
}

#[test]
fn the_password_is_changed_but_never_shown() {
    let database = database();
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    assert_eq!(client.reply("CONFIG SET requirepass secret"), ok());
    assert_eq!(client.text("PING"), "PONG");
    assert_eq!(TestClient::connect(&database, "10.0.0.2:2").text("PING"), NOAUTH);
    for line in ["CONFIG GET *", "INFO everything", "CLIENT LIST"] {
        assert!(!format!("{:?}", client.reply(line)).contains("secret"), "{line}");
    }
    database.settings().require_password();
    let refused = client.replies("CONFIG SET requirepass ");
    assert!(
        matches!(&refused[..], [Reply::Error(error)] if error.contains("needs a password")),
        "{refused:?}"
    );
    assert!(database.settings().needs_password());
}

#[test]
fn a_pause_holds_back_whom_it_names() {
    let database = database();
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    let held_back = |client: &TestClient, words: &[&[u8]]| {
        let command = client.session.prepare(words).expect("a command");
        client.session.held_back_ms(command) > 0
    };
    for (line, reads, writes) in [
        ("CLIENT PAUSE 100000 WRITE", false, true),
        ("CLIENT PAUSE 100000", true, true),
        ("CLIENT UNPAUSE", false, false),
    ] {
        assert_eq!(client.reply(line), ok());
        assert_eq!(held_back(&client, &[b"GET", b"key"]), reads, "{line}");
        assert_eq!(held_back(&client, &[b"SET", b"key", b"value"]), writes, "{line}");
        assert!(!held_back(&client, &[b"CLIENT", b"UNPAUSE"]));
    }
}

#[test]
fn counters_show_in_info_until_they_are_reset() {
    let database = database();
    let mut client = TestClient::connect(&database, "10.0.0.1:1");
    client.reply("SET key value");
    for line in ["GET key", "GET key", "GET nobody", "GET", "INCR key", "NOSUCH"] {
        client.reply(line);
    }
    let info = client.text("INFO everything");
    for line in [
        "keyspace_hits:2",
        "keyspace_misses:1",
        "errorstat_ERR:count=3",
        "total_error_replies:3",
        "server_name:tresor",
        "db0:keys=1,expires=0,avg_ttl=0",
        "role:master",
    ] {
        assert!(info.lines().any(|found| found == line), "{line} is not in {info}");
    }
    let stats = |name: &str| {
        info.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:"))).expect("figures")
    };
    assert!(stats("get").contains("calls=3,") && stats("get").contains("rejected_calls=1,failed_calls=0"));
    assert!(stats("incr").contains("calls=1,") && stats("incr").contains("failed_calls=1"));
    assert!(info.contains("latency_percentiles_usec_get:p50="));
    client.reply("CONFIG RESETSTAT");
    let info = client.text("INFO everything");
    assert!(
        info.contains("keyspace_hits:0\r\n") && !info.contains("cmdstat_get") && !info.contains("errorstat")
    );
}
