//! `cargo xtask ci`: everything that a change must pass, the slow part last.

use std::process::Command;

use crate::{Outcome, cargo, docs, test, tidy};

/// Runs all of it and stops at the first failure.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    crate::only(arguments, &[])?;
    tidy::run()?;
    docs::run(&["--check".to_owned()])?;
    cargo::run(&mut cargo::cargo("fmt --all --check"))?;
    cargo::run(&mut cargo::cargo("clippy --workspace --all-targets --quiet -- -D warnings"))?;
    licences()?;
    test::run(&[])
}

/// cargo-deny is not part of a Rust installation, so it is used where it is and named where not.
fn licences() -> Outcome {
    if !cargo::succeeds(Command::new("cargo-deny").arg("--version")) {
        eprintln!(
            "cargo-deny is not installed: licences and bans are not checked (cargo install cargo-deny)"
        );
        return Ok(());
    }
    cargo::run(&mut cargo::cargo("deny check bans licenses sources"))
}
