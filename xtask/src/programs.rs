//! The real programs that tests talk to: found, installed where that is allowed, or named as missing.
//!
//! A tool of this table is installed from Debian's packages when we are root and apt is there; client
//! libraries in other languages come into `target/clients`. What still misses is said once, with what is
//! left out; with `CI` set it is an error, so that nobody takes a thinner test run for a whole one.

use std::{env, process::Command};

use tresor_testkit::client_libraries::ClientLibraries;

use crate::{
    Outcome,
    cargo::{run, succeeds},
};

/// A program that tests need.
struct Program {
    name: &'static str,
    /// Succeeds when it is there.
    probe: &'static [&'static str],
    /// Debian packages that have it.
    packages: &'static [&'static str],
    left_out: &'static str,
}

const PROGRAMS: [Program; 10] = [
    Program {
        name: "redis-server",
        probe: &["redis-server", "--version"],
        packages: &["redis-server"],
        left_out: "comparisons with a real Redis server",
    },
    Program {
        name: "redis-cli and redis-benchmark",
        probe: &["sh", "-c", "redis-cli --version && redis-benchmark --version"],
        packages: &["redis-tools"],
        left_out: "tests with Redis's own clients",
    },
    Program {
        name: "curl",
        probe: &["curl", "--version"],
        packages: &["curl"],
        left_out: "the HTTP examples of the documentation",
    },
    Program {
        name: "python3",
        probe: &["python3", "--version"],
        packages: &["python3"],
        left_out: "tests with Python programs",
    },
    Program {
        name: "a Python with setuptools, wheel, pip and venv",
        probe: &["sh", "-c", PYTHON_THAT_BUILDS],
        packages: &["python3-setuptools", "python3-wheel", "python3-pip", "python3-venv"],
        left_out: "the tests of the Python client as pip installs it",
    },
    Program {
        name: "node and npm",
        probe: &["sh", "-c", "node --version && npm --version"],
        packages: &["nodejs", "npm"],
        left_out: "tests with ioredis, node-redis and @upstash/redis",
    },
    Program {
        name: "go",
        probe: &["go", "version"],
        packages: &["golang-go"],
        left_out: "tests with go-redis",
    },
    Program {
        name: "redis_exporter",
        probe: &["prometheus-redis-exporter", "-version"],
        packages: &["prometheus-redis-exporter"],
        left_out: "the test of what Prometheus reads",
    },
    Program {
        name: "java",
        probe: &["java", "--version"],
        packages: &["openjdk-17-jre-headless"],
        left_out: "tests on real Cassandra nodes",
    },
    Program {
        name: "mvn",
        probe: &["mvn", "--version"],
        packages: &["maven"],
        left_out: "tests on real Cassandra nodes, which it fetches",
    },
];

/// Any Python of `PATH` will do, as for the test itself.
const PYTHON_THAT_BUILDS: &str = "IFS=:; for each in $PATH; do \
    \"$each/python3\" -c 'import setuptools, wheel, pip, venv' 2>/dev/null && exit; done; exit 1";

/// Installs what is missing if that is possible, and says what tests are left out for want of it.
pub(crate) fn provide() -> Outcome {
    let wanted: Vec<&str> =
        PROGRAMS.iter().filter(|each| !each.is_there()).flat_map(|each| each.packages).copied().collect();
    if !wanted.is_empty() && may_use_apt() {
        apt_install(&wanted);
    }
    let mut missing: Vec<String> = PROGRAMS
        .iter()
        .filter(|each| !each.is_there())
        .map(|each| {
            format!(
                "{}: leaves out {} (apt-get install {})",
                each.name,
                each.left_out,
                each.packages.join(" ")
            )
        })
        .collect();
    missing.extend(install_client_libraries());
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join("\n  ");
    if env::var_os("CI").is_some() {
        return Err(format!("with CI set nothing may be left out, but these are missing:\n  {list}"));
    }
    eprintln!("not installed, and not ours to install:\n  {list}");
    Ok(())
}

impl Program {
    fn is_there(&self) -> bool {
        self.probe
            .split_first()
            .is_some_and(|(program, arguments)| succeeds(Command::new(program).args(arguments)))
    }
}

fn may_use_apt() -> bool {
    let is_root =
        Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    is_root && succeeds(Command::new("apt-get").arg("--version"))
}

/// What fails here shows in the probes afterwards.
fn apt_install(packages: &[&str]) {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        // Tests start servers of their own; the package's must not start one by itself.
        command.env("RUNLEVEL", "1");
        run(&mut command).map_err(|error| eprintln!("{error}")).is_ok()
    };
    let install: Vec<&str> =
        ["install", "--yes", "--no-install-recommends"].iter().chain(packages).copied().collect();
    if !apt(&install) && apt(&["update"]) {
        apt(&install);
    }
}

/// `cargo xtask clients`: the client libraries alone.
pub(crate) fn clients(arguments: &[String]) -> Outcome {
    crate::only(arguments, &[])?;
    let missing = install_client_libraries();
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
}

/// Installs the client libraries that are not there as the project wants them; returns what could not be
/// installed, and why.
fn install_client_libraries() -> Vec<String> {
    let wanted = ClientLibraries::ALL.into_iter().filter(|libraries| !libraries.installed());
    wanted
        .filter_map(|libraries| {
            let names = libraries.names();
            eprintln!("+ install {names} into target/clients");
            libraries.install().err().map(|error| format!("{names}: leaves out tests with them: {error}"))
        })
        .collect()
}
