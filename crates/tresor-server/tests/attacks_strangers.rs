//! What a client that has not shown the password can do: little, and nothing to others.

mod running;

use std::sync::Arc;

use running::{client, config};
use tresor::{Config, Database};
use tresor_server::Server;
use tresor_testkit::{ModelEngine, Reply, resp_client::encode};

fn guarded() -> Server {
    let database =
        Database::over(Arc::new(ModelEngine::new()), Config::memory()).expect("the engine is open");
    database.settings().set_password(Some(b"secret"));
    Server::start(database, config()).expect("a free port can be bound")
}

/// Sends bytes as a stranger and expects this answer and the end; then somebody else is served.
fn refused(server: &Server, bytes: &[u8], answer: &str) {
    let mut stranger = client(server);
    // The server may close while we are still sending.
    let _ = stranger.send(bytes);
    let answered = stranger.until_closed().expect("the server closes");
    assert_eq!(String::from_utf8_lossy(&answered), answer);
    let mut known = client(server);
    assert_eq!(known.command(&["AUTH", "secret"]).expect("a reply"), Reply::Simple("OK".into()));
    assert_eq!(known.command(&["SET", "k", "v"]).expect("a reply"), Reply::Simple("OK".into()));
}

#[test]
fn strangers_get_ten_words_of_16_kib() {
    let server = guarded();
    refused(&server, &encode(&["PING"; 11]), "-ERR Protocol error: unauthenticated multibulk length\r\n");
    refused(
        &server,
        b"*2\r\n$4\r\nECHO\r\n$16385\r\n",
        "-ERR Protocol error: unauthenticated bulk length\r\n",
    );
    refused(
        &server,
        b"a b c d e f g h i j k\r\n",
        "-ERR Protocol error: unauthenticated multibulk length\r\n",
    );
    let line = [b"AUTH ".to_vec(), vec![b'x'; 20_000], b"\r\n".to_vec()].concat();
    refused(&server, &line, "-ERR Protocol error: unauthenticated bulk length\r\n");
}

#[test]
fn strangers_neither_read_nor_write() {
    let server = guarded();
    let mut stranger = client(&server);
    let requests =
        ["GET k", "SET k stolen", "KEYS *", "CONFIG GET requirepass", "SHUTDOWN", "CLIENT LIST", "FLUSHALL"];
    for request in requests {
        let words: Vec<&str> = request.split(' ').collect();
        let reply = stranger.command(&words).unwrap();
        assert_eq!(reply, Reply::Error("NOAUTH Authentication required.".into()), "{request}");
    }
    let wrong = stranger.command(&["AUTH", "Secret"]).unwrap();
    assert!(matches!(wrong, Reply::Error(text) if text.starts_with("WRONGPASS")));
    assert!(matches!(stranger.command(&["GET", "k"]).unwrap(), Reply::Error(_)));
}

#[test]
fn limits_are_lifted_within_the_pipeline_that_authenticates() {
    let server = guarded();
    let mut known = client(&server);
    let value = vec![b'x'; 100_000];
    let bytes = [
        encode(&["AUTH", "secret"]),
        encode(&[&b"SET"[..], b"k", &value]),
        encode(&["GET", "k"]),
        encode(&["RESET"]),
        encode(&["GET", "k"]),
    ];
    known.send(&bytes.concat()).unwrap();
    assert_eq!(known.reply().unwrap(), Reply::Simple("OK".into()));
    assert_eq!(known.reply().unwrap(), Reply::Simple("OK".into()));
    assert!(known.reply().unwrap().bytes() == Some(&value[..]));
    assert_eq!(known.reply().unwrap(), Reply::Simple("RESET".into()));
    assert_eq!(known.reply().unwrap(), Reply::Error("NOAUTH Authentication required.".into()));
}
