//! The container without a container engine: its entry point and its health check, run by hand.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rustix::process::{Pid, Signal, kill_process};
use tresor_testkit::{TemporaryDirectory, deadline, tresor_program};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The entry point as the image runs it: `tresor` on the path, nothing else of ours around.
fn entry_point(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    in_image(Command::new("sh").arg(top().join("docker/entrypoint.sh")).args(arguments), environment)
}

fn in_image(command: &mut Command, environment: &[(&str, &str)]) -> Command {
    let programs = tresor_program::path().parent().expect("the program lies in a directory");
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let mut fresh = Command::new(command.get_program());
    fresh.args(command.get_args()).env_clear().env("PATH", path).envs(environment.iter().copied());
    fresh
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    entry_point(arguments, environment).output().expect("sh runs")
}

#[test]
fn without_a_password_it_refuses_and_names_the_way_out() {
    for environment in [&[][..], &[("TRESOR_PASSWORD", "")], &[("TRESOR_INSECURE_NO_AUTH", "0")]] {
        for arguments in [&[][..], &["serve"], &["--port", "0"]] {
            let output = run(arguments, environment);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{stderr}");
            assert!(
                stderr.contains("TRESOR_PASSWORD") && stderr.contains("TRESOR_INSECURE_NO_AUTH"),
                "{stderr}"
            );
        }
    }
}

#[test]
fn with_one_it_listens_on_every_address() {
    for (name, value) in [("TRESOR_PASSWORD", "hunter2"), ("TRESOR_INSECURE_NO_AUTH", "1")] {
        let output = run(&["--check-config", "--max-clients", "7"], &[(name, value)]);
        let stdout = String::from_utf8(output.stdout).expect("TOML is UTF-8");
        let table: toml::Table = stdout.parse().expect("the output is TOML");
        assert_eq!(table["bind"][0].as_str(), Some("0.0.0.0"), "{name}");
        assert_eq!(table["port"].as_integer(), Some(8080));
        assert_eq!(table["max-clients"].as_integer(), Some(7));
        assert!(!stdout.contains("hunter2"), "{stdout}");
    }
}

#[test]
fn other_subcommands_go_through() {
    let output = run(&["man", "serve"], &[]);
    assert!(output.status.success() && output.stdout.starts_with(b"."));
}

/// Words of the Dockerfile's instruction `name`, continued lines joined.
fn instruction(name: &str) -> Vec<String> {
    let text = fs::read_to_string(top().join("Dockerfile")).expect("the Dockerfile is there");
    let joined = text.replace("\\\n", " ");
    joined.lines().filter_map(|line| line.strip_prefix(name)).map(|words| words.trim().to_owned()).collect()
}

#[test]
fn the_health_check_follows_the_server() {
    let directory = TemporaryDirectory::new("container");
    let ready = directory.join("ready");
    let ready_text = ready.to_str().expect("temporary paths are UTF-8");
    let environment = [
        ("TRESOR_PASSWORD", "hunter2"),
        ("TRESOR_BIND", "127.0.0.1"),
        ("TRESOR_PORT", "0"),
        ("TRESOR_RESP_PORT", "0"),
        ("TRESOR_READY_FILE", ready_text),
    ];
    let mut server = entry_point(&[], &environment).spawn().expect("sh runs");
    let ready: serde_json::Value = deadline::wait_for("the server to get ready", || {
        assert!(server.try_wait().expect("a child can be waited for").is_none(), "it ended");
        serde_json::from_slice(&fs::read(&ready).ok()?).ok()
    });
    assert_eq!(ready["pid"].as_u64(), Some(u64::from(server.id())), "signals reach the server, not a shell");

    let health = instruction("HEALTHCHECK");
    let (_, check) = health[0].split_once("CMD ").expect("a health check has a command");
    let port = ready["http"].to_string();
    let healthy = || {
        let environment = [("TRESOR_PASSWORD", "hunter2"), ("TRESOR_PORT", port.as_str())];
        let status = in_image(Command::new("sh").args(["-c", check]), &environment).output();
        status.expect("sh runs").status.success()
    };
    assert!(healthy());
    kill_process(Pid::from_child(&server), Signal::TERM).expect("a child takes a signal");
    assert!(server.wait().expect("it ends").success());
    assert!(!healthy());
}

#[test]
fn what_the_image_is_built_from_is_there() {
    assert_eq!(instruction("EXPOSE"), ["8080 6379"]);
    assert_eq!(instruction("USER"), ["tresor"]);
    for copy in instruction("COPY").iter().filter(|words| !words.starts_with("--from")) {
        let from = copy.split(' ').next().expect("COPY names a source");
        assert!(top().join(from).exists(), "{from}");
    }
    let build = instruction("RUN").into_iter().find(|step| step.starts_with("cargo")).expect("it builds");
    assert_eq!(build, "cargo build --release --locked --package tresor-cli");
}
