//! A cycle in every component of the graph, named after the least that it needs.
//!
//! A component is searched for the worst first: writes alone (G0), then with reads of what was written
//! (G1c), with one read that missed a write (G-single), with several (G2); each first without real
//! time, then with it. Each search is breadth-first, so the cycle shown is a short one.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{
    anomaly::{Anomaly, Phenomenon},
    graph::{Edge, Graph, Reason},
};

/// How many components are told of: one fault makes many.
const TOLD: usize = 5;

/// From how many edges of a component a cycle is looked for: components can be as large as a history.
const TRIES: usize = 300;

/// An edge with its beginning.
type Step = (u32, Edge);

/// What a cycle may consist of, besides one edge that it must have.
#[derive(Clone, Copy)]
struct Search {
    /// The reasons of which it must have one.
    first: &'static [Reason],
    /// The reasons of all others.
    others: &'static [Reason],
    real_time: bool,
}

const READ_WRITE: &[Reason] = &[Reason::ReadWrite, Reason::PredicateReadWrite];
const WRITES: &[Reason] = &[Reason::WriteWrite];
const WRITES_AND_READS: &[Reason] = &[Reason::WriteWrite, Reason::WriteRead];
const ALL: &[Reason] =
    &[Reason::WriteWrite, Reason::WriteRead, Reason::ReadWrite, Reason::PredicateReadWrite];

/// Finds what is cyclic in a graph; the most severe cycle of each component.
pub(super) fn find(graph: &Graph, name: &dyn Fn(u32) -> String) -> Vec<Anomaly> {
    let all: Vec<u32> = (0..graph.len() as u32).collect();
    let mut components = graph.components(&all, |_, _| true);
    components.sort_by_key(Vec::len);
    components.iter().take(TOLD).filter_map(|component| worst(graph, component, name)).collect()
}

fn worst(graph: &Graph, component: &[u32], name: &dyn Fn(u32) -> String) -> Option<Anomaly> {
    let members: HashSet<u32> = component.iter().copied().collect();
    for real_time in [false, true] {
        for (first, others) in [
            (WRITES, WRITES),
            (WRITES_AND_READS, WRITES_AND_READS),
            (READ_WRITE, WRITES_AND_READS),
            (READ_WRITE, ALL),
        ] {
            let search = Search { first, others, real_time };
            let takes = |edge: &Edge| members.contains(&edge.to) && search.takes(edge);
            // Most of a component may be held together by what this search leaves out.
            let cyclic = graph.components(component, |_, edge| takes(edge));
            let cycles = cyclic.iter().filter_map(|nodes| shortest(graph, nodes, search));
            if let Some(steps) = cycles.min_by_key(Vec::len) {
                return Some(told(graph, &steps, name));
            }
        }
    }
    None
}

/// The shortest of the cycles through the first few edges that one may begin with.
fn shortest(graph: &Graph, nodes: &[u32], search: Search) -> Option<Vec<Step>> {
    let members: HashSet<u32> = nodes.iter().copied().collect();
    let edges = nodes.iter().flat_map(|node| graph.from(*node).iter().map(move |edge| (*node, *edge)));
    let beginnings =
        edges.filter(|(_, edge)| search.first.contains(&edge.reason) && members.contains(&edge.to));
    let cycles = beginnings.take(TRIES).filter_map(|step| {
        let takes = |edge: &Edge| members.contains(&edge.to) && search.goes_on(edge);
        let back = path(graph, step.1.to, step.0, takes)?;
        Some([vec![step], back].concat())
    });
    cycles.min_by_key(Vec::len)
}

impl Search {
    /// Whether an edge may follow the first.
    fn goes_on(&self, edge: &Edge) -> bool {
        self.others.contains(&edge.reason) || self.real_time && edge.reason == Reason::RealTime
    }

    fn takes(&self, edge: &Edge) -> bool {
        self.first.contains(&edge.reason) || self.goes_on(edge)
    }
}

/// The shortest way between two nodes.
fn path(graph: &Graph, from: u32, to: u32, takes: impl Fn(&Edge) -> bool) -> Option<Vec<Step>> {
    let mut reached: HashMap<u32, Step> = HashMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        if node == to {
            let mut steps = Vec::new();
            let mut at = to;
            while at != from {
                steps.push(reached[&at]);
                at = reached[&at].0;
            }
            steps.reverse();
            return Some(steps);
        }
        for edge in graph.from(node).iter().filter(|edge| takes(edge)) {
            if edge.to != from && !reached.contains_key(&edge.to) {
                reached.insert(edge.to, (node, *edge));
                queue.push_back(edge.to);
            }
        }
    }
    None
}

fn phenomenon(steps: &[Step]) -> Phenomenon {
    let count = |reason| steps.iter().filter(|(_, edge)| edge.reason == reason).count();
    match (count(Reason::PredicateReadWrite), count(Reason::ReadWrite), count(Reason::WriteRead)) {
        (1.., _, _) => Phenomenon::Phantom,
        (0, 2.., _) => Phenomenon::WriteSkew,
        (0, 1, _) => Phenomenon::ReadSkew,
        (0, 0, 1..) => Phenomenon::CircularInformation,
        (0, 0, 0) => Phenomenon::DirtyWrite,
    }
}

fn told(graph: &Graph, steps: &[Step], name: &dyn Fn(u32) -> String) -> Anomaly {
    let is_transaction = |node: u32| (node as usize) < graph.transactions;
    let start = steps.iter().position(|(from, _)| is_transaction(*from)).unwrap_or(0);
    let turned = [&steps[start..], &steps[..start]].concat();
    let transactions: Vec<u32> =
        turned.iter().map(|step| step.0).filter(|node| is_transaction(*node)).collect();
    let mut story = String::from("a cycle");
    let mut from = transactions[0];
    for (_, edge) in turned {
        // Points in time are only passed through.
        if is_transaction(edge.to) {
            let (first, second) = (format!("T{from}"), format!("T{}", edge.to));
            let key = name(edge.key);
            story += &match edge.reason {
                Reason::WriteWrite => format!("\n  {second} wrote {key} after {first} did"),
                Reason::WriteRead => format!("\n  {second} read what {first} wrote to {key}"),
                Reason::ReadWrite => format!("\n  {first} read {key} without what {second} wrote"),
                Reason::PredicateReadWrite => {
                    format!("\n  {first} read all of {key} without what {second} inserted")
                }
                Reason::RealTime => format!("\n  {first} ended before {second} began"),
            };
            from = edge.to;
        }
    }
    Anomaly {
        phenomenon: phenomenon(steps),
        real_time: steps.iter().any(|(_, edge)| edge.reason == Reason::RealTime),
        transactions: transactions.into_iter().map(|node| node as usize).collect(),
        story,
    }
}
