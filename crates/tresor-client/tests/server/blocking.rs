//! The blocking client.

use tresor_client::{Client, ErrorKind, Options, Undone};

use crate::{address, client, kind_of, server};

#[test]
fn a_session_of_two_transactions() {
    let server = server(&[]);
    let mut client = client(&server);
    let first = client.begin().unwrap();
    client.put_in(first, "nameofkey", "value999").unwrap();
    assert_eq!(client.get_in(first, "nameofkey").unwrap().unwrap(), "value999");
    // It would wait for its own connection.
    assert_eq!(kind_of(client.get("nameofkey")), ErrorKind::Deadlock);
    let second = client.begin().unwrap();
    assert_eq!((first.number(), second.number()), (1, 2));
    client.put_in(second, "house", "large").unwrap();
    client.put_in(second, "house", "small").unwrap();
    let Undone { key, value } = client.rollback(second).unwrap();
    assert_eq!((&key[..], value.unwrap().text()), (&b"house"[..], Some("large")));

    let contents = client.show_all().unwrap();
    assert!(contents.entries.is_empty());
    let ids: Vec<_> = contents.transactions.iter().map(|each| each.id).collect();
    assert_eq!(ids, [first, second]);
    assert_eq!(contents.transactions[1].writes[&b"house"[..]].as_ref().unwrap(), &"large");

    assert_eq!(client.delete_written(second).unwrap(), 1);
    assert_eq!(client.commit_all().unwrap(), 2);
    let contents = client.show_all().unwrap();
    assert_eq!(contents.entries.keys().collect::<Vec<_>>(), [b"nameofkey"]);
    assert!(contents.transactions.is_empty());
    client.disconnect().unwrap();
}

