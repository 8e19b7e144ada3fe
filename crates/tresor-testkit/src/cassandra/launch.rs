//! How a node's process comes to be: with the caller's life as its own, or without.
//!
//! A test's process may end in any way, and statics are not dropped then. So a tied node's Java is the
//! child of a shell that also reads from a pipe whose other end only the test process holds: when that
//! process is gone, however it went, the read ends and the node is killed. A detached node outlives its
//! starter and is a child of nobody's.

use std::{
    fs,
    fs::File,
    io::{BufRead, BufReader},
    net::Ipv4Addr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Pid;

use super::{
    Options,
    artifacts::Artifacts,
    certificates, configuration,
    node::{Node, PAUSE},
    requirements,
};

/// How long another process may have a node's ports before that is an error.
const PORTS_PATIENCE: Duration = Duration::from_secs(5);

/// Runs the words behind the first and tells their process id; ends as they do. When standard input
/// ends, it kills them, and then removes the directory that the first word names unless that is empty.
/// Its standard error is the node's log.
const WATCHED: &str = r#"
remove=$1; shift
exec 3<&0
"$@" 3<&- </dev/null >&2 &
java=$!
(
    read -r _ <&3
    # From here on the shell above must not end us.
    trap '' TERM
    kill -9 $java
    [ -n "$remove" ] || exit
    tries=100
    while kill -0 $java && [ $tries -gt 0 ]; do tries=$((tries - 1)); sleep 0.05; done
    rm -rf -- "$remove"
    rmdir -- "${remove%/*}"
) >/dev/null 2>&1 &
watcher=$!
echo $java
exec >&-
wait $java
status=$?
kill $watcher 2>/dev/null
exit $status
"#;

/// All that is needed to start any node of a cluster.
pub(super) struct Launch {
    pub(super) options: Options,
    artifacts: Artifacts,
    java: PathBuf,
    directory: PathBuf,
    /// Whether what a node leaves behind is removed when the test process ends.
    disposable: bool,
}

impl Launch {
    /// Fetches the jars and finds Java. The directory is made if it is not there.
    pub(super) fn new(options: Options, directory: &Path, disposable: bool) -> Result<Self, String> {
        if let Some(missing) = requirements::missing(&options.version) {
            return Err(missing);
        }
        let java = requirements::java()?;
        let artifacts = Artifacts::fetch(&options.version)?;
        let told = |error| format!("{}: {error}", directory.display());
        fs::create_dir_all(directory).map_err(told)?;
        let directory = directory.canonicalize().map_err(told)?;
        if options.secured {
            certificates::make(&java, &directory, &options.network)?;
        }
        Ok(Self { options, artifacts, java, directory, disposable })
    }

    /// Where all nodes have theirs.
    pub(super) fn root(&self) -> &Path {
        &self.directory
    }

    /// Where a node has its files.
    pub(super) fn directory(&self, node: usize) -> PathBuf {
        node_directory(&self.directory, node)
    }

    /// Whether a node is known to its ring: it has once come up.
    pub(super) fn has_joined(&self, node: usize) -> bool {
        joined_marker(&self.directory(node)).exists()
    }

    /// Notes that a node has come up.
    pub(super) fn note_joined(&self, node: usize) -> Result<(), String> {
        let marker = joined_marker(&self.directory(node));
        fs::write(&marker, "").map_err(|error| format!("{}: {error}", marker.display()))
    }

    /// Starts a node, of so many, that is killed when this process ends.
    pub(super) fn tied(&self, node: usize, nodes: usize) -> Result<Node, String> {
        let directory = self.prepare(node, nodes)?;
        let (log, log_start) = open_log(&directory)?;
        let remove = if self.disposable { directory.as_path() } else { Path::new("") };
        let mut child = Command::new("sh")
            .args(["-c", WATCHED, "sh"])
            .arg(remove)
            .arg(&self.java)
            .args(configuration::java_arguments(&directory, &self.artifacts))
            .current_dir(&directory)
            // Whatever ends the test process's whole group leaves the shell to tidy up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("sh does not start: {error}"))?;
        // Waiting for a child would close it, and that means to kill the node.
        let lifeline = child.stdin.take();
        let pid = told_pid(&mut child).ok_or_else(|| {
            let _ = child.kill();
            let _ = child.wait();
            format!("the shell that starts node {node} did not tell its process id")
        })?;
        Ok(Node::new(self.name(node), (child, pid), (log_path(&directory), log_start)).tied(lifeline))
    }

    /// Starts a node, of so many, that goes on when this process and its terminal are gone.
    pub(super) fn detached(&self, node: usize, nodes: usize) -> Result<Node, String> {
        let directory = self.prepare(node, nodes)?;
        let (log, log_start) = open_log(&directory)?;
        let twin = log.try_clone().map_err(|error| format!("{}: {error}", log_path(&directory).display()))?;
        let child = Command::new(&self.java)
            .args(configuration::java_arguments(&directory, &self.artifacts))
            .current_dir(&directory)
            // Ctrl-C in the terminal goes to its foreground group.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(twin)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", self.java.display()))?;
        let pid = Pid::from_child(&child);
        Ok(Node::new(self.name(node), (child, pid), (log_path(&directory), log_start)))
    }

    /// The ports of a process that was killed are taken a moment longer than it can be seen.
    fn wait_for_ports(&self, node: usize) -> Result<(), String> {
        let started = Instant::now();
        loop {
            match self.options.network.check_free(node) {
                Err(_) if started.elapsed() < PORTS_PATIENCE => thread::park_timeout(PAUSE),
                outcome => return outcome,
            }
        }
    }

    fn name(&self, node: usize) -> (usize, String) {
        (node, self.options.network.contact_point(node))
    }

    /// Writes a node's files. Who joins asks the first node, which has to be up; for who comes back all
    /// are seeds, itself among them, and so it may be the first.
    fn prepare(&self, node: usize, nodes: usize) -> Result<PathBuf, String> {
        self.wait_for_ports(node)?;
        let directory = self.directory(node);
        let network = &self.options.network;
        let seeds = if self.has_joined(node) { nodes } else { 1 };
        let seeds: Vec<Ipv4Addr> = (1..=seeds).map(|seed| network.address(seed)).collect();
        configuration::write(&directory, network.address(node), &seeds, &self.options)?;
        Ok(directory)
    }
}

/// Where a node of a cluster in `directory` has its files.
pub(super) fn node_directory(directory: &Path, node: usize) -> PathBuf {
    directory.join(format!("n{node}"))
}

fn joined_marker(directory: &Path) -> PathBuf {
    directory.join("joined")
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("log")
}

/// The log with its length so far: what the node writes from now on comes behind it.
fn open_log(directory: &Path) -> Result<(File, u64), String> {
    let path = log_path(directory);
    let told = |error| format!("{}: {error}", path.display());
    let log = File::options().create(true).append(true).open(&path).map_err(told)?;
    let length = log.metadata().map_err(told)?.len();
    Ok((log, length))
}

fn told_pid(child: &mut Child) -> Option<Pid> {
    let mut line = String::new();
    BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
    Pid::from_raw(line.trim().parse().ok().filter(|pid| *pid > 0)?)
}
