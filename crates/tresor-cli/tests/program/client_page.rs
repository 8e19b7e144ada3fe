//! Runs `docs/client.md`: its console and Python blocks, in order, against one server.
//!
//! In `console` blocks a line after `$ ` is a command for a shell, and what follows is all that it prints;
//! `python` blocks assert by themselves. Only the port is changed.

use std::{
    env,
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Output},
};

use tresor_testkit::{Server, programs, tresor_program};

#[test]
fn every_block_of_the_page_runs() {
    let Some(python) = programs::require("python3") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/client.md")).expect("the page is there");
    let server = Server::start(&["--line-port", "0"]);
    let address = format!("127.0.0.1:{}", server.ports().line);
    let mut kinds = Vec::new();
    for (language, code) in blocks(&page) {
        match language {
            "console" => {
                let code = code.replace("tresor client", &format!("tresor client {address}"));
                run_console(&code);
            }
            "python" => {
                let code = code.replace("Client()", &format!("Client(port={})", server.ports().line));
                let mut command = Command::new(&python);
                command.args(["-c", &code]).env("PYTHONPATH", root.join("clients/python/src"));
                good(command.env("PYTHONDONTWRITEBYTECODE", "1"), &code);
            }
            "rust,no_run" | "text" => {}
            other => panic!("nothing runs {other} blocks"),
        }
        kinds.push(language);
    }
    for language in ["console", "python", "rust,no_run"] {
        assert!(kinds.contains(&language), "no {language} block was found");
    }
}

/// The language and the text of each block.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language, String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, code)), None) => code.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block does not end");
    blocks
}

fn run_console(code: &str) {
    let steps = code.strip_prefix("$ ").expect("a console block begins with a command").split("\n$ ");
    for step in steps {
        let (line, expected) = step.split_once('\n').unwrap_or((step, ""));
        let mut command = Command::new("sh");
        let output = good(command.args(["-c", line]).env("PATH", path_with_program()), line);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(printed.trim_end(), expected.trim_end(), "{line}");
    }
}

/// `PATH` with the program's directory in front.
fn path_with_program() -> OsString {
    let own = tresor_program::path().parent().expect("the program lies in a directory").to_owned();
    let all = env::var_os("PATH").unwrap_or_default();
    env::join_paths(std::iter::once(own).chain(env::split_paths(&all))).expect("a directory without colons")
}

fn good(command: &mut Command, what: &str) -> Output {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{what}\n{}", String::from_utf8_lossy(&output.stderr));
    output
}
