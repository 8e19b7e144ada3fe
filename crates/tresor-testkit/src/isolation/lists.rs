//! Lists that transactions append to: every read shows the order of all appends before it.
//!
//! The longest read of a list is its order of versions; every other read is a beginning of it, and every
//! committed append that it lacks comes behind it. So all that must come before anything else is known,
//! and the history is strictly serializable exactly if the graph has no cycle (Elle's argument).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    anomaly::{Anomaly, Phenomenon},
    footprint::Key,
    graph::{Graph, Reason},
    observed::Observed,
};

/// One list: who read what of it, and what was appended to it.
#[derive(Default)]
struct List<'o> {
    reads: Vec<(usize, &'o [u64])>,
    appends: Vec<(usize, u64)>,
}

/// Adds the edges that the lists of a history give, and returns what is wrong without any.
pub(super) fn analyze(observed: &Observed<'_>, graph: &mut Graph) -> Vec<Anomaly> {
    let mut lists: BTreeMap<Key, List<'_>> = BTreeMap::new();
    for index in observed.all_counted() {
        let footprint = &observed.footprints[index];
        for (key, elements) in &footprint.lists_read {
            lists.entry(*key).or_default().reads.push((index, elements));
        }
        for (key, element) in &footprint.written.list {
            lists.entry(*key).or_default().appends.push((index, *element));
        }
    }
    let mut anomalies = Vec::new();
    for (key, list) in &lists {
        let longest = list.reads.iter().map(|(_, elements)| *elements).max_by_key(|elements| elements.len());
        let longest = longest.unwrap_or_default();
        anomalies.extend(wrong_orders(observed, *key, list, longest));
        anomalies.extend(wrong_elements(observed, *key, list));
        anomalies.extend(intermediate_reads(observed, *key, list));
        anomalies.extend(lost_updates(observed, *key, list));
        link(observed, graph, *key, list, longest);
    }
    anomalies
}

fn wrong_orders(observed: &Observed<'_>, key: Key, list: &List<'_>, longest: &[u64]) -> Vec<Anomaly> {
    let name = observed.name(key);
    let mut anomalies = Vec::new();
    for (reader, elements) in &list.reads {
        if !longest.starts_with(elements) {
            let story = format!("T{reader} read {name} as {elements:?}, where others read it as {longest:?}");
            anomalies.push(observed.anomaly(Phenomenon::IncompatibleOrder, vec![*reader], story));
        }
    }
    anomalies
}

/// Elements that nobody appended for good, each told of once.
fn wrong_elements(observed: &Observed<'_>, key: Key, list: &List<'_>) -> Vec<Anomaly> {
    let mut first_reader: BTreeMap<u64, usize> = BTreeMap::new();
    for (reader, elements) in &list.reads {
        for element in *elements {
            first_reader.entry(*element).or_insert(*reader);
        }
    }
    let appended: HashMap<u64, usize> =
        list.appends.iter().map(|(index, element)| (*element, *index)).collect();
    let suspicious = first_reader.iter().filter(|(element, _)| !appended.contains_key(element));
    suspicious
        .map(|(element, reader)| {
            observed.wrongly_read(*reader, key, *element).unwrap_or_else(|| {
                let story = format!(
                    "T{reader} read {element} in {}, which was written elsewhere",
                    observed.name(key)
                );
                observed.anomaly(Phenomenon::Unwritten, vec![*reader], story)
            })
        })
        .collect()
}

/// Reads that end where a transaction had appended and was about to append more.
fn intermediate_reads(observed: &Observed<'_>, key: Key, list: &List<'_>) -> Vec<Anomaly> {
    let last: HashMap<usize, u64> = list.appends.iter().copied().collect();
    let mut anomalies = Vec::new();
    for (reader, elements) in &list.reads {
        let Some(end) = elements.last() else { continue };
        let Some(writer) = observed.counted_writer(*end) else { continue };
        if last.get(&writer).is_some_and(|last| last != end) {
            let name = observed.name(key);
            let story = format!("T{reader} read {name} as it ended with {end}, and T{writer} appended more");
            anomalies.push(observed.anomaly(Phenomenon::IntermediateRead, vec![*reader, writer], story));
        }
    }
    anomalies
}

/// Appends on the same version of a list, and appends that vanished.
fn lost_updates(observed: &Observed<'_>, key: Key, list: &List<'_>) -> Vec<Anomaly> {
    let appended: HashMap<usize, u64> = list.appends.iter().copied().collect();
    let mut by_version: BTreeMap<&[u64], Vec<usize>> = BTreeMap::new();
    for (reader, elements) in &list.reads {
        if appended.contains_key(reader) {
            by_version.entry(elements).or_default().push(*reader);
        }
    }
    let mut anomalies = Vec::new();
    for (version, mut writers) in by_version {
        writers.dedup();
        if writers.len() > 1 {
            let name = observed.name(key);
            let story =
                format!("{} transactions read {name} as {version:?} and appended to it", writers.len());
            anomalies.push(observed.anomaly(Phenomenon::LostUpdate, writers, story));
        }
    }
    let readers: Vec<usize> = list.reads.iter().map(|(reader, _)| *reader).collect();
    anomalies.extend(
        list.appends.iter().filter_map(|(writer, element)| observed.lost(*writer, key, *element, &readers)),
    );
    anomalies
}

fn link(observed: &Observed<'_>, graph: &mut Graph, key: Key, list: &List<'_>, longest: &[u64]) {
    let writers: Vec<Option<usize>> =
        longest.iter().map(|element| observed.counted_writer(*element)).collect();
    let unseen: Vec<usize> = {
        let seen: HashSet<u64> = longest.iter().copied().collect();
        list.appends.iter().filter(|(_, element)| !seen.contains(element)).map(|(index, _)| *index).collect()
    };
    for pair in writers.windows(2) {
        if let [Some(first), Some(second)] = pair {
            graph.link(*first, *second, Reason::WriteWrite, key);
        }
    }
    if let Some(Some(last)) = writers.last() {
        unseen.iter().for_each(|writer| graph.link(*last, *writer, Reason::WriteWrite, key));
    }
    for (reader, elements) in &list.reads {
        if !longest.starts_with(elements) {
            continue;
        }
        if let Some(Some(writer)) = elements.len().checked_sub(1).map(|last| writers[last]) {
            graph.link(writer, *reader, Reason::WriteRead, key);
        }
        match writers.get(elements.len()) {
            Some(Some(next)) => graph.link(*reader, *next, Reason::ReadWrite, key),
            Some(None) => {}
            None => unseen.iter().for_each(|writer| graph.link(*reader, *writer, Reason::ReadWrite, key)),
        }
    }
}
