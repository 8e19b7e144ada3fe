//! One running node: waited for, signalled, killed, and its log.
//!
//! A signal goes to the Java process itself. Its process id stays ours as long as its parent, which
//! is this process or a shell that ends as soon as Java has, has not ended.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
    process::{Child, ChildStdin, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::cql_probe;

/// How long a node may take until it serves CQL, and to end when asked to.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks at something that takes seconds.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// What a node's log says when CQL can be spoken.
const SERVES: &str = "Starting listening for CQL";

/// How much of a log an error shows.
const SHOWN_LINES: usize = 30;

/// A node's process.
pub(super) struct Node {
    /// From 1 on.
    number: usize,
    /// Where it serves CQL.
    contact_point: String,
    /// Java itself, or the shell that watches over it.
    child: Child,
    /// The shell kills Java when this is closed.
    lifeline: Option<ChildStdin>,
    pid: Pid,
    log: PathBuf,
    /// How long the log was before this start.
    log_start: u64,
}

impl Node {
    /// A detached node, named by its number and contact point. Its process id need not be the child's.
    pub(super) fn new(
        (number, contact_point): (usize, String),
        (child, pid): (Child, Pid),
        (log, log_start): (PathBuf, u64),
    ) -> Self {
        Self { number, contact_point, child, lifeline: None, pid, log, log_start }
    }

    /// The same, and killed when dropped or when this process ends.
    pub(super) fn tied(mut self, lifeline: Option<ChildStdin>) -> Self {
        self.lifeline = lifeline;
        self
    }

    /// The process id of Java.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// How long its log is.
    pub(super) fn log_length(&self) -> u64 {
        self.log.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Where its log begins that tells of this start.
    pub(super) fn log_start(&self) -> u64 {
        self.log_start
    }

    /// Its log from a position on; what cannot be read is empty.
    pub(super) fn log_from(&self, position: u64) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            let mut log = File::open(&self.log)?;
            log.seek(SeekFrom::Start(position))?;
            log.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }

    /// Waits until it serves CQL.
    pub(super) fn wait_until_serving(&mut self) -> Result<(), String> {
        self.wait_until("serves CQL", |node| {
            node.log_from(node.log_start).contains(SERVES) && cql_probe::answers(&node.contact_point)
        })
    }

    /// Polls until something is so; an error that quotes its log when it ends, or after [`PATIENCE`].
    pub(super) fn wait_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<(), String> {
        let started = Instant::now();
        loop {
            if is_so(self) {
                return Ok(());
            }
            let in_vain = match self.ended() {
                Some(status) => format!("ended ({status}) before it {what}"),
                None if started.elapsed() > PATIENCE => {
                    format!("has not come so far that it {what} in {PATIENCE:?}")
                }
                None => {
                    thread::park_timeout(PAUSE);
                    continue;
                }
            };
            let said = self.log_from(self.log_start);
            let (number, log, tail) = (self.number, self.log.display(), last_lines(&said, SHOWN_LINES));
            return Err(format!(
                "Cassandra node {number} at {} {in_vain}; {log} ends with\n{tail}",
                self.contact_point
            ));
        }
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        // A child that cannot be waited for is not there any more.
        self.child.try_wait().unwrap_or(Some(ExitStatus::default()))
    }

    /// Sends a signal to Java; nothing happens when it has ended.
    pub(super) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            // It may end between the two.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// SIGKILL, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// Waits until it ends by itself; kills it when that takes longer than [`PATIENCE`].
    pub(super) fn wait_for_end(&mut self) {
        let started = Instant::now();
        while self.ended().is_none() && started.elapsed() < PATIENCE {
            thread::park_timeout(PAUSE);
        }
        self.kill();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.lifeline.is_some() {
            self.kill();
        }
    }
}

/// The end of a text, at most so many lines.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn an_error_shows_the_end_of_a_log() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
        assert_eq!(last_lines("", 2), "");
    }
}
