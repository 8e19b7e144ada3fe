//! Client libraries in other languages that tests use: installed at the versions that the project names.
//!
//! Each language has a directory of its own under `target/clients`; nothing of the system is touched. What is
//! installed stands in the lists of `crates/tresor-cli/tests/real_clients`, beside the programs that use it. A
//! copy of the list is laid into the directory last, so an installation counts only if it was finished and
//! the list has not changed since. `cargo xtask clients` installs; tests only look.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::programs;

/// How much of an installer's output an error shows.
const SHOWN_LINES: usize = 20;

/// Where the lists are.
const LISTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tresor-cli/tests/real_clients");

/// The list that an installation was made from, in its directory.
const INSTALLED: &str = "installed";

/// The libraries of one language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientLibraries {
    /// redis-py, Django, Flask-Session and schemathesis, installed by pip.
    Python,
    /// ioredis, node-redis and @upstash/redis, installed by npm.
    Node,
    /// go-redis, installed by the go command.
    Go,
}

impl ClientLibraries {
    /// Those of all languages.
    pub const ALL: [Self; 3] = [Self::Python, Self::Node, Self::Go];

    /// The libraries by name.
    pub fn names(self) -> &'static str {
        match self {
            Self::Python => "redis-py, Django, Flask-Session and schemathesis",
            Self::Node => "ioredis, node-redis and @upstash/redis",
            Self::Go => "go-redis",
        }
    }

    /// Whether they are there as the list says now.
    pub fn installed(self) -> bool {
        let copy = fs::read(self.directory().join(INSTALLED));
        copy.is_ok_and(|copy| fs::read(self.list()).is_ok_and(|list| list == copy))
    }

    /// Installs them anew, over a network, in less than a minute each. The error says which program is missing,
    /// or what the installer said last.
    pub fn install(self) -> Result<(), String> {
        let directory = self.directory();
        let told = |error| format!("{}: {error}", directory.display());
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(told)?;
        }
        fs::create_dir_all(&directory).map_err(told)?;
        match self {
            Self::Python => {
                let python = programs::find_python_with(&["venv", "ensurepip"])
                    .ok_or("no Python with venv (apt-get install python3-venv)")?;
                run(Command::new(python).args(["-m", "venv"]).arg(&directory))?;
                let pip =
                    ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
                run(Command::new(directory.join("bin/python3")).args(pip).arg(self.list()))?;
            }
            Self::Node => {
                for file in ["package.json", "package-lock.json"] {
                    fs::copy(Path::new(LISTS).join(file), directory.join(file)).map_err(told)?;
                }
                let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
                run(Command::new("npm").args(npm).current_dir(&directory))?;
            }
            Self::Go => run(&mut go_build(&Path::new(LISTS).join("go_redis"), &directory))?,
        }
        fs::copy(self.list(), directory.join(INSTALLED)).map_err(told)?;
        Ok(())
    }

    /// Whether they are there, or else says what is left out.
    fn required(self) -> bool {
        let installed = self.installed();
        if !installed {
            programs::left_out(&programs::not_installed(self.names(), "cargo xtask clients"));
        }
        installed
    }

    fn directory(self) -> PathBuf {
        let name = match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Go => "go",
        };
        target_directory().join("clients").join(name)
    }

    fn list(self) -> PathBuf {
        Path::new(LISTS).join(match self {
            Self::Python => "requirements.txt",
            Self::Node => "package-lock.json",
            Self::Go => "go_redis/go.sum",
        })
    }
}

/// A Python with its libraries, to be given what to run; `None` after saying what is left out.
pub fn python() -> Option<Command> {
    let libraries = ClientLibraries::Python;
    libraries.required().then(|| Command::new(libraries.directory().join("bin/python3")))
}

