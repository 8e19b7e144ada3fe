//! `tresor client` without a terminal: a script.

use tresor_testkit::{Server, tresor_program};

use crate::refused;

fn server(arguments: &[&str]) -> (Server, String) {
    let server = Server::start(&[&["--line-port", "0"], arguments].concat());
    let address = format!("127.0.0.1:{}", server.ports().line);
    (server, address)
}

#[test]
fn a_session_of_two_transactions() {
    let (_server, address) = server(&[]);
    let script = "# two transactions\n\
        BEGIN\n\
        PUT nameofkey value999 1\r\n\
        GET nameofkey 1\n\
        \n\
        BEGIN\n\
        PUT house large 2\n\
        PUT house small 2\n\
        ROLLBACK 2\n\
        \u{20} # house is large again\n\
        DEL 2\n\
        COMMITALL\n\
        SHOWALL";
    let finished = tresor_program::run(&["client", &address], script.as_bytes());
    assert_eq!((finished.code, &finished.stderr[..]), (Some(0), ""), "{finished:?}");
    assert_eq!(
        finished.stdout.lines().collect::<Vec<_>>(),
        [
            r#"{"status":"Ok","transaction_id":1}"#,
            r#"{"status":"Ok"}"#,
            r#"{"status":"Ok","key":"nameofkey","value":"value999"}"#,
            r#"{"status":"Ok","transaction_id":2}"#,
            r#"{"status":"Ok"}"#,
            r#"{"status":"Ok"}"#,
            r#"{"status":"Ok","key":"house","value":"large"}"#,
            r#"{"status":"Ok","deleted":1}"#,
            r#"{"status":"Ok","committed":2}"#,
            r#"{"status":"Ok","entries":{"nameofkey":"value999"},"transactions":[]}"#,
        ]
    );
}

#[test]
fn the_first_error_ends_a_script_with_1() {
    let (_server, address) = server(&[]);
    let script = "PUT a 1\n# comment\nCOMMIT 9\nPUT b 2\n";
    let finished = tresor_program::run(&["client", &address], script.as_bytes());
    assert_eq!(finished.code, Some(1));
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{finished:?}");
    assert!(lines[1].contains(r#""code":"UnknownTransaction""#), "{finished:?}");
    assert!(finished.stderr.starts_with("tresor: line 3: UnknownTransaction: "), "{finished:?}");
    let rest = tresor_program::run(&["client", &address], b"GET a\nGET b\n");
    assert_eq!((rest.code, rest.stdout.lines().count()), (Some(1), 2), "{rest:?}");
}

#[test]
fn what_a_script_left_open_is_rolled_back() {
    let (_server, address) = server(&[]);
    let finished = tresor_program::run(&["client", &address], b"BEGIN\nPUT a 1 @\n");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let finished = tresor_program::run(&["client", &address], b"SHOWALL\nQUIT\nBEGIN\n");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines[0], r#"{"status":"Ok","entries":{},"transactions":[]}"#);
    assert_eq!(lines.len(), 2, "QUIT ends it: {lines:?}");
}

#[test]
fn passwords_come_as_for_other_subcommands() {
    let (_server, address) = server(&["--password", "hunter2"]);
    let finished = tresor_program::run(&["client", &address], b"PING\n");
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("Unauthorized"), "{finished:?}");
    let right = tresor_program::run(&["client", &address, "--password", "hunter2"], b"PING\n");
    assert_eq!(right.code, Some(0), "{right:?}");
    let wrong = tresor_program::run(&["client", &address, "--password", "wrong"], b"PING\n");
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("--password-file") && wrong.stdout.is_empty(), "{wrong:?}");
    let output = tresor_program::command(&["client", &address])
        .env("TRESOR_PASSWORD", "hunter2")
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn strangers_and_wrong_usage_are_told() {
    let said = refused(1, &["client", "127.0.0.1:1"]);
    assert!(
        said.contains("cannot connect to a server's line port at 127.0.0.1:1")
            && said.contains("tresor serve"),
        "{said}"
    );
    refused(2, &["client", "localhost"]);
    let server = Server::start(&[]);
    let address = format!("127.0.0.1:{}", server.ports().resp);
    let finished = tresor_program::run(&["client", &address], b"PING\n");
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("not the line protocol"), "{finished:?}");
    let (_server, address) = self::server(&[]);
    let finished = tresor_program::run(&["client", &address], b"PING\nPUT k \xff\n");
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("line 2: it is not UTF-8"), "{finished:?}");
}
