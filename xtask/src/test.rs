//! `cargo xtask test`: all tests, with the real programs that some of them need.
//!
//! The server under test is built once with nearly the optimizations of a release and handed to the
//! tests as `TRESOR_BIN`; the tests themselves are built for debugging, with its checks. Tests that
//! had to be left out print a line with `SKIPPED`; those lines are repeated and counted at the end.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::{Outcome, cargo, programs};

/// Runs all tests; words after `--` go to `cargo test`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let split = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let (own, passed_on) = arguments.split_at(split);
    crate::only(own, &["--full"])?;
    let full = !own.is_empty();
    programs::provide()?;
    cargo::run(&mut cargo::cargo("build --quiet --profile quick --package tresor-cli"))?;
    let mut test = cargo::cargo("test --workspace --no-fail-fast");
    // A second `--` among them begins the words for the test programs, where ours go too.
    let passed_on = passed_on.get(1..).unwrap_or_default();
    test.args(passed_on);
    if !passed_on.iter().any(|word| word == "--") {
        test.arg("--");
    }
    // Output of passed tests is captured by default, and with it the lines that say what was left out.
    test.arg("--show-output");
    test.env("TRESOR_BIN", cargo::target_directory()?.join("quick/tresor"));
    if full {
        test.env("TRESOR_FULL", "1");
    }
    let skipped = run_and_collect(&mut test)?;
    match skipped.as_slice() {
        [] => eprintln!("all tests passed, none was left out"),
        lines => eprintln!("all tests passed; {} were left out:\n  {}", lines.len(), lines.join("\n  ")),
    }
    Ok(())
}

/// Runs the tests with their output shown, and returns the lines of those that were left out.
fn run_and_collect(test: &mut std::process::Command) -> Outcome<Vec<String>> {
    eprintln!("+ {}", cargo::shown(test));
    let mut child =
        test.stdout(Stdio::piped()).spawn().map_err(|error| format!("cannot run cargo: {error}"))?;
    let mut skipped = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|error| format!("cannot read the tests' output: {error}"))?;
            let line = String::from_utf8_lossy(&line);
            if line.starts_with("SKIPPED") {
                skipped.push(line.clone().into_owned());
            }
            println!("{line}");
        }
    }
    let status = child.wait().map_err(|error| format!("cargo test: {error}"))?;
    if status.success() { Ok(skipped) } else { Err("tests failed; see above".to_owned()) }
}
