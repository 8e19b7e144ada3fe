//! redis-cli and redis-benchmark: as a shell calls them, and redis-cli on a terminal.
//!
//! The terminal is a pseudoterminal, as for our own prompt: nothing is typed before what it answers to is on
//! the screen.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use rexpect::session::{Options, PtySession, spawn_with_options};
use tresor_testkit::{deadline::PATIENCE, programs::require};

use crate::served::{Door, PASSWORD, Served};

/// A program of Redis's with the server and its password among the arguments.
fn command(program: &Path, served: &Served) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", &served.host, "-p", &served.port.to_string(), "-a", PASSWORD]);
    command
}

/// Runs a program and answers what it printed.
fn run(command: &mut Command, input: &[u8]) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("it is a pipe").write_all(input).expect("the program reads its input");
    let output = child.wait_with_output().expect("the program ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn redis_cli_sets_and_gets() {
    let Some(program) = require("redis-cli") else { return };
    let served = Served::start(Door::Redis);
    let cli = |arguments: &[&str], input: &[u8]| run(command(&program, &served).args(arguments), input);
    assert_eq!(cli(&["PING"], b""), "PONG\n");
    assert_eq!(cli(&["SET", "k", "two words"], b""), "OK\n");
    assert_eq!(cli(&["GET", "k"], b""), "two words\n");
    assert_eq!(cli(&["-n", "3", "GET", "k"], b""), "\n");
    assert_eq!(cli(&["-3", "GET", "absent"], b""), "\n");
    assert_eq!(cli(&["-x", "SET", "from-input"], &[b'x'; 100_000]), "OK\n");
    assert_eq!(cli(&["GET", "from-input"], b"").len(), 100_001);
    assert_eq!(cli(&[], b"SET a 1\nGET a\nDEL a k\n"), "OK\n1\n2\n");
}

#[test]
fn redis_cli_looks_through_the_keys() {
    let Some(program) = require("redis-cli") else { return };
    let served = Served::start(Door::Redis);
    let cli = |arguments: &[&str], input: &[u8]| run(command(&program, &served).args(arguments), input);
    let input: String =
        (0..300).map(|number| format!("SET key:{number} {}\n", "x".repeat(number + 1))).collect();
    cli(&[], input.as_bytes());
    assert_eq!(cli(&["--scan", "--pattern", "key:2??"], b"").lines().count(), 100);
    let largest = cli(&["--bigkeys"], b"");
    assert!(largest.contains("Biggest string found '\"key:299\"' has 300 bytes"), "{largest}");
    let memory = cli(&["--memkeys"], b"");
    assert!(memory.contains("300 strings with"), "{memory}");
    let statistics = cli(&["-r", "1", "--no-raw", "INFO", "keyspace"], b"");
    assert!(statistics.contains("db0:keys=300,"), "{statistics}");
}

#[test]
fn redis_cli_loads_in_pipe_mode() {
    let Some(program) = require("redis-cli") else { return };
    let served = Served::start(Door::Redis);
    let mut input = Vec::new();
    for number in 0..20_000 {
        input.extend(format!("SET key:{number} value:{number}\r\n").into_bytes());
    }
    let printed = run(command(&program, &served).arg("--pipe"), &input);
    assert!(printed.contains("errors: 0, replies: 20000"), "{printed}");
    assert_eq!(run(command(&program, &served).args(["GET", "key:19999"]), b""), "value:19999\n");
}

#[test]
fn redis_benchmark_runs_its_tests() {
    let Some(program) = require("redis-benchmark") else { return };
    let served = Served::start(Door::Redis);
    for pipeline in ["1", "16"] {
        let tests = "ping,set,get,incr,mset";
        let arguments = ["-q", "-n", "10000", "-c", "20", "-r", "1000", "-P", pipeline, "-t", tests];
        let printed = run(command(&program, &served).args(arguments), b"");
        for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
            let line = printed.split(['\n', '\r']).rfind(|line| line.starts_with(&format!("{test}: ")));
            assert!(line.is_some_and(|line| line.contains("requests per second")), "{test}: {printed}");
        }
    }
}

/// redis-cli with a person in front of it.
struct Terminal {
    session: PtySession,
}

