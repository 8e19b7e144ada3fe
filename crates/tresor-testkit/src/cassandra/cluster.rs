//! A cluster of a test's own: started node after node, broken on purpose, and gone when dropped.
//!
//! New nodes come one after another, as a ring takes them; nodes that the ring knows may come together.
//! A node counts as started when it serves CQL and when it and every other node that is up have seen
//! each other: only then does a quorum that needs it succeed.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::{
    MOST_NODES, Options, certificates,
    launch::Launch,
    network::{Network, STORAGE_PORT},
    node::Node,
};

/// One to three running nodes; killed when dropped, and when the process ends in whatever way.
pub struct Cluster {
    launch: Launch,
    members: Vec<Member>,
}

/// A node of the ring, up or not.
#[derive(Default)]
struct Member {
    node: Option<Node>,
    paused: bool,
}

impl Cluster {
    /// Starts 1 to 3 nodes of a version on 127.0.0.1 and on, with their files in a directory that may
    /// hold those of an earlier cluster.
    ///
    /// Fetches the jars first if need be. The error quotes the log of a node that ended or that did
    /// not serve within two minutes; what had been started is gone then.
    pub fn start(nodes: usize, version: &str, directory: &Path) -> Result<Self, String> {
        Self::start_with(nodes, directory, Options { version: version.to_owned(), ..Options::default() })
    }

    /// The same with everything that can be chosen.
    pub fn start_with(nodes: usize, directory: &Path, options: Options) -> Result<Self, String> {
        Self::launch(nodes, Launch::new(options, directory, false)?)
    }

    /// The same in a directory that goes with the process.
    pub(super) fn start_disposable(nodes: usize, directory: &Path, options: Options) -> Result<Self, String> {
        Self::launch(nodes, Launch::new(options, directory, true)?)
    }

    fn launch(nodes: usize, launch: Launch) -> Result<Self, String> {
        let mut cluster = Self { launch, members: Vec::new() };
        cluster.grow(nodes)?;
        Ok(cluster)
    }

    /// Starts further nodes until there are so many; they join the ring one after another.
    pub fn grow(&mut self, nodes: usize) -> Result<(), String> {
        if !(1..=MOST_NODES).contains(&nodes) {
            return Err(format!("a cluster has 1 to {MOST_NODES} nodes, not {nodes}"));
        }
        let added = self.nodes() + 1..=nodes;
        self.members.resize_with(nodes.max(self.nodes()), Member::default);
        let (known, new): (Vec<usize>, Vec<usize>) = added.partition(|n| self.launch.has_joined(*n));
        self.bring_up(&known)?;
        new.iter().try_for_each(|n| self.bring_up(&[*n]))
    }

    /// How many nodes it has, up or not.
    pub fn nodes(&self) -> usize {
        self.members.len()
    }

    /// What a driver connects to: every node, up or not, like `127.0.0.1:9042`.
    pub fn contact_points(&self) -> Vec<String> {
        (1..=self.nodes()).map(|n| self.network().contact_point(n)).collect()
    }

    /// Its addresses.
    pub fn network(&self) -> &Network {
        &self.launch.options.network
    }

    /// The file with who signed its nodes' certificates, in PEM, if it is secured.
    pub fn authorities(&self) -> PathBuf {
        certificates::authorities(self.launch.root())
    }

    /// The process id of a node's Java; `None` while it is killed or stopped. The first node is 1.
    pub fn pid(&self, n: usize) -> Option<u32> {
        let node = self.members[self.index(n)].node.as_ref()?;
        node.pid().as_raw_nonzero().get().try_into().ok()
    }

    /// All that a node has logged since its last start; empty while it is killed or stopped.
    pub fn log(&self, n: usize) -> String {
        let node = self.members[self.index(n)].node.as_ref();
        node.map_or_else(String::new, |node| node.log_from(node.log_start()))
    }

    /// SIGKILL: the node gets no chance to save anything. Does nothing when it is not up.
    pub fn kill(&mut self, n: usize) {
        let member = self.member(n);
        if let Some(mut node) = member.node.take() {
            node.kill();
        }
        member.paused = false;
    }

    /// Starts a node again on its data, after killing it if it is up, and waits until it serves CQL and
    /// has been seen by all nodes that are up and not paused.
    ///
    /// The error is as at the start. When no node is up, any may be the first to come back, but of
    /// version 6 none comes back alone: see [`Self::restart_all`].
    pub fn restart(&mut self, n: usize) -> Result<(), String> {
        self.bring_up(&[self.index(n) + 1])
    }

