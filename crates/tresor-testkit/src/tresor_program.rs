//! The real `tresor` program: which file it is, and one run of it from start to end.
//!
//! Cargo is asked to build it first, which costs a moment when it is fresh and keeps a test from
//! running last week's program. `TRESOR_BIN` names another one.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
};

use crate::{TemporaryDirectory, deadline};

/// The path of the program, built at most once in this process.
pub fn path() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match env::var_os("TRESOR_BIN") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

fn build() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    // target/<profile>/deps/<test>
    let directory = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps");
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let program = directory.join("tresor");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "tresor-cli", "--profile", profile])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", directory.parent().expect("target/<profile> has a parent"))
        .status();
    match built {
        Ok(status) => assert!(status.success(), "cargo could not build the tresor program"),
        Err(error) => assert!(program.exists(), "no cargo ({error}) and no {}", program.display()),
    }
    program
}

/// How one run of the program ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Runs the program with `arguments` and `input` on standard input until it ends, which has to be
/// within [`deadline::PATIENCE`]. Its environment holds no `TRESOR_` settings.
pub fn run(arguments: &[&str], input: &[u8]) -> Finished {
    let directory = TemporaryDirectory::new("run");
    let files = ["stdin", "stdout", "stderr"].map(|name| directory.join(name));
    fs::write(&files[0], input).expect("the temporary directory takes a file");
    let create = |path: &Path| fs::File::create(path).expect("the temporary directory takes a file");
    let mut child = command(arguments)
        .stdin(fs::File::open(&files[0]).expect("just written"))
        .stdout(create(&files[1]))
        .stderr(create(&files[2]))
        .spawn()
        .expect("the tresor program starts");
    let status = wait(&mut child, &format!("tresor {arguments:?} to end"));
    let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    Finished { code: status.code(), stdout: text(&files[1]), stderr: text(&files[2]) }
}

/// The program with `arguments` and no settings from the environment.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("TRESOR_")) {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Waits for a process to end; kills it and panics when it takes longer than the deadline.
pub(crate) fn wait(child: &mut Child, what: &str) -> ExitStatus {
    let guard = KillOnPanic(child);
    let status = deadline::wait_for(what, || guard.0.try_wait().expect("a child can be waited for"));
    guard.0.wait().expect("a child that ended can be waited for");
    status
}

struct KillOnPanic<'c>(&'c mut Child);

impl Drop for KillOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
