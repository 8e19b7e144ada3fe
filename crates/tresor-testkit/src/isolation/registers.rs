//! Registers: a read shows one value, and nothing of the order in which others came.
//!
//! A transaction that reads a value and writes another in its place comes right behind the first one's
//! writer, and any other reader of that value comes before it. These edges name most anomalies. They do
//! not find all: what was written over unread leaves no trace. So registers are also given to
//! `register_search`, which looks for an order of all transactions that explains every read.

use std::collections::{BTreeMap, HashMap};

use super::{
    anomaly::{Anomaly, Phenomenon},
    footprint::Key,
    graph::{Graph, Reason},
    observed::Observed,
};

/// One register.
#[derive(Default)]
struct Register {
    reads: Vec<(usize, Option<u64>)>,
    writes: Vec<(usize, u64)>,
}

/// Adds the edges that the registers of a history give, and returns what is wrong without any.
pub(super) fn analyze(observed: &Observed<'_>, graph: &mut Graph) -> Vec<Anomaly> {
    let mut registers: BTreeMap<Key, Register> = BTreeMap::new();
    for index in observed.all_counted() {
        let footprint = &observed.footprints[index];
        for (key, value) in &footprint.registers_read {
            registers.entry(*key).or_default().reads.push((index, *value));
        }
        for (key, value) in &footprint.written.register {
            registers.entry(*key).or_default().writes.push((index, *value));
        }
    }
    let mut anomalies = Vec::new();
    for (key, register) in &registers {
        anomalies.extend(wrong_reads(observed, *key, register));
        anomalies.extend(lost_updates(observed, *key, register));
        link(observed, graph, *key, register);
    }
    anomalies
}

/// Reads of what was never there for good.
fn wrong_reads(observed: &Observed<'_>, key: Key, register: &Register) -> Vec<Anomaly> {
    let last: HashMap<usize, u64> = register.writes.iter().copied().collect();
    let writers: HashMap<u64, usize> =
        register.writes.iter().map(|(index, value)| (*value, *index)).collect();
    let mut first_reader: BTreeMap<u64, usize> = BTreeMap::new();
    for (reader, value) in &register.reads {
        if let Some(value) = value {
            first_reader.entry(*value).or_insert(*reader);
        }
    }
    let name = observed.name(key);
    let mut anomalies = Vec::new();
    for (value, reader) in first_reader {
        match writers.get(&value) {
            Some(writer) if last[writer] != value => {
                let story = format!("T{reader} read {value} in {name}, and T{writer} wrote it again");
                let transactions = vec![reader, *writer];
                anomalies.push(observed.anomaly(Phenomenon::IntermediateRead, transactions, story));
            }
            Some(_) => {}
            None => anomalies.push(observed.wrongly_read(reader, key, value).unwrap_or_else(|| {
                let story = format!("T{reader} read {value} in {name}, which was written elsewhere");
                observed.anomaly(Phenomenon::Unwritten, vec![reader], story)
            })),
        }
    }
    anomalies
}

/// For each value the transactions that read it and wrote another in its place.
fn successors(register: &Register) -> BTreeMap<Option<u64>, Vec<usize>> {
    let writers: HashMap<usize, u64> = register.writes.iter().copied().collect();
    let mut successors: BTreeMap<Option<u64>, Vec<usize>> = BTreeMap::new();
    for (reader, value) in register.reads.iter().filter(|(reader, _)| writers.contains_key(reader)) {
        let of_value = successors.entry(*value).or_default();
        if of_value.last() != Some(reader) {
            of_value.push(*reader);
        }
    }
    successors
}

fn lost_updates(observed: &Observed<'_>, key: Key, register: &Register) -> Vec<Anomaly> {
    let name = observed.name(key);
    let many = successors(register).into_iter().filter(|(_, writers)| writers.len() > 1);
    many.map(|(value, writers)| {
        let story = format!("{} transactions read {name} as {value:?} and wrote to it", writers.len());
        observed.anomaly(Phenomenon::LostUpdate, writers, story)
    })
    .collect()
}

fn link(observed: &Observed<'_>, graph: &mut Graph, key: Key, register: &Register) {
    let successors = successors(register);
    for (reader, value) in &register.reads {
        if let Some(writer) = value.and_then(|value| observed.counted_writer(value)) {
            graph.link(writer, *reader, Reason::WriteRead, key);
        }
        for next in successors.get(value).into_iter().flatten() {
            graph.link(*reader, *next, Reason::ReadWrite, key);
        }
    }
    for (value, writers) in &successors {
        if let Some(first) = value.and_then(|value| observed.counted_writer(value)) {
            writers.iter().for_each(|next| graph.link(first, *next, Reason::WriteWrite, key));
        }
    }
}
