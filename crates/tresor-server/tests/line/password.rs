//! A server with a password: what is open before AUTH, and how little a stranger may take.

use tresor::{Config, Database};
use tresor_server::Server;

use crate::{
    OK, code, fails, goes, holds,
    running::{config, line_client},
};

fn guarded() -> Server {
    let database = Database::open(Config { workers: 2, ..Config::memory() }).unwrap();
    database.settings().set_password(Some(b"open sesame"));
    Server::start(database, config()).unwrap()
}

#[test]
fn before_auth_nothing_but_auth_help_and_quit() {
    let server = guarded();
    let mut client = line_client(&server);
    for line in [
        "BEGIN",
        "PUT k v",
        "GET k",
        "DEL k",
        "DEL 1",
        "ROLLBACK 1",
        "ABORT 1",
        "COMMIT 1",
        "COMMITALL",
        "SHOWALL",
        "PING",
        "SELECT 1",
    ] {
        assert_eq!(fails(&mut client, line), "Unauthorized", "{line}");
    }
    assert_eq!(fails(&mut client, "NONSENSE"), "Invalid");
    goes(&mut client, "HELP");
    assert_eq!(fails(&mut client, "AUTH wrong"), "Unauthorized");
    assert_eq!(fails(&mut client, "AUTH \"\""), "Unauthorized");
    // Sent ahead, both ways.
    client.send("PUT a b\nAUTH \"open sesame\"\nPUT k v\n").unwrap();
    assert_eq!(code(&client.answer().unwrap()), "Unauthorized");
    assert_eq!(client.answer_text().unwrap(), OK);
    assert_eq!(client.answer_text().unwrap(), OK);
    let all = r#"{"status":"Ok","entries":{"k":"v"},"transactions":[]}"#;
    // A wrong password afterwards takes nothing away.
    assert_eq!(fails(&mut client, "AUTH wrong"), "Unauthorized");
    holds(&mut client, &[("SHOWALL", all)]);
    goes(&mut line_client(&server), "QUIT");
}

#[test]
fn a_stranger_may_send_little() {
    let server = guarded();
    let mut client = line_client(&server);
    let long = format!("AUTH {}", "x".repeat(20_000));
    assert_eq!(fails(&mut client, &long), "TooLarge");
    goes(&mut client, "AUTH \"open sesame\"");
    assert_eq!(fails(&mut client, &long), "Unauthorized");
}