/// Node with its libraries, to be given what to run; `None` after saying what is left out.
pub fn node() -> Option<Command> {
    let mut node = Command::new(programs::require("node")?);
    let libraries = ClientLibraries::Node;
    node.env("NODE_PATH", libraries.directory().join("node_modules"));
    libraries.required().then_some(node)
}

/// The program in a folder of Go files, built without a network and at once when nothing has changed; `None`
/// after saying what is left out. Panics with what the compiler says.
pub fn go(folder: &Path) -> Option<Command> {
    programs::require("go")?;
    let libraries = ClientLibraries::Go;
    if !libraries.required() {
        return None;
    }
    let directory = libraries.directory();
    run(go_build(folder, &directory).env("GOPROXY", "off")).unwrap_or_else(|error| panic!("{error}"));
    Some(Command::new(go_program(folder, &directory)))
}

/// Builds the program in a folder with modules and caches of our own.
fn go_build(folder: &Path, directory: &Path) -> Command {
    let mut go = Command::new("go");
    // Nobody measures it: without optimizations Go's own library is there in half the time.
    go.args(["build", "-gcflags=all=-N -l", "-o"]).arg(go_program(folder, directory)).current_dir(folder);
    go.env("GOMODCACHE", directory.join("modules")).env("GOCACHE", directory.join("cache"));
    // What is read-only cannot be removed; there is no C in it, and nobody asks which commit it is.
    go.env("GOFLAGS", "-modcacherw -buildvcs=false").env("CGO_ENABLED", "0");
    go.env("GOTOOLCHAIN", "local");
    go
}

fn go_program(folder: &Path, directory: &Path) -> PathBuf {
    directory.join("bin").join(folder.file_name().unwrap_or_default())
}

/// Where cargo puts what it builds: above `<profile>/deps` of a test, above `<profile>` of a program.
fn target_directory() -> PathBuf {
    let executable = env::current_exe().expect("a program knows its own path");
    let profile = executable.ancestors().skip(1).find(|each| !each.ends_with("deps"));
    profile.and_then(Path::parent).expect("programs lie in target/<profile>").to_owned()
}

/// Runs an installer; the error holds the end of what it said.
fn run(command: &mut Command) -> Result<(), String> {
    let shown = Path::new(command.get_program()).display().to_string();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    let last = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    Err(format!("{shown}: {}\n{}", output.status, last.join("\n")))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::LISTS;

    fn list(name: &str) -> String {
        fs::read_to_string(Path::new(LISTS).join(name)).expect("the list is there")
    }

    #[test]
    fn the_lists_name_versions_and_no_places_to_have_them_from() {
        for line in list("requirements.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            assert!(line.contains("==") && !line.contains([' ', '/', '*', '@']), "{line}");
        }
        assert!(
            !list("package-lock.json").contains("resolved"),
            "write it with --omit-lockfile-registry-resolved"
        );
        assert!(!list("go_redis/go.mod").contains("replace"));
    }

    #[test]
    fn the_page_of_clients_names_their_versions() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redis-clients.md");
        let page = fs::read_to_string(page).expect("the page is there");
        let packages: serde_json::Value = serde_json::from_str(&list("package.json")).expect("it is JSON");
        let node = packages["dependencies"].as_object().expect("it has dependencies").values();
        let mut versions: Vec<String> =
            node.filter_map(|version| version.as_str().map(str::to_owned)).collect();
        let python = list("requirements.txt");
        for named in ["redis==", "Django==", "Flask-Session=="] {
            let version = python.lines().find_map(|line| line.strip_prefix(named));
            versions.extend(version.map(str::to_owned));
        }
        let go = list("go_redis/go.mod");
        versions.extend(
            go.lines()
                .find_map(|line| line.strip_prefix("require github.com/redis/go-redis/v9 v"))
                .map(str::to_owned),
        );
        assert_eq!(versions.len(), 7, "{versions:?}");
        for version in versions {
            assert!(
                page.contains(&format!("| {version} |")),
                "docs/redis-clients.md does not name {version}"
            );
        }
    }
}
