//! Runs `docs/coming-from.md`: every block, in order, against one server with HTTP and Redis ports.
//!
//! In `console` blocks a line after `$ ` is a command and what follows is all that it prints; `python`
//! blocks assert by themselves; `rust` blocks are doc tests of this crate. Only the ports are changed.

use std::process::{Command, Output};

use tresor::{Config, Database};
use tresor_server::{Server, ServerConfig};
use tresor_testkit::{client_libraries, programs};

#[test]
fn every_block_of_the_page_runs() {
    for program in ["curl", "redis-cli"] {
        if programs::require(program).is_none() {
            return;
        }
    }
    let Some(python) = client_libraries::python() else { return };
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/coming-from.md"))
        .expect("the page is there");
    let server = server();
    let mut kinds = Vec::new();
    for block in blocks(&page) {
        let code = server.with_ports(&block.code);
        match block.language {
            "console" => run_console(&code, block.line),
            "python" => run_python(&python, &code, block.line),
            // Rust is run as a doc test; text is how the server itself is started.
            "rust" | "text" => {}
            other => panic!("line {}: nothing runs {other} blocks", block.line),
        }
        kinds.push(block.language);
    }
    for language in ["console", "python", "rust"] {
        assert!(kinds.contains(&language), "no {language} block was found");
    }
}

struct Running(Server);

fn server() -> Running {
    let database = Database::open(Config::memory()).expect("a store in memory opens");
    let config = ServerConfig {
        resp_port: Some(0),
        http_port: Some(0),
        line_port: None,
        workers: 1,
        ..ServerConfig::default()
    };
    Running(Server::start(database, config).expect("free ports can be bound"))
}

impl Running {
    fn with_ports(&self, code: &str) -> String {
        let addresses = self.0.addresses();
        let resp = addresses.resp[0].port();
        code.replace("localhost:8080", &addresses.http[0].to_string())
            .replace("redis-cli", &format!("redis-cli -p {resp}"))
            .replace("port=6379", &format!("port={resp}"))
    }
}

struct Block<'a> {
    language: &'a str,
    line: usize,
    code: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some(Block { language, line: index + 1, code: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.code.push_str(&format!("{line}\n")),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block does not end");
    blocks
}

fn run_console(code: &str, line: usize) {
    let mut steps: Vec<(&str, String)> = Vec::new();
    for text in code.lines() {
        match (text.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((command, String::new())),
            (None, Some((_, expected))) => expected.push_str(&format!("{text}\n")),
            (None, None) => panic!("line {line}: the block begins with output"),
        }
    }
    for (command, expected) in steps {
        // Curl's progress is for terminals; its errors are shown.
        let quiet = command.replace("curl ", "curl --silent --show-error --max-time 20 ");
        let output = Command::new("sh").args(["-c", &quiet]).output().expect("sh runs");
        let printed = succeeded(&output, command);
        assert_eq!(printed.trim_end_matches('\n'), expected.trim_end_matches('\n'), "{command}");
    }
}

fn run_python(python: &Command, code: &str, line: usize) {
    let output = Command::new(python.get_program()).args(["-c", code]).output().expect("python runs");
    assert_eq!(succeeded(&output, &format!("the block at line {line}")), "");
}

fn succeeded(output: &Output, what: &str) -> String {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("the output is text")
}
