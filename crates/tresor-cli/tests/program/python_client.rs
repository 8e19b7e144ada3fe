//! The Python client: installed as its users install it, then its own tests against this program.

use std::{fs, path::Path, process::Command};

use tresor_testkit::{TemporaryDirectory, programs, tresor_program};

#[test]
fn it_is_installed_with_pip_and_passes_its_tests() {
    // In this order: setuptools wants to be there before anything that uses distutils.
    let modules = ["setuptools", "wheel", "pip", "venv"];
    let Some(python) = programs::require_python_with(&modules) else { return };
    let directory = TemporaryDirectory::new("python");
    let (source, environment) = (directory.join("source"), directory.join("environment"));
    // A copy, since pip builds inside of what it installs.
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/python"), &source);
    let venv = ["-m", "venv", "--system-site-packages", "--without-pip"];
    run(Command::new(python).args(venv).arg(&environment));
    let python = environment.join("bin/python3");
    // Nothing comes from a network: pip builds with what is there.
    let install = ["-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-index", "--no-deps"];
    run(Command::new(&python).args(install).arg(&source));
    let tested = run(Command::new(&python)
        .args(["-m", "unittest", "-v"])
        .current_dir(&source)
        .env("TRESOR_PROGRAM", tresor_program::path()));
    assert!(!tested.contains("skipped"), "{tested}");
}

/// Runs it to its end, which has to be a good one; returns all that it said.
fn run(command: &mut Command) -> String {
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("Python runs");
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("the temporary directory takes a directory");
    for entry in fs::read_dir(from).expect("the client is there") {
        let entry = entry.expect("a directory can be read");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("the temporary directory takes a file");
        }
    }
}