impl Terminal {
    /// Starts it, without history and on a terminal that has a size: it would ask for that with keys.
    fn start(redis_cli: &Command) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "stty rows 24 cols 100; exec \"$@\"", "sh"]);
        command.arg(redis_cli.get_program()).args(redis_cli.get_args());
        command.env("TERM", "xterm").env("REDISCLI_HISTFILE", "/dev/null");
        let options = Options::new().timeout_ms(Some(PATIENCE.as_millis() as u64));
        Self { session: spawn_with_options(command, options).expect("redis-cli starts on a terminal") }
    }

    /// Waits until this is on the screen.
    #[track_caller]
    fn sees(&mut self, text: &str) {
        if let Err(error) = self.session.exp_string(text) {
            panic!("{text:?} never came: {error}");
        }
    }

    /// Types a line after the prompt, and waits for what comes then.
    #[track_caller]
    fn types(&mut self, prompt: &str, line: &str, answers: &[&str]) {
        self.sees(prompt);
        self.presses(&format!("{line}\r"));
        answers.iter().for_each(|answer| self.sees(answer));
    }

    /// Types without an end of line.
    fn presses(&mut self, keys: &str) {
        self.session.send(keys).and_then(|_| self.session.flush()).expect("the terminal takes keys");
    }
}

#[test]
fn redis_cli_on_a_terminal() {
    let Some(program) = require("redis-cli") else { return };
    let mut served = Served::start(Door::Redis);
    let address = served.address();
    let (zero, three) = (format!("{address}> "), format!("{address}[3]> "));
    let mut stranger = Command::new(&program);
    stranger.args(["-h", &served.host, "-p", &served.port.to_string()]);
    let mut terminal = Terminal::start(&stranger);
    terminal.types(&zero, "GET a", &["(error) NOAUTH Authentication required."]);
    terminal.types(&zero, "AUTH wrong", &["(error) WRONGPASS"]);
    let authenticate = format!("AUTH \"{PASSWORD}\"");
    terminal.types(&zero, &authenticate, &["OK"]);
    terminal.types(&zero, "SELECT 3", &["OK"]);
    terminal.types(&three, r#"SET name "Alice\n""#, &["OK"]);
    terminal.types(&three, "GET name", &[r#""Alice\n""#]);

    terminal.types(&three, "MULTI", &["OK"]);
    let queuing = format!("{address}[3](TX)> ");
    terminal.types(&queuing, "INCR counter", &["QUEUED"]);
    terminal.types(&queuing, "EXEC", &["1) (integer) 1"]);
    terminal.types(&three, "HELLO 3", &[r#"1# "server" => "redis""#, r#"3# "proto" => (integer) 3"#]);
    terminal.types(&three, "CONFIG GET maxmemory-policy", &[r#"1# "maxmemory-policy" => "noeviction""#]);

    served.stop();
    terminal.types(&three, "GET counter", &["Error: Server closed the connection"]);
    terminal.types("not connected> ", "GET counter", &["Could not connect to Redis", "Connection refused"]);
    served.start_again();
    // It does not keep a password that was typed, and without it fails to choose the database.
    terminal.types("not connected> ", "GET counter", &["(error) NOAUTH"]);
    terminal.types(&three, &authenticate, &["OK"]);
    terminal.types(&three, "SELECT 3", &["OK"]);
    terminal.types(&three, "GET counter", &["\"1\""]);
    terminal.types(&three, "SUBSCRIBE news", &["Reading messages", "1) \"subscribe\"", "3) (integer) 1"]);
    assert_eq!(run(command(&program, &served).args(["PUBLISH", "news", "it works"]), b""), "1\n");
    for line in ["1) \"message\"", "2) \"news\"", "3) \"it works\""] {
        terminal.sees(line);
    }
}

/// Behind the cursor redis-cli shows what a command still needs, which it has from the server.
#[test]
fn redis_cli_shows_hints_and_help() {
    let Some(program) = require("redis-cli") else { return };
    let served = Served::start(Door::Redis);
    let mut terminal = Terminal::start(&command(&program, &served));
    let prompt = format!("{}> ", served.address());
    terminal.sees(&prompt);
    for (typed, hint) in [
        ("GETRANGE ", "key start end"),
        ("SUBSCRIBE ", "channel [channel ...]"),
        ("EXPIRE k ", "seconds [NX|XX|GT|LT]"),
        ("TRESOR.PUT k v ", "RAW|JSON [PXAT unix-time-milliseconds]"),
    ] {
        terminal.presses(typed);
        terminal.sees(hint);
        // Ctrl-U takes the line back.
        terminal.presses("\u{15}");
    }
    terminal.presses("HELP GETDEL\r");
    for word in ["GETDEL", "key", "summary:", "since:", "group:"] {
        terminal.sees(word);
    }
}
