//! Nodes that go on when their starter has ended: for whoever develops, through `cargo xtask cassandra`.
//!
//! What connects a start and a stop is a file with a process id beside each node's data. Such a file
//! may be older than the machine's last start, so a process is only taken for the node when its command
//! line names the node's own configuration.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{MOST_NODES, Options, configuration, launch, launch::Launch, node, node::Node};

/// Starts 1 to 3 nodes with their files in a directory, and leaves them running; calls `tell` with the
/// contact point of each when it serves. Nodes that run there already are left alone, and those of an
/// earlier start there come back even if fewer are asked for: they are part of the ring.
///
/// The error quotes the log of a node that did not come up; those of this call are gone then.
pub fn start(
    nodes: usize,
    directory: &Path,
    options: Options,
    mut tell: impl FnMut(&str),
) -> Result<(), String> {
    if !(1..=MOST_NODES).contains(&nodes) {
        return Err(format!("a cluster has 1 to {MOST_NODES} nodes, not {nodes}"));
    }
    let launch = Launch::new(options, directory, false)?;
    let (known, new): (Vec<usize>, Vec<usize>) = (1..=MOST_NODES)
        .filter(|n| *n <= nodes || launch.has_joined(*n))
        .partition(|n| launch.has_joined(*n));
    // Nodes that know each other may need each other to come back; new ones join one by one.
    let batches = [known].into_iter().chain(new.into_iter().map(|n| vec![n]));
    let mut started = Vec::new();
    for batch in batches {
        if let Err(error) = start_batch(&launch, &batch, &mut started) {
            for (n, node) in &mut started {
                node.kill();
                let _ = fs::remove_file(pid_file(&launch.directory(*n)));
            }
            return Err(error);
        }
        batch.iter().for_each(|n| tell(&launch.options.network.contact_point(*n)));
    }
    Ok(())
}

/// Starts those of some nodes that do not run, all at once, and adds them to `started`.
fn start_batch(launch: &Launch, batch: &[usize], started: &mut Vec<(usize, Node)>) -> Result<(), String> {
    let first = started.len();
    for n in batch {
        let directory = launch.directory(*n);
        if running(&directory)?.is_none() {
            let node = launch.detached(*n, batch.len())?;
            let (pid, pid_file) = (node.pid(), pid_file(&directory));
            started.push((*n, node));
            fs::write(&pid_file, format!("{pid}\n")).map_err(|error| told(&pid_file, &error))?;
        }
    }
    for (n, node) in &mut started[first..] {
        node.wait_until_serving()?;
        launch.note_joined(*n)?;
    }
    Ok(())
}

/// Ends the nodes that were started in a directory (SIGTERM, and after two minutes SIGKILL), waits
/// until they have ended, and returns how many there were.
pub fn stop(directory: &Path) -> Result<usize, String> {
    let Ok(directory) = directory.canonicalize() else { return Ok(0) };
    let mut ending = Vec::new();
    for n in 1..=MOST_NODES {
        let node = launch::node_directory(&directory, n);
        if let Some(pid) = running(&node)? {
            for signal in [Signal::TERM, Signal::CONT] {
                kill_process(pid, signal).map_err(|error| format!("node {n}, process {pid}: {error}"))?;
            }
            ending.push((node, pid));
        }
    }
    let started = Instant::now();
    for (node, pid) in &ending {
        while is_node(*pid, node)? {
            if started.elapsed() > node::PATIENCE {
                // It may end between the two.
                let _ = kill_process(*pid, Signal::KILL);
            }
            thread::park_timeout(node::PAUSE);
        }
    }
    for n in 1..=MOST_NODES {
        // Most are not there.
        let _ = fs::remove_file(pid_file(&launch::node_directory(&directory, n)));
    }
    Ok(ending.len())
}

/// The process of the node with this directory, if it runs.
fn running(node: &Path) -> Result<Option<Pid>, String> {
    let file = pid_file(node);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(&file, &error)),
    };
    let Some(pid) = text.trim().parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw) else {
        return Err(format!("{}: {:?} is no process id", file.display(), text.trim()));
    };
    Ok(is_node(pid, node)?.then_some(pid))
}

/// Whether a process is the node with this directory. One that ended and waits for its parent has no
/// command line.
fn is_node(pid: Pid, node: &Path) -> Result<bool, String> {
    let line = if Path::new("/proc/self/cmdline").exists() {
        fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
    } else {
        let ps = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid.to_string()]).output();
        ps.map_err(|error| format!("ps does not start: {error}"))?.stdout
    };
    let identity = configuration::identity(node);
    let mut words = line.split(|byte| *byte == 0 || byte.is_ascii_whitespace());
    Ok(words.any(|word| word == identity.as_bytes()))
}

fn pid_file(node: &Path) -> PathBuf {
    node.join("pid")
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::{fs, process};

    use super::{running, stop};
    use crate::TemporaryDirectory;

    #[test]
    fn a_stranger_with_the_nodes_process_id_is_left_alone() {
        let directory = TemporaryDirectory::new("background");
        assert_eq!(stop(&directory.join("nowhere")), Ok(0));
        let node = directory.path().canonicalize().unwrap().join("n1");
        fs::create_dir(&node).unwrap();
        assert_eq!(running(&node), Ok(None));
        // Ours, and we go on living.
        fs::write(node.join("pid"), format!("{}\n", process::id())).unwrap();
        assert_eq!(stop(directory.path()), Ok(0));
        assert!(!node.join("pid").exists());
        for text in ["", "0", "-1", "seven"] {
            fs::write(node.join("pid"), text).unwrap();
            assert!(stop(directory.path()).is_err(), "{text:?}");
        }
    }
}
