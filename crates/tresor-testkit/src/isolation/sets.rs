//! Sets that only grow, read as a whole: what a question about everything that matches must not miss.
//!
//! Members have no order, so inserts say nothing of each other. A read of the set comes after the insert
//! of each member that it shows, and before the insert of each that it lacks; two reads that each have a
//! member that the other lacks contradict one another. With an edge for each such pair the graph knows
//! all there is: the history is strictly serializable exactly if it has no cycle. A cycle with a read
//! that lacks a member is a phantom, however many there are: two transactions that each saw an empty
//! set and inserted, or a later read that shows what an earlier one of the same transaction did not.
//! Pairs are many, so sets are to be many and small.

use std::collections::BTreeMap;

use super::{
    anomaly::{Anomaly, Phenomenon},
    footprint::Key,
    graph::{Graph, Reason},
    observed::Observed,
};

/// One set: who read what of it, and what was inserted into it.
#[derive(Default)]
struct Set<'o> {
    /// Members in ascending order.
    reads: Vec<(usize, &'o [u64])>,
    inserts: Vec<(usize, u64)>,
}

/// Adds the edges that the sets of a history give, and returns what is wrong without any.
pub(super) fn analyze(observed: &Observed<'_>, graph: &mut Graph) -> Vec<Anomaly> {
    let mut sets: BTreeMap<Key, Set<'_>> = BTreeMap::new();
    for index in observed.all_counted() {
        let footprint = &observed.footprints[index];
        for (key, members) in &footprint.sets_read {
            sets.entry(*key).or_default().reads.push((index, members));
        }
        for (key, member) in &footprint.written.set {
            sets.entry(*key).or_default().inserts.push((index, *member));
        }
    }
    let mut anomalies = Vec::new();
    for (key, set) in &sets {
        anomalies.extend(wrong_members(observed, *key, set));
        anomalies.extend(incompatible_reads(observed, *key, set));
        let readers: Vec<usize> = set.reads.iter().map(|(reader, _)| *reader).collect();
        let lost =
            set.inserts.iter().filter_map(|(writer, member)| observed.lost(*writer, *key, *member, &readers));
        anomalies.extend(lost);
        link(graph, *key, set);
    }
    anomalies
}

fn wrong_members(observed: &Observed<'_>, key: Key, set: &Set<'_>) -> Vec<Anomaly> {
    let mut first_reader: BTreeMap<u64, usize> = BTreeMap::new();
    for (reader, members) in &set.reads {
        for member in *members {
            first_reader.entry(*member).or_insert(*reader);
        }
    }
    for (_, member) in &set.inserts {
        first_reader.remove(member);
    }
    let elsewhere = |reader: usize, member: u64| {
        let story = format!("T{reader} read {member} in {}, which was written elsewhere", observed.name(key));
        observed.anomaly(Phenomenon::Unwritten, vec![reader], story)
    };
    let wrong = first_reader.into_iter();
    wrong
        .map(|(member, reader)| {
            observed.wrongly_read(reader, key, member).unwrap_or_else(|| elsewhere(reader, member))
        })
        .collect()
}

/// Reads in order of their sizes must each hold all of the one before.
fn incompatible_reads(observed: &Observed<'_>, key: Key, set: &Set<'_>) -> Vec<Anomaly> {
    let mut reads = set.reads.clone();
    reads.sort_by_key(|(_, members)| members.len());
    let contradicts =
        |pair: &&[(usize, &[u64])]| pair[0].1.iter().any(|member| pair[1].1.binary_search(member).is_err());
    let told = |pair: &[(usize, &[u64])]| {
        let ((first, one), (second, other)) = (pair[0], pair[1]);
        let name = observed.name(key);
        let story = format!("T{first} read {name} as {one:?} and T{second} as {other:?}");
        observed.anomaly(Phenomenon::IncompatibleOrder, vec![first, second], story)
    };
    reads.windows(2).filter(contradicts).map(told).collect()
}

fn link(graph: &mut Graph, key: Key, set: &Set<'_>) {
    for (reader, members) in &set.reads {
        for (writer, member) in &set.inserts {
            match members.binary_search(member) {
                Ok(_) => graph.link(*writer, *reader, Reason::WriteRead, key),
                Err(_) => graph.link(*reader, *writer, Reason::PredicateReadWrite, key),
            }
        }
    }
}
