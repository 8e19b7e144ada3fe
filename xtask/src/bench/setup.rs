//! What all rows share: built programs, peers, a scratch directory on the disk of the build, the scale.
//!
//! Everything is built before the process pins itself, so that compilers have all cores.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{
    core_pinning,
    example::Examples,
    options::{Options, Scale},
    peers::{self, Kind, Program},
};
use crate::{
    Outcome,
    cargo::{cargo, root, run, target_directory},
};

/// A prepared run.
pub(super) struct Setup {
    pub(super) options: Options,
    pub(super) programs: Vec<Program>,
    /// The machine and the versions, as the report tells them.
    pub(super) machine: String,
    pub(super) pinned: Pinned,
    /// The examples that the chosen rows want.
    pub(super) examples: Examples,
    /// The peer on Go's net/http, or why there is none.
    pub(super) http_map: Outcome<PathBuf>,
    scratch: PathBuf,
    directories: AtomicU32,
}

/// Whether server and client have a core each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pinned {
    Apart,
    NotAtAll,
}

impl Setup {
    pub(super) fn prepare(options: Options) -> Outcome<Self> {
        let target = target_directory()?;
        let tresor = match &options.tresor {
            // Servers are started in directories of their own.
            Some(path) => {
                path.canonicalize().map_err(|error| format!("--tresor {}: {error}", path.display()))?
            }
            None => build(&options.profile, "-p tresor-cli")?.join("tresor"),
        };
        let examples = Examples::build(&options)?;
        let scratch = target.join("bench");
        fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
        let http_map =
            if options.selects("http") { build_http_map(&scratch) } else { Err("not wanted".to_owned()) };
        let programs = peers::find(tresor)?;
        let pinned = if core_pinning::is_possible() {
            core_pinning::pin_client()?;
            Pinned::Apart
        } else {
            eprintln!("a single core: server and client share it, and figures are worth little");
            Pinned::NotAtAll
        };
        let machine = machine(&programs, pinned);
        let directories = AtomicU32::new(0);
        Ok(Self { options, programs, machine, pinned, examples, http_map, scratch, directories })
    }

    /// A number for a whole run, or one for a quick one.
    pub(super) fn size(&self, whole: u64, quick: u64) -> u64 {
        match self.options.scale {
            Scale::Whole => whole,
            Scale::Quick => quick,
        }
    }

    /// Ours and Redis: what rows with one peer compare.
    pub(super) fn ours_and_redis(&self) -> impl Iterator<Item = &Program> {
        self.programs.iter().filter(|program| matches!(program.kind, Kind::Tresor | Kind::Redis))
    }

    /// Our own program.
    pub(super) fn ours(&self) -> Outcome<&Program> {
        let mut programs = self.programs.iter();
        programs.find(|program| program.kind == Kind::Tresor).ok_or_else(|| "there is no tresor".to_owned())
    }

    /// A new directory on the disk of the build, removed when dropped.
    pub(super) fn directory(&self) -> Outcome<Directory> {
        let number = self.directories.fetch_add(1, Ordering::Relaxed);
        let path = self.scratch.join(format!("{}-{number}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Directory(path))
    }
}

/// A directory that is there as long as this is.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} stays: {error}", self.0.display());
        }
    }
}

/// Builds this chore with optimisation and lets that measure.
pub(super) fn run_optimised(options: &Options, arguments: &[String]) -> Outcome {
    let built = build(&options.profile, "-p xtask")?;
    run(Command::new(built.join("xtask")).arg("bench").args(arguments))
}

/// Builds with a profile and says where the result lies.
pub(super) fn build(profile: &str, what: &str) -> Outcome<PathBuf> {
    run(&mut cargo(&format!("build --quiet --profile {profile} {what}")))?;
    Ok(target_directory()?.join(if profile == "dev" { "debug" } else { profile }))
}

fn build_http_map(scratch: &Path) -> Outcome<PathBuf> {
    let program = scratch.join("http_map");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(".").current_dir(root().join("xtask/peers/http_map"));
    run(&mut build)?;
    Ok(program)
}

fn machine(programs: &[Program], pinned: Pinned) -> String {
    let line = |path: &str, field: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
        found.trim_start_matches([':', ' ', '\t']).trim().to_owned()
    };
    let cores = fs::read_to_string("/proc/cpuinfo").unwrap_or_default().matches("processor\t").count();
    let memory_kib: u64 =
        line("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let versions: Vec<String> = programs.iter().map(|program| peers::version(&program.path)).collect();
    let cores_used = match pinned {
        Pinned::Apart => "server on core 0, load on core 1",
        Pinned::NotAtAll => "server and load on the same core",
    };
    format!(
        "{}, {cores} cores, {} GiB, Linux {}; {cores_used}; {}",
        line("/proc/cpuinfo", "model name"),
        memory_kib >> 20,
        kernel.trim(),
        versions.join("; ")
    )
}
