//! What a machine must have before a node can run on it: Java, and Maven unless the jars are cached.
//!
//! A test that lacks it is left out, and says so with the same line as for every other program; with
//! `CI` set nothing may be left out, and the test fails.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use super::artifacts::Artifacts;
use crate::programs;

/// The first Java that Cassandra 5 and 6 are made for.
const OLDEST_JAVA: u32 = 17;

const INSTALL_JAVA: &str = "apt-get install openjdk-17-jre-headless";
const INSTALL_MAVEN: &str = "apt-get install maven";

/// What is missing to run nodes of a version, each with the way to get it; `None` when nothing is.
pub fn missing(version: &str) -> Option<String> {
    let java = java().err();
    let needs_maven = !Artifacts::cached(version) && programs::find("mvn").is_none();
    let maven = needs_maven.then(|| programs::not_installed("mvn", INSTALL_MAVEN));
    let all: Vec<String> = [java, maven].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// Whether nodes of a version can run here; false after saying what is left out. Panics instead when
/// `CI` is set.
pub fn require(version: &str) -> bool {
    let missing = missing(version);
    if let Some(missing) = &missing {
        programs::left_out(missing);
    }
    missing.is_none()
}

/// The `java` to run nodes with: `JAVA_HOME`'s, else the one on `PATH`.
pub(super) fn java() -> Result<PathBuf, String> {
    let home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    let java = home.filter(|java| java.is_file()).or_else(|| programs::find("java"));
    let java = java.ok_or_else(|| programs::not_installed("java", INSTALL_JAVA))?;
    let shown = java.display();
    let output = Command::new(&java)
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{shown} does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match feature_version(&said) {
        Some(version) if version >= OLDEST_JAVA => Ok(java),
        Some(version) => Err(format!(
            "{shown} is Java {version}, and {OLDEST_JAVA} is the oldest that does ({INSTALL_JAVA})"
        )),
        None => Err(format!("{shown} does not tell its version, but: {}", said.trim())),
    }
}

/// 17 of `openjdk version "17.0.15" 2025-04-15`, and 8 of `java version "1.8.0_392"`.
fn feature_version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("version \"")?;
    let mut numbers = rest.split(|character: char| !character.is_ascii_digit());
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        version => Some(version),
    }
}

#[cfg(test)]
mod tests {
    use super::feature_version;

    #[test]
    fn java_tells_its_version_in_more_than_one_way() {
        for (text, version) in [
            ("openjdk version \"17.0.15\" 2025-04-15\n", Some(17)),
            ("Picked up JAVA_TOOL_OPTIONS: -Xint\nopenjdk version \"21\" 2023-09-19\n", Some(21)),
            ("openjdk version \"25-ea\" 2025-09-16\n", Some(25)),
            ("java version \"1.8.0_392\"\n", Some(8)),
            ("No Java runtime present", None),
        ] {
            assert_eq!(feature_version(text), version, "{text}");
        }
    }
}
