//! Real programs that tests run: where they are, and what a test says when one is missing.
//!
//! A test whose program is missing prints one line that starts with `SKIPPED`, so that the test
//! command can count and show it. With `CI` set nothing may be missing: the test panics.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

/// The programs that tests may ask for, and how each is had on Debian.
const INSTALL: [(&str, &str); 10] = [
    ("redis-server", "apt-get install redis-server"),
    ("redis-cli", "apt-get install redis-tools"),
    ("redis-benchmark", "apt-get install redis-tools"),
    ("python3", "apt-get install python3"),
    ("curl", "apt-get install curl"),
    ("go", "apt-get install golang-go"),
    ("node", "apt-get install nodejs npm"),
    ("prometheus-redis-exporter", "apt-get install prometheus-redis-exporter"),
    ("chromium", "apt-get install chromium"),
    ("promtool", "apt-get install prometheus"),
];

/// The path of a program, or `None` after saying what is left out. Panics instead when `CI` is set.
pub fn require(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        left_out(&not_installed(program, how_to_install(program)));
    }
    found
}

/// The path of a program that only checks what other tests check too, or `None` after saying what is left out,
/// `CI` or not: it need not be on every machine.
pub fn wish_for(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        println!("{}", skipped(&not_installed(program, how_to_install(program))));
    }
    found
}

fn how_to_install(program: &str) -> &'static str {
    INSTALL.iter().find(|(name, _)| *name == program).map_or("install it", |(_, how)| how)
}

/// The path of the first Python on `PATH` that has these modules, or `None` after saying what is left out.
pub fn require_python_with(modules: &[&str]) -> Option<PathBuf> {
    require("python3")?;
    let found = find_python_with(modules);
    if found.is_none() {
        let packages: Vec<String> = modules.iter().map(|module| format!("python3-{module}")).collect();
        let install = format!("apt-get install {}", packages.join(" "));
        left_out(&not_installed(&format!("a Python with {}", modules.join(", ")), &install));
    }
    found
}

/// The path of the first Python on `PATH` that has these modules.
pub(crate) fn find_python_with(modules: &[&str]) -> Option<PathBuf> {
    on_path("python3").find(|python| python_imports(python, modules))
}

/// The path of a program on `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    on_path(program).next()
}

/// Every program of that name on `PATH`, the one that a shell would run first.
fn on_path(program: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = env::split_paths(&path).collect();
    directories.into_iter().map(move |directory| directory.join(program)).filter(|file| file.is_file())
}

fn python_imports(python: &Path, modules: &[&str]) -> bool {
    Command::new(python)
        .args(["-c", "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"])
        .args(modules)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Says that the running test is left out, and why. Panics instead when `CI` is set.
pub(crate) fn left_out(why: &str) {
    let line = skipped(why);
    assert!(env::var_os("CI").is_none(), "{line}; with CI set nothing is left out");
    println!("{line}");
}

/// Says that the running test is left out for want of a right that not every machine gives, `CI` or not.
pub(crate) fn not_allowed(why: &str) {
    println!("{}", skipped(why));
}

fn skipped(why: &str) -> String {
    format!("SKIPPED {}: {why}", thread::current().name().unwrap_or("a test"))
}

pub(crate) fn not_installed(program: &str, install: &str) -> String {
    format!("{program} is not installed ({install})")
}

#[cfg(test)]
mod tests {
    use super::{find, not_installed};

    #[test]
    fn a_program_is_found_on_the_path_or_not() {
        assert!(find("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(find("no-such-program-anywhere"), None);
    }

    #[test]
    fn what_is_missing_says_how_to_have_it() {
        assert_eq!(
            not_installed("redis-server", "apt-get install redis-server"),
            "redis-server is not installed (apt-get install redis-server)"
        );
    }
}
