//! `tresor` without arguments on a terminal.

use std::fs;

use tresor_testkit::{Server, TemporaryDirectory, deadline};

use crate::terminal::Terminal;

#[test]
fn the_menu_is_shown_and_left() {
    for leave in ["3", "  3 "] {
        let mut terminal = Terminal::start(&[], &[]);
        terminal.sees("1. Start Server\r\n2. Connect Client\r\n3. Exit\r\n");
        terminal.sees("Choose 1, 2 or 3: ");
        terminal.types("4");
        terminal.sees("There is no choice `4`.");
        terminal.sees("Choose 1, 2 or 3: ");
        terminal.types(leave);
        terminal.ends(0);
    }
    for key in ['c', 'd'] {
        let mut terminal = Terminal::start(&[], &[]);
        terminal.sees("Choose 1, 2 or 3: ");
        terminal.control(key);
        terminal.ends(0);
    }
}

#[test]
fn a_server_is_started_here_and_stopped_with_ctrl_c() {
    let directory = TemporaryDirectory::new("menu");
    let ready = directory.join("ready.json");
    let environment = [
        ("TRESOR_PORT", "0"),
        ("TRESOR_RESP_PORT", "0"),
        ("TRESOR_LINE_PORT", "0"),
        ("TRESOR_READY_FILE", ready.to_str().expect("temporary paths are UTF-8")),
    ];
    let mut terminal = Terminal::start(&[], &environment);
    terminal.sees("Choose 1, 2 or 3: ");
    terminal.types("1");
    terminal.sees("is ready: HTTP on http://127.0.0.1:");
    deadline::wait_until("the ready file", || fs::metadata(&ready).is_ok());
    terminal.control('c');
    terminal.ends(0);
}

#[test]
fn a_client_is_connected_and_comes_back_to_the_menu() {
    let server = Server::start(&["--line-port", "0"]);
    let address = format!("127.0.0.1:{}", server.ports().line);
    let mut terminal = Terminal::start(&[], &[]);
    terminal.sees("Choose 1, 2 or 3: ");
    terminal.types("2");
    terminal.sees("Server [127.0.0.1:7379]: ");
    terminal.types(&address);
    terminal.sees(&format!("tresor {address}> "));
    terminal.types("PING");
    terminal.sees(r#"{"status":"Ok""#);
    terminal.sees(&format!("tresor {address}> "));
    terminal.control('d');
    terminal.sees("Choose 1, 2 or 3: ");
    terminal.types("2");
    terminal.sees("Server [127.0.0.1:7379]: ");
    terminal.types("127.0.0.1:1");
    terminal.sees("cannot connect to a server's line port at 127.0.0.1:1");
    terminal.sees("Choose 1, 2 or 3: ");
    terminal.types("3");
    terminal.ends(0);
}
