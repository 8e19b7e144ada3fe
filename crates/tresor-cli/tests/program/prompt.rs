//! `tresor client` on a terminal.

use std::{fs, os::unix::fs::PermissionsExt};

use tresor_testkit::{Server, TemporaryDirectory};

use crate::terminal::Terminal;

fn server() -> (Server, String) {
    let server = Server::start(&["--line-port", "0"]);
    let address = format!("127.0.0.1:{}", server.ports().line);
    (server, address)
}

/// Types a line, expects its answer, and then the prompt with these open transactions.
#[track_caller]
fn exchange(terminal: &mut Terminal, address: &str, line: &str, answer: &str, open: &str) {
    terminal.types(line);
    terminal.sees(answer);
    terminal.sees(&format!("tresor {address}{open}> "));
}

#[test]
fn a_session_of_two_transactions() {
    let (_server, address) = server();
    let mut terminal = Terminal::start(&["client", &address], &[]);
    terminal.sees(&format!("tresor {address}> "));
    let ok = r#"{"status":"Ok"}"#;
    let mut line =
        |line: &str, answer: &str, open: &str| exchange(&mut terminal, &address, line, answer, open);
    line("BEGIN", r#"{"status":"Ok","transaction_id":1}"#, " [1]");
    line("PUT nameofkey value999 1", ok, " [1]");
    line("GET nameofkey 1", r#"{"status":"Ok","key":"nameofkey","value":"value999"}"#, " [1]");
    line("BEGIN", r#"{"status":"Ok","transaction_id":2}"#, " [1 2]");
    line("PUT house large 2", ok, " [1 2]");
    line("PUT house small 2", ok, " [1 2]");
    line("ROLLBACK 2", r#"{"status":"Ok","key":"house","value":"large"}"#, " [1 2]");
    line("DEL 2", r#"{"status":"Ok","deleted":1}"#, " [1 2]");
    line("COMMITALL", r#"{"status":"Ok","committed":2}"#, "");
    line("SHOWALL", r#"{"status":"Ok","entries":{"nameofkey":"value999"},"transactions":[]}"#, "");
    line("GET house", r#""code":"NotFound""#, "");
    terminal.control('d');
    terminal.ends(0);
}

#[test]
fn ended_transactions_leave_the_prompt() {
    let (_server, address) = server();
    let mut terminal = Terminal::start(&["client", &address], &[]);
    terminal.sees(&format!("tresor {address}> "));
    let ok = r#"{"status":"Ok"}"#;
    let mut line =
        |line: &str, answer: &str, open: &str| exchange(&mut terminal, &address, line, answer, open);
    line("BEGIN", r#""transaction_id":1}"#, " [1]");
    line("begin", r#""transaction_id":2}"#, " [1 2]");
    line("BEGIN", r#""transaction_id":3}"#, " [1 2 3]");
    line("PUT k v 1", ok, " [1 2 3]");
    line("COMMIT 1", ok, " [2 3]");
    line("abort @", ok, " [2]");
    line("# nothing is sent\nPING", r#"{"status":"Ok""#, " [2]");
    line("COMMIT 7", r#""code":"UnknownTransaction""#, " [2]");
    line("ABORT 2", ok, "");
    terminal.types("QUIT");
    terminal.sees(r#"{"status":"Ok""#);
    terminal.ends(0);
}

#[test]
fn keys_edit_the_line() {
    let (_server, address) = server();
    let mut terminal = Terminal::start(&["client", &address], &[]);
    let prompt = format!("tresor {address}> ");
    terminal.sees(&prompt);
    // Ctrl-C gives up what was typed.
    terminal.presses("PUT lost value");
    terminal.sees("PUT lost value");
    terminal.control('c');
    terminal.sees(&prompt);
    // Tab completes a command word and a topic.
    terminal.presses("showa\t");
    terminal.sees("SHOWALL ");
    terminal.types("");
    terminal.sees(r#""entries":{}"#);
    terminal.sees(&prompt);
    terminal.presses("help rollb\t");
    terminal.sees("ROLLBACK ");
    terminal.types("");
    terminal.sees("ROLLBACK id\r\nUndo the latest write");
    terminal.sees(&prompt);
    terminal.types("help");
    let listed = terminal.sees(&prompt);
    assert!(listed.contains("PUT key value [id]") && listed.contains("SHOWALL "), "{listed}");
    terminal.types("help me");
    terminal.sees("There is no command `me`");
    terminal.sees(&prompt);
    // The arrow up brings the line before.
    terminal.types("PUT a 1");
    terminal.sees(r#"{"status":"Ok"}"#);
    terminal.sees(&prompt);
    terminal.presses("\x1b[A");
    terminal.sees("PUT a 1");
    terminal.types("0");
    terminal.sees(r#"{"status":"Ok"}"#);
    terminal.sees(&prompt);
    terminal.types("GET a");
    terminal.sees(r#""value":"10"}"#);
    terminal.sees(&prompt);
    terminal.control('d');
    terminal.ends(0);
}

#[test]
fn history_is_kept_for_the_user_alone_and_has_no_passwords() {
    let server = Server::start(&["--line-port", "0", "--password", "hunter2"]);
    let address = format!("127.0.0.1:{}", server.ports().line);
    let prompt = format!("tresor {address}> ");
    let mut terminal = Terminal::start(&["client", &address], &[]);
    terminal.sees(&prompt);
    terminal.types("PING");
    terminal.sees(r#""code":"Unauthorized""#);
    terminal.sees(&prompt);
    for line in ["auth hunter2", "PUT remembered 1"] {
        terminal.types(line);
        terminal.sees(r#"{"status":"Ok""#);
        terminal.sees(&prompt);
    }
    terminal.control('d');
    let (_, state) = terminal.ends(0);

    let file = state.join("tresor/history");
    let text = fs::read_to_string(&file).expect("the history is there");
    assert!(text.contains("PUT remembered 1") && !text.contains("hunter2"), "{text}");
    let mode = |path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&state.join("tresor"))), (0o600, 0o700));

    let arguments = ["client", &address, "--password", "hunter2"];
    let mut terminal = Terminal::start_in(state, &arguments, &[("NO_COLOR", "1")]);
    terminal.sees(&prompt);
    terminal.presses("\x1b[A");
    terminal.sees("PUT remembered 1");
    terminal.types("");
    terminal.sees(r#"{"status":"Ok"}"#);
    terminal.control('d');
    terminal.ends(0);
}

#[test]
fn colours_are_there_unless_nobody_wants_them() {
    let (_server, address) = server();
    let answered = |environment: &[(&str, &str)]| {
        let state = TemporaryDirectory::new("state");
        let mut terminal = Terminal::start_in(state, &["client", &address], environment);
        terminal.sees("> ");
        terminal.types("GET nothing");
        let mut shown = terminal.sees("NotFound");
        shown.push_str(&terminal.sees("> "));
        terminal.control('d');
        terminal.ends(0);
        shown
    };
    assert!(answered(&[]).contains("\x1b[31m"));
    assert!(!answered(&[("NO_COLOR", "1")]).contains("\x1b[31m"));
    assert!(!answered(&[("TERM", "dumb")]).contains("\x1b["));
}

#[test]
fn several_lines_may_be_pasted() {
    let (_server, address) = server();
    let mut terminal = Terminal::start(&["client", &address], &[]);
    let prompt = format!("tresor {address}> ");
    terminal.sees(&prompt);
    // As a terminal says that it is a paste.
    terminal.presses("\x1b[200~PUT a 1\n# between\n\nPUT b 2\nSHOWALL\x1b[201~");
    terminal.sees("SHOWALL");
    terminal.types("");
    terminal.sees(r#""entries":{"a":"1","b":"2"}"#);
    terminal.sees(&prompt);
    terminal.control('d');
    terminal.ends(0);
}

#[test]
fn a_server_that_goes_away_is_said() {
    let (mut server, address) = server();
    let mut terminal = Terminal::start(&["client", &address], &[]);
    terminal.sees(&format!("tresor {address}> "));
    server.kill9();
    terminal.types("PING");
    terminal.sees(&format!("tresor: no answer from {address}"));
    terminal.ends(1);
}