    /// Starts every node again that is not up, all at once, and waits as [`Self::restart`] does.
    pub fn restart_all(&mut self) -> Result<(), String> {
        let is_down = |n: &usize| self.members[n - 1].node.is_none();
        let down: Vec<usize> = (1..=self.nodes()).filter(is_down).collect();
        self.bring_up(&down)
    }

    /// Starts nodes at once, after killing those of them that are up. Leaves none of them up when one
    /// does not come up.
    fn bring_up(&mut self, which: &[usize]) -> Result<(), String> {
        let outcome = self.try_to_bring_up(which);
        if outcome.is_err() {
            which.iter().for_each(|n| self.kill(*n));
        }
        outcome
    }

    fn try_to_bring_up(&mut self, which: &[usize]) -> Result<(), String> {
        which.iter().for_each(|n| self.kill(*n));
        // Every node that is going to be up, with where its log tells of what comes now.
        let mut witnesses: Vec<(usize, u64)> =
            (1..=self.nodes()).filter_map(|n| Some((n, self.members[n - 1].awake()?.log_length()))).collect();
        for n in which {
            let node = self.launch.tied(*n, self.nodes())?;
            witnesses.push((*n, node.log_start()));
            self.member(*n).node = Some(node);
        }
        for n in which {
            let Some(mut node) = self.member(*n).node.take() else { continue };
            node.wait_until_serving()?;
            for (other, position) in &witnesses {
                let Some(witness) = self.members[other - 1].awake() else { continue };
                let (us, them) = (seen(self.network(), *n), seen(self.network(), *other));
                node.wait_until(&format!("and node {other} have seen each other"), |node| {
                    witness.log_from(*position).contains(&us)
                        && node.log_from(node.log_start()).contains(&them)
                })?;
            }
            self.launch.note_joined(*n)?;
            self.member(*n).node = Some(node);
        }
        Ok(())
    }

    /// SIGSTOP: the node accepts connections and answers nothing, like a long pause of its collector.
    pub fn pause(&mut self, n: usize) {
        self.signal(n, Signal::STOP);
        self.member(n).paused = true;
    }

    /// SIGCONT. Nodes that gave a long paused one up take seconds until they see it again.
    pub fn resume(&mut self, n: usize) {
        self.signal(n, Signal::CONT);
        self.member(n).paused = false;
    }

    /// Ends every node in order (SIGTERM), so that none loses anything, and waits until all have ended.
    pub fn stop(&mut self) {
        for n in 1..=self.nodes() {
            self.resume(n);
            self.signal(n, Signal::TERM);
        }
        for member in &mut self.members {
            if let Some(mut node) = member.node.take() {
                node.wait_for_end();
            }
        }
    }

    /// Whether nobody has killed, stopped or paused any of at least so many nodes.
    pub(super) fn is_whole(&self, nodes: usize) -> bool {
        self.nodes() >= nodes && self.members.iter().all(|member| member.awake().is_some())
    }

    /// Makes it so.
    pub(super) fn make_whole(&mut self, nodes: usize) -> Result<(), String> {
        for n in 1..=self.nodes() {
            self.resume(n);
        }
        for member in &mut self.members {
            // One may have ended by itself.
            member.node.take_if(|node| node.ended().is_some());
        }
        self.restart_all()?;
        self.grow(nodes.max(self.nodes()))
    }

    fn signal(&mut self, n: usize, signal: Signal) {
        if let Some(node) = &mut self.member(n).node {
            node.signal(signal);
        }
    }

    fn member(&mut self, n: usize) -> &mut Member {
        let index = self.index(n);
        &mut self.members[index]
    }

    fn index(&self, n: usize) -> usize {
        assert!((1..=self.nodes()).contains(&n), "the nodes are 1 to {}; there is no {n}", self.nodes());
        n - 1
    }
}

impl Member {
    /// The node, if it is up and not paused.
    fn awake(&self) -> Option<&Node> {
        self.node.as_ref().filter(|_| !self.paused)
    }
}

/// What a node logs when it has seen another come up.
fn seen(network: &Network, n: usize) -> String {
    format!("/{}:{STORAGE_PORT} is now UP", network.address(n))
}
