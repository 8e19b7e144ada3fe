//! Who must come before whom: transactions, points in time, and the edges between them.
//!
//! Real time is a chain of points instead of an edge between any two transactions: one point for each
//! end of a transaction, each before the next; a transaction that begins later hangs on the latest
//! point before it. So a history of n transactions has 3 n such edges, and a path through the chain
//! says just that one transaction ended before another began.

use super::{
    footprint::Key,
    history::{Outcome, Transaction},
};

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Reason {
    /// The second wrote over, or behind, what the first wrote.
    WriteWrite,
    /// The second read what the first wrote.
    WriteRead,
    /// The first read a key as it was before the second wrote it.
    ReadWrite,
    /// The first read all of a set, without what the second inserted.
    PredicateReadWrite,
    /// The first ended before the second began.
    RealTime,
}

/// An edge, without where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) to: u32,
    pub(super) reason: Reason,
    /// Says nothing for real time.
    pub(super) key: Key,
}

/// Transactions first, then the points in time.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) transactions: usize,
    edges: Vec<Vec<Edge>>,
}

impl Graph {
    /// One without edges.
    pub(super) fn new(transactions: usize) -> Self {
        Self { transactions, edges: vec![Vec::new(); transactions] }
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.edges.len()
    }

    /// How many edges there are.
    pub(super) fn edges(&self) -> usize {
        self.edges.iter().map(Vec::len).sum()
    }

    /// Where a node leads.
    pub(super) fn from(&self, node: u32) -> &[Edge] {
        &self.edges[node as usize]
    }

    /// Adds an edge between two transactions; none from one to itself.
    pub(super) fn link(&mut self, from: usize, to: usize, reason: Reason, key: Key) {
        if from != to {
            self.edges[from].push(Edge { to: to as u32, reason, key });
        }
    }

    /// Adds real time: what had ended when others began. `counted` says who takes part.
    pub(super) fn link_real_time(&mut self, transactions: &[Transaction], counted: &[bool]) {
        let takes_part = |index: &usize| counted[*index];
        let known_end = |index: &usize| transactions[*index].outcome == Outcome::Committed;
        let mut ended: Vec<usize> = (0..transactions.len()).filter(takes_part).filter(known_end).collect();
        ended.sort_unstable_by_key(|index| transactions[*index].ended);
        let first = self.edges.len();
        for (place, index) in ended.iter().enumerate() {
            let point = (first + place) as u32;
            self.edges[*index].push(Edge { to: point, reason: Reason::RealTime, key: 0 });
            let next =
                (place + 1 < ended.len()).then_some(Edge { to: point + 1, reason: Reason::RealTime, key: 0 });
            self.edges.push(next.into_iter().collect());
        }
        for index in (0..transactions.len()).filter(takes_part) {
            let began = transactions[index].began;
            let before = ended.partition_point(|other| transactions[*other].ended < began);
            if let Some(latest) = before.checked_sub(1) {
                let edge = Edge { to: index as u32, reason: Reason::RealTime, key: 0 };
                self.edges[first + latest].push(edge);
            }
        }
    }

    /// Drops edges that are there twice.
    pub(super) fn settle(&mut self) {
        for edges in &mut self.edges {
            edges.sort_unstable();
            edges.dedup();
        }
    }

    /// The strongly connected components of more than one node, of the edges that `takes` lets through
    /// and the nodes given; Tarjan's algorithm (1972), without recursion.
    pub(super) fn components(&self, nodes: &[u32], takes: impl Fn(u32, &Edge) -> bool) -> Vec<Vec<u32>> {
        let mut walk = Walk::new(self.len());
        for root in nodes {
            if walk.index[*root as usize] == UNSEEN {
                walk.from(self, *root, &takes);
            }
        }
        walk.components
    }
}

const UNSEEN: u32 = u32::MAX;

/// The state of Tarjan's algorithm.
struct Walk {
    index: Vec<u32>,
    low: Vec<u32>,
    on_stack: Vec<bool>,
    stack: Vec<u32>,
    /// Nodes being visited, with how many of their edges are done.
    path: Vec<(u32, usize)>,
    next: u32,
    components: Vec<Vec<u32>>,
}

impl Walk {
    fn new(nodes: usize) -> Self {
        Self {
            index: vec![UNSEEN; nodes],
            low: vec![0; nodes],
            on_stack: vec![false; nodes],
            stack: Vec::new(),
            path: Vec::new(),
            next: 0,
            components: Vec::new(),
        }
    }

    fn enter(&mut self, node: u32) {
        self.index[node as usize] = self.next;
        self.low[node as usize] = self.next;
        self.next += 1;
        self.on_stack[node as usize] = true;
        self.stack.push(node);
        self.path.push((node, 0));
    }

    fn from(&mut self, graph: &Graph, root: u32, takes: impl Fn(u32, &Edge) -> bool) {
        self.enter(root);
        while let Some((node, done)) = self.path.last_mut() {
            let (node, place) = (*node, *done);
            *done += 1;
            match graph.from(node).get(place) {
                Some(edge) if !takes(node, edge) => {}
                Some(edge) if self.index[edge.to as usize] == UNSEEN => self.enter(edge.to),
                Some(edge) if self.on_stack[edge.to as usize] => {
                    self.lower(node, self.index[edge.to as usize])
                }
                Some(_) => {}
                None => self.leave(node),
            }
        }
    }

    fn lower(&mut self, node: u32, to: u32) {
        let low = &mut self.low[node as usize];
        *low = (*low).min(to);
    }

    fn leave(&mut self, node: u32) {
        self.path.pop();
        let low = self.low[node as usize];
        if let Some((parent, _)) = self.path.last() {
            self.lower(*parent, low);
        }
        if low != self.index[node as usize] {
            return;
        }
        let start = self.stack.iter().rposition(|other| *other == node).unwrap_or(0);
        let component = self.stack.split_off(start);
        component.iter().for_each(|node| self.on_stack[*node as usize] = false);
        if component.len() > 1 {
            self.components.push(component);
        }
    }
}