#[test]
fn lines_and_their_answers() {
    let server = server(&[]);
    let mut client = client(&server);
    let answer = client.send_command("begin").unwrap();
    assert_eq!((answer["status"].as_str(), answer["transaction_id"].as_u64()), (Some("Ok"), Some(1)));
    assert_eq!(client.send_line("PUT key1 value1 1").unwrap(), r#"{"status":"Ok"}"#);
    let absent = client.send_command("GET nobody").unwrap();
    assert_eq!((absent["status"].as_str(), absent["code"].as_str()), (Some("Error"), Some("NotFound")));
    client.commit(1.into()).unwrap();
    assert_eq!(client.send_command("GET key1").unwrap()["value"], "value1");
    for line in ["", " ", "PING\nPING", "PUT k \"a\nb\""] {
        assert_eq!(kind_of(client.send_command(line)), ErrorKind::Invalid, "{line:?}");
    }
    client.ping().unwrap();
}

#[test]
fn errors_carry_the_code() {
    let server = server(&[]);
    let mut client = client(&server);
    let id = client.begin().unwrap();
    assert_eq!(kind_of(client.rollback(id)), ErrorKind::NothingToUndo);
    client.abort(id).unwrap();
    assert_eq!(kind_of(client.commit(id)), ErrorKind::UnknownTransaction);
    assert_eq!(kind_of(client.put_in(id, "k", "v")), ErrorKind::UnknownTransaction);
    let (one, other) = (client.begin().unwrap(), client.begin().unwrap());
    client.put_in(one, "k", "v").unwrap();
    assert_eq!(kind_of(client.put_in(other, "k", "w")), ErrorKind::Deadlock);
    assert_eq!(kind_of(client.select(16_000)), ErrorKind::Invalid);
    assert_eq!(client.commit_all().unwrap(), 2);
    assert_eq!(client.get("k").unwrap().unwrap(), "v");
    assert!(client.delete("k").unwrap());
    assert!(!client.delete("k").unwrap());
}

#[test]
fn another_connection_has_other_transactions_and_its_end_rolls_back() {
    let server = server(&[]);
    let (mut one, mut other) = (client(&server), client(&server));
    let id = one.begin().unwrap();
    one.put_in(id, "k", "v").unwrap();
    assert_eq!(kind_of(other.commit(id)), ErrorKind::UnknownTransaction);
    one.disconnect().unwrap();
    other.put("k", "w").unwrap();
    assert_eq!(other.show_all().unwrap().transactions, []);
    assert_eq!(other.get("k").unwrap().unwrap(), "w");
}

#[test]
fn lines_go_ahead_of_their_answers() {
    let server = server(&[]);
    let mut client = client(&server);
    let value = "x".repeat(1000);
    let mut lines = vec!["BEGIN".to_owned()];
    lines.extend((0..300).map(|number| format!("PUT key{number} {value} @")));
    lines.push("COMMIT @".to_owned());
    let answers = client.send_all(&lines).unwrap();
    assert_eq!(answers.len(), lines.len());
    assert!(answers.iter().all(|answer| answer["status"] == "Ok"));
    // Far more than the sockets' buffers hold, in lines (with blanks at the end) and in answers: if the
    // client did not read in between, both sides would wait for ever.
    let reads: Vec<String> =
        (0..30_000).map(|number| format!("{:1000}", format!("GET key{}", number % 300))).collect();
    for (number, answer) in client.send_all(&reads).unwrap().iter().enumerate() {
        assert_eq!(answer["key"], format!("key{}", number % 300));
    }
    assert_eq!(client.send_all::<&str>(&[]).unwrap(), Vec::<serde_json::Value>::new());
}

#[test]
fn databases_are_apart() {
    let server = server(&[]);
    let mut client = client(&server);
    client.select(3).unwrap();
    client.put("k", "v").unwrap();
    client.select(0).unwrap();
    assert_eq!(client.get("k").unwrap(), None);
}

#[test]
fn a_password_is_asked_for_and_given() {
    let server = server(&["--password", "hunter 2"]);
    let address = address(&server);
    let mut stranger = Client::connect(&address).unwrap();
    assert_eq!(kind_of(stranger.get("k")), ErrorKind::Unauthorized);
    stranger.authenticate("hunter 2").unwrap();
    stranger.ping().unwrap();
    let with = |password: &str| Options { password: Some(password.to_owned()), ..Options::default() };
    assert_eq!(kind_of(Client::connect_with(&address, &with("wrong"))), ErrorKind::Unauthorized);
    Client::connect_with(&address, &with("hunter 2")).unwrap().put("k", "v").unwrap();
}

#[test]
fn what_is_no_line_port_is_said() {
    assert_eq!(kind_of(Client::connect("127.0.0.1:1")), ErrorKind::Unavailable);
    assert_eq!(kind_of(Client::connect("nowhere")), ErrorKind::Unavailable);
    let server = server(&[]);
    let mut stranger = Client::connect(&format!("127.0.0.1:{}", server.ports().resp)).unwrap();
    assert_eq!(kind_of(stranger.ping()), ErrorKind::Protocol);
    assert_eq!(kind_of(stranger.ping()), ErrorKind::Unavailable);
}

#[test]
fn a_server_that_goes_away_leaves_the_outcome_open() {
    let mut server = server(&[]);
    let mut client = client(&server);
    client.ping().unwrap();
    server.kill9();
    let error = client.put("k", "v").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownOutcome, "{error}");
    assert!(error.to_string().contains(client.address()), "{error}");
    assert_eq!(kind_of(client.ping()), ErrorKind::Unavailable);
}

#[test]
fn an_answer_over_the_bound_is_not_taken() {
    let server = server(&[]);
    let options = Options { max_answer_bytes: 200, ..Options::default() };
    let mut client = Client::connect_with(&address(&server), &options).unwrap();
    client.put("k", "x".repeat(1000)).unwrap();
    assert_eq!(kind_of(client.get("k")), ErrorKind::TooLarge);
    assert_eq!(kind_of(client.ping()), ErrorKind::Unavailable);
}
