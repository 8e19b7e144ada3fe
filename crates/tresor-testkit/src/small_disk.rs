//! A disk of a few megabytes that a test can fill up, make room on, and write-protect.
//!
//! It is a file system in memory, mounted in a directory of the test's own and gone with it. Mounting
//! needs rights that a user seldom has: without them a test is left out, and says so.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{TemporaryDirectory, programs};

/// A mounted file system.
pub struct SmallDisk {
    directory: TemporaryDirectory,
}

impl SmallDisk {
    /// A disk of so many MiB; `None` after saying that this machine does not let us mount one.
    pub fn mount(mebibytes: u32) -> Option<Self> {
        let disk = Self { directory: TemporaryDirectory::new("small-disk") };
        let size = format!("size={mebibytes}m");
        if run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", disk.text()]) {
            return Some(disk);
        }
        programs::not_allowed("mounting a small disk is not allowed here");
        None
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The path of something on it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Refuses every write from now on, or takes them again. Nobody may have a file open for writing.
    pub fn protect(&self, protected: bool) {
        let mode = if protected { "remount,ro" } else { "remount,rw" };
        assert!(run("mount", &["-o", mode, self.text()]), "{} cannot be remounted", self.text());
    }

    fn text(&self) -> &str {
        self.path().to_str().expect("temporary paths are UTF-8")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open keeps it until then.
        run("umount", &["--lazy", self.text()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
