//! `cargo xtask fix`: whatever tools can repair by themselves.

use crate::{Outcome, cargo, docs};

/// Lets clippy, rustfmt and the generators write.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    crate::only(arguments, &[])?;
    cargo::run(&mut cargo::cargo(
        "clippy --workspace --all-targets --fix --allow-dirty --allow-staged --quiet",
    ))?;
    cargo::run(&mut cargo::cargo("fmt --all"))?;
    docs::run(&[])
}
